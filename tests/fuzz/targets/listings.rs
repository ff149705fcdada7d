//! Keys under `grants/`: who may write to the bucket decides what they are. One key a line.

use std::collections::BTreeSet;

use allowlist::{Grant, GrantKey};
use fakes::{OFFICE, add_config, add_event};

use super::{HOME, account, listed, run};

#[rustfmt::skip]
pub const WORDS: [&str; 24] = [
    "grants/", ".json", "@1800003600", "@-1", "@+1", "@01", "@9223372036854775807", "@9223372036854775808", "_32", "_24", "_23", "_64", "_48", "_47", "_0",
    "/_open", "/alice", "/bob", "51.44.71.0_24", "0.0.0.0_0", "10.0.0.1_32", "::ffff:51.44.71.80_128", "2a05:d018:1:2::_64", "%2e",
];

/// A key counts only as add-ip itself would write it, and what is on the list afterwards was granted by such a key.
pub fn check(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    // What XML cannot hold is not in a listing.
    let keys: BTreeSet<&str> =
        text.lines().filter(|key| key.chars().all(|c| c >= ' ')).take(8).collect();
    let granted: Vec<Option<Grant>> = keys.iter().map(|key| grant(key)).collect();
    let networks: BTreeSet<String> =
        granted.iter().flatten().map(|grant| grant.key.network.to_string()).collect();
    run(async {
        let script = account();
        for key in &keys {
            script.world.lock().put(key, "{}");
        }
        let answer =
            script.caller(1).event(add_config(&[]), add_event("alice", "51.44.71.81")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let own = ["51.44.71.81/32", HOME, OFFICE].map(str::to_owned);
        let more: Vec<String> =
            listed(&script).into_iter().filter(|entry| !own.contains(entry)).collect();
        assert!(more.iter().all(|entry| networks.contains(entry)), "{more:?} of {networks:?}");
        for (key, grant) in keys.iter().zip(&granted) {
            let stays = grant.is_some() || script.world.lock().objects.contains_key(*key);
            assert!(stays, "an object that is no grant was deleted: {key}");
        }
        format!("{} {} {}", granted.len(), networks.len(), more.len())
    })
}

/// The grant that a listing finds under a key.
fn grant(key: &str) -> Option<Grant> {
    let parsed = GrantKey::parse(key);
    if let Some(parsed) = &parsed {
        assert_eq!(parsed.object(), key);
        let (folder, name) = key.strip_prefix("grants/").unwrap().split_once('/').unwrap();
        assert_eq!(parsed.network.to_string().replace('/', "_"), folder);
        let known = |b: u8| b.is_ascii_alphanumeric() || b"._-@".contains(&b);
        assert!(name.len() <= 64 + 21 + 5 && name.bytes().all(known), "{name}");
    }
    let any = Grant::from_listing(key, 0, true);
    let public = Grant::from_listing(key, 0, false);
    assert!(any.is_some() || public.is_none());
    for grant in any.iter().chain(&public) {
        assert_eq!(Some(&grant.key), parsed.as_ref());
        assert!(
            grant.key.network.prefix_length() >= if grant.key.network.is_ipv4() { 24 } else { 48 }
        );
    }
    public.inspect(|grant| grant.key.network.check_public().unwrap())
}
