//! ADD: let a network in. Answer from reads if they prove that it is allowed; otherwise put a grant and publish.

use std::collections::{BTreeMap, HashSet};

use allowlist::baseline::Baseline;
use allowlist::edit::{Edit, Granted};
use allowlist::error::Error;
use allowlist::gate::Gate;
use allowlist::grant::{Grant, GrantKey, Member, is_void};
use allowlist::invariant::{Invariant, holds};
use allowlist::lease::{LeaseRecord, Writer};
use allowlist::network::Network;
use allowlist::notice::Addition;
use allowlist::target::Target;
use futures_util::future::{join, join_all, try_join_all};

use super::capture::{capture, capture_roles, may_capture};
use super::lease::{Candidate, Release, Turn, Waiter};
use super::publish::{Publication, publish, with_intents};
use super::view::{Admission, MergeBase, TargetView, View, counted, networks};
use super::{Context, PartialFailure, TargetOutcome, report_foreign_objects};
use crate::aws::lease::{Clock, Lease, StoredLease};

/// Who asks for what.
#[derive(Clone, Debug)]
pub struct AddRequest {
    /// The grant to put: the network, whose it is, and when it ends.
    pub key: GrantKey,
}

/// What an add has come to.
#[derive(Debug)]
pub struct AddReport {
    /// On every target, in the order of the settings.
    pub targets: Vec<TargetOutcome>,
    /// The network was not in force on all of them before.
    pub added: bool,
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
        expires.is_some_and(|expires| expires <= now)
            || is_void(&stored.record.void, Some(&member), now)
    };
    let is_member = !stored.as_ref().is_ok_and(is_over);
    Ok((Some(member).filter(|_| is_member), stored))
}

/// ADD.
///
/// # Errors
/// [`PartialFailure`]. After a definite refusal no new grant is left behind; after a transient error the grant stays, and
/// the next writer applies it.
pub async fn add(
    ctx: Context<'_>,
    stored: StoredLease,
    request: &AddRequest,
) -> Result<AddReport, PartialFailure> {
    let view = View::read(ctx, &stored.record, stored.clock).await?;
    report_foreign_objects(&view.foreign_objects);
    let (targets, grants) = view.split()?;
    if let Some(report) = already_allowed(ctx, &stored, &targets, &grants, request).await? {
        return Ok(report);
    }
    let is_settled = targets.iter().all(TargetView::is_settled);
    let known = Known {
        record: &stored.record,
        clock: stored.clock,
        grants: &grants,
    };
    let plan = match targets.iter().all(|target| target.current.is_some()) {
        true => Some(Plan::decide(ctx, request, &known, targets, None)?),
        false => None,
    };
    let had_grant = grants.iter().any(|grant| grant.key == request.key);
    let fast = plan.filter(|_| is_settled && stored.record.nonce.is_none());

    match put_and_take(ctx, &stored, request, fast).await {
        Ok(Taken::Planned(lease, plan)) => {
            execute(ctx, request, lease, plan, true, had_grant).await
        }
        Ok(Taken::Anew(lease)) => match replan(ctx, request, &lease).await {
            Ok(plan) => execute(ctx, request, lease, plan, false, had_grant).await,
            Err(error) => Err(refuse(ctx, request, lease, error, had_grant).await.into()),
        },
        Ok(Taken::Served(record)) => Ok(served(ctx, &record)),
        Err(error) => {
            let is_definite = !error.is_transient() && !matches!(error, Error::Unauthorized);
            if is_definite && !had_grant {
                take_back(ctx, request).await;
            }
            Err(error.into())
        }
    }
}

impl<'a> View<'a> {
    /// The targets, all of which an add needs, and the grants.
    fn split(self) -> Result<(Vec<TargetView<'a>>, Vec<Grant>), Error> {
        Ok((
            self.targets.into_iter().collect::<Result<_, _>>()?,
            self.grants,
        ))
    }
}

/// READS: the answer from reads alone, where they prove that the network is allowed.
async fn already_allowed(
    ctx: Context<'_>,
    stored: &StoredLease,
    targets: &[TargetView<'_>],
    grants: &[Grant],
    request: &AddRequest,
) -> Result<Option<AddReport>, Error> {
    let (key, now) = (&request.key, stored.clock.now());
    // INVARIANT (NoAnswerDuringCut): what the reads show may be about to go.
    if stored.record.is_cutting() && holds(Invariant::NoAnswerDuringCut) {
        return Ok(None);
    }
    let entry: Vec<&Grant> = grants
        .iter()
        .filter(|grant| grant.key.is_same_entry(key))
        .collect();
    let is_alone = matches!(entry.as_slice(), [own] if own.key == *key
        && !own.has_ended(now, ctx.config.cutoff())
        && !is_void(&stored.record.void, key.member.as_ref(), own.granted_at));
    let mut is_unexplained = entry.is_empty();
    for target in targets {
        let admission = target.coverage(&ctx.config.gate_sids, &key.network, grants, now);
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
    }
    let version =
        |view: &TargetView<'_>| view.current.as_ref()?.versions.as_ref().map(|v| v.default);
    let outcome = |view: &TargetView<'_>| unwritten(view.target, version(view));
    let targets = targets.iter().map(outcome).collect();
    Ok(Some(AddReport {
        targets,
        added: false,
        release: None,
    }))
}

fn unwritten(target: &Target, version: Option<allowlist::VersionId>) -> TargetOutcome {
    TargetOutcome {
        arn: target.arn().to_owned(),
        wrote: false,
        version,
        difference: allowlist::edit::Difference::default(),
        percent_full: None,
        listed: Vec::new(),
    }
}

/// What a decision is made on beside the targets.
struct Known<'k> {
    record: &'k LeaseRecord,
    clock: Clock,
    grants: &'k [Grant],
}

/// What is to be published, decided for every target.
struct Plan<'a> {
    edit: Edit,
    publications: Vec<Publication<'a>>,
    /// Whether each target has a baseline already, in the order of the publications.
    has_baseline: Vec<bool>,
    /// Everybody who is on the lists then.
    counted: Vec<Grant>,
    /// Every grant that was listed.
    grants: Vec<Grant>,
}

impl<'a> Plan<'a> {
    /// COUNT, and the decision for every target on its base: refuses before anything is put.
    fn decide(
        ctx: Context<'a>,
        request: &AddRequest,
        known: &Known<'_>,
        targets: Vec<TargetView<'a>>,
        bases: Option<Vec<MergeBase>>,
    ) -> Result<Self, Error> {
        let key = &request.key;
        let now = known.clock.now();
        let mut listed: HashSet<Network> = targets
            .iter()
            .flat_map(|target| target.listed(&ctx.config.gate_sids))
            .collect();
        for base in bases.iter().flatten() {
            listed.extend(networks(&base.document, &ctx.config.gate_sids));
        }
        let holder = bases.is_some();
        let stored_own = known
            .grants
            .iter()
            .find(|grant| holder && grant.key == *key);
        let own = Grant {
            key: key.clone(),
            granted_at: stored_own.map_or(now, |g| g.granted_at),
        };
        let is_other = |grant: &&Grant| {
            if holder {
                grant.key != own.key
            } else {
                !grant.key.is_same_entry(key)
            }
        };
        let mut candidates: Vec<Grant> = known.grants.iter().filter(is_other).cloned().collect();
        candidates.push(own);
        let counted = counted(ctx, known.record, &candidates, now, &listed);
        if !counted.iter().any(|grant| grant.key == *key) {
            return Err(over_share(ctx, request, &candidates));
        }
        let cutoff = ctx.config.cutoff();
        let edit = Edit::Add {
            own: key.network,
            granted: Granted::new(&counted, cutoff),
        };
        let mut bases = bases.map(Vec::into_iter);
        let (mut publications, mut has_baseline) = (Vec::new(), Vec::new());
        for target in targets {
            let arn = target.target.arn();
            let current = target.current().map_err(|e| e.at(arn))?.clone();
            let base = bases
                .as_mut()
                .and_then(Iterator::next)
                .unwrap_or_else(|| MergeBase {
                    document: current.document.clone(),
                    force: !target.is_settled(),
                    unread: None,
                });
            let baseline = baseline(ctx, &target, &base, known.grants).map_err(|e| e.at(arn))?;
            has_baseline.push(target.baseline.is_some());
            let rules = ctx.rules(target.target, baseline);
            publications.push(Publication::decide(
                rules,
                target.record,
                current,
                base,
                &edit,
                &counted,
            )?);
        }
        let grants = known.grants.to_vec();
        Ok(Self {
            edit,
            publications,
            has_baseline,
            counted,
            grants,
        })
    }
}

fn over_share(ctx: Context<'_>, request: &AddRequest, candidates: &[Grant]) -> Error {
    let member = request.key.member.as_ref();
    let entries: HashSet<Network> = candidates
        .iter()
        .filter(|grant| grant.key.member.as_ref() == member)
        .map(|grant| grant.key.network)
        .filter(|network| *network != request.key.network)
        .collect();
    let (held, limit) = (entries.len(), ctx.config.max_grants_per_member);
    if held < limit {
        // There is room: of this entry a newer request decides.
        return Error::Busy("a newer request for this network came in between".to_owned());
    }
    Error::TooManyEntries { held, limit }
}

/// The baseline that a decision needs: with a cutoff the stored one, or the one that is about to be captured.
fn baseline(
    ctx: Context<'_>,
    view: &TargetView<'_>,
    base: &MergeBase,
    grants: &[Grant],
) -> Result<Option<Baseline>, Error> {
    if view.baseline.is_none() {
        return may_capture(ctx, view, &base.document, grants).map(Some);
    }
    if ctx.config.cutoff().is_some() {
        view.usable_baseline(ctx).map(Some)
    } else {
        Ok(None)
    }
}

/// How an add came to its turn.
enum Taken<'a> {
    /// The lease is held, the view stands, and its intents are noted.
    Planned(Lease, Plan<'a>),
    /// The lease is held; everything must be looked at anew.
    Anew(Lease),
    /// Another add did the work.
    Served(LeaseRecord),
}

/// PUT grant with TAKE: both at once where the view stands if the lease is still the one that was read. Everybody else
/// who holds the lease either lists the grant or is waited for.
async fn put_and_take<'a>(
    ctx: Context<'a>,
    stored: &StoredLease,
    request: &AddRequest,
    fast: Option<Plan<'a>>,
) -> Result<Taken<'a>, Error> {
    let mut candidate = Candidate::new(ctx, Writer::Add);
    let Some(mut plan) = fast else {
        put_grant(ctx, request).await?;
        return wait(candidate, request).await;
    };
    let mut record = candidate.record(stored);
    let now = stored.clock.now();
    record.targets = with_intents(&record.targets, &mut plan.publications, Writer::Add, now);
    let noted = record.clone();
    let (put, taken) = join(put_grant(ctx, request), candidate.take(stored, record)).await;
    let lease = match (put, taken?) {
        (Ok(()), Some(lease)) => lease,
        (Ok(()), None) => return wait(candidate, request).await,
        (Err(error), None) => return Err(error),
        (Err(error), Some(mut lease)) => {
            lease.record.targets.clone_from(&stored.record.targets);
            Release::unwritten(ctx, lease).run().await;
            return Err(error);
        }
    };
    // Nobody of ours wrote since the lease was read, if it is as we noted it.
    Ok(if lease.record == noted {
        Taken::Planned(lease, plan)
    } else {
        Taken::Anew(lease)
    })
}

async fn put_grant(ctx: Context<'_>, request: &AddRequest) -> Result<(), Error> {
    let put = ctx.aws.state.put_grant(&request.key, ctx.request_id).await;
    // INVARIANT (GrantPutOnce): of two puts the first may land after the grant was removed.
    match put {
        Err(Error::Busy(_)) if !holds(Invariant::GrantPutOnce) => {
            ctx.aws.state.put_grant(&request.key, ctx.request_id).await
        }
        put => put,
    }
}

async fn wait<'a>(mut candidate: Candidate<'a>, request: &AddRequest) -> Result<Taken<'a>, Error> {
    let object = request.key.object();
    let waiter = Waiter {
        object: &object,
        member: request.key.member.as_ref(),
    };
    Ok(match candidate.wait(Some(waiter), |_, _| {}).await? {
        Turn::Held(lease) => Taken::Anew(lease),
        Turn::Served(record) => Taken::Served(record),
    })
}

/// VIEW, BASE, COUNT for a holder; the own grant is put again if a cut has removed it meanwhile.
async fn replan<'a>(
    ctx: Context<'a>,
    request: &AddRequest,
    lease: &Lease,
) -> Result<Plan<'a>, Error> {
    let all: Vec<&Target> = ctx.config.targets.iter().collect();
    let view = View::read_as_holder(ctx, &all, &lease.record, lease.clock).await?;
    let clock = view.clock;
    let (targets, grants) = view.split()?;
    let bases = try_join_all(targets.iter().map(async |target| {
        let base = target.base(ctx, clock).await;
        base.map_err(|e| e.at(target.target.arn()))
    }));
    let bases = bases.await?;
    // INVARIANT (GrantPutAgain): an entry must not be in force without a grant.
    let is_listed = grants.iter().any(|grant| grant.key == request.key);
    if !is_listed && holds(Invariant::GrantPutAgain) {
        put_grant(ctx, request).await?;
    }
    let known = Known {
        record: &lease.record,
        clock,
        grants: &grants,
    };
    Plan::decide(ctx, request, &known, targets, Some(bases))
}

/// PUBLISH, capture, drop older objects of the entry, and the answer with its release.
async fn execute(
    ctx: Context<'_>,
    request: &AddRequest,
    mut lease: Lease,
    mut plan: Plan<'_>,
    noted: bool,
    had_grant: bool,
) -> Result<AddReport, PartialFailure> {
    let firsts = plan
        .publications
        .iter()
        .zip(&plan.has_baseline)
        .filter(|(_, has)| !**has);
    let firsts = firsts.map(|(publication, _)| publication);
    if let Err(error) = capture_roles(ctx, firsts, &plan.grants).await {
        return Err(refuse(ctx, request, lease, error, had_grant).await.into());
    }
    publish(
        ctx,
        &mut lease,
        &mut plan.publications,
        &plan.edit,
        Writer::Add,
        noted,
    )
    .await;
    let outcomes = outcomes(&plan);
    let errors: Vec<Error> = plan
        .publications
        .iter_mut()
        .filter_map(Publication::take_error)
        .collect();
    if let Some(error) = errors.first() {
        if !error.is_transient() && !had_grant && !take_back(ctx, request).await {
            let error = Error::Busy("S3 did not say whether it deleted an entry".to_owned());
            return Err(without_release(error, &mut lease, ctx, &plan).await.into());
        }
        Release::new(ctx, lease, &plan.publications, Vec::new())
            .run()
            .await;
        let done = outcomes
            .into_iter()
            .filter(|outcome| outcome.wrote)
            .collect();
        return Err(PartialFailure { errors, done });
    }
    let is_older =
        |grant: &&Grant| grant.key.is_same_entry(&request.key) && grant.key != request.key;
    let older: Vec<GrantKey> = plan
        .grants
        .iter()
        .filter(is_older)
        .map(|grant| grant.key.clone())
        .collect();
    if let Err(error) = ctx.aws.state.delete_grants(&older).await {
        return Err(without_release(error, &mut lease, ctx, &plan).await.into());
    }
    capture_policies(ctx, &mut plan, lease.clock).await;
    let is_unverified = plan.publications.iter().any(Publication::is_unverified);
    let served = if is_unverified {
        Vec::new()
    } else {
        in_force(ctx, request, &plan)
    };
    let added = outcomes.iter().any(|outcome| outcome.wrote);
    let release = Some(Release::new(ctx, lease, &plan.publications, served));
    Ok(AddReport {
        targets: outcomes,
        added,
        release,
    })
}

/// The fate of a delete is not known: the lease is not given back, so that nobody works while it may land.
async fn without_release(
    error: Error,
    lease: &mut Lease,
    ctx: Context<'_>,
    plan: &Plan<'_>,
) -> Error {
    // INVARIANT (DeleteFate): a delete that lands later may take away a grant that was put meanwhile.
    let targets = super::publish::targets_after(lease, &plan.publications);
    if holds(Invariant::DeleteFate) {
        if let Err(e) = super::lease::renew(ctx, lease, targets).await {
            tracing::warn!(
                error = e.chain(),
                "what was written was not noted in lease.json"
            );
        }
    } else {
        Release::new(ctx, lease.clone(), &plan.publications, Vec::new())
            .run()
            .await;
    }
    error
}

fn outcomes(plan: &Plan<'_>) -> Vec<TargetOutcome> {
    let mut members: BTreeMap<Network, Vec<Member>> = BTreeMap::new();
    for grant in &plan.counted {
        members
            .entry(grant.key.network)
            .or_default()
            .extend(grant.key.member.clone());
    }
    let outcome = |publication: &Publication<'_>| {
        let mut outcome = publication.outcome(&[]);
        let listed = |entry: &String| {
            let parsed: Option<Network> = entry.parse().ok();
            let mut members = parsed
                .and_then(|n| members.get(&n).cloned())
                .unwrap_or_default();
            members.sort();
            members.dedup();
            Addition {
                network: entry.clone(),
                members,
            }
        };
        if outcome.wrote {
            outcome.listed = outcome.difference.restored.iter().map(listed).collect();
        }
        outcome
    };
    plan.publications.iter().map(outcome).collect()
}

/// The grants that every target covers now: their owners need no version of their own. A grant with older objects of its
/// entry beside it is left to its owner, who deletes those.
fn in_force(ctx: Context<'_>, request: &AddRequest, plan: &Plan<'_>) -> Vec<String> {
    let coverage = |publication: &Publication<'_>| {
        let gate = Gate::find(&publication.new, &ctx.config.gate_sids);
        gate.map(|gate| gate.coverage(&publication.new))
            .unwrap_or_default()
    };
    let lists: Vec<_> = plan.publications.iter().map(coverage).collect();
    let is_alone = |grant: &Grant| {
        let same = plan
            .grants
            .iter()
            .filter(|other| other.key.is_same_entry(&grant.key));
        grant.key == request.key || same.count() == 1
    };
    let is_covered = |grant: &&Grant| lists.iter().all(|list| list.covers(&grant.key.network));
    let served = plan
        .counted
        .iter()
        .filter(is_covered)
        .filter(|grant| is_alone(grant));
    served.map(|grant| grant.key.object()).collect()
}

/// Saves the baselines of policies whose first version of ours this is. Until that is done the write stays noted: the
/// next add saves it.
async fn capture_policies(ctx: Context<'_>, plan: &mut Plan<'_>, clock: Clock) {
    let firsts = plan
        .publications
        .iter_mut()
        .zip(&plan.has_baseline)
        .filter(|(_, has)| !**has);
    let grants = &plan.grants;
    let captures = firsts.map(async |(publication, _)| {
        if let Err(e) = capture(ctx, publication, grants, clock).await {
            let arn = publication.target().arn();
            tracing::error!(
                outcome = "baseline_not_captured",
                target.arn = arn,
                error = e.chain(),
                "the baseline of {arn} was not saved: the next add tries again"
            );
            publication.leave_unverified();
        }
    });
    join_all(captures).await;
}

/// Gives the lease back without having written. The grant of a definite refusal is deleted before that.
async fn refuse(
    ctx: Context<'_>,
    request: &AddRequest,
    lease: Lease,
    error: Error,
    had_grant: bool,
) -> Error {
    let is_over_share = matches!(error, Error::TooManyEntries { .. });
    let is_definite = is_over_share || !error.is_transient() && !had_grant;
    if is_definite && !take_back(ctx, request).await {
        // INVARIANT (DeleteFate): the lease runs out before anybody else works.
        return Error::Busy("S3 did not say whether it deleted an entry".to_owned());
    }
    Release::unwritten(ctx, lease).run().await;
    error
}

/// Deletes the own grant of a refused request; `false` when it may still be deleted later.
async fn take_back(ctx: Context<'_>, request: &AddRequest) -> bool {
    match ctx.aws.state.delete_grants([&request.key]).await {
        Ok(()) => true,
        Err(e) => {
            tracing::warn!(
                source.network = %request.key.network,
                error = e.chain(),
                "the grant of a refused request for {} was not deleted",
                request.key.network
            );
            !matches!(e, Error::Busy(_)) || !holds(Invariant::DeleteFate)
        }
    }
}

/// The answer to a caller whose grant another add has put in force.
fn served(ctx: Context<'_>, record: &LeaseRecord) -> AddReport {
    let outcome = |target: &Target| {
        let version = record.target(target.arn()).last_version().ok().flatten();
        TargetOutcome {
            wrote: true,
            ..unwritten(target, version)
        }
    };
    let targets = ctx.config.targets.iter().map(outcome).collect();
    AddReport {
        targets,
        added: true,
        release: None,
    }
}
