//! One entry of an allow list as a value: an IPv4 or IPv6 network in canonical form.
//!
//! `ipnet` refuses a bare address, keeps host bits in equality and keeps `::ffff:a.b.c.d` as IPv6; IAM treats
//! all of these as the same network, so this type does too.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

/// What is wrong with a network that somebody names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The text is not an IP address and not a CIDR.
    #[error("`{0}` is not an IP address or CIDR: write it like `198.51.100.7` or `2001:db8::/64`")]
    BadIp(String),
    /// A caller asks for more addresses at once than one household has.
    #[error(
        "`{0}` is too wide: name a network of /24 or narrower for IPv4, /48 or narrower for IPv6"
    )]
    TooWide(Network),
    /// IAM sees only globally routable addresses, so this one could not let anybody in.
    #[error(
        "`{network}` is {reason}: AWS never sees such an address, so connect from the internet and try again"
    )]
    NotPublic {
        /// The network that is refused.
        network: Network,
        /// The special-purpose range that it belongs to.
        reason: &'static str,
    },
}

impl NetworkError {
    /// The stable name of the error, as callers and logs see it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BadIp(_) => "bad_ip",
            Self::TooWide(_) => "too_wide",
            Self::NotPublic { .. } => "address_not_public",
        }
    }
}

/// An IPv4 or IPv6 network: host bits cleared, IPv4-in-IPv6 unmapped, printed with its prefix length.
///
/// ```
/// use allowlist::Network;
/// let home: Network = "51.44.71.80".parse()?;
/// assert_eq!(home.to_string(), "51.44.71.80/32");
/// let office: Network = "::ffff:51.44.71.80/120".parse()?;
/// assert_eq!(office.to_string(), "51.44.71.0/24");
/// assert!(office.covers(&home));
/// # Ok::<(), allowlist::network::NetworkError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(IpNet);

/// Whether networks together are half an address family or more.
pub fn cover_half_a_family(networks: impl IntoIterator<Item = Network>) -> bool {
    let networks = networks.into_iter().map(|network| network.0).collect();
    let apart: Vec<Network> = IpNet::aggregate(&networks).into_iter().map(Network).collect();
    let share = |of_ipv4: bool| {
        let family = apart.iter().filter(|network| network.is_ipv4() == of_ipv4);
        family.map(Network::share).sum::<f64>()
    };
    share(true) >= 0.5 || share(false) >= 0.5
}

impl Network {
    /// The network that a caller's address stands for: /32 for IPv4, `ipv6_prefix_length` for IPv6 (a home has a
    /// whole prefix, and its devices change their addresses inside it).
    #[must_use]
    pub fn of_caller(address: IpAddr, ipv6_prefix_length: u8) -> Self {
        let address = address.to_canonical();
        let length = if address.is_ipv4() { 32 } else { ipv6_prefix_length.min(128) };
        IpNet::new(address, length).map_or_else(|_| Self::single(address), |net| Self(net.trunc()))
    }

    fn single(address: IpAddr) -> Self {
        Self(IpNet::from(address))
    }

    /// Whether every address of `other` belongs to this network.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.0.contains(&other.0)
    }

    /// Whether it is an IPv4 network.
    #[must_use]
    pub fn is_ipv4(&self) -> bool {
        self.0.addr().is_ipv4()
    }

    /// How many leading bits all its addresses share.
    #[must_use]
    pub fn prefix_length(&self) -> u8 {
        self.0.prefix_len()
    }

    /// The network of `length` leading bits around this one; itself if that would be narrower.
    #[must_use]
    pub fn widened(&self, length: u8) -> Self {
        let length = length.min(self.prefix_length());
        IpNet::new(self.0.addr(), length).map_or(*self, |net| Self(net.trunc()))
    }

    /// Whether the network is half an address family or more: on a list, that is no gate.
    #[must_use]
    pub fn covers_half_a_family(&self) -> bool {
        self.0.prefix_len() <= 1
    }

    /// The part of its address family that it covers, from 0 to 1.
    fn share(&self) -> f64 {
        f64::from(self.prefix_length()).exp2().recip()
    }

    /// Refuses what a caller may not ask for in one entry: wider than /24 (IPv4) or /48 (IPv6).
    ///
    /// # Errors
    /// [`NetworkError::TooWide`].
    pub fn check_width(&self) -> Result<(), NetworkError> {
        let widest = if self.0.addr().is_ipv4() { 24 } else { 48 };
        if self.0.prefix_len() < widest { Err(NetworkError::TooWide(*self)) } else { Ok(()) }
    }

    /// Refuses every network that is not wholly globally routable, by the IANA special-purpose registries
    /// (RFC 6890 and its updates; RFC 9637 for `3fff::/20`).
    ///
    /// # Errors
    /// [`NetworkError::NotPublic`] with the range's name.
    pub fn check_public(&self) -> Result<(), NetworkError> {
        let refuse = |reason| Err(NetworkError::NotPublic { network: *self, reason });
        match self.0 {
            IpNet::V4(net) => {
                for (range, reason) in special_ipv4() {
                    if range.contains(&net) || net.contains(&range) {
                        return refuse(reason);
                    }
                }
            }
            IpNet::V6(net) => {
                for (range, reason) in special_ipv6() {
                    if range.contains(&net) || net.contains(&range) {
                        return refuse(reason);
                    }
                }
                if !ipv6([0x2000, 0, 0, 0], 3).contains(&net) {
                    return refuse("outside the global unicast range 2000::/3");
                }
            }
        }
        Ok(())
    }
}

fn ipv4(a: u8, b: u8, c: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), length)
}

fn ipv6([a, b, c, d]: [u16; 4], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), length)
}

fn special_ipv4() -> [(Ipv4Net, &'static str); 14] {
    [
        (ipv4(0, 0, 0, 8), "an address of \"this network\""),
        (ipv4(10, 0, 0, 8), "a private address"),
        (ipv4(100, 64, 0, 10), "a carrier-grade NAT address"),
        (ipv4(127, 0, 0, 8), "a loopback address"),
        (ipv4(169, 254, 0, 16), "a link-local address"),
        (ipv4(172, 16, 0, 12), "a private address"),
        (ipv4(192, 0, 0, 24), "a reserved address"),
        (ipv4(192, 0, 2, 24), "a documentation address"),
        (ipv4(192, 168, 0, 16), "a private address"),
        (ipv4(198, 18, 0, 15), "a benchmarking address"),
        (ipv4(198, 51, 100, 24), "a documentation address"),
        (ipv4(203, 0, 113, 24), "a documentation address"),
        (ipv4(224, 0, 0, 4), "a multicast address"),
        (ipv4(240, 0, 0, 4), "a reserved address"),
    ]
}

fn special_ipv6() -> [(Ipv6Net, &'static str); 8] {
    [
        (ipv6([0x2001, 0, 0, 0], 23), "an IETF protocol address"),
        (ipv6([0x2001, 0xdb8, 0, 0], 32), "a documentation address"),
        (ipv6([0x2002, 0, 0, 0], 16), "a 6to4 address"),
        (ipv6([0x3fff, 0, 0, 0], 20), "a documentation address"),
        (ipv6([0xfc00, 0, 0, 0], 7), "a private address"),
        (ipv6([0xfe80, 0, 0, 0], 10), "a link-local address"),
        (ipv6([0xff00, 0, 0, 0], 8), "a multicast address"),
        (ipv6([0, 0, 0, 0], 8), "a reserved address"),
    ]
}

impl FromStr for Network {
    type Err = NetworkError;

    /// Accepts `1.2.3.4`, `1.2.3.4/24`, `2001:db8::1` and `2001:db8::/32`. A number with a zero before it is refused: some
    /// readers take it for octal. (`ipnet` alone accepts it.)
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let bad = || NetworkError::BadIp(text.chars().take(64).collect());
        let address = |text: &str| text.parse::<IpAddr>().map_err(|_| bad());
        let net = match text.split_once('/') {
            Some((start, length)) => {
                let is_plain = length == "0" || !length.starts_with(['0', '+']);
                let length = length.parse().ok().filter(|_| is_plain).ok_or_else(bad)?;
                IpNet::new(address(start)?, length).map_err(|_| bad())?
            }
            None => IpNet::from(address(text)?),
        };
        if let IpNet::V6(six) = net
            && let Some(four) = six.addr().to_ipv4_mapped()
            && let Some(length) = six.prefix_len().checked_sub(96)
            && let Ok(unmapped) = Ipv4Net::new(four, length)
        {
            return Ok(Self(IpNet::V4(unmapped.trunc())));
        }
        Ok(Self(net.trunc()))
    }
}

impl TryFrom<String> for Network {
    type Error = NetworkError;

    fn try_from(text: String) -> Result<Self, NetworkError> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn net(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn every_spelling_of_a_network_is_the_same_value() {
        for (text, canonical) in [
            ("51.44.71.80", "51.44.71.80/32"),
            ("51.44.71.80/32", "51.44.71.80/32"),
            ("51.44.71.80/24", "51.44.71.0/24"),
            ("::ffff:51.44.71.80", "51.44.71.80/32"),
            ("::ffff:51.44.71.80/120", "51.44.71.0/24"),
            ("2A05:D018:0:0::1", "2a05:d018::1/128"),
            ("2a05:d018::1/64", "2a05:d018::/64"),
        ] {
            assert_eq!(net(text).to_string(), canonical);
            assert_eq!(net(text), net(canonical));
        }
    }

    #[test]
    fn what_is_not_a_network_is_refused_by_name() {
        for text in [
            "",
            "x",
            "1.2.3",
            "1.2.3.4/33",
            "1.2.3.4/",
            "/24",
            "1.2.3.4 ",
            "01.2.3.4",
            "01.2.3.4/32",
            "1.2.3.00/24",
            "1.2.3.4/024",
            "1.2.3.4/00",
            "1.2.3.4/+8",
            "1.2.3.4/-0",
            "1.2.3.4/24/24",
            "1.2.3.4/255.255.255.0",
            "2001:db8::/129",
            "fe80::1%eth0",
            "*",
        ] {
            let error = text.parse::<Network>().unwrap_err();
            assert_eq!(error.kind(), "bad_ip", "{text}");
            assert!(error.to_string().contains(&format!("`{text}`")));
        }
    }

    #[test]
    fn a_caller_is_one_ipv4_address_or_one_ipv6_prefix() {
        let of = |address: &str, length| {
            Network::of_caller(address.parse().unwrap(), length).to_string()
        };
        assert_eq!(of("51.44.71.80", 64), "51.44.71.80/32");
        assert_eq!(of("::ffff:51.44.71.80", 64), "51.44.71.80/32");
        assert_eq!(of("2a05:d018:1:2:3:4:5:6", 64), "2a05:d018:1:2::/64");
        assert_eq!(of("2a05:d018:1:2:3:4:5:6", 56), "2a05:d018:1::/56");
    }

    #[test]
    fn only_globally_routable_networks_pass() {
        for text in [
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.1.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "64:ff9b::1",
            "fc00::1",
            "fe80::1",
            "ff02::1",
            "2001::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2002::1",
            "3fff::1",
            "3fff:fff::1",
            "4000::1",
            "::ffff:10.0.0.1",
            "172.0.0.0/8",
            "192.0.0.0/16",
        ] {
            assert_eq!(
                net(text).check_public().unwrap_err().kind(),
                "address_not_public",
                "{text}"
            );
        }
        for text in [
            "1.1.1.1",
            "51.44.71.80",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2001:200::1",
            "2a05:d018::1",
            "2606:4700::/48",
            "3ffe::1",
            "51.44.71.0/24",
        ] {
            net(text).check_public().unwrap();
        }
    }

    #[test]
    fn a_caller_may_not_name_more_than_a_household() {
        for text in ["51.44.71.0/24", "51.44.71.80", "2a05:d018::/48", "2a05:d018::/64"] {
            net(text).check_width().unwrap();
        }
        for text in ["51.44.70.0/23", "0.0.0.0/0", "2a05:d018::/47", "::/0"] {
            assert_eq!(net(text).check_width().unwrap_err().kind(), "too_wide", "{text}");
        }
    }

    #[test]
    fn half_a_family_is_recognised() {
        for text in ["0.0.0.0/0", "128.0.0.0/1", "::/0", "8000::/1"] {
            assert!(net(text).covers_half_a_family(), "{text}");
        }
        assert!(!net("64.0.0.0/2").covers_half_a_family());
    }

    proptest! {
        #[test]
        fn printing_and_parsing_is_the_identity(bits: u32, six: u128, length in 0u8..=32) {
            for text in [format!("{}/{length}", Ipv4Addr::from(bits)), format!("{}/{}", Ipv6Addr::from(six), length * 4)] {
                let network = net(&text);
                prop_assert_eq!(net(&network.to_string()), network);
                prop_assert!(network.covers(&network));
            }
        }
    }
}
