//! One IAM write of one target: make room, write, settle a lost answer by looking, and look for what was overtaken.

use std::time::Duration;

use allowlist::document::Document;
use allowlist::error::Error;
use allowlist::invariant::{Invariant, holds};
use allowlist::lease_record::RENEW_BELOW;
use allowlist::versions::{KnownVersions, VersionId};
use tokio::time::Instant;

use super::gap::{Gap, GapContent, foreign};
use super::lease::must_renew;
use super::publication::{Publication, report_unread};
use super::{Context, pause};
use crate::aws::WRITE_TIMEOUT;
use crate::aws::managed_policy::{Creation, Deletion};
use crate::aws::role_trust::Update;

/// How often an unanswered write is made again.
const UNANSWERED_TRIES: usize = 3;

/// How often room is made for a version before the request is given up.
const FULL_TRIES: usize = 6;

/// What is kept of the time to answer after a search in a gap.
const ANSWER_RESERVE: Duration = Duration::from_secs(2);

/// What one attempt has come to.
#[derive(Debug)]
pub(super) enum Attempt {
    /// In force, and nothing was overtaken.
    Verified(Option<VersionId>),
    /// In force, but on top of a document that somebody outside put there meanwhile.
    Overtook(Document),
    /// In force, but a version that may have been overtaken cannot be read yet.
    Unread(VersionId),
    /// The lease is too short to go on; nothing is on the wire.
    LeaseShort,
}

/// Writes that AWS has throttled.
#[derive(Default)]
struct Throttling {
    times: u32,
    /// What AWS said last: the reason when time is up.
    reason: Option<Error>,
}

impl Throttling {
    async fn pause(&mut self, reason: Error) {
        self.times += 1;
        self.reason = Some(reason);
        pause(Duration::from_millis(100 << self.times.min(4))).await;
    }

    /// Whether an IAM write may be started now. When time is up, what AWS said last is the reason.
    fn check_time(&mut self, ctx: Context<'_>, ends: Instant) -> Result<Option<Attempt>, Error> {
        check_time(ctx, ends).map_err(|error| self.reason.take().unwrap_or(error))
    }
}

/// Whether an IAM write may be started now.
fn check_time(ctx: Context<'_>, ends: Instant) -> Result<Option<Attempt>, Error> {
    if ctx.time_left() < WRITE_TIMEOUT {
        return Err(Error::Busy("there was not enough time left to write".to_owned()));
    }
    Ok(must_renew(ends).then_some(Attempt::LeaseShort))
}

impl Publication<'_> {
    /// Writes under a lease that `ends` then, and looks whether anything was overtaken.
    pub(super) async fn attempt(
        &mut self,
        ctx: Context<'_>,
        ends: Instant,
    ) -> Result<Attempt, Error> {
        match (self.versions.clone(), self.seen) {
            (Some(mut versions), Some(seen)) => {
                let attempt = self.attempt_policy(ctx, ends, &mut versions, seen).await;
                self.versions = Some(versions);
                attempt
            }
            _ => self.attempt_role(ctx, ends).await,
        }
    }

    async fn attempt_policy(
        &mut self,
        ctx: Context<'_>,
        ends: Instant,
        versions: &mut KnownVersions,
        seen: VersionId,
    ) -> Result<Attempt, Error> {
        let (target, iam) = (self.target(), ctx.aws.iam(self.target()));
        if versions.is_full() && !self.make_room(ctx, ends, versions).await? {
            return Ok(Attempt::LeaseShort);
        }
        let (mut full, mut throttled, mut unanswered) = (0, Throttling::default(), 0);
        let id = loop {
            if let Some(short) = throttled.check_time(ctx, ends)? {
                return Ok(short);
            }
            match iam.create_version(target.arn(), &self.new).await {
                Creation::Created(id) => break id,
                Creation::Refused(e) => return Err(e),
                Creation::Throttled(e) => throttled.pause(e).await,
                Creation::VersionsFull if full == FULL_TRIES => {
                    let reason = "the policy's versions fill up faster than they are pruned";
                    return Err(Error::Busy(reason.to_owned()));
                }
                Creation::VersionsFull => {
                    full += 1;
                    let listed = ctx.read(iam.versions(target.arn())).await?;
                    versions.learn(&listed);
                    // INVARIANT (SeenOfDecision): what this list shows was not there to decide on.
                    if !holds(Invariant::SeenOfDecision) {
                        self.seen = self.seen.max(Some(listed.newest()));
                    }
                    if !self.make_room(ctx, ends, versions).await? {
                        return Ok(Attempt::LeaseShort);
                    }
                }
                Creation::Unanswered(e) => {
                    self.unanswered += 1;
                    unanswered += 1;
                    tracing::warn!(
                        target.arn = target.arn(),
                        error = e.chain(),
                        "no answer to iam:CreatePolicyVersion on {}: looking for its version",
                        target.arn()
                    );
                    if unanswered > UNANSWERED_TRIES {
                        return Err(Error::Busy("IAM does not answer".to_owned()));
                    }
                    let listed = ctx.read(iam.versions(target.arn())).await?;
                    versions.learn(&listed);
                    let newer = listed.ids.into_iter().filter(|id| *id > seen);
                    if let Some(id) = self.find_own(ctx, newer.collect()).await? {
                        self.unanswered -= 1;
                        break id;
                    }
                }
            }
        };
        versions.made(id);
        let seen = self.seen.replace(id).unwrap_or(seen);
        self.look_for_overtaken(ctx, ends, seen, id).await
    }

    /// Deletes the oldest version, and then as many as exist too many; `false` when the lease is too short to go on.
    /// What was not found is gone: then the next one goes.
    async fn make_room(
        &self,
        ctx: Context<'_>,
        ends: Instant,
        versions: &mut KnownVersions,
    ) -> Result<bool, Error> {
        let (target, iam) = (self.target(), ctx.aws.iam(self.target()));
        let mut deleted = false;
        while !deleted || versions.surplus().is_some() {
            let Some(oldest) = versions.oldest() else {
                break;
            };
            if check_time(ctx, ends)?.is_some() {
                return Ok(false);
            }
            match iam.delete_version(target.arn(), oldest).await {
                Deletion::Deleted => {
                    deleted = true;
                    versions.forget(oldest);
                }
                Deletion::WasGone => {
                    versions.forget(oldest);
                    // Without the rule what was not found counts as room made.
                    deleted |= !holds(Invariant::GoneStaysGone);
                }
                Deletion::IsDefault => versions.keep(oldest),
                Deletion::Refused(e) => return Err(e),
                Deletion::NotNow(_) => {
                    // The creation that follows says whether there is room.
                    pause(Duration::from_millis(200)).await;
                    break;
                }
            }
        }
        Ok(true)
    }

    /// The version that an unanswered creation made, if it can be seen already.
    async fn find_own(
        &self,
        ctx: Context<'_>,
        mut newer: Vec<VersionId>,
    ) -> Result<Option<VersionId>, Error> {
        newer.sort_unstable();
        let iam = ctx.aws.iam(self.target());
        for id in newer.into_iter().rev() {
            let document = ctx.read(iam.version_document(self.target().arn(), id)).await?;
            if document.as_ref() == Some(&self.new) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// The lineage check: `id` must be the one after `seen`, or somebody wrote in between.
    async fn look_for_overtaken(
        &mut self,
        ctx: Context<'_>,
        ends: Instant,
        seen: VersionId,
        id: VersionId,
    ) -> Result<Attempt, Error> {
        let target = self.target();
        let ask_until = (ends - RENEW_BELOW).min(ctx.deadline - ANSWER_RESERVE);
        let intents = &self.intents;
        let gap = Gap { target, after: seen, before: id, intents, ask_until, is_old: false };
        let reading = foreign(ctx, &gap).await?;
        // Our own versions in the gap are those whose answer was lost.
        let found = reading.own.iter().filter(|document| **document == self.new).count();
        self.unanswered = self.unanswered.saturating_sub(found);
        let arn = target.arn();
        Ok(match reading.found {
            GapContent::Nothing => Attempt::Verified(Some(id)),
            GapContent::Foreign(overtaken, document) => {
                tracing::warn!(
                    outcome = "merged",
                    target.arn = arn,
                    target.version = %id,
                    merged.version = %overtaken,
                    "version {overtaken} of {arn} was made by somebody else while {id} was written: merging it"
                );
                self.known.push((overtaken, document.clone()));
                Attempt::Overtook(document)
            }
            GapContent::Unread(unread) => {
                report_unread(target, unread, id);
                Attempt::Unread(id)
            }
        })
    }

    /// Trust policies have no versions: write, and read back once. What is read then and is neither the new document
    /// nor one before it was written outside; an older one is an old answer.
    async fn attempt_role(&mut self, ctx: Context<'_>, ends: Instant) -> Result<Attempt, Error> {
        let (target, iam) = (self.target(), ctx.aws.iam(self.target()));
        let (mut throttled, mut unanswered) = (Throttling::default(), 0);
        loop {
            if let Some(short) = throttled.check_time(ctx, ends)? {
                return Ok(short);
            }
            match iam.update_trust_policy(target, &self.new).await {
                Update::Written => break,
                Update::Refused(e) => return Err(e),
                Update::Throttled(e) => throttled.pause(e).await,
                Update::Unanswered(e) => {
                    // It may land even when the next attempt is answered, and undo what others write later.
                    self.unanswered += 1;
                    unanswered += 1;
                    tracing::warn!(
                        target.arn = target.arn(),
                        error = e.chain(),
                        "no answer to iam:UpdateAssumeRolePolicy on {}: writing it again",
                        target.arn()
                    );
                    if unanswered > UNANSWERED_TRIES {
                        return Err(Error::Busy("IAM does not answer".to_owned()));
                    }
                }
            }
        }
        let read = ctx.read(iam.trust_policy(target)).await?;
        let fingerprint = target.fingerprint(&read);
        let is_known = target.is_same(&read, &self.new)
            || fingerprint == self.replaced
            || self.record.last.as_ref() == Some(&fingerprint)
            || self.record.replaced.contains(&fingerprint)
            || self.intents.iter().any(|intent| intent.sha256 == fingerprint);
        if is_known {
            self.replaced = target.fingerprint(&self.new);
            return Ok(Attempt::Verified(None));
        }
        tracing::warn!(
            outcome = "merged",
            target.arn = target.arn(),
            "the trust policy of {} was changed by somebody else meanwhile: merging it",
            target.arn()
        );
        self.replaced = fingerprint;
        Ok(Attempt::Overtook(read))
    }
}
