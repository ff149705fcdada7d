//! Saving what was in force before us as the baseline, by the first add: create-only, never over the administrator's.

use futures_util::future::try_join_all;

use super::Invocation;
use super::publish::{Done, Job};
use allowlist::baseline::Baseline;
use allowlist::document::Document;
use allowlist::error::Error;
use allowlist::gate::Gate;
use allowlist::grant::{Grant, networks_by_age};
use allowlist::target::{Target, TargetKind};

/// The baseline to capture from what was in force before us: without anybody's temporary entries. Nothing is added
/// that could not be taken back, so it must pass the check.
pub(super) fn capturable(
    call: Invocation<'_>,
    target: &Target,
    before: &Document,
    grants: &[Grant],
) -> Result<Baseline, Error> {
    let sids = &call.config.gate_sids;
    let permanent = Gate::find(before, sids)?.without(before, &networks_by_age(grants));
    Baseline::check(permanent, sids, call.config.limit(target))
}

/// Saves the baseline of a policy that we have just written for the first time.
///
/// # Errors
/// [`Error::BaselineUnusable`]; as [`crate::aws::state::State::create_baseline`].
pub(super) async fn capture(
    call: Invocation<'_>,
    done: &Done<'_>,
    grants: &[Grant],
) -> Result<(), Error> {
    let Some(before) = done
        .before_us
        .as_ref()
        .filter(|_| done.target.kind() == TargetKind::Policy)
    else {
        return Ok(());
    };
    save(call, done.target, before, grants).await
}

/// A trust policy has no versions to look back to: its baseline is saved before the first write.
///
/// # Errors
/// As [`capture`].
pub(super) async fn capture_roles(
    call: Invocation<'_>,
    jobs: &[Job<'_>],
    grants: &[Grant],
) -> Result<(), Error> {
    let first = |job: &&Job<'_>| job.wants_before && job.mark.last.is_none() && !job.is_unchanged();
    let roles = jobs
        .iter()
        .filter(|job| job.target.kind() == TargetKind::Role)
        .filter(first);
    try_join_all(roles.map(|job| save(call, job.target, &job.base.document, grants)))
        .await
        .map(drop)
}

async fn save(
    call: Invocation<'_>,
    target: &Target,
    before: &Document,
    grants: &[Grant],
) -> Result<(), Error> {
    let baseline = capturable(call, target, before, grants)?;
    if call
        .aws
        .state
        .create_baseline(target, &baseline.document)
        .await?
    {
        let entries: Vec<String> = baseline
            .gate
            .entries(&baseline.document)
            .into_iter()
            .map(|entry| entry.text)
            .collect();
        tracing::warn!(
            target.arn = target.arn(),
            entries = entries.join(" "),
            unparsed = baseline.unparsed.join(" "),
            "saved what was in force as the baseline: check that these entries are the permanent ones"
        );
    }
    Ok(())
}
