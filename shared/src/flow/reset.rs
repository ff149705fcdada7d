//! Going back to the baselines: delete the grants, publish where the document differs, say what changed.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::Invocation;
use super::holder::{Applicant, Finish, Turn};
use super::publish::{Base, Job, Published, base, publish};
use super::snapshot::{Patience, look};
use crate::aws::lease::{Held, Reading};
use crate::baseline::Baseline;
use crate::document::Document;
use crate::error::Error;
use crate::grant::Grant;
use crate::lease::{Kind, Mark};
use crate::plan::{Difference, difference, restore};
use crate::target::Target;
use crate::versions::VersionId;

/// What a reset came to on one target.
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

/// A reset that could not go back everywhere. What could be reset is reset.
#[derive(Debug)]
pub struct Failed {
    /// What was done.
    pub done: Vec<Outcome>,
    /// Why the rest was not; each names its target.
    pub errors: Vec<Error>,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { done: Vec::new(), errors: vec![error] }
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let reasons: Vec<String> = self.errors.iter().map(Error::chain).collect();
        write!(f, "not everything was reset: {}", reasons.join("; "))?;
        match self.done.iter().map(|outcome| outcome.arn.as_str()).collect::<Vec<_>>().as_slice() {
            [] => Ok(()),
            done => write!(f, " (reset all the same: {})", done.join(", ")),
        }
    }
}

/// Puts every target with a usable baseline back to it. With `dry_run` nothing is written anywhere.
///
/// # Errors
/// [`Failed`], naming every target that was not reset. Without any usable baseline nothing is done, and grants stay.
pub async fn reset(call: Invocation<'_>, dry_run: bool) -> Result<Vec<Outcome>, Failed> {
    let mut errors = Vec::new();
    let mut usable = Vec::new();
    for (target, baseline) in join_all(call.config.targets.iter().map(|target| read_baseline(call, target))).await {
        match baseline {
            Ok(baseline) => usable.push((target, baseline)),
            Err(e) => errors.push(e.at(target.arn())),
        }
    }
    if usable.is_empty() {
        return Err(Failed { done: Vec::new(), errors });
    }
    let done = if dry_run { rehearse(call, &usable, &mut errors).await? } else { perform(call, &usable, &mut errors).await? };
    for Outcome { arn, difference, .. } in &done {
        if !difference.by_hand.is_empty() {
            tracing::warn!(
                target.arn = arn,
                entries = difference.by_hand.join(" "),
                "edited by hand: save a new baseline if it should stay"
            );
        }
    }
    if errors.is_empty() { Ok(done) } else { Err(Failed { done, errors }) }
}

async fn read_baseline<'a>(call: Invocation<'_>, target: &'a Target) -> (&'a Target, Result<Baseline, Error>) {
    let check = async {
        let text = call.read(call.aws.state.baseline(target)).await?;
        let text =
            text.ok_or_else(|| Error::BaselineUnusable(format!("`{}` does not exist, save one", target.baseline_object())))?;
        let document = Document::parse(&text).map_err(|e| Error::BaselineUnusable(e.to_string()))?;
        Baseline::check(document, &call.config.gate_sids, call.config.limit(target))
    };
    let baseline = check.await;
    if let Ok(Baseline { unparsed, .. }) = &baseline
        && !unparsed.is_empty()
    {
        tracing::warn!(
            target.arn = target.arn(),
            entries = unparsed.join(" "),
            "entries of the baseline are no networks and admit nobody"
        );
    }
    (target, baseline)
}

/// What is in force on every target, or why it could not be seen.
async fn bases<'a>(
    call: Invocation<'_>,
    targets: &'a [(&'a Target, Baseline)],
    marks: &BTreeMap<String, Mark>,
) -> Vec<(&'a Target, &'a Baseline, Mark, Result<Base, Error>)> {
    let seen = targets.iter().map(async |(target, baseline)| {
        let mark = marks.get(target.arn()).cloned().unwrap_or_default();
        let found = async {
            let snapshot = look(call, target, &mark, Patience::Holder).await?;
            let snapshot = snapshot.ok_or_else(|| Error::Busy("IAM does not show the policy's default version".to_owned()))?;
            base(call, target, &mark, snapshot).await
        };
        let found = found.await;
        (*target, baseline, mark, found)
    });
    join_all(seen).await
}

async fn rehearse(call: Invocation<'_>, usable: &[(&Target, Baseline)], errors: &mut Vec<Error>) -> Result<Vec<Outcome>, Error> {
    let reading = call.read(call.aws.state.lease()).await?;
    let grants = call.read(call.aws.state.grants()).await?;
    let marks = reading.record.map(|record| record.targets).unwrap_or_default();
    let mut outcomes = Vec::new();
    for (target, baseline, _, base) in bases(call, usable, &marks).await {
        match base {
            Ok(Base { snapshot, .. }) => {
                let new = restore(baseline, &[], call.config.limit(target));
                outcomes.push(Outcome {
                    arn: target.arn().to_owned(),
                    changed: new != snapshot.document,
                    version: snapshot.versions.map(|versions| versions.default),
                    difference: difference(&snapshot.document, &new, &call.config.gate_sids, &grants),
                });
            }
            Err(e) => errors.push(e.at(target.arn())),
        }
    }
    Ok(outcomes)
}

async fn perform(call: Invocation<'_>, usable: &[(&Target, Baseline)], errors: &mut Vec<Error>) -> Result<Vec<Outcome>, Error> {
    let mut applicant = Applicant::new(call, Kind::Reset);
    let Turn::Held(mut held) = applicant.wait(call, None, None).await? else {
        return Err(Error::Busy("the lease was not had".to_owned()));
    };
    let grants = match delete_grants(call, &held).await {
        Ok(grants) => grants,
        Err(e) => {
            let marks = held.record.targets.clone();
            Finish::new(call, held, marks, Vec::new(), true, Vec::new()).run_and_log().await;
            return Err(e);
        }
    };
    let mut jobs = Vec::new();
    let mut differences = Vec::new();
    let marks = held.record.targets.clone();
    for (target, baseline, mark, base) in bases(call, usable, &marks).await {
        match base {
            Ok(base) => {
                let new = restore(baseline, &grants.remaining, call.config.limit(target));
                differences.push(difference(&base.snapshot.document, &new, &call.config.gate_sids, &grants.all));
                jobs.push(Job { target, base, new, mark });
            }
            Err(e) => errors.push(e.at(target.arn())),
        }
    }
    let targets: BTreeMap<&str, Document> = jobs.iter().map(|job| (job.target.arn(), job.new.clone())).collect();
    // Whatever was saved meanwhile, the document goes back to the baseline.
    let rebase = |target: &Target, other: &Document| Ok(targets.get(target.arn()).unwrap_or(other).clone());
    let Published { results, marks, accounted } = publish(call, &mut held, jobs, Kind::Reset, false, &rebase).await;
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
    let released = Finish::new(call, held, marks, Vec::new(), accounted, surplus).run().await;
    if let Err(e) = released
        && outcomes.iter().any(|outcome| outcome.changed)
    {
        // Whoever takes the lease over finds our intent unresolved, and builds on what stood before this reset: it
        // did not take place until the lease is given back.
        return Err(e);
    }
    Ok(outcomes)
}

struct Grants {
    all: Vec<Grant>,
    remaining: Vec<Grant>,
}

/// Deletes the grants that are not newer than the lease, by S3's clock; newer ones were asked for after the reset
/// began and stay.
async fn delete_grants(call: Invocation<'_>, held: &Held) -> Result<Grants, Error> {
    let Reading { record, written_at, .. } = call.read(call.aws.state.lease()).await?;
    if record.and_then(|record| record.nonce) != held.record.nonce {
        return Err(Error::Busy("the lease ran out and somebody else took it".to_owned()));
    }
    let all = call.read(call.aws.state.grants()).await?;
    let (old, remaining): (Vec<Grant>, Vec<Grant>) = all.iter().cloned().partition(|grant| grant.granted_at <= written_at);
    call.aws.state.delete_grants(&old).await?;
    Ok(Grants { all, remaining })
}
