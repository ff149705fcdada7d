//! TAKE and RELEASE: acquiring, renewing and giving back the lease, and the six-second rule.

use std::collections::BTreeMap;
use std::time::Duration;

use allowlist::error::Error;
use allowlist::grant::{GrantKey, is_void};
use allowlist::invariant::{Invariant, holds};
use allowlist::lease_record::{LeaseRecord, RENEW_BELOW, TargetRecord, Writer};
use allowlist::target::Target;
use allowlist::versions::KnownVersions;
use tokio::time::Instant;

use super::publication::Publication;
use super::{Context, pause};
use crate::Boxed;
use crate::aws::lease::{Lease, StoredLease, until};
use crate::aws::managed_policy::Deletion;
use crate::aws::state_bucket::DELETES_AT_ONCE;
use crate::aws::{Aws, WRITE_TIMEOUT};
use crate::join::join_all;

/// With less time than this left, taking the lease would not leave enough to write under it.
const LEAST_TIME: Duration = Duration::from_secs(5);

/// The longest pause between two looks at the lease, on average.
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// One invocation's attempts at the lease.
#[derive(Debug)]
pub struct Candidate<'a> {
    ctx: Context<'a>,
    nonce: String,
    writer: Writer,
    first_attempt: Option<Instant>,
}

/// What waiting for the lease came to.
#[derive(Debug)]
pub enum Turn {
    /// The lease is ours.
    Held(Lease),
    /// An add that released the lease has put our grant in force: its record says where.
    Served(LeaseRecord),
}

impl<'a> Candidate<'a> {
    /// A candidate with a nonce of its own. A retried asynchronous invocation keeps its request id, so the id alone
    /// would not do.
    #[must_use]
    pub fn new(ctx: Context<'a>, writer: Writer) -> Self {
        let nonce = format!("{}-{:016x}", ctx.request_id, fastrand::u64(..));
        Self { ctx, nonce, writer, first_attempt: None }
    }

    /// The record that takes the lease over what was read: everything known stays, nobody is served yet.
    #[must_use]
    pub fn record(&self, stored: &StoredLease) -> LeaseRecord {
        LeaseRecord {
            nonce: Some(self.nonce.clone()),
            holder: self.ctx.request_id.to_owned(),
            kind: self.writer,
            until: until(),
            served: Vec::new(),
            ..stored.record.clone()
        }
    }

    /// TAKE: one attempt, with `record` over what was read.
    ///
    /// # Errors
    /// As [`crate::aws::state_bucket::StateBucket::take_lease`].
    pub async fn take(
        &mut self,
        stored: &StoredLease,
        record: LeaseRecord,
    ) -> Result<Option<Lease>, Error> {
        let since = *self.first_attempt.get_or_insert_with(Instant::now);
        self.ctx.aws.state.take_lease(stored, record, since).await
    }

    /// TAKE, repeated: waits with jitter, and reads `lease.json`, never IAM. `waiter` is the grant
    /// of an add: the wait ends when a release serves it, or when its member was removed; `change` completes the record that takes the lease.
    ///
    /// # Errors
    /// [`Error::Busy`] when the lease was not had in time, [`Error::Unauthorized`] for a removed member; as
    /// [`crate::aws::state_bucket::StateBucket::lease`].
    pub async fn wait(
        &mut self,
        waiter: Option<&GrantKey>,
        change: impl Fn(&StoredLease, &mut LeaseRecord),
    ) -> Result<Turn, Error> {
        let ctx = self.ctx;
        let mut middle = Duration::from_millis(30);
        loop {
            if ctx.time_left() < LEAST_TIME {
                return Err(Error::Busy("somebody else is changing the allow list".to_owned()));
            }
            let stored = ctx.read(ctx.aws.state.lease()).await?;
            if let Some(waiter) = waiter {
                if is_void(&stored.record.void, waiter.member.as_ref(), stored.clock.now()) {
                    return Err(Error::Unauthorized);
                }
                if stored.record.has_served(&waiter.object()) {
                    return Ok(Turn::Served(stored.record));
                }
            }
            let ours = self.first_attempt.and_then(|since| stored.held_by(&self.nonce, since));
            if let Some(lease) = ours.filter(|_| holds(Invariant::NonceSettles)) {
                return Ok(Turn::Held(lease));
            }
            if stored.is_free() {
                if stored.record.nonce.is_some() {
                    let holder = &stored.record.holder;
                    tracing::warn!(
                        outcome = "lease_taken_over",
                        lease.holder = holder,
                        "request {holder} ended without giving the lease back: taking it over"
                    );
                }
                let mut record = self.record(&stored);
                change(&stored, &mut record);
                if let Some(lease) = self.take(&stored, record).await? {
                    return Ok(Turn::Held(lease));
                }
            }
            pause(middle).await;
            middle = (middle * 3 / 2).min(LONGEST_PAUSE);
        }
    }
}

/// Whether the lease is too short to start a write under it: the six-second rule.
#[must_use]
pub fn must_renew(ends: Instant) -> bool {
    ends.saturating_duration_since(Instant::now()) < RENEW_BELOW
}

/// Writes what is known about the targets under the lease, which renews it for its whole length.
///
/// # Errors
/// [`Error::Busy`] when the lease is no longer ours: stop, without writing anything.
pub async fn renew(
    ctx: Context<'_>,
    lease: &mut Lease,
    targets: BTreeMap<String, TargetRecord>,
) -> Result<(), Error> {
    let record = LeaseRecord { until: until(), targets, ..lease.record.clone() };
    if ctx.aws.state.update_lease(lease, record).await? {
        Ok(())
    } else {
        Err(Error::Busy("the lease ran out and somebody else took it".to_owned()))
    }
}

/// Deletes grants under the lease, by the six-second rule like any write.
///
/// # Errors
/// [`Error::Busy`] when the lease is no longer ours, or when a delete was not answered; as
/// [`crate::aws::state_bucket::StateBucket::delete_grants`].
pub async fn delete_grants(
    ctx: Context<'_>,
    lease: &mut Lease,
    keys: &[GrantKey],
) -> Result<(), Error> {
    let mut result = Ok(());
    for some in keys.chunks(DELETES_AT_ONCE) {
        if must_renew(lease.ends) {
            let targets = lease.record.targets.clone();
            renew(ctx, lease, targets).await?;
        }
        match ctx.aws.state.delete_grants(some).await {
            Err(unanswered @ Error::Busy(_)) => return Err(unanswered),
            deleted => result = result.and(deleted),
        }
    }
    result
}

/// RELEASE: what is left to do when the change is in force and verified. Nobody's answer depends on it, so a function
/// may do it after its answer. If it never happens, the lease runs out and the next writer prunes.
#[derive(Debug)]
pub struct Release {
    aws: Aws,
    lease: Lease,
    record: LeaseRecord,
    prunes: Vec<(Target, KnownVersions)>,
    deadline: Instant,
}

impl Release {
    /// Prepares the release with what the publications have come to. `served` names the grants that are in force now.
    #[must_use]
    pub fn new(
        ctx: Context<'_>,
        lease: Lease,
        publications: &[Publication<'_>],
        served: Vec<String>,
    ) -> Self {
        let mut record = LeaseRecord {
            until: until(),
            targets: super::publication::targets_after(&lease, publications),
            served,
            ..lease.record.clone()
        };
        // INVARIANT (AllAccounted): a write whose fate is not known may land under the next holder's lease.
        let accounted = publications.iter().all(Publication::is_accounted);
        if accounted || !holds(Invariant::AllAccounted) {
            record.nonce = None;
        }
        let prunes = publications.iter().filter_map(Publication::to_prune).collect();
        let deadline = ctx.deadline;
        Self { aws: ctx.aws.clone(), lease, record, prunes, deadline }
    }

    /// Prepares the release of a lease under which nothing was written.
    #[must_use]
    pub fn unwritten(ctx: Context<'_>, lease: Lease) -> Self {
        Self::new(ctx, lease, &[], Vec::new())
    }

    /// Prunes, oldest version first, and gives the lease back, within what is left of the invocation's time. What fails
    /// is logged: the lease runs out by itself, and the next writer prunes.
    pub fn run(mut self) -> Boxed<'static, ()> {
        Box::pin(async move {
            // The deadline leaves a reserve for this.
            let end = self.deadline + Duration::from_secs(1);
            let prune = async |(target, versions): &mut (Target, KnownVersions)| {
                while let Some(id) = versions.surplus() {
                    if Instant::now() + WRITE_TIMEOUT > self.lease.ends {
                        break;
                    }
                    let iam = self.aws.iam(target);
                    match iam.delete_version(target.arn(), id).await {
                        Deletion::Deleted | Deletion::WasGone => versions.forget(id),
                        Deletion::IsDefault => break,
                        Deletion::NotNow(e) | Deletion::Refused(e) => {
                            tracing::warn!(
                                outcome = "not_pruned",
                                target.arn = target.arn(),
                                target.version = %id,
                                error = e.chain(),
                                "version {id} of {} was not deleted: the next change deletes it",
                                target.arn()
                            );
                            break;
                        }
                    }
                }
            };
            let prunes = join_all(self.prunes.iter_mut().map(prune));
            if tokio::time::timeout_at(end, prunes).await.is_err() {
                tracing::warn!(
                    outcome = "not_pruned",
                    "there was no time left to delete old versions"
                );
            }
            for (target, versions) in &self.prunes {
                if let Some(record) = self.record.targets.get_mut(target.arn()) {
                    record.ids = versions.ids();
                }
            }
            let update = self.aws.state.update_lease(&mut self.lease, self.record);
            let reason = match tokio::time::timeout_at(end, update).await {
                Ok(Ok(true)) => return,
                Ok(Ok(false)) => "it ran out before".to_owned(),
                Ok(Err(e)) => e.chain(),
                Err(_) => "there was no time left".to_owned(),
            };
            tracing::warn!(
                outcome = "lease_not_released",
                error = reason,
                "the lease was not given back ({reason}): it runs out by itself"
            );
        })
    }
}
