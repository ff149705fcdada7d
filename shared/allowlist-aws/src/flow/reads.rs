//! READS: who the caller is, and the answer that reads alone can give.

use allowlist::cutoff::MARGIN;
use allowlist::error::Error;
use allowlist::grant::{Grant, GrantKey, Member, is_void};
use allowlist::invariant::{Invariant, holds};
use allowlist::lease_record::LeaseRecord;
use allowlist::target::Target;
use futures_util::future::join;

use super::lease::Release;
use super::view::{Admission, TargetView, networks};
use super::{Context, TargetOutcome};
use crate::aws::lease::StoredLease;

/// What an add has come to.
#[derive(Debug)]
pub struct AddReport {
    /// On every target, in the order of the settings.
    pub targets: Vec<TargetOutcome>,
    /// The network was not in force on all of them before.
    pub added: bool,
    /// When the caller's own grant was given, in seconds since 1970; `None` where the network is in without one.
    pub granted_at: Option<i64>,
    /// What is left to do after the answer.
    pub release: Option<Release>,
}

/// Who the caller is, with the lease read beside it. S3 only: a stranger never causes an IAM call.
/// `object` names the member's file; without one nobody is looked up.
///
/// # Errors
/// As [`crate::aws::state_bucket::StateBucket::member`]; `Ok(None, …)` is a stranger.
pub async fn authenticate(
    ctx: Context<'_>,
    object: Option<&str>,
) -> Result<(Option<Member>, Result<StoredLease, Error>), Error> {
    let state = &ctx.aws.state;
    let Some(object) = object else {
        return Ok((None, ctx.read(state.lease()).await));
    };
    let (found, stored) = join(ctx.read(state.member(object)), ctx.read(state.lease())).await;
    let Some((member, expires)) = found? else {
        return Ok((None, stored));
    };
    let is_over = |stored: &StoredLease| {
        let now = stored.clock.now();
        let has_expired = expires.is_some_and(|expires| expires <= now);
        has_expired || is_void(&stored.record.void, Some(&member), now)
    };
    let is_member = !stored.as_ref().is_ok_and(is_over);
    Ok((Some(member).filter(|_| is_member), stored))
}

/// READS: the answer from reads alone, where they prove that the network is allowed.
///
/// # Errors
/// The errors of [`allowlist::Gate::find`], naming the target; as [`crate::aws::state_bucket::StateBucket::lease`].
pub(super) async fn already_allowed(
    ctx: Context<'_>,
    stored: &StoredLease,
    targets: &[TargetView<'_>],
    grants: &[Grant],
    key: &GrantKey,
) -> Result<Option<AddReport>, Error> {
    let now = stored.clock.now();
    // INVARIANT (NoAnswerDuringCut): what the reads show may be about to go.
    if stored.record.is_cutting(&ctx.config.targets) && holds(Invariant::NoAnswerDuringCut) {
        return Ok(None);
    }
    let entry: Vec<&Grant> = grants.iter().filter(|grant| grant.key.is_same_entry(key)).collect();
    // In its last minute an entry is added again: an answer that it is there would soon be wrong.
    let soon = now.saturating_add(MARGIN);
    let is_alone = matches!(entry.as_slice(), [own] if own.key == *key
        && !own.has_ended(soon, ctx.config.cutoff())
        && !is_void(&stored.record.void, key.member.as_ref(), own.granted_at));
    let mut is_unexplained = entry.is_empty();
    for target in targets {
        let admission = target.admission(&ctx.config.gate_sids, &key.network, grants, now);
        match admission.map_err(|e| e.at(target.target.arn()))? {
            Some(Admission::Unexplained) => {}
            Some(Admission::ByGrants) => is_unexplained = false,
            None => return Ok(None),
        }
    }
    if !is_alone && !is_unexplained {
        // INVARIANT (AnswerUnderLease): a grant that is put beside others' may be deleted with theirs.
        if holds(Invariant::AnswerUnderLease) {
            return Ok(None);
        }
        ctx.aws.state.put_grant(key, ctx.request_id).await?;
    }
    // INVARIANT (SameCuts): a cut that came and went between the reads has taken away what they show.
    if holds(Invariant::SameCuts) {
        let after = ctx.read(ctx.aws.state.lease()).await?;
        if after.record.cuts != stored.record.cuts {
            return Ok(None);
        }
        // An add may have put the grant that explains the entry after the grants were listed.
        let is_quiet = stored.record.nonce.is_none() && after.record == stored.record;
        let is_permanent = |target: &TargetView<'_>| {
            let baseline = target.usable_baseline(ctx);
            let permanent = baseline.map(|b| networks(&b.document, &ctx.config.gate_sids));
            permanent.is_ok_and(|permanent| permanent.iter().any(|n| n.covers(&key.network)))
        };
        if is_unexplained && !is_quiet && !targets.iter().all(is_permanent) {
            return Ok(None);
        }
    }
    let targets = targets.iter().map(TargetView::outcome).collect();
    let granted_at = entry.first().map(|own| own.granted_at);
    Ok(Some(AddReport { targets, added: false, granted_at, release: None }))
}

/// The answer to a caller whose grant, put at `asked_at`, another add has put in force.
pub(super) fn served(ctx: Context<'_>, record: &LeaseRecord, asked_at: i64) -> AddReport {
    let outcome = |target: &Target| {
        let version = record.target(target.arn()).last_version().ok().flatten();
        TargetOutcome { wrote: true, ..TargetOutcome::unchanged(target, version) }
    };
    let targets = ctx.config.targets.iter().map(outcome).collect();
    AddReport { targets, added: true, granted_at: Some(asked_at), release: None }
}
