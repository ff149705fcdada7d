//! Adding a network: answer from reads where that is true, otherwise put a grant and publish under the lease.

use futures_util::future::{join, join_all, try_join, try_join_all};

use super::Invocation;
use super::capture::{capturable, capture, capture_roles};
use super::holder::{Applicant, Finish, Turn};
use super::publish::{Base, Done, Job, Published, base, publish, with_intents};
use super::seen::{Allowed, Seen, has_baseline};
use super::snapshot::{Snapshot, in_force};
use crate::aws::lease::{Held, Reading};
use allowlist::coverage::Coverage;
use allowlist::document::Document;
use allowlist::error::Error;
use allowlist::gate::Gate;
use allowlist::grant::{Grant, Member, networks_by_age};
use allowlist::lease::{Kind, Mark, Record};
use allowlist::network::Network;
use allowlist::notice::Addition;
use allowlist::plan::{admit, check_share, difference};
use allowlist::target::Target;
use allowlist::versions::VersionId;

/// Who asks for what.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The network to let in.
    pub network: Network,
    /// Who asks; `None` with open access.
    pub member: Option<Member>,
    /// How many live entries one member may hold.
    pub max_grants: usize,
}

/// What an add came to, on one target or on all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The network was put in force.
    Added,
    /// It was in force before.
    AlreadyAllowed,
}

impl Change {
    /// The word for it in answers and logs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::AlreadyAllowed => "already_allowed",
        }
    }
}

/// What an add came to on one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The target's ARN.
    pub arn: String,
    /// What was done.
    pub change: Change,
    /// The version in force; `None` for a role.
    pub version: Option<VersionId>,
    /// How much of the characters that IAM allows the document takes, in percent; `None` where nothing was written.
    pub percent_full: Option<usize>,
    /// What the version put on the list, the entries of others that had waited for it included.
    pub listed: Vec<Addition>,
}

impl Outcome {
    /// What it came to where this add wrote nothing itself.
    fn without_write(target: &Target, change: Change, version: Option<VersionId>) -> Self {
        Self {
            arn: target.arn().to_owned(),
            change,
            version,
            percent_full: None,
            listed: Vec::new(),
        }
    }
}

/// What an add came to.
#[derive(Debug)]
pub struct Added {
    /// On every target, in the order of the settings.
    pub targets: Vec<Outcome>,
    /// What is left to do after the answer.
    pub finish: Option<Finish>,
}

impl Added {
    /// `Added` if any target was changed.
    #[must_use]
    pub fn change(&self) -> Change {
        if self
            .targets
            .iter()
            .any(|outcome| outcome.change == Change::Added)
        {
            Change::Added
        } else {
            Change::AlreadyAllowed
        }
    }
}

/// Why an add failed, and where it had succeeded by then.
#[derive(Debug)]
pub struct Failed {
    /// The reason.
    pub error: Error,
    /// Targets that were written all the same.
    pub written: Vec<Outcome>,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self {
            error,
            written: Vec::new(),
        }
    }
}

/// Who the caller is, with the lease read beside it. S3 only: a stranger never causes an IAM call.
/// `object` names the member's file; without one nobody is looked up.
///
/// # Errors
/// As [`crate::aws::state::State::member`] and [`crate::aws::state::State::lease`]; `Ok(None, …)` is a stranger.
pub async fn authenticate(
    call: Invocation<'_>,
    object: Option<&str>,
) -> Result<(Option<Member>, Result<Reading, Error>), Error> {
    let state = &call.aws.state;
    let Some(object) = object else {
        return Ok((None, call.read(state.lease()).await));
    };
    let (member, reading) = join(call.read(state.member(object)), call.read(state.lease())).await;
    Ok((member?, reading))
}

/// Lets a network in.
///
/// # Errors
/// [`Failed`]. After a definite refusal no new grant is left behind; after a transient error the grant stays, and
/// whoever writes next applies it.
pub async fn add(
    call: Invocation<'_>,
    reading: Reading,
    applied: &Applied,
) -> Result<Added, Failed> {
    let seen = Seen::read(call, &reading).await?;
    if let Some(allowed) = seen.allowed(call, &reading, &applied.network)? {
        return Ok(already_allowed(call, &seen, allowed, applied).await?);
    }
    check_share(
        &seen.grants,
        applied.member.as_ref(),
        &applied.network,
        applied.max_grants,
    )?;
    let jobs = jobs(call, &seen, applied)?;
    let fast = jobs.filter(|_| seen.stands(call, &reading));

    let granted_before = seen.holds(&applied.network, applied.member.as_ref());
    match obtain(call, &reading, applied, fast).await {
        Ok(Obtained::Standing(held, jobs)) => {
            Holder {
                call,
                applied,
                held,
                granted_before,
                grants: seen.grants,
            }
            .apply(jobs, true)
            .await
        }
        Ok(Obtained::Anew(held)) => {
            let mut holder = Holder {
                call,
                applied,
                held,
                granted_before,
                grants: Vec::new(),
            };
            match holder.decide().await {
                Ok(jobs) => holder.apply(jobs, false).await,
                Err(error) => Err(holder.give_up(error).await.into()),
            }
        }
        Ok(Obtained::Served(record)) => Ok(served(call, &record)),
        Err(error) => {
            withdraw(call, applied, granted_before, &error).await;
            Err(error.into())
        }
    }
}

/// How an add came to its turn.
enum Obtained<'a> {
    /// The lease is held, the snapshot stands and its intents are noted.
    Standing(Held, Vec<Job<'a>>),
    /// The lease is held; everything must be looked at anew.
    Anew(Held),
    /// Another add did the work.
    Served(Record),
}

/// Puts the grant and takes the lease, with what is known already both at once: whoever else holds the lease either
/// lists the grant or is waited for.
async fn obtain<'a>(
    call: Invocation<'_>,
    reading: &Reading,
    applied: &Applied,
    fast: Option<Vec<Job<'a>>>,
) -> Result<Obtained<'a>, Error> {
    let mut applicant = Applicant::new(call, Kind::Add);
    let grant =
        call.aws
            .state
            .put_grant(&applied.network, applied.member.as_ref(), call.request_id);
    let Some(jobs) = fast else {
        grant.await?;
        return wait(call, applicant, reading, applied).await;
    };
    let mut record = applicant.record(call, reading);
    let intended = with_intents(&record.targets, &jobs, Kind::Add);
    let marks = std::mem::replace(&mut record.targets, intended);
    let noted = record.clone();
    let (granted, taken) = join(grant, applicant.take(call, reading, record)).await;
    let held = match (granted, taken?) {
        (Ok(()), Some(held)) => held,
        (Ok(()), None) => return wait(call, applicant, reading, applied).await,
        (Err(error), None) => return Err(error),
        (Err(error), Some(held)) => {
            Finish::new(call, held, marks, Vec::new(), true, Vec::new())
                .run_and_log()
                .await;
            return Err(error);
        }
    };
    // Nobody of ours wrote since the lease was read, if it is as we noted it.
    Ok(if held.record == noted {
        Obtained::Standing(held, jobs)
    } else {
        Obtained::Anew(held)
    })
}

async fn wait<'a>(
    call: Invocation<'_>,
    mut applicant: Applicant,
    reading: &Reading,
    applied: &Applied,
) -> Result<Obtained<'a>, Error> {
    Ok(
        match applicant
            .wait(call, reading.etag.as_deref(), Some(&applied.network))
            .await?
        {
            Turn::Held(held) => Obtained::Anew(held),
            Turn::Served(record) => Obtained::Served(record),
        },
    )
}

/// A definite refusal leaves no new grant behind.
async fn withdraw(call: Invocation<'_>, applied: &Applied, granted_before: bool, error: &Error) {
    if error.is_transient() || granted_before {
        return;
    }
    let Applied {
        network, member, ..
    } = applied.clone();
    if let Err(e) = call
        .aws
        .state
        .delete_grants(&[Grant {
            network,
            member,
            granted_at: 0,
        }])
        .await
    {
        tracing::warn!(source.network = %network, error = e.chain(), "the grant of a refused request was not taken back");
    }
}

/// The answer to a caller whose network somebody else has put in force.
fn served(call: Invocation<'_>, record: &Record) -> Added {
    let outcome = |target: &Target| {
        let version = record
            .mark(target.arn())
            .last
            .and_then(|last| last.parse().ok());
        Outcome::without_write(target, Change::Added, version)
    };
    Added {
        targets: call.config.targets.iter().map(outcome).collect(),
        finish: None,
    }
}

/// The answer from reads alone. Revoking the grants of others must not take this caller's way in, so where only those
/// cover him he gets one of his own; one over his share is allowed all the same.
async fn already_allowed(
    call: Invocation<'_>,
    seen: &Seen<'_>,
    allowed: Allowed,
    applied: &Applied,
) -> Result<Added, Error> {
    let Applied {
        network,
        member,
        max_grants,
    } = applied;
    let share = check_share(&seen.grants, member.as_ref(), network, *max_grants);
    if allowed.by_grants_only && !seen.holds(network, member.as_ref()) && share.is_ok() {
        call.aws
            .state
            .put_grant(network, member.as_ref(), call.request_id)
            .await?;
    }
    let outcome =
        |((target, ..), version): (&(&Target, Mark, Option<Snapshot>), Option<VersionId>)| {
            Outcome::without_write(target, Change::AlreadyAllowed, version)
        };
    Ok(Added {
        targets: seen
            .targets
            .iter()
            .zip(allowed.versions)
            .map(outcome)
            .collect(),
        finish: None,
    })
}

/// What would be published on the strength of this look; `None` where it is not good enough to say.
fn jobs<'a>(
    call: Invocation<'a>,
    seen: &Seen<'a>,
    applied: &Applied,
) -> Result<Option<Vec<Job<'a>>>, Error> {
    let mut jobs = Vec::with_capacity(seen.targets.len());
    for ((target, mark, snapshot), has_baseline) in seen.targets.iter().zip(&seen.baselines) {
        let Some(snapshot) = snapshot.clone().filter(|snapshot| snapshot.fresh) else {
            return Ok(None);
        };
        let base = Base {
            document: snapshot.document.clone(),
            snapshot,
            force: !mark.pending.is_empty(),
        };
        jobs.push(job(
            call,
            applied,
            target,
            mark.clone(),
            base,
            *has_baseline,
            &seen.grants,
        )?);
    }
    Ok(Some(jobs))
}

/// Decides about one target.
fn job<'a>(
    call: Invocation<'_>,
    applied: &Applied,
    target: &'a Target,
    mark: Mark,
    base: Base,
    has_baseline: bool,
    grants: &[Grant],
) -> Result<Job<'a>, Error> {
    let limit = call.config.limit(target);
    let sids = &call.config.gate_sids;
    let new = admit(&base.document, sids, limit, &applied.network, grants)
        .map_err(|e| e.at(target.arn()))?;
    if !has_baseline {
        capturable(call, target, &base.document, grants).map_err(|e| e.at(target.arn()))?;
    }
    Ok(Job {
        target,
        base,
        new,
        mark,
        wants_before: !has_baseline,
    })
}

/// An add that holds the lease.
struct Holder<'a> {
    call: Invocation<'a>,
    applied: &'a Applied,
    held: Held,
    granted_before: bool,
    grants: Vec<Grant>,
}

impl<'a> Holder<'a> {
    async fn decide(&mut self) -> Result<Vec<Job<'a>>, Error> {
        let (call, applied) = (self.call, self.applied);
        let marks: Vec<(&Target, Mark)> = call
            .config
            .targets
            .iter()
            .map(|target| (target, self.held.record.mark(target.arn())))
            .collect();
        let bases = try_join_all(marks.iter().map(async |(target, mark)| {
            let snapshot = in_force(call, target, mark).await?;
            base(call, target, mark, snapshot).await
        }));
        let baselines = try_join_all(
            marks
                .iter()
                .map(|(target, mark)| has_baseline(call, target, mark)),
        );
        let (bases, (baselines, grants)) = try_join(
            bases,
            try_join(baselines, call.read(call.aws.state.grants())),
        )
        .await?;
        self.grants = grants;
        check_share(
            &self.grants,
            applied.member.as_ref(),
            &applied.network,
            applied.max_grants,
        )?;
        let own =
            |grant: &Grant| grant.network == applied.network && grant.member == applied.member;
        if !self.grants.iter().any(own) {
            // A reset has removed it meanwhile.
            call.aws
                .state
                .put_grant(&applied.network, applied.member.as_ref(), call.request_id)
                .await?;
        }
        let decisions = marks.into_iter().zip(bases).zip(baselines);
        decisions
            .map(|(((target, mark), base), has)| {
                job(call, applied, target, mark, base, has, &self.grants)
            })
            .collect()
    }

    /// Publishes, captures baselines and prepares the release.
    async fn apply(mut self, jobs: Vec<Job<'a>>, noted: bool) -> Result<Added, Failed> {
        let call = self.call;
        if let Err(error) = capture_roles(call, &jobs, &self.grants).await {
            return Err(self.give_up(error).await.into());
        }
        let rebase = |target: &Target, other: &Document| {
            admit(
                other,
                &call.config.gate_sids,
                call.config.limit(target),
                &self.applied.network,
                &self.grants,
            )
        };
        let published = publish(call, &mut self.held, jobs, Kind::Add, noted, &rebase).await;
        self.conclude(published).await
    }

    async fn conclude(self, published: Published<'a>) -> Result<Added, Failed> {
        let Published {
            results,
            mut marks,
            accounted,
        } = published;
        let (mut done, mut error) = (Vec::new(), None);
        for result in results {
            match result {
                Ok(one) => done.push(one),
                Err(e) => error = error.or(Some(e)),
            }
        }
        let captured = join_all(done.iter().map(|one| capture(self.call, one, &self.grants))).await;
        for (one, captured) in done.iter().zip(captured) {
            // Until the baseline is saved the mark is not: the next add captures it then.
            if let Err(e) = captured {
                tracing::error!(
                    target.arn = one.target.arn(),
                    error = e.chain(),
                    "the baseline was not saved"
                );
                if let (Some(mark), Some(held)) = (
                    marks.get_mut(one.target.arn()),
                    self.held.record.targets.get(one.target.arn()),
                ) {
                    *mark = held.clone();
                }
            }
        }
        let networks = if error.is_none() {
            self.covered(&done)
        } else {
            Vec::new()
        };
        let outcomes = done.iter().map(|one| self.outcome(one)).collect();
        let surplus = done
            .into_iter()
            .map(|one| (one.target.clone(), one.surplus))
            .collect();
        let Some(error) = error else {
            let finish = Finish::new(self.call, self.held, marks, networks, accounted, surplus);
            return Ok(Added {
                targets: outcomes,
                finish: Some(finish),
            });
        };
        withdraw(self.call, self.applied, self.granted_before, &error).await;
        Finish::new(self.call, self.held, marks, networks, accounted, surplus)
            .run_and_log()
            .await;
        let written = outcomes
            .into_iter()
            .filter(|outcome: &Outcome| outcome.change == Change::Added)
            .collect();
        Err(Failed { error, written })
    }

    fn outcome(&self, done: &Done<'_>) -> Outcome {
        let Done {
            target,
            version,
            document,
            replaced,
            wrote,
            ..
        } = done;
        let entries = || difference(replaced, document, &self.call.config.gate_sids, &[]).restored;
        Outcome {
            arn: target.arn().to_owned(),
            change: if *wrote {
                Change::Added
            } else {
                Change::AlreadyAllowed
            },
            version: *version,
            percent_full: wrote.then(|| document.size() * 100 / self.call.config.limit(target)),
            listed: if *wrote {
                entries()
                    .into_iter()
                    .map(|entry| self.listed(entry))
                    .collect()
            } else {
                Vec::new()
            },
        }
    }

    /// Whose an entry is that was put on the list.
    fn listed(&self, entry: String) -> Addition {
        let Applied {
            network, member, ..
        } = self.applied;
        let parsed: Option<Network> = entry.parse().ok();
        let grants = self
            .grants
            .iter()
            .filter(|grant| Some(grant.network) == parsed);
        let mut members: Vec<Member> = grants.filter_map(|grant| grant.member.clone()).collect();
        members.extend(member.clone().filter(|_| parsed == Some(*network)));
        members.sort();
        members.dedup();
        Addition {
            network: entry,
            members,
        }
    }

    /// The networks that every target covers now: waiters among them need no version of their own.
    fn covered(&self, done: &[Done<'_>]) -> Vec<Network> {
        let mut networks = networks_by_age(&self.grants);
        networks.push(self.applied.network);
        let coverage = |one: &Done<'_>| {
            let gate = Gate::find(&one.document, &self.call.config.gate_sids);
            gate.map(|gate| gate.coverage(&one.document))
                .unwrap_or_default()
        };
        let lists: Vec<Coverage> = done.iter().map(coverage).collect();
        networks.retain(|network| lists.iter().all(|listed| listed.covers(network)));
        networks.dedup();
        networks
    }

    /// Gives the lease back without having written; a grant is taken back before that, so that nobody publishes it.
    async fn give_up(self, error: Error) -> Error {
        withdraw(self.call, self.applied, self.granted_before, &error).await;
        Finish::unwritten(self.call, self.held).run_and_log().await;
        error
    }
}
