//! Networks: callers, administrators and documents name them. One a line.

use std::collections::BTreeSet;
use std::net::IpAddr;

use allowlist::Network;

use crate::python::Python;

#[rustfmt::skip]
pub const WORDS: [&str; 32] = [
    "/0", "/1", "/8", "/23", "/24", "/32", "/33", "/47", "/48", "/95", "/96", "/128", "/032", "/255.255.255.0", "/0.0.0.255", "::ffff:", "::", "%eth0",
    "0x7f", "192.0.0.9", "192.88.99.1", "224.0.0.1", "64:ff9b::1", "2001:1::1", "2002::1", "3fff::1", "4000::1", "fec0::1", "255", "256", "ffff", "00",
];

/// Where Python calls an address global, or some version of it does, and we refuse it.
const REFUSED_ALL_THE_SAME: [(&str, &str); 8] = [
    ("224.0.0.0/4", "multicast: nobody calls from there"),
    ("ff00::/8", "multicast: nobody calls from there"),
    ("192.0.0.0/24", "two anycast addresses of protocols: nobody calls from there"),
    ("64:ff9b::/96", "NAT64: the translator sends from an IPv4 address"),
    ("2001::/23", "IETF protocols: tunnels, identifiers and anycast"),
    ("2002::/16", "6to4: no longer in use, and forged with ease"),
    ("3fff::/20", "documentation since RFC 9637, which Python learned late"),
    ("::/0", "outside of 2000::/3 nothing is assigned; Python lists what is reserved by name"),
];

/// What we accept is the same network to Python: its text, its width, what it covers, and whether it is public.
pub fn check(python: &Python, input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    let lines: Vec<&str> = text.split('\n').take(8).collect();
    let ours: Vec<Option<Network>> = lines.iter().map(|line| line.parse().ok()).collect();
    let answer = python.ask("networks", &lines.join("\n"));
    let theirs: Vec<&str> = answer.split(';').collect();
    assert_eq!(theirs.len(), lines.len());
    let mut told = BTreeSet::new();
    for ((line, our), their) in lines.iter().zip(&ours).zip(&theirs) {
        told.insert(match our {
            Some(network) => same(line, network, their, &ours),
            None if *their == "-" => "none",
            None => {
                assert!(has_other_mask(line), "{line:?} is {their} to Python");
                "mask"
            }
        });
    }
    told.into_iter().collect::<Vec<_>>().join(" ")
}

/// Whether the width is written as only Python takes it: as a mask, or with zeros before it.
fn has_other_mask(line: &str) -> bool {
    let width = line.split_once('/').map_or("", |(_, width)| width);
    width.contains('.') || (width.len() > 1 && width.starts_with('0'))
}

fn same(line: &str, network: &Network, their: &str, ours: &[Option<Network>]) -> &'static str {
    let parts: Vec<&str> = their.split(' ').collect();
    let [text, ends, covers] = parts[..] else {
        panic!("{line:?} is {network} to us, {their} to Python")
    };
    assert_eq!(network.to_string(), text, "{line:?}");
    assert_eq!(text.parse(), Ok(*network));
    let (_, width) = text.split_once('/').unwrap();
    let width: u8 = width.parse().unwrap();
    assert_eq!(network.prefix_length(), width);
    for (other, covered) in ours.iter().zip(covers.chars()) {
        if let Some(other) = other {
            assert_eq!(network.covers(other), covered == '1', "{network} and {other}");
        }
    }
    if let Some((address, _)) = line.split_once('/')
        && let Ok(IpAddr::V6(address)) = address.parse()
        && address.to_ipv4_mapped().is_none()
    {
        assert_eq!(Network::of_caller(address.into(), width), *network);
    }
    let is_narrow = width >= if text.contains(':') { 48 } else { 24 };
    assert_eq!(network.check_width().is_ok(), is_narrow, "{network}");
    match network.check_public() {
        Ok(()) => {
            assert_eq!(ends, "GG", "{network} is not public to Python");
            "public"
        }
        // A wide network may have its special part in the middle.
        Err(_) if !is_narrow => "wide",
        Err(_) if ends == "ss" => "special",
        Err(error) => {
            let explained =
                REFUSED_ALL_THE_SAME.iter().find(|(range, _)| covers_range(range, network));
            assert!(explained.is_some(), "Python takes {network} for public: {error}");
            "explained"
        }
    }
}

fn covers_range(range: &str, network: &Network) -> bool {
    let assigned: Network = "2000::/3".parse().unwrap();
    let range: Network = range.parse().unwrap();
    range.covers(network) && (range.prefix_length() > 0 || !assigned.covers(network))
}
