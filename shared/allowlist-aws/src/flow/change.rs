//! Taking entries back, under the lease: delete grants, publish where the document differs, say what changed.
//! A reset takes all of them back, a revocation some.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::Invocation;
use super::holder::{Applicant, Finish, Turn};
use super::publish::{Base, Job, Published, base, publish};
use super::snapshot::in_force;
use crate::aws::lease::{Held, Reading};
use allowlist::document::Document;
use allowlist::error::Error;
use allowlist::grant::Grant;
use allowlist::lease::{Kind, Mark};
use allowlist::plan::{Difference, difference};
use allowlist::target::Target;
use allowlist::versions::VersionId;

/// What a change came to on one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The target's ARN.
    pub arn: String,
    /// Whether the document was written, or would be.
    pub changed: bool,
    /// The version in force; `None` for a role.
    pub version: Option<VersionId>,
    /// What differed.
    pub difference: Difference,
}

/// A change that could not be made everywhere. What could be done is done.
#[derive(Debug)]
pub struct Failed {
    /// What was done.
    pub done: Vec<Outcome>,
    /// Why the rest was not; each names its target.
    pub errors: Vec<Error>,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self {
            done: Vec::new(),
            errors: vec![error],
        }
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let reasons: Vec<String> = self.errors.iter().map(Error::chain).collect();
        write!(f, "not everything was done: {}", reasons.join("; "))?;
        match self
            .done
            .iter()
            .map(|outcome| outcome.arn.as_str())
            .collect::<Vec<_>>()
            .as_slice()
        {
            [] => Ok(()),
            done => write!(f, " (done all the same: {})", done.join(", ")),
        }
    }
}

/// Every grant there was, by what becomes of it.
pub struct Grants {
    /// Those that end.
    pub ended: Vec<Grant>,
    /// Those that remain.
    pub remaining: Vec<Grant>,
}

impl Grants {
    fn sort(all: Vec<Grant>, ends: impl Fn(&Grant) -> bool) -> Self {
        let (ended, remaining) = all.into_iter().partition(ends);
        Self { ended, remaining }
    }

    fn all(&self) -> Vec<Grant> {
        self.ended.iter().chain(&self.remaining).cloned().collect()
    }
}

/// The document to put in force on a target, from the one to build on and the grants.
type Decide<'f> = dyn Fn(&Target, &Document, &Grants) -> Result<Document, Error> + Sync + 'f;

/// What to take back.
pub struct Change<'f> {
    /// Whether a grant ends; the second argument is when the lease was taken, by S3's clock.
    pub ends: &'f (dyn Fn(&Grant, i64) -> bool + Sync),
    /// What to put in force.
    pub document: &'f Decide<'f>,
}

/// What is in force on every target, or why it could not be seen.
async fn bases<'a>(
    call: Invocation<'_>,
    targets: &[&'a Target],
    marks: &BTreeMap<String, Mark>,
) -> Vec<(&'a Target, Mark, Result<Base, Error>)> {
    let seen = targets.iter().map(async |target| {
        let mark = marks.get(target.arn()).cloned().unwrap_or_default();
        let found = async {
            let snapshot = in_force(call, target, &mark).await?;
            base(call, target, &mark, snapshot).await
        };
        let found = found.await;
        (*target, mark, found)
    });
    join_all(seen).await
}

/// Makes the change on every target, or with `dry_run` only tells what it would do. `errors` are what went wrong before.
///
/// # Errors
/// [`Failed`], naming every target that was left as it was.
pub async fn apply(
    call: Invocation<'_>,
    targets: &[&Target],
    change: &Change<'_>,
    dry_run: bool,
    mut errors: Vec<Error>,
) -> Result<Vec<Outcome>, Failed> {
    let done = match dry_run {
        true => rehearse(call, targets, change, &mut errors).await?,
        false => perform(call, targets, change, &mut errors).await?,
    };
    if errors.is_empty() {
        Ok(done)
    } else {
        Err(Failed { done, errors })
    }
}

/// Tells what [`perform`] would do, and writes nothing anywhere.
///
/// # Errors
/// When the lease or the grants cannot be read; a target that cannot is named in `errors`.
async fn rehearse(
    call: Invocation<'_>,
    targets: &[&Target],
    change: &Change<'_>,
    errors: &mut Vec<Error>,
) -> Result<Vec<Outcome>, Error> {
    let reading = call.read(call.aws.state.lease()).await?;
    let grants = Grants::sort(call.read(call.aws.state.grants()).await?, |grant| {
        (change.ends)(grant, i64::MAX)
    });
    let all = grants.all();
    let marks = reading
        .record
        .map(|record| record.targets)
        .unwrap_or_default();
    let mut outcomes = Vec::new();
    for (target, _, base) in bases(call, targets, &marks).await {
        let outcome = base.and_then(|base| {
            let new = (change.document)(target, &base.document, &grants)?;
            let current = base.snapshot.document;
            Ok(Outcome {
                arn: target.arn().to_owned(),
                changed: new != current,
                version: base.snapshot.versions.map(|versions| versions.default),
                difference: difference(&current, &new, &call.config.gate_sids, &all),
            })
        });
        match outcome {
            Ok(outcome) => outcomes.push(outcome),
            Err(e) => errors.push(e.at(target.arn())),
        }
    }
    Ok(outcomes)
}

/// Makes the change on every target, under the lease. A target on which it fails is named in `errors`.
///
/// # Errors
/// When the lease was not had or not given back, or grants could not be deleted.
async fn perform(
    call: Invocation<'_>,
    targets: &[&Target],
    change: &Change<'_>,
    errors: &mut Vec<Error>,
) -> Result<Vec<Outcome>, Error> {
    let mut applicant = Applicant::new(call, Kind::Reset);
    let Turn::Held(mut held) = applicant.wait(call, None, None).await? else {
        return Err(Error::Busy("the lease was not had".to_owned()));
    };
    let grants = match delete_grants(call, &held, change).await {
        Ok(grants) => grants,
        Err(e) => {
            Finish::unwritten(call, held).run_and_log().await;
            return Err(e);
        }
    };
    let all = grants.all();
    let mut jobs = Vec::new();
    let mut differences = Vec::new();
    let marks = held.record.targets.clone();
    for (target, mark, base) in bases(call, targets, &marks).await {
        let decided = base.and_then(|base| {
            (change.document)(target, &base.document, &grants).map(|new| (base, new))
        });
        match decided {
            Ok((base, new)) => {
                differences.push(difference(
                    &base.snapshot.document,
                    &new,
                    &call.config.gate_sids,
                    &all,
                ));
                jobs.push(Job {
                    target,
                    base,
                    new,
                    mark,
                    wants_before: false,
                });
            }
            Err(e) => errors.push(e.at(target.arn())),
        }
    }
    let rebase = |target: &Target, other: &Document| (change.document)(target, other, &grants);
    let Published {
        results,
        marks,
        accounted,
    } = publish(call, &mut held, jobs, Kind::Reset, false, &rebase).await;
    let mut outcomes = Vec::new();
    let mut surplus = Vec::new();
    for (result, difference) in results.into_iter().zip(differences) {
        match result {
            Ok(done) => {
                outcomes.push(Outcome {
                    arn: done.target.arn().to_owned(),
                    changed: done.wrote,
                    version: done.version,
                    difference,
                });
                surplus.push((done.target.clone(), done.surplus));
            }
            Err(e) => errors.push(e),
        }
    }
    let released = Finish::new(call, held, marks, Vec::new(), accounted, surplus)
        .run()
        .await;
    if let Err(e) = released
        && outcomes.iter().any(|outcome| outcome.changed)
    {
        // Whoever takes the lease over finds our intent unresolved, and builds on what stood before this change: it
        // did not take place until the lease is given back.
        return Err(e);
    }
    Ok(outcomes)
}

/// Deletes the grants that end.
async fn delete_grants(
    call: Invocation<'_>,
    held: &Held,
    change: &Change<'_>,
) -> Result<Grants, Error> {
    let Reading {
        record, written_at, ..
    } = call.read(call.aws.state.lease()).await?;
    if record.and_then(|record| record.nonce) != held.record.nonce {
        return Err(Error::Busy(
            "the lease ran out and somebody else took it".to_owned(),
        ));
    }
    let grants = Grants::sort(call.read(call.aws.state.grants()).await?, |grant| {
        (change.ends)(grant, written_at)
    });
    call.aws.state.delete_grants(&grants.ended).await?;
    Ok(grants)
}
