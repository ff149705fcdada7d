//! One target's publication: from the decision to what `lease.json` says about it afterwards.

use std::collections::BTreeMap;

use allowlist::document::Document;
use allowlist::edit::{Difference, Edit, TargetRules, difference};
use allowlist::error::Error;
use allowlist::grant::Grant;
use allowlist::invariant::{Invariant, holds};
use allowlist::lease_record::{Intent, TargetRecord, Writer};
use allowlist::target::Target;
use allowlist::versions::{KnownVersions, VersionId, Versions};

use super::TargetOutcome;
use super::current::Current;
use super::view::{MergeBase, TargetView};
use crate::aws::lease::Lease;

/// How many replaced documents of a role are remembered: more than are written while IAM lags.
const REPLACED: usize = 10;

/// What a publication has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicationResult {
    /// There was nothing to write.
    Unchanged,
    /// In force, and nothing was overtaken. The version is `None` for a role.
    Verified(Option<VersionId>),
    /// In force, but a version that may have been overtaken cannot be read yet: its intent stays.
    Unverified(VersionId),
}

/// The change of one target, from the decision to the answer.
#[derive(Debug)]
pub struct Publication<'a> {
    /// The target with its rules.
    pub rules: TargetRules<'a>,
    /// What the lease said about it before.
    pub(super) record: TargetRecord,
    /// What was in force before.
    pub(super) current: Current,
    /// What the decision was made on.
    pub(super) base: Document,
    /// The document to put in force.
    pub new: Document,
    /// Every intent noted for the target, inherited ones included.
    pub(super) intents: Vec<Intent>,
    /// Documents of versions that were read on the way, for a capture: it does not ask for them again.
    pub(super) known: Vec<(VersionId, Document)>,
    /// The target has no baseline yet.
    pub(super) captures: bool,
    /// The objects of the grants in the new document.
    keys: Vec<String>,
    /// The newest version that was decided on; `None` for a role.
    pub(super) seen: Option<VersionId>,
    /// A policy's versions; `None` for a role.
    pub(super) versions: Option<KnownVersions>,
    /// The fingerprint of the trust policy that is replaced.
    pub(super) replaced: String,
    /// Somebody else's version that another function had overtaken, and that is merged now.
    pub(super) merged: Option<VersionId>,
    /// A version that another function may have overtaken, and that cannot be read yet.
    unread: Option<VersionId>,
    /// How many writes were not answered.
    pub(super) unanswered: usize,
    /// What it has come to; `None` while there is something to do.
    pub result: Option<Result<PublicationResult, Error>>,
}

impl<'a> Publication<'a> {
    /// Decides about one target.
    ///
    /// # Errors
    /// As [`Edit::apply`], naming the target.
    pub fn decide(
        rules: TargetRules<'a>,
        view: TargetView<'a>,
        base: MergeBase,
        edit: &Edit,
        granted: &[Grant],
    ) -> Result<Self, Error> {
        let (record, captures) = (view.record.clone(), view.baseline.is_none());
        let current = view.current().map_err(|e| e.at(view.target.arn()))?.clone();
        let target = rules.target;
        let new = edit.apply(&rules, &base.document).map_err(|e| e.at(target.arn()))?;
        let is_unchanged = target.is_same(&new, &current.document) && !base.force;
        let mut known = Vec::new();
        if captures {
            let in_force = current.versions.as_ref().map(|versions| versions.default);
            known.extend(in_force.map(|id| (id, current.document.clone())));
            known.extend(base.version.map(|id| (id, base.document.clone())));
        }
        Ok(Self {
            keys: granted.iter().map(|grant| grant.key.object()).collect(),
            intents: record.pending.clone(),
            seen: current.versions.as_ref().map(Versions::newest),
            versions: current.versions.as_ref().map(KnownVersions::new),
            replaced: target.fingerprint(&current.document),
            result: is_unchanged.then_some(Ok(PublicationResult::Unchanged)),
            unanswered: 0,
            known,
            merged: base.merged,
            unread: base.unread,
            captures,
            base: base.document,
            rules,
            record,
            current,
            new,
        })
    }

    /// The target.
    #[must_use]
    pub fn target(&self) -> &'a Target {
        self.rules.target
    }

    /// Whether something was written, and is in force.
    #[must_use]
    pub fn wrote(&self) -> bool {
        matches!(
            self.result,
            Some(Ok(PublicationResult::Verified(_) | PublicationResult::Unverified(_)))
        )
    }

    /// Whether a version that may have been overtaken cannot be read yet.
    #[must_use]
    pub fn is_unverified(&self) -> bool {
        matches!(self.result, Some(Ok(PublicationResult::Unverified(_))))
    }

    /// Whether the fate of every write is known.
    #[must_use]
    pub fn is_accounted(&self) -> bool {
        self.unanswered == 0
    }

    /// The version in force now; `None` for a role, and after a failure.
    #[must_use]
    pub fn version(&self) -> Option<VersionId> {
        match self.result.as_ref()? {
            Ok(PublicationResult::Verified(id)) => *id,
            Ok(PublicationResult::Unverified(id)) => Some(*id),
            Ok(PublicationResult::Unchanged) => self.version_before(),
            Err(_) => None,
        }
    }

    /// The version that was in force before; `None` for a role.
    #[must_use]
    pub fn version_before(&self) -> Option<VersionId> {
        self.current.versions.as_ref().map(|versions| versions.default)
    }

    /// Whether the target was left as it was, or its state is not known.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        !matches!(self.result, Some(Ok(_)))
    }

    /// Why it failed, once: what `lease.json` says about the target afterwards stays the same.
    pub fn take_error(&mut self) -> Option<Error> {
        let told = Err(Error::Busy("told already".to_owned()));
        match self.result.take() {
            Some(Err(error)) => {
                self.result = Some(told);
                Some(error)
            }
            other => {
                self.result = other;
                None
            }
        }
    }

    /// What a write has come to that overtook nothing itself: what it inherited may still be unread.
    pub(super) fn verified(&self, version: Option<VersionId>) -> PublicationResult {
        match (self.unread, version) {
            (Some(unread), Some(id)) => {
                report_unread(self.target(), unread, id);
                PublicationResult::Unverified(id)
            }
            _ => PublicationResult::Verified(version),
        }
    }

    /// Keeps the intents of a write that is in force, for the next holder.
    pub(super) fn leave_unverified(&mut self) {
        if let Some(Ok(PublicationResult::Verified(Some(id)))) = self.result {
            self.result = Some(Ok(PublicationResult::Unverified(id)));
        }
    }

    /// How the new document differs from what was in force.
    #[must_use]
    pub fn difference(&self, grants: &[Grant]) -> Difference {
        difference(&self.rules, &self.current.document, &self.new, grants)
    }

    /// The outcome, for reports.
    #[must_use]
    pub fn outcome(&self, grants: &[Grant]) -> TargetOutcome {
        let full = self.new.size() * 100 / self.rules.limit.max(1);
        TargetOutcome {
            wrote: self.wrote(),
            difference: self.difference(grants),
            percent_full: self.wrote().then_some(full),
            ..TargetOutcome::unchanged(self.target(), self.version())
        }
    }

    /// The intent to note before the first write.
    fn first_intent(&self, writer: Writer, at: i64) -> Intent {
        let target = self.target();
        Intent {
            seen: self.current.seen(target),
            base: self.current.base(target),
            sha256: target.fingerprint(&self.new),
            kind: writer,
            keys: self.keys.clone(),
            at,
        }
    }

    /// Goes on with a document that was merged onto an overtaken one: what is in force now is our last version.
    pub(super) fn merge(&mut self, merged: Document, writer: Writer, at: i64) {
        let last = self.seen.map_or_else(|| self.replaced.clone(), |id| id.to_string());
        self.intents.push(Intent {
            seen: last.clone(),
            base: last,
            sha256: self.target().fingerprint(&merged),
            kind: writer,
            keys: self.keys.clone(),
            at,
        });
        self.new = merged;
    }

    /// Whether it is certain that nothing was written.
    pub(super) fn wrote_nothing(&self) -> bool {
        let newest = self.current.versions.as_ref().map(Versions::newest);
        self.unanswered == 0
            && self.seen == newest
            && self.replaced == self.target().fingerprint(&self.current.document)
    }

    /// The versions to prune, after a write that is verified. Until then the next holder may need any of them: to merge
    /// what cannot be read yet, to go back to, or to capture.
    pub(super) fn to_prune(&self) -> Option<(Target, KnownVersions)> {
        let is_verified = matches!(self.result, Some(Ok(PublicationResult::Verified(_))));
        let versions = self.versions.clone().filter(|_| is_verified)?;
        Some((self.target().clone(), versions))
    }

    /// What `lease.json` is to say about the target from now on.
    fn record_after(&self, now: i64) -> TargetRecord {
        let kept = || TargetRecord { pending: noted(&self.intents), ..self.record.clone() };
        match &self.result {
            Some(Ok(PublicationResult::Unchanged)) => self.record.clone(),
            Some(Ok(PublicationResult::Verified(id))) => {
                let fingerprint = || self.target().fingerprint(&self.new);
                let last = id.map_or_else(fingerprint, |id| id.to_string());
                let stray = |intent: &Intent| Intent {
                    seen: last.clone(),
                    base: last.clone(),
                    ..intent.clone()
                };
                // A write that may still land stays noted, so that the one who meets its version knows that it is ours.
                let strays = self.intents.iter().map(stray).collect::<Vec<_>>();
                TargetRecord {
                    last_at: now,
                    doc: Some(self.new.render()),
                    ids: self.versions.as_ref().map(KnownVersions::ids).unwrap_or_default(),
                    replaced: self.replaced_after(&last),
                    pending: if self.unanswered == 0 { Vec::new() } else { noted(&strays) },
                    last: Some(last),
                }
            }
            Some(Err(_)) | None if self.wrote_nothing() => self.record.clone(),
            Some(Ok(PublicationResult::Unverified(_)) | Err(_)) | None => kept(),
        }
    }

    fn replaced_after(&self, last: &str) -> Vec<String> {
        if self.versions.is_some() {
            return Vec::new();
        }
        let before = self.target().fingerprint(&self.current.document);
        let mut replaced = vec![before];
        replaced.extend(self.record.last.clone());
        replaced.extend(self.record.replaced.iter().cloned());
        replaced.dedup();
        replaced.retain(|fingerprint| fingerprint != last);
        replaced.truncate(REPLACED);
        replaced
    }
}

/// Intents as `lease.json` notes them.
fn noted(intents: &[Intent]) -> Vec<Intent> {
    // INVARIANT (IntentFirst): who finds an intent knows that what is in force may be unverified.
    if holds(Invariant::IntentFirst) { intents.to_vec() } else { Vec::new() }
}

/// The targets of `lease.json` with the intents of what is about to be written.
#[must_use]
pub fn with_intents(
    targets: &BTreeMap<String, TargetRecord>,
    publications: &mut [Publication<'_>],
    writer: Writer,
    now: i64,
) -> BTreeMap<String, TargetRecord> {
    for publication in publications.iter_mut().filter(|p| p.result.is_none()) {
        publication.intents.push(publication.first_intent(writer, now));
    }
    with_noted(targets, publications)
}

pub(super) fn with_noted(
    targets: &BTreeMap<String, TargetRecord>,
    publications: &[Publication<'_>],
) -> BTreeMap<String, TargetRecord> {
    let mut targets = targets.clone();
    for publication in publications.iter().filter(|p| !p.intents.is_empty()) {
        let record = targets.entry(publication.target().arn().to_owned()).or_default();
        record.pending = noted(&publication.intents);
    }
    targets
}

/// The targets of `lease.json` after the publications.
#[must_use]
pub fn targets_after(
    lease: &Lease,
    publications: &[Publication<'_>],
) -> BTreeMap<String, TargetRecord> {
    let mut targets = lease.record.targets.clone();
    for publication in publications {
        let record = publication.record_after(lease.clock.now());
        if record == TargetRecord::default() {
            targets.remove(publication.target().arn());
        } else {
            targets.insert(publication.target().arn().to_owned(), record);
        }
    }
    targets
}

/// Says that a version in a gap cannot be read yet, once for each run.
pub(super) fn report_unread(target: &Target, unread: VersionId, own: VersionId) {
    let arn = target.arn();
    tracing::error!(
        outcome = "version_unread",
        target.arn = arn,
        target.version = %unread,
        "version {unread} of {arn} cannot be read yet: the next change merges it into {own}"
    );
}
