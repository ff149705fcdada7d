//! CUT: everything that takes entries away, under the lease: publish without what ends, then delete its grants.

use std::collections::HashSet;

use allowlist::baseline::Baseline;
use allowlist::document::Document;
use allowlist::edit::{Edit, GrantedNetworks, networks_by_age};
use allowlist::error::Error;
use allowlist::grant::{Grant, GrantKey, Member, ended_entries, ended_networks};
use allowlist::invariant::{Invariant, holds};
use allowlist::lease_record::{LeaseRecord, Writer};
use allowlist::network::Network;
use allowlist::target::Target;

use super::lease::{Candidate, Release, Turn, delete_grants, renew};
use super::publication::{Publication, targets_after};
use super::publish::publish;
use super::view::{MergeBase, View, counted, networks, usable_baseline};
use super::{Context, PartialFailure, TargetOutcome, report_foreign_objects};
use crate::Boxed;
use crate::aws::lease::{Lease, StoredLease};
use crate::join::join_all;

/// What is taken away.
#[derive(Clone, Debug)]
pub enum Cut {
    /// Everything that was granted before the lease was taken; the whole document goes back to the baseline.
    Reset,
    /// What has ended by itself.
    Expire,
    /// Entries of one member, or all of theirs.
    Remove(Member, Option<Network>),
    /// These networks, with the grants of every member; entries that were added by hand too.
    RevokeNetworks(Vec<Network>),
    /// Everything of a member who was removed.
    RevokeMember(Member),
    /// Nothing; everything but the list comes back from an older document.
    Rollback(Document),
}

/// What a cut has come to.
#[derive(Debug)]
pub struct CutReport {
    /// On every target that was looked at.
    pub targets: Vec<TargetOutcome>,
    /// The grants that ended, or would.
    pub ended: Vec<Grant>,
    /// The grants that remain, as far as they count.
    pub remaining: Vec<Grant>,
    /// The baselines that were used.
    pub baselines: Vec<Baseline>,
    /// What is left to do after the answer; `None` where nothing was done.
    pub release: Option<Release>,
}

impl Cut {
    /// The grants that end. `leased_at` is when the lease was taken, both times by S3's clock.
    fn ended(&self, ctx: Context<'_>, grants: &[Grant], now: i64, leased_at: i64) -> Vec<Grant> {
        let is_of = |grant: &&Grant, member: &Member| grant.key.member.as_ref() == Some(member);
        let chosen: Vec<&Grant> = match self {
            Self::Reset => grants.iter().filter(|grant| grant.granted_at <= leased_at).collect(),
            Self::Expire => {
                let over = ended_entries(grants, now, ctx.config.cutoff());
                let ends = |g: &&Grant| over.iter().any(|end| end.key.is_same_entry(&g.key));
                grants.iter().filter(ends).collect()
            }
            Self::Remove(member, network) => {
                let named = |g: &&Grant| network.is_none_or(|network| network == g.key.network);
                grants.iter().filter(|grant| is_of(grant, member)).filter(named).collect()
            }
            Self::RevokeNetworks(networks) => {
                grants.iter().filter(|grant| networks.contains(&grant.key.network)).collect()
            }
            Self::RevokeMember(member) => {
                grants.iter().filter(|grant| is_of(grant, member)).collect()
            }
            Self::Rollback(_) => Vec::new(),
        };
        chosen.into_iter().cloned().collect()
    }

    /// The change of each list. `over` goes off it as well: with a cutoff IAM would let it in again until the new date.
    fn edit(&self, ended: &[Grant], over: Vec<Network>, granted: GrantedNetworks) -> Edit {
        let and_over = |networks: &[Network]| [networks, &over].concat();
        match self {
            Self::Reset => Edit::Reset { granted },
            Self::Rollback(older) => Edit::Rollback { older: older.clone(), granted },
            Self::RevokeNetworks(networks) => Edit::Cut { ended: and_over(networks), granted },
            Self::Expire | Self::Remove(..) | Self::RevokeMember(_) => {
                Edit::Cut { ended: and_over(&networks_by_age(ended)), granted }
            }
        }
    }

    /// Whether the grants alone tell that there is nothing to do.
    fn needs_grants(&self) -> bool {
        matches!(self, Self::Expire | Self::Remove(..))
    }

    /// What the record that takes the lease says beside the nonce.
    fn prepare(&self, stored: &StoredLease, record: &mut LeaseRecord) {
        record.cuts = stored.record.cuts.saturating_add(1);
        // INVARIANT (VoidMember): requests of the member that are on their way bring nothing back.
        if let Self::RevokeMember(member) = self {
            record.void.insert(member.clone(), stored.clock.now());
        }
    }
}

/// Everything that is decided, before anything is written.
struct CutPlan<'a> {
    edit: Edit,
    publications: Vec<Publication<'a>>,
    ended: Vec<Grant>,
    remaining: Vec<Grant>,
    grants: Vec<Grant>,
    baselines: Vec<Baseline>,
    /// Targets that cannot be changed, and why.
    errors: Vec<Error>,
    /// A target failed that was to be changed: the grants must stay.
    keeps_grants: bool,
}

/// Makes the cut on `targets`, or with `dry_run` only tells what it would do, and writes nothing anywhere.
///
/// # Errors
/// [`PartialFailure`], naming every target that was left as it was.
pub fn cut<'f>(
    ctx: Context<'f>,
    targets: &'f [&'f Target],
    cut: &'f Cut,
    dry_run: bool,
) -> Boxed<'f, Result<CutReport, PartialFailure>> {
    Box::pin(async move {
        if cut.needs_grants() {
            let listing = ctx.read(ctx.aws.state.grants()).await?;
            let now = listing.clock.now();
            if cut.ended(ctx, &listing.grants, now, now).is_empty() {
                report_foreign_objects(&listing.foreign);
                return Ok(nothing(listing.grants));
            }
        }
        if dry_run { preview(ctx, targets, cut).await } else { execute(ctx, targets, cut).await }
    })
}

fn nothing(remaining: Vec<Grant>) -> CutReport {
    let (targets, ended, baselines) = (Vec::new(), Vec::new(), Vec::new());
    CutReport { targets, ended, remaining, baselines, release: None }
}

/// Tells what [`execute`] would do.
async fn preview(
    ctx: Context<'_>,
    targets: &[&Target],
    cut: &Cut,
) -> Result<CutReport, PartialFailure> {
    let stored = ctx.read(ctx.aws.state.lease()).await?;
    let view = View::read_as_holder(ctx, targets, &stored.record, stored.clock).await?;
    report_foreign_objects(&view.foreign_objects);
    let plan = CutPlan::decide(ctx, cut, &stored.record, view, i64::MAX).await;
    let would = |publication: &Publication<'_>| TargetOutcome {
        wrote: publication.result.is_none(),
        version: publication.version_before(),
        ..publication.outcome(&plan.grants)
    };
    let targets: Vec<TargetOutcome> = plan.publications.iter().map(would).collect();
    let (ended, remaining, baselines) = (plan.ended, plan.remaining, plan.baselines);
    finish(plan.errors, CutReport { targets, ended, remaining, baselines, release: None })
}

fn finish(errors: Vec<Error>, report: CutReport) -> Result<CutReport, PartialFailure> {
    if errors.is_empty() {
        Ok(report)
    } else {
        Err(PartialFailure { errors, done: report.targets })
    }
}

/// CUT: TAKE, VIEW, BASE, PUBLISH, `lease.json` without intents, delete the grants.
async fn execute(
    ctx: Context<'_>,
    targets: &[&Target],
    cut: &Cut,
) -> Result<CutReport, PartialFailure> {
    check_baselines(ctx, targets).await?;
    let mut candidate = Candidate::new(ctx, Writer::Reset);
    let turn = candidate.wait(None, |stored, record| cut.prepare(stored, record)).await?;
    let Turn::Held(mut lease) = turn else {
        return Err(Error::Busy("the lease was not had".to_owned()).into());
    };
    let mut plan = match look(ctx, targets, cut, &lease).await {
        Ok(plan) => plan,
        Err(error) => {
            Release::unwritten(ctx, lease).run().await;
            return Err(error.into());
        }
    };
    let ended: Vec<GrantKey> = plan.ended.iter().map(|grant| grant.key.clone()).collect();
    if !holds(Invariant::PublishThenDelete) {
        delete_grants(ctx, &mut lease, &ended).await?;
    }
    publish(ctx, &mut lease, &mut plan.publications, &plan.edit, Writer::Reset, false).await;
    plan.take_errors();
    let outcomes = plan.publications.iter().filter(|publication| !publication.has_failed());
    let targets: Vec<TargetOutcome> = outcomes.map(|p| p.outcome(&plan.grants)).collect();
    let failed = |error| PartialFailure { errors: vec![error], done: targets.clone() };
    // INVARIANT (SettleThenDelete): a dead holder's intent must not bring an entry back without its grant.
    if plan.publications.iter().any(Publication::wrote) && holds(Invariant::SettleThenDelete) {
        let records = targets_after(&lease, &plan.publications);
        renew(ctx, &mut lease, records).await.map_err(failed)?;
    }
    // INVARIANT (PublishThenDelete): no entry is in force without a grant.
    if !plan.keeps_grants {
        let deleted = delete_grants(ctx, &mut lease, &ended).await;
        // INVARIANT (DeleteFate): a delete that lands later may take away a grant that was put meanwhile. The lease
        // runs out by itself.
        if let Err(error) = deleted
            && holds(Invariant::DeleteFate)
        {
            return Err(failed(error));
        }
    }
    // A reset that fails keeps the grants: a late one of a removed member must not count after it.
    if matches!(cut, Cut::Reset) && !plan.keeps_grants {
        lease.record.forget_void(lease.clock.now());
    }
    if matches!(cut, Cut::Reset) && plan.errors.is_empty() {
        lease.record.reset_at = lease.clock.now();
    }
    let release = Release::new(ctx, lease, &plan.publications, Vec::new());
    let (ended, remaining, baselines) = (plan.ended, plan.remaining, plan.baselines);
    if plan.errors.is_empty() {
        let release = Some(release);
        return Ok(CutReport { targets, ended, remaining, baselines, release });
    }
    release.run().await;
    Err(PartialFailure { errors: plan.errors, done: targets })
}

/// Without any usable baseline nothing is done, and the grants stay.
async fn check_baselines(ctx: Context<'_>, targets: &[&Target]) -> Result<(), PartialFailure> {
    let check = async |target: &&Target| {
        let stored = ctx.read(ctx.aws.state.baseline(target)).await?;
        usable_baseline(ctx, target, stored.as_deref()).map_err(|e| e.at(target.arn()))
    };
    let checked = join_all(targets.iter().map(check)).await;
    if checked.iter().any(Result::is_ok) {
        return Ok(());
    }
    let errors = checked.into_iter().filter_map(Result::err).collect();
    Err(PartialFailure { errors, done: Vec::new() })
}

/// What a holder of the lease sees and decides.
async fn look<'a>(
    ctx: Context<'a>,
    targets: &[&'a Target],
    cut: &Cut,
    lease: &Lease,
) -> Result<CutPlan<'a>, Error> {
    let leased_at = match cut {
        Cut::Reset => {
            let stored = ctx.read(ctx.aws.state.lease()).await?;
            if stored.record.nonce != lease.record.nonce {
                let reason = "the lease ran out and somebody else took it";
                return Err(Error::Busy(reason.to_owned()));
            }
            stored.written_at
        }
        _ => i64::MAX,
    };
    let view = View::read_as_holder(ctx, targets, &lease.record, lease.clock).await?;
    report_foreign_objects(&view.foreign_objects);
    Ok(CutPlan::decide(ctx, cut, &lease.record, view, leased_at).await)
}

impl<'a> CutPlan<'a> {
    /// BASE and COUNT, and the decision for every target.
    async fn decide(
        ctx: Context<'a>,
        cut: &Cut,
        record: &LeaseRecord,
        view: View<'a>,
        leased_at: i64,
    ) -> Self {
        let View { targets, grants, clock, .. } = view;
        let now = clock.now();
        let ended = cut.ended(ctx, &grants, now, leased_at);
        let is_ended = |grant: &Grant| ended.iter().any(|end| end.key == grant.key);
        let remaining: Vec<Grant> = grants.iter().filter(|g| !is_ended(g)).cloned().collect();
        let mut plan = Self {
            edit: Edit::Reset { granted: GrantedNetworks::default() },
            publications: Vec::new(),
            ended,
            remaining,
            grants,
            baselines: Vec::new(),
            errors: Vec::new(),
            keeps_grants: false,
        };
        let found = join_all(targets.into_iter().map(async |target| {
            let target = target?;
            let arn = target.target.arn();
            let baseline = target.usable_baseline(ctx).map_err(|e| e.at(arn))?;
            let base = target.base(ctx, clock).await.map_err(|e| e.at(arn))?;
            Ok::<_, Error>((target, baseline, base))
        }));
        let mut looked_at = Vec::new();
        let mut listed: HashSet<Network> = HashSet::new();
        for found in found.await {
            match found {
                Ok((_, _, MergeBase { unread: Some(id), .. }))
                    if holds(Invariant::CutFailsOnUnread) =>
                {
                    plan.fail(Error::Busy(format!("version {id} cannot be read yet")));
                }
                Ok((target, baseline, base)) => {
                    listed.extend(target.listed(&ctx.config.gate_sids));
                    listed.extend(networks(&base.document, &ctx.config.gate_sids));
                    looked_at.push((target, baseline, base));
                }
                Err(error) => plan.fail_at_baseline(cut, error),
            }
        }
        let live = counted(ctx, record, &plan.remaining, now, &listed);
        // INVARIANT (CutPublishesGrants): the base may be older than what adds have answered.
        let live = if holds(Invariant::CutPublishesGrants) {
            live
        } else {
            live.into_iter().filter(|grant| listed.contains(&grant.key.network)).collect()
        };
        let cutoff = ctx.config.cutoff();
        let over = cutoff.map(|_| ended_networks(&plan.grants, now, cutoff)).unwrap_or_default();
        plan.edit = cut.edit(&plan.ended, over, GrantedNetworks::new(&live, cutoff));
        plan.remaining.clone_from(&live);
        for (view, baseline, base) in looked_at {
            plan.baselines.push(baseline.clone());
            let rules = ctx.rules(view.target, Some(baseline));
            match Publication::decide(rules, view, base, &plan.edit, &live) {
                Ok(publication) => plan.publications.push(publication),
                Err(error) => plan.fail(error),
            }
        }
        plan
    }

    fn fail(&mut self, error: Error) {
        self.errors.push(error);
        self.keeps_grants = true;
    }

    /// A target without a usable baseline stays as it is. A reset of the others is complete all the same; what else is
    /// taken away would stay in force there, so its grants stay too.
    fn fail_at_baseline(&mut self, cut: &Cut, error: Error) {
        self.keeps_grants |= !matches!(cut, Cut::Reset) || error.kind() != "baseline_unusable";
        self.errors.push(error);
    }

    /// Collects what failed while it was published. A version in a gap that cannot be read fails a cut.
    fn take_errors(&mut self) {
        let mut failed = Vec::new();
        for publication in &mut self.publications {
            failed.extend(publication.take_error());
            // INVARIANT (CutFailsOnUnread): the next run merges what cannot be read yet.
            if publication.is_unverified() && holds(Invariant::CutFailsOnUnread) {
                let arn = publication.target().arn();
                let reason =
                    format!("a version of `{arn}` made by somebody else cannot be read yet");
                failed.push(Error::Busy(reason));
            }
        }
        failed.into_iter().for_each(|error| self.fail(error));
    }
}
