//! Versions of a managed policy: ordered by the number in their id, never by date, list order or text.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::invariant::{Invariant, holds};

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
}

/// A policy's versions as far as they are known: those that were listed and made, less those that are gone.
#[derive(Clone, Debug)]
pub struct KnownVersions {
    existing: BTreeSet<VersionId>,
    gone: BTreeSet<VersionId>,
    default: VersionId,
}

impl KnownVersions {
    /// What one list shows.
    #[must_use]
    pub fn new(listed: &Versions) -> Self {
        let existing = listed.ids.iter().copied().chain([listed.default]).collect();
        Self { existing, gone: BTreeSet::new(), default: listed.default }
    }

    /// Adds what a list shows. It may be stale: what is known to be gone stays so.
    pub fn learn(&mut self, listed: &Versions) {
        // INVARIANT (GoneStaysGone): a stale list would have the same version deleted again and again.
        if holds(Invariant::GoneStaysGone) {
            self.existing.extend(listed.ids.iter().filter(|id| !self.gone.contains(id)));
            self.default = self.default.max(listed.default);
        } else {
            self.existing = listed.ids.iter().copied().collect();
            self.default = listed.default;
        }
    }

    /// A new default version was made.
    pub fn made(&mut self, id: VersionId) {
        self.existing.insert(id);
        self.default = id;
    }

    /// A version does not exist any more.
    pub fn forget(&mut self, id: VersionId) {
        self.existing.remove(&id);
        self.gone.insert(id);
    }

    /// A version that cannot be deleted, because it is the default after all.
    pub fn keep(&mut self, id: VersionId) {
        self.existing.remove(&id);
    }

    /// Whether there is no room for one more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.existing.len() >= MAX_VERSIONS
    }

    /// The oldest version but for the default.
    #[must_use]
    pub fn oldest(&self) -> Option<VersionId> {
        self.existing.iter().copied().find(|id| *id != self.default)
    }

    /// The next version to prune, if there are more than should remain.
    #[must_use]
    pub fn surplus(&self) -> Option<VersionId> {
        if self.existing.len() > VERSIONS_AFTER_PRUNE { self.oldest() } else { None }
    }

    /// The ids that are left.
    #[must_use]
    pub fn ids(&self) -> Vec<VersionId> {
        self.existing.iter().copied().collect()
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
    fn a_fifth_version_drops_the_oldest_by_number() {
        let known = KnownVersions::new(&versions(&[10, 9, 12, 11, 8], 12));
        assert_eq!((known.is_full(), known.surplus()), (true, Some(VersionId(8))));
        let known = KnownVersions::new(&versions(&[9, 10, 11, 12], 12));
        assert_eq!((known.is_full(), known.surplus()), (false, None));
    }

    #[test]
    fn the_default_is_never_dropped() {
        let known = KnownVersions::new(&versions(&[1, 2, 3, 4, 5], 1));
        assert_eq!(known.surplus(), Some(VersionId(2)));
    }

    #[test]
    fn what_is_gone_stays_gone_in_a_stale_list() {
        let mut known = KnownVersions::new(&versions(&[4, 5, 6, 7], 7));
        known.forget(VersionId(4));
        known.made(VersionId(8));
        known.learn(&versions(&[4, 5, 6, 7], 7));
        assert_eq!(known.ids(), [5, 6, 7, 8].map(VersionId));
        known.keep(VersionId(5));
        assert_eq!(known.oldest(), Some(VersionId(6)));
    }

    #[test]
    fn a_list_shows_a_newer_default() {
        let mut known = KnownVersions::new(&versions(&[4, 5], 4));
        known.learn(&versions(&[5, 6], 6));
        assert_eq!(known.ids(), [4, 5, 6].map(VersionId));
        known.forget(VersionId(4));
        known.forget(VersionId(5));
        assert_eq!(known.oldest(), None);
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
            let mut known = KnownVersions::new(&listed);
            while let Some(id) = known.surplus() {
                prop_assert_ne!(id, listed.default);
                known.forget(id);
            }
            prop_assert!(known.ids().len() <= VERSIONS_AFTER_PRUNE);
        }
    }
}
