//! Grants and members: who may add, and one temporary entry of one member, as they are named in the state bucket.
//!
//! Everything about a grant is in the listing (network and member in the key, time in `LastModified`), so that
//! reading all of them costs one call and no two writers share an object.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::document::sha256_hex;
use crate::error::Error;
use crate::network::Network;

/// Where grants are kept in the state bucket.
pub const GRANTS: &str = "grants/";

/// Stands for the member in the key of a grant that was given without a member key (`OPEN_ACCESS`).
const OPEN: &str = "_open";

/// A member's name: `[A-Za-z0-9._-]{1,64}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Member(String);

impl FromStr for Member {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let fits = (1..=64).contains(&text.len()) && text != OPEN;
        if fits
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::State {
                key: "members/".to_owned(),
                reason: format!(
                    "`{}` is not a member's name: use 1 to 64 letters, digits, dots, dashes and underscores",
                    text.escape_debug()
                ),
            })
        }
    }
}

impl TryFrom<String> for Member {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Member> for String {
    fn from(member: Member) -> Self {
        member.0
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the member with this key is looked up: keys themselves are stored nowhere.
#[must_use]
pub fn member_object(key: &str) -> String {
    format!("members/{}.json", sha256_hex(key.as_bytes()))
}

/// One temporary entry of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The entry.
    pub network: Network,
    /// `None` for an entry that was given without a key.
    pub member: Option<Member>,
    /// When it was given, by S3's clock, in whole seconds since 1970.
    pub granted_at: i64,
}

impl Grant {
    /// The object that a grant is kept in: `grants/51.44.71.80_32/alice.json`.
    #[must_use]
    pub fn object(network: &Network, member: Option<&Member>) -> String {
        let member = member.map_or(OPEN, |member| &member.0);
        format!(
            "{GRANTS}{}/{member}.json",
            network.to_string().replace('/', "_")
        )
    }

    /// Reads a grant back from the listing; `None` for an object that is not one.
    #[must_use]
    pub fn from_listing(key: &str, granted_at: i64) -> Option<Self> {
        let (network, member) = key
            .strip_prefix(GRANTS)?
            .strip_suffix(".json")?
            .split_once('/')?;
        let member = if member == OPEN {
            None
        } else {
            Some(member.parse().ok()?)
        };
        Some(Self {
            network: network.replace('_', "/").parse().ok()?,
            member,
            granted_at,
        })
    }
}

/// The networks of the grants, oldest first, each once.
#[must_use]
pub fn networks_by_age(grants: &[Grant]) -> Vec<Network> {
    let mut sorted: Vec<&Grant> = grants.iter().collect();
    sorted.sort_by_key(|grant| (grant.granted_at, grant.network));
    let mut seen = HashSet::with_capacity(sorted.len());
    sorted
        .into_iter()
        .map(|grant| grant.network)
        .filter(|network| seen.insert(*network))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grants_key_says_everything() {
        for network in ["51.44.71.80/32", "2a05:d018::/64"] {
            for member in [
                None,
                Some("alice".parse::<Member>().unwrap()),
                Some("a.b_c-d".parse().unwrap()),
            ] {
                let network = network.parse().unwrap();
                let key = Grant::object(&network, member.as_ref());
                assert_eq!(
                    Grant::from_listing(&key, 7),
                    Some(Grant {
                        network,
                        member,
                        granted_at: 7
                    })
                );
            }
        }
        assert_eq!(
            Grant::object(&"51.44.71.80".parse().unwrap(), None),
            "grants/51.44.71.80_32/_open.json"
        );
    }

    #[test]
    fn foreign_objects_are_no_grants() {
        for key in [
            "grants/",
            "grants/x/alice.json",
            "grants/1.2.3.4_32/alice",
            "grants/1.2.3.4_32/a b.json",
            "baseline/x.json",
        ] {
            assert_eq!(Grant::from_listing(key, 0), None, "{key}");
        }
    }

    #[test]
    fn names_that_could_be_mistaken_are_refused() {
        let long = "x".repeat(65);
        for name in ["", "_open", "a/b", "a b", "é", long.as_str()] {
            assert!(name.parse::<Member>().is_err(), "{name}");
        }
    }

    #[test]
    fn a_member_is_looked_up_by_the_hash_of_the_key() {
        assert_eq!(
            member_object("abc"),
            "members/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.json"
        );
    }

    #[test]
    fn networks_come_oldest_first_and_once() {
        let grant = |network: &str, granted_at| Grant {
            network: network.parse().unwrap(),
            member: None,
            granted_at,
        };
        let networks = networks_by_age(&[
            grant("2.2.2.2", 9),
            grant("1.1.1.1", 5),
            grant("2.2.2.2", 3),
        ]);
        assert_eq!(
            networks,
            ["2.2.2.2".parse().unwrap(), "1.1.1.1".parse().unwrap()]
        );
    }
}
