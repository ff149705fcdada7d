//! `lease.json` as a value: who may write now, what was last written, and what a dead writer may have left undone.
//!
//! The object is created once and never deleted. Every write of it is conditional. The crate
//! `allowlist-aws` reads and writes it, and knows when to take it. `docs/architecture.md` explains
//! the fields.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::document::Document;
use crate::error::Error;
use crate::grant::{VOID_SECONDS, VoidMembers};
use crate::invariant::{Invariant, holds};
use crate::target::Target;
use crate::versions::VersionId;

/// Where the lease is kept in the state bucket.
pub const LEASE_OBJECT: &str = "lease.json";

/// How long a lease lasts. A writer that died delays the next one by this time, well within API
/// Gateway's 29 s. It does not depend on the function's time limit.
pub const LEASE: Duration = Duration::from_secs(12);

/// If less than this is left, a holder renews the lease before it starts a write.
pub const RENEW_BELOW: Duration = Duration::from_secs(6);

/// For so many seconds after its creation a version that cannot be seen does not count as deleted.
pub const NOT_VISIBLE_YET: i64 = 60;

/// Who writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Writer {
    /// An add.
    #[default]
    Add,
    /// A cut: a reset, or another operation that takes entries away.
    Reset,
}

/// The content of `lease.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeaseRecord {
    /// Unique to one holder; `None` while nobody holds the lease.
    pub nonce: Option<String>,
    /// The request id of the holder, or of the last one: for people.
    pub holder: String,
    /// What the holder does, or the last one did.
    pub kind: Writer,
    /// When the lease ends by the holder's clock: for people. Expiry is judged by S3's clock.
    pub until: String,
    /// How many cuts have taken the lease so far.
    pub cuts: u64,
    /// After an add's release: the objects of the grants that every target covers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub served: Vec<String>,
    /// Members that were removed a moment ago, with the second of their removal by S3's clock.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub void: VoidMembers,
    /// When the last reset was completed, by S3's clock, in seconds since 1970: for people.
    #[serde(skip_serializing_if = "is_zero")]
    pub reset_at: i64,
    /// By ARN; ARNs that are no longer configured stay.
    pub targets: BTreeMap<String, TargetRecord>,
}

/// What is known about one target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TargetRecord {
    /// The newest verified version (`v8`), or for a role the fingerprint of the last document written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// When that was written, by S3's clock, in seconds since 1970.
    #[serde(skip_serializing_if = "is_zero")]
    pub last_at: i64,
    /// Its document, as JSON text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doc: Option<String>,
    /// The versions that were left after pruning.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<VersionId>,
    /// For a role: the fingerprints of the documents that ours replaced, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<String>,
    /// Writes that were intended and are not verified.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<Intent>,
}

/// One write, noted before it is made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Intent {
    /// The highest version id of the view that was decided on; for a role the fingerprint of its document.
    pub seen: String,
    /// The version that was the default then; for a role the same fingerprint.
    pub base: String,
    /// The fingerprint of the new document.
    pub sha256: String,
    /// Who intended it.
    pub kind: Writer,
    /// The objects of the grants in the new document.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// When it was intended, by S3's clock, in seconds since 1970.
    #[serde(skip_serializing_if = "is_zero")]
    pub at: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl LeaseRecord {
    /// What is known about one target.
    #[must_use]
    pub fn target(&self, arn: &str) -> TargetRecord {
        self.targets.get(arn).cloned().unwrap_or_default()
    }

    /// Whether a cut holds the lease, died holding it, or left a write to one of `targets` unresolved: then nobody may be
    /// answered from reads.
    #[must_use]
    pub fn is_cutting(&self, targets: &[Target]) -> bool {
        (self.nonce.is_some() && self.kind == Writer::Reset)
            || self.pending(targets).any(|intent| intent.kind == Writer::Reset)
    }

    /// The intents of targets that are configured.
    fn pending<'r>(&'r self, targets: &'r [Target]) -> impl Iterator<Item = &'r Intent> {
        let records = targets.iter().filter_map(|target| self.targets.get(target.arn()));
        records.flat_map(|record| &record.pending)
    }

    /// Whether this is the release of an add that has put the grant `object` in force on every target.
    #[must_use]
    pub fn has_served(&self, object: &str) -> bool {
        // INVARIANT (ServedByObject): an older object of the same network says nothing about this one.
        let network = |object: &str| object.rsplit_once('/').map(|(folder, _)| folder.to_owned());
        let is_same = |served: &String| {
            if holds(Invariant::ServedByObject) {
                served == object
            } else {
                network(served) == network(object)
            }
        };
        self.nonce.is_none() && self.served.iter().any(is_same)
    }

    /// The grant objects that pending intents of `targets` name.
    #[must_use]
    pub fn intended<'r>(&'r self, targets: &'r [Target]) -> HashSet<&'r str> {
        self.pending(targets).flat_map(|intent| &intent.keys).map(String::as_str).collect()
    }

    /// Drops removed members whose requests are all over.
    pub fn forget_void(&mut self, now: i64) {
        self.void.retain(|_, removed| removed.saturating_add(VOID_SECONDS) >= now);
    }
}

impl TargetRecord {
    /// The newest verified version of a policy.
    ///
    /// # Errors
    /// [`Error::State`] when `lease.json` holds something else.
    pub fn last_version(&self) -> Result<Option<VersionId>, Error> {
        self.last.as_deref().map(recorded_version).transpose()
    }

    /// The document that was last written.
    ///
    /// # Errors
    /// [`Error::State`] when `lease.json` holds something else.
    pub fn document(&self) -> Result<Option<Document>, Error> {
        let parse = |text: &String| Document::parse(text).map_err(|e| unusable(&e));
        self.doc.as_ref().map(parse).transpose()
    }
}

/// A version id as `lease.json` records it.
///
/// # Errors
/// [`Error::State`] when it is none.
pub fn recorded_version(text: &str) -> Result<VersionId, Error> {
    text.parse().map_err(|e| unusable(&e))
}

fn unusable(reason: &dyn std::fmt::Display) -> Error {
    Error::State {
        key: LEASE_OBJECT.to_owned(),
        reason: format!("{reason}: restore the object's previous version"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(nonce: Option<&str>, kind: Writer) -> LeaseRecord {
        LeaseRecord {
            nonce: nonce.map(str::to_owned),
            kind,
            served: vec!["grants/1.2.3.4_32/alice.json".to_owned()],
            ..LeaseRecord::default()
        }
    }

    #[test]
    fn a_cut_is_seen_while_it_holds_the_lease_or_has_left_something() {
        let target = Target::policy("arn:aws:iam::111122223333:policy/gate").unwrap();
        let targets = std::slice::from_ref(&target);
        assert!(record(Some("n"), Writer::Reset).is_cutting(targets));
        assert!(!record(Some("n"), Writer::Add).is_cutting(targets));
        assert!(!record(None, Writer::Reset).is_cutting(targets));
        let mut left = record(None, Writer::Add);
        let intent = Intent { kind: Writer::Reset, ..Intent::default() };
        let pending = TargetRecord { pending: vec![intent], ..TargetRecord::default() };
        left.targets.insert(target.arn().to_owned(), pending);
        assert!(left.is_cutting(targets));
        assert!(!left.is_cutting(&[]), "a target that was taken out of the settings");
    }

    #[test]
    fn intended_objects_are_those_of_managed_targets() {
        let target = Target::policy("arn:aws:iam::111122223333:policy/gate").unwrap();
        let intent = |object: &str| Intent { keys: vec![object.to_owned()], ..Intent::default() };
        let pending = |objects: &[&str]| TargetRecord {
            pending: objects.iter().map(|object| intent(object)).collect(),
            ..TargetRecord::default()
        };
        let mut record = record(None, Writer::Add);
        record.targets.insert(target.arn().to_owned(), pending(&["a", "b"]));
        record.targets.insert("gone".to_owned(), pending(&["c"]));
        let targets = [target];
        assert_eq!(record.intended(&targets), HashSet::from(["a", "b"]));
    }

    #[test]
    fn only_a_release_that_names_the_object_answers_a_waiter() {
        let released = record(None, Writer::Add);
        assert!(released.has_served("grants/1.2.3.4_32/alice.json"));
        assert!(!released.has_served("grants/1.2.3.4_32/bob.json"));
        assert!(!released.has_served("grants/1.2.3.4_32/alice@1800000000.json"));
        assert!(!record(Some("n"), Writer::Add).has_served("grants/1.2.3.4_32/alice.json"));
    }

    #[test]
    fn a_file_of_the_first_version_is_read() {
        let text = r#"{"nonce":null,"holder":"r1","kind":"add","until":"","targets":{"arn":{"last":"v8","pending":[{"seen":"v8","base":"v8","sha256":"ab","kind":"reset"}]}},"networks":["1.2.3.4/32"]}"#;
        let record: LeaseRecord = serde_json::from_str(text).unwrap();
        let target = record.target("arn");
        assert_eq!(target.last_version().unwrap(), Some("v8".parse().unwrap()));
        assert_eq!((target.document().unwrap(), target.ids.len()), (None, 0));
        assert_eq!(target.pending[0].kind, Writer::Reset);
    }

    #[test]
    fn a_record_is_written_as_the_architecture_page_shows_it() {
        let text = r#"{"nonce":null,"holder":"r1","kind":"add","until":"2026-01-01T00:00:00Z","cuts":3,"served":["grants/1.2.3.4_32/alice.json"],"void":{"mallory":1800000000},"targets":{"arn":{"last":"v8","last_at":1800000000,"doc":"{}","ids":["v5","v8"],"pending":[{"seen":"v8","base":"v8","sha256":"ab","kind":"reset","keys":["grants/1.2.3.4_32/alice.json"],"at":1800000000}]}}}"#;
        let record: LeaseRecord = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&record).unwrap(), text);
    }

    #[test]
    fn removed_members_are_forgotten_when_their_requests_are_over() {
        let void = VoidMembers::from([("al".parse().unwrap(), 1000)]);
        let mut record = LeaseRecord { void, ..LeaseRecord::default() };
        record.forget_void(1000 + VOID_SECONDS);
        assert_eq!(record.void.len(), 1);
        record.forget_void(1001 + VOID_SECONDS);
        assert_eq!(record.void.len(), 0);
    }

    #[test]
    fn what_is_no_version_says_what_to_do() {
        let target = TargetRecord { last: Some("x".to_owned()), ..TargetRecord::default() };
        assert!(target.last_version().unwrap_err().to_string().contains("restore"));
        let target = TargetRecord { doc: Some("x".to_owned()), ..TargetRecord::default() };
        assert!(target.document().unwrap_err().to_string().contains("restore"));
    }
}
