//! ADD: let a network in. Answer from reads if they prove that it is allowed; otherwise put a grant and publish.

use allowlist::error::Error;
use allowlist::grant::{Grant, GrantKey};
use allowlist::invariant::{Invariant, holds};
use allowlist::lease_record::Writer;
use allowlist::target::Target;
use futures_util::future::join;

use super::capture::{capture_policies, capture_roles};
use super::lease::{Candidate, Release, Turn, delete_grants};
use super::plan::Plan;
use super::publication::{Publication, with_intents};
use super::publish::publish;
use super::reads::{AddReport, already_allowed, served};
use super::refuse::Adder;
use super::view::{TargetView, View};
use super::{Context, PartialFailure, report_foreign_objects};
use crate::aws::lease::{Lease, StoredLease};
use crate::join::try_join_all;

/// ADD: `key` is the grant to put.
///
/// # Errors
/// [`PartialFailure`]. After a definite refusal no new grant is left behind; after a transient error the grant stays,
/// and the next writer applies it.
pub async fn add(
    ctx: Context<'_>,
    stored: StoredLease,
    key: &GrantKey,
) -> Result<AddReport, PartialFailure> {
    // READS
    let view = View::read(ctx, &stored.record, stored.clock).await?;
    report_foreign_objects(&view.foreign_objects);
    let (targets, grants) = view.split()?;
    if let Some(report) = already_allowed(ctx, &stored, &targets, &grants, key).await? {
        return Ok(report);
    }
    let asked_at = stored.clock.now();
    let had_grant = grants.iter().any(|grant| grant.key == *key);
    let adder = Adder { ctx, key, had_grant };
    // COUNT: a request that does not fit is refused before anything is put.
    let plan = adder.plan(&stored, targets, grants)?;
    // PUT grant with TAKE
    match adder.put_and_take(&stored, plan).await {
        Ok((Turn::Held(lease), Some(plan))) => adder.execute(lease, plan, true).await,
        Ok((Turn::Held(lease), None)) => match adder.plan_anew(&lease).await {
            Ok(plan) => adder.execute(lease, plan, false).await,
            Err(error) => Err(adder.refuse(lease, &[], error).await.into()),
        },
        Ok((Turn::Served(record), _)) => Ok(served(ctx, &record, asked_at)),
        Err(error) => {
            if adder.leaves_no_grant(&error) {
                adder.take_back().await;
            }
            Err(error.into())
        }
    }
}

impl<'a> Adder<'a> {
    /// The decision on READS' view; `None` where the view cannot be published without another look.
    fn plan(
        &self,
        stored: &StoredLease,
        targets: Vec<TargetView<'a>>,
        mut grants: Vec<Grant>,
    ) -> Result<Option<Plan<'a>>, Error> {
        let (ctx, key, now) = (self.ctx, self.key, stored.clock.now());
        let stands = stored.record.nonce.is_none() && targets.iter().all(TargetView::is_settled);
        let seen = targets.into_iter().filter_map(TargetView::with_current_as_base);
        let seen: Vec<_> = seen.collect();
        if seen.len() < ctx.config.targets.len() {
            return Ok(None);
        }
        // What is put now is the newest object of its entry, also within the same second.
        let entry = grants.iter().filter(|grant| grant.key.is_same_entry(key));
        let newest = entry.map(|grant| grant.granted_at.saturating_add(1)).max();
        grants.retain(|grant| grant.key != *key);
        grants.push(Grant { key: key.clone(), granted_at: now.max(newest.unwrap_or(now)) });
        let plan = Plan::decide(ctx, key, &stored.record, grants, now, seen)?;
        Ok(Some(plan).filter(|_| stands))
    }

    /// VIEW, BASE, COUNT for a holder. The own grant is put again if a cut has removed it meanwhile.
    async fn plan_anew(&self, lease: &Lease) -> Result<Plan<'a>, Error> {
        let (ctx, key) = (self.ctx, self.key);
        let all: Vec<&Target> = ctx.config.targets.iter().collect();
        let view = View::read_as_holder(ctx, &all, &lease.record, lease.clock).await?;
        let clock = view.clock;
        let (targets, mut grants) = view.split()?;
        let bases = targets.into_iter().map(async |view| match view.base(ctx, clock).await {
            Ok(base) => Ok((view, base)),
            Err(error) => Err(error.at(view.target.arn())),
        });
        let targets = try_join_all(bases).await?;
        if !grants.iter().any(|grant| grant.key == *key) {
            // INVARIANT (GrantPutAgain): an entry must not be in force without a grant.
            if holds(Invariant::GrantPutAgain) {
                ctx.aws.state.put_grant(key, ctx.request_id).await?;
            }
            grants.push(Grant { key: key.clone(), granted_at: clock.now() });
        }
        Plan::decide(ctx, key, &lease.record, grants, clock.now(), targets)
    }

    /// PUT grant with TAKE: both at once where the view stands if the lease is still the one that was read. Everybody
    /// else who holds the lease either lists the grant or is waited for. The plan comes back if it may be published.
    async fn put_and_take(
        &self,
        stored: &StoredLease,
        plan: Option<Plan<'a>>,
    ) -> Result<(Turn, Option<Plan<'a>>), Error> {
        let Context { aws, request_id, .. } = self.ctx;
        let mut candidate = Candidate::new(self.ctx, Writer::Add);
        let put = aws.state.put_grant(self.key, request_id);
        let Some(mut plan) = plan else {
            put.await?;
            return Ok((self.wait(candidate).await?, None));
        };
        let (mut record, now) = (candidate.record(stored), stored.clock.now());
        record.targets = with_intents(&record.targets, &mut plan.publications, Writer::Add, now);
        let noted = record.clone();
        let (put, taken) = join(put, candidate.take(stored, record)).await;
        match (put, taken?) {
            // Nobody of ours wrote since the lease was read, if it is as we noted it.
            (Ok(()), Some(lease)) if lease.record == noted => Ok((Turn::Held(lease), Some(plan))),
            (Ok(()), Some(lease)) => Ok((Turn::Held(lease), None)),
            (Ok(()), None) => Ok((self.wait(candidate).await?, None)),
            (Err(error), None) => Err(error),
            (Err(error), Some(mut lease)) => {
                lease.record.targets.clone_from(&stored.record.targets);
                Release::unwritten(self.ctx, lease).run().await;
                Err(error)
            }
        }
    }

    async fn wait(&self, mut candidate: Candidate<'a>) -> Result<Turn, Error> {
        candidate.wait(Some(self.key), |_, _| {}).await.map_err(|error| match error {
            // Somebody else may have put the grant in force: only a holder of the lease may delete it.
            error if !self.leaves_no_grant(&error) => error,
            error => Error::Busy(format!("the lease was not had: {}", error.chain())),
        })
    }

    /// PUBLISH, drop older objects of the entry, capture baselines; then the answer with its release.
    async fn execute(
        &self,
        mut lease: Lease,
        mut plan: Plan<'a>,
        noted: bool,
    ) -> Result<AddReport, PartialFailure> {
        let (ctx, key) = (self.ctx, self.key);
        if let Err(error) = capture_roles(ctx, &plan.publications, &plan.grants).await {
            return Err(self.refuse(lease, &plan.publications, error).await.into());
        }
        let publications = &mut plan.publications;
        publish(ctx, &mut lease, publications, &plan.edit, Writer::Add, noted).await;
        // Also beside a target that failed: the next add could not tell any more what stood before ours.
        capture_policies(ctx, &mut plan.publications, &plan.grants, lease.clock).await;
        let targets = plan.outcomes(ctx.config.cutoff());
        let written = || targets.iter().filter(|outcome| outcome.wrote).cloned().collect();
        let failed = plan.publications.iter_mut().filter_map(Publication::take_error);
        let errors: Vec<Error> = failed.collect();
        if let Some(error) = errors.first() {
            // What is in force on one target keeps its grant: no entry is in force without one.
            let is_unwritten = plan.publications.iter().all(Publication::wrote_nothing);
            if is_unwritten && self.leaves_no_grant(error) && !self.take_back().await {
                return Err(self.keep_lease(lease, &plan).await.into());
            }
            Release::new(ctx, lease, &plan.publications, Vec::new()).run().await;
            return Err(PartialFailure { errors, done: written() });
        }
        let replaced = plan.replaced(key, ctx, &lease);
        let deleted = delete_grants(ctx, &mut lease, &replaced).await;
        if deleted.is_err() && holds(Invariant::DeleteFate) {
            let errors = vec![self.keep_lease(lease, &plan).await];
            return Err(PartialFailure { errors, done: written() });
        }
        let served = plan.served(key, &ctx.config.gate_sids);
        let added = targets.iter().any(|outcome| outcome.wrote);
        let granted_at = plan.granted_at(key).map(|at| at.min(lease.clock.now()));
        let release = Some(Release::new(ctx, lease, &plan.publications, served));
        Ok(AddReport { targets, added, granted_at, release })
    }
}
