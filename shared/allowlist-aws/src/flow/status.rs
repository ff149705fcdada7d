//! What is known about a network, for its member: reads only.

use std::collections::HashSet;

use allowlist::error::Error;
use allowlist::grant::{Grant, Member};
use allowlist::invariant::{Invariant, holds};
use allowlist::network::Network;

use super::view::{View, counted};
use super::{Context, report_foreign_objects};
use crate::aws::lease::StoredLease;

/// What is known about a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Every target lets it in.
    pub allowed: bool,
    /// When it was first granted, in seconds since 1970; `None` without a grant.
    pub granted_at: Option<i64>,
    /// When the member's own entry for it ends by itself; `None`: with the next reset, or no such entry.
    pub ends: Option<i64>,
    /// Who was granted it, sorted; those without a key are not named.
    pub members: Vec<Member>,
    /// The member's own grants that count.
    pub entries: Vec<Grant>,
}

/// Looks a network up.
///
/// # Errors
/// As [`View::read`] and [`super::view::TargetView::admission`].
pub async fn status(
    ctx: Context<'_>,
    stored: &StoredLease,
    network: &Network,
    member: Option<&Member>,
) -> Result<Status, Error> {
    let view = View::read(ctx, &stored.record, stored.clock).await?;
    report_foreign_objects(&view.foreign_objects);
    let now = view.clock.now();
    let is_cutting = stored.record.is_cutting(&ctx.config.targets);
    let mut allowed = !(is_cutting && holds(Invariant::NoAnswerDuringCut));
    let mut listed = HashSet::new();
    for target in view.targets {
        let target = target?;
        listed.extend(target.listed(&ctx.config.gate_sids));
        let found = target.admission(&ctx.config.gate_sids, network, &view.grants, now);
        allowed &= found.map_err(|e| e.at(target.target.arn()))?.is_some();
    }
    let cutoff = ctx.config.cutoff();
    let live = counted(ctx, &stored.record, &view.grants, now, &listed);
    let covering = || live.iter().filter(|grant| grant.key.network.covers(network));
    let mut members: Vec<Member> = covering().filter_map(|g| g.key.member.clone()).collect();
    members.sort_unstable();
    members.dedup();
    let is_own = |grant: &&Grant| member.is_some() && grant.key.member.as_ref() == member;
    let entries: Vec<Grant> = live.iter().filter(is_own).cloned().collect();
    let own = entries.iter().find(|grant| grant.key.network == *network);
    let ends = own.and_then(|grant| grant.ends_at(cutoff));
    let granted_at = covering().map(|grant| grant.granted_at).min();
    Ok(Status { allowed, granted_at, ends, members, entries })
}
