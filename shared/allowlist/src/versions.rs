//! Versions of a managed policy: ordered by the number in their id, never by date, list order or text.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// IAM keeps at most five versions of a managed policy.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
pub const MAX_VERSIONS: usize = 5;

/// How many versions pruning leaves, so that there is always room for the next writer, a person included.
pub const VERSIONS_AFTER_PRUNE: usize = MAX_VERSIONS - 1;

/// The text is not the id of a policy version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a policy version id: write it like `v7`")]
pub struct VersionIdError(String);

/// The id of a policy version, `v1`, `v2`, …; ids only grow and IAM never gives one out twice.
///
/// ```
/// use allowlist::VersionId;
/// let (nine, ten): (VersionId, VersionId) = ("v9".parse()?, "v10".parse()?);
/// assert!(nine < ten);
/// assert_eq!(nine.next(), ten);
/// # Ok::<(), allowlist::versions::VersionIdError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VersionId(u64);

impl VersionId {
    /// The id that IAM gives to the next version.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The ids strictly between `self` and `upper`, newest first: the versions that somebody else may have made.
    /// At most a hundred: IAM keeps five, older ones are gone.
    pub fn between(self, upper: Self) -> impl Iterator<Item = Self> {
        (self.0.saturating_add(1)..upper.0).rev().take(100).map(Self)
    }
}

impl FromStr for VersionId {
    type Err = VersionIdError;

    fn from_str(text: &str) -> Result<Self, VersionIdError> {
        text.strip_prefix('v')
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .map(Self)
            .ok_or_else(|| VersionIdError(text.chars().take(32).collect()))
    }
}

impl TryFrom<String> for VersionId {
    type Error = VersionIdError;

    fn try_from(text: String) -> Result<Self, VersionIdError> {
        text.parse()
    }
}

impl From<VersionId> for String {
    fn from(id: VersionId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// The versions of one policy as IAM listed them at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    /// Every id, in any order.
    pub ids: Vec<VersionId>,
    /// The default version: the one in force.
    pub default: VersionId,
}

impl Versions {
    /// The highest id listed; at least the default's.
    #[must_use]
    pub fn newest(&self) -> VersionId {
        self.ids.iter().copied().max().unwrap_or(self.default).max(self.default)
    }

    /// What to delete so that at most `keep` remain: the oldest first, never the default.
    #[must_use]
    pub fn surplus(&self, keep: usize) -> Vec<VersionId> {
        let mut ids = self.ids.clone();
        ids.sort_unstable();
        ids.dedup();
        let excess = ids.len().saturating_sub(keep);
        ids.into_iter().filter(|id| *id != self.default).take(excess).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn versions(ids: &[u64], default: u64) -> Versions {
        Versions { ids: ids.iter().copied().map(VersionId).collect(), default: VersionId(default) }
    }

    #[test]
    fn a_sixth_version_drops_the_oldest_by_number_not_by_text_or_order() {
        assert_eq!(versions(&[10, 9, 12, 11, 8], 12).surplus(4), [VersionId(8)]);
        assert_eq!(versions(&[9, 10, 11], 9).surplus(4), []);
    }

    #[test]
    fn the_default_is_never_dropped_even_when_it_is_the_oldest() {
        assert_eq!(versions(&[1, 2, 3, 4, 5], 1).surplus(4), [VersionId(2)]);
    }

    #[test]
    fn the_newest_is_the_highest_number_not_the_first_listed() {
        assert_eq!(versions(&[2, 10, 9], 9).newest(), VersionId(10));
    }

    #[test]
    fn ids_that_are_not_iams_are_refused() {
        for text in ["", "v", "7", "v-1", "v+1", "v1.2b", "V1"] {
            assert!(text.parse::<VersionId>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_gap_is_read_newest_first() {
        let gap: Vec<_> = VersionId(3).between(VersionId(6)).collect();
        assert_eq!(gap, [VersionId(5), VersionId(4)]);
        assert_eq!(VersionId(3).between(VersionId(4)).count(), 0);
    }

    proptest! {
        #[test]
        fn pruning_never_picks_the_default_and_always_leaves_room(
            ids in proptest::collection::btree_set(1u64..40, 1..=5), pick: proptest::sample::Index,
        ) {
            let ids: Vec<_> = ids.into_iter().collect();
            let listed = versions(&ids, ids[pick.index(ids.len())]);
            let surplus = listed.surplus(VERSIONS_AFTER_PRUNE);
            prop_assert!(!surplus.contains(&listed.default));
            prop_assert!(ids.len() - surplus.len() <= VERSIONS_AFTER_PRUNE);
        }
    }
}
