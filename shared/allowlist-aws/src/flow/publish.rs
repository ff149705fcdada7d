//! Putting new documents in force under the lease, and making sure that nothing was overtaken on the way.
//!
//! IAM has no compare-and-swap, but version ids only grow: when the id that `CreatePolicyVersion` returns is not the
//! one after the newest that was decided on, somebody outside wrote in between (or the list was stale). Then the
//! versions in the gap are read and the change is made again on top of the newest foreign one.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::Invocation;
use super::attempt::{Attempt, Run};
use super::holder::renew;
use super::snapshot::{Snapshot, document_of, foreign, is_own, last_version, noted_version};
use crate::aws::lease::Held;
use crate::planted::{Fault, planted};
use allowlist::document::Document;
use allowlist::error::Error;
use allowlist::lease::{Intent, Kind, Mark, RENEW_BELOW};
use allowlist::target::Target;
use allowlist::versions::{KEPT_VERSIONS, VersionId, Versions};

/// How often a change is made again on top of an outsider's before the request is given up with 503.
const MERGES: usize = 3;

/// How a change is made again on top of a document that it overtook.
pub type Rebase<'f> = dyn Fn(&Target, &Document) -> Result<Document, Error> + Sync + 'f;

/// What a decision is made on: the document in force, or what a dead writer found before its unverified writes.
#[derive(Debug)]
pub struct Base {
    /// What IAM showed.
    pub snapshot: Snapshot,
    /// The document to build on.
    pub document: Document,
    /// Publish even when nothing seems to differ: what is in force may not be what IAM showed.
    pub force: bool,
}

/// Finds the document to build on.
///
/// # Errors
/// As [`foreign`].
pub async fn base(
    call: Invocation<'_>,
    target: &Target,
    mark: &Mark,
    snapshot: Snapshot,
) -> Result<Base, Error> {
    let force = !snapshot.fresh || !mark.pending.is_empty();
    let mut document = snapshot.document.clone();
    if let (Some(versions), Some(first)) = (&snapshot.versions, mark.pending.first()) {
        let newest = versions.newest().next();
        let found = foreign(
            call,
            target,
            noted_version(&first.seen)?,
            newest,
            &mark.pending,
        )
        .await?
        .0;
        document = match found {
            Some((_, document)) => document,
            None => document_of(call, target, noted_version(&first.base)?)
                .await?
                .unwrap_or(document),
        };
    }
    // A stale look at a role is settled by the looks before: a trust policy that still differs was edited outside.
    let force = force && (snapshot.versions.is_some() || !mark.pending.is_empty());
    Ok(Base {
        snapshot,
        document,
        force,
    })
}

/// A decision about one target, ready to be applied.
#[derive(Debug)]
pub struct Job<'a> {
    /// The target.
    pub target: &'a Target,
    /// What it was decided on.
    pub base: Base,
    /// The document to put in force.
    pub new: Document,
    /// What the lease said about the target before.
    pub mark: Mark,
    /// Whether the document before our first version is to be remembered.
    pub wants_before: bool,
}

impl Job<'_> {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.new == self.base.snapshot.document && !self.base.force
    }

    /// The intent to note before the write.
    #[must_use]
    pub fn intent(&self, kind: Kind) -> Intent {
        let Base { snapshot, .. } = &self.base;
        Intent {
            seen: snapshot.seen(),
            base: snapshot.base(),
            sha256: self.new.sha256(),
            kind,
        }
    }
}

/// The marks with the intents of the jobs that write.
#[must_use]
pub fn with_intents(
    marks: &BTreeMap<String, Mark>,
    jobs: &[Job<'_>],
    kind: Kind,
) -> BTreeMap<String, Mark> {
    let mut marks = marks.clone();
    if planted(Fault::ForgetIntent) {
        return marks;
    }
    for job in jobs.iter().filter(|job| !job.is_unchanged()) {
        marks
            .entry(job.target.arn().to_owned())
            .or_default()
            .pending
            .push(job.intent(kind));
    }
    marks
}

/// What became of one job.
#[derive(Debug)]
pub struct Done<'a> {
    /// The target.
    pub target: &'a Target,
    /// The version now in force; `None` for a role.
    pub version: Option<VersionId>,
    /// The document now in force.
    pub document: Document,
    /// The document that was in force before, as far as IAM showed.
    pub replaced: Document,
    /// Whether anything was written.
    pub wrote: bool,
    /// The document that was in force before the first version of ours, when this publish made that version: what a
    /// baseline is captured from.
    pub before_us: Option<Document>,
    /// What pruning is to delete.
    pub surplus: Vec<VersionId>,
}

/// What became of all jobs.
#[derive(Debug)]
pub struct Published<'a> {
    /// In the order of the jobs.
    pub results: Vec<Result<Done<'a>, Error>>,
    /// The marks to release the lease with.
    pub marks: BTreeMap<String, Mark>,
    /// Every write was answered or seen. Otherwise one may still land, and the lease must run out by itself.
    pub accounted: bool,
}

/// Applies the decisions. With `noted` the intents are in `lease.json` already.
pub async fn publish<'a>(
    call: Invocation<'_>,
    held: &mut Held,
    jobs: Vec<Job<'a>>,
    kind: Kind,
    noted: bool,
    rebase: &Rebase<'_>,
) -> Published<'a> {
    let mut runs: Vec<Run<'a>> = jobs.into_iter().map(|job| Run::new(job, kind)).collect();
    let mut to_note = !noted && runs.iter().any(|run| run.result.is_none());
    let mut merges = 0;
    while runs.iter().any(|run| run.result.is_none()) {
        if (to_note || held.ends.saturating_duration_since(Instant::now()) < RENEW_BELOW)
            && let Err(e) = renew(call, held, noted_marks(held, &runs)).await
        {
            let reason = e.to_string();
            for run in runs.iter_mut().filter(|run| run.result.is_none()) {
                run.result = Some(Err(Error::Busy(reason.clone())));
            }
            break;
        }
        to_note = false;
        let ends = held.ends;
        let attempts = runs
            .iter_mut()
            .filter(|run| run.result.is_none())
            .map(async |run| {
                let outcome = run.attempt(call, ends).await;
                (run, outcome)
            });
        let mut overtook = false;
        for (run, outcome) in join_all(attempts).await {
            match outcome {
                Ok(Attempt::Verified(version)) => run.result = Some(Ok(version)),
                Ok(Attempt::LeaseShort) => {}
                Ok(Attempt::Overtook(document)) => match rebase(run.job.target, &document) {
                    Ok(merged) if merged == run.new => run.result = Some(Ok(run.seen)),
                    Ok(merged) => {
                        overtook = true;
                        run.go_on_with(merged, kind);
                    }
                    Err(e) => run.result = Some(Err(e.at(run.job.target.arn()))),
                },
                Err(e) => run.result = Some(Err(e.at(run.job.target.arn()))),
            }
        }
        if overtook {
            merges += 1;
            to_note = true;
        }
        if merges == MERGES {
            for run in runs.iter_mut().filter(|run| run.result.is_none()) {
                run.result = Some(Err(Error::Busy(
                    "somebody else keeps changing the policy".to_owned(),
                )));
            }
        }
    }
    finish(call, held, runs).await
}

/// The marks in `lease.json` with all intents of the runs.
fn noted_marks(held: &Held, runs: &[Run<'_>]) -> BTreeMap<String, Mark> {
    let mut marks = held.record.targets.clone();
    if planted(Fault::ForgetIntent) {
        return marks;
    }
    for run in runs.iter().filter(|run| !run.own.is_empty()) {
        marks
            .entry(run.job.target.arn().to_owned())
            .or_default()
            .pending
            .clone_from(&run.own);
    }
    marks
}

async fn finish<'a>(call: Invocation<'_>, held: &Held, runs: Vec<Run<'a>>) -> Published<'a> {
    let mut marks = noted_marks(held, &runs);
    let accounted = runs.iter().all(|run| run.unanswered == 0);
    let mut results = Vec::with_capacity(runs.len());
    for mut run in runs {
        let arn = run.job.target.arn();
        let result = match run.result.take() {
            Some(Ok(version)) => Ok(run.done(call, version, &mut marks).await),
            Some(Err(e)) => {
                // Certainly nothing was written: there is nothing for the next holder to resolve.
                if run.wrote_nothing() {
                    marks.insert(arn.to_owned(), run.job.mark);
                }
                Err(e)
            }
            None => Err(Error::Busy("there was not enough time".to_owned())),
        };
        results.push(result);
    }
    Published {
        results,
        marks,
        accounted,
    }
}

impl<'a> Run<'a> {
    fn new(job: Job<'a>, kind: Kind) -> Self {
        let versions = job.base.snapshot.versions.clone();
        let seen = versions.as_ref().map(Versions::newest);
        let mut own = job.mark.pending.clone();
        let result = if job.is_unchanged() {
            Some(Ok(None))
        } else {
            None
        };
        if result.is_none() {
            own.push(job.intent(kind));
        }
        let replaced = job.base.snapshot.document.sha256();
        Self {
            new: job.new.clone(),
            job,
            own,
            versions,
            seen,
            replaced,
            unanswered: 0,
            result,
        }
    }

    /// Goes on with a document merged onto one that was overtaken: what is in force now is our last version.
    fn go_on_with(&mut self, merged: Document, kind: Kind) {
        tracing::warn!(
            target.arn = self.job.target.arn(),
            "somebody else changed the document meanwhile: merging onto it"
        );
        let noted = self
            .seen
            .map_or_else(|| self.replaced.clone(), |id| id.to_string());
        self.own.push(Intent {
            seen: noted.clone(),
            base: noted,
            sha256: merged.sha256(),
            kind,
        });
        self.new = merged;
    }

    /// Concludes a verified run, and marks what it wrote.
    async fn done(
        self,
        call: Invocation<'_>,
        created: Option<VersionId>,
        marks: &mut BTreeMap<String, Mark>,
    ) -> Done<'a> {
        let (target, wrote) = (self.job.target, !self.job.is_unchanged());
        let before_us = if self.job.wants_before {
            self.document_before_us(call, created).await
        } else {
            None
        };
        if wrote {
            let last = created.map_or_else(|| self.new.sha256(), |id| id.to_string());
            // A write that may still land stays noted: whoever meets its version knows that it is ours.
            let pending = if self.unanswered == 0 {
                Vec::new()
            } else {
                self.strays(&last)
            };
            marks.insert(
                target.arn().to_owned(),
                Mark {
                    last: Some(last),
                    pending,
                },
            );
        }
        let shown = self
            .job
            .base
            .snapshot
            .versions
            .as_ref()
            .map(|versions| versions.default);
        let surplus = self.surplus(created);
        let replaced = self.job.base.snapshot.document;
        Done {
            target,
            version: created.or(shown),
            document: self.new,
            replaced,
            wrote,
            before_us,
            surplus,
        }
    }

    fn wrote_nothing(&self) -> bool {
        let Base { snapshot, .. } = &self.job.base;
        self.unanswered == 0
            && self.seen == snapshot.versions.as_ref().map(Versions::newest)
            && self.replaced == snapshot.document.sha256()
    }

    fn strays(&self, last: &str) -> Vec<Intent> {
        self.own
            .iter()
            .map(|intent| Intent {
                seen: last.to_owned(),
                base: last.to_owned(),
                ..intent.clone()
            })
            .collect()
    }

    fn surplus(&self, created: Option<VersionId>) -> Vec<VersionId> {
        let versions = self.versions.as_ref().filter(|_| created.is_some());
        versions
            .map(|versions| versions.surplus(KEPT_VERSIONS))
            .unwrap_or_default()
    }

    /// The newest foreign document below our first version, where this publish (or the dead one before it) made that.
    async fn document_before_us(
        &self,
        call: Invocation<'_>,
        version: Option<VersionId>,
    ) -> Option<Document> {
        let first = self.own.first()?;
        let never_written = last_version(&self.job.mark).ok()?.is_none();
        let version = version.filter(|_| never_written || !self.job.mark.pending.is_empty())?;
        let (seen, base) = (
            noted_version(&first.seen).ok()?,
            noted_version(&first.base).ok()?,
        );
        if self.own.len() == 1 && seen.next() == version {
            return Some(self.job.base.document.clone());
        }
        let mut before = document_of(call, self.job.target, base).await.ok()?;
        let gap: Vec<VersionId> = seen.between(version).collect();
        for id in gap.into_iter().rev() {
            match document_of(call, self.job.target, id).await.ok()? {
                Some(document) if is_own(&self.own, id, &document).ok()? => break,
                Some(document) => before = Some(document),
                None => {}
            }
        }
        before
    }
}
