//! A set of networks that answers quickly whether it covers another one. The time depends on the
//! number of prefix lengths in use, not on the number of networks.

use std::collections::{BTreeSet, HashSet};

use crate::network::Network;

/// Networks, to be asked what they cover.
///
/// ```
/// use allowlist::coverage::Coverage;
/// let office: Coverage = ["51.44.71.0/24".parse()?].into_iter().collect();
/// assert!(office.covers(&"51.44.71.80".parse()?));
/// assert!(!office.covers(&"51.44.0.0/16".parse()?));
/// # Ok::<(), allowlist::network::NetworkError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    networks: HashSet<Network>,
    ipv4_lengths: BTreeSet<u8>,
    ipv6_lengths: BTreeSet<u8>,
}

impl Coverage {
    /// Adds a network.
    pub fn insert(&mut self, network: Network) {
        let lengths =
            if network.is_ipv4() { &mut self.ipv4_lengths } else { &mut self.ipv6_lengths };
        lengths.insert(network.prefix_length());
        self.networks.insert(network);
    }

    /// Adds a network that is not covered yet; `false` if it is.
    pub fn add(&mut self, network: Network) -> bool {
        let missing = !self.covers(&network);
        if missing {
            self.insert(network);
        }
        missing
    }

    /// Whether one of the networks covers every address of `network`.
    #[must_use]
    pub fn covers(&self, network: &Network) -> bool {
        let lengths = if network.is_ipv4() { &self.ipv4_lengths } else { &self.ipv6_lengths };
        lengths
            .range(..=network.prefix_length())
            .any(|length| self.networks.contains(&network.widened(*length)))
    }
}

impl FromIterator<Network> for Coverage {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        let mut coverage = Self::default();
        networks.into_iter().for_each(|network| coverage.insert(network));
        coverage
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_network() -> impl Strategy<Value = Network> {
        let four =
            (0..4u8, 0..4u8, 0..=32u8).prop_map(|(a, b, length)| format!("{a}.{b}.0.{b}/{length}"));
        let six =
            (0..4u16, 0..=128u8).prop_map(|(a, length)| format!("2001:{a:x}::{a:x}/{length}"));
        prop_oneof![four, six].prop_map(|text| text.parse().unwrap())
    }

    proptest! {
        #[test]
        fn a_set_covers_what_one_of_its_networks_covers(set in prop::collection::vec(any_network(), 0..8), asked in any_network()) {
            let coverage: Coverage = set.iter().copied().collect();
            prop_assert_eq!(coverage.covers(&asked), set.iter().any(|network| network.covers(&asked)));
        }
    }
}
