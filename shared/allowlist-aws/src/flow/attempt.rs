//! One attempt to put a document in force on one target: make room, write, settle a lost answer by looking, and look
//! for what was overtaken.

use std::time::Duration;

use tokio::time::Instant;

use super::publish::Job;
use super::snapshot::{document_of, foreign};
use super::{Invocation, pause};
use crate::aws::managed_policy::{Creation, Deletion};
use crate::aws::role_trust::Update;
use crate::planted::{Fault, planted};
use allowlist::document::Document;
use allowlist::error::Error;
use allowlist::lease::{Intent, RENEW_BELOW};
use allowlist::target::Target;
use allowlist::versions::{KEPT_VERSIONS, VersionId, Versions};

/// One job on its way.
pub(super) struct Run<'a> {
    pub(super) job: Job<'a>,
    /// Every intent noted for this target, inherited ones included.
    pub(super) own: Vec<Intent>,
    pub(super) versions: Option<Versions>,
    pub(super) seen: Option<VersionId>,
    /// Hash of the trust policy that is being replaced.
    pub(super) replaced: String,
    pub(super) new: Document,
    pub(super) unanswered: usize,
    pub(super) result: Option<Result<Option<VersionId>, Error>>,
}

/// What one attempt came to.
pub(super) enum Attempt {
    /// In force, and nothing was overtaken.
    Verified(Option<VersionId>),
    /// In force, but on top of a document that somebody outside put there meanwhile.
    Overtook(Document),
    /// The lease is too short to go on; nothing is on the wire.
    LeaseShort,
}

impl Run<'_> {
    /// Writes once, under a lease that `ends` then, and looks whether anything was overtaken.
    pub(super) async fn attempt(
        &mut self,
        call: Invocation<'_>,
        ends: Instant,
    ) -> Result<Attempt, Error> {
        match (self.versions.clone(), self.seen) {
            (Some(versions), Some(seen)) => self.attempt_policy(call, ends, versions, seen).await,
            _ => self.attempt_role(call, ends).await,
        }
    }

    async fn attempt_policy(
        &mut self,
        call: Invocation<'_>,
        ends: Instant,
        mut versions: Versions,
        seen: VersionId,
    ) -> Result<Attempt, Error> {
        let (target, iam) = (self.job.target, call.aws.iam(self.job.target));
        let arn = target.arn();
        for id in versions.surplus(KEPT_VERSIONS).into_iter().take(1) {
            delete(call, target, ends, id).await?;
            versions.ids.retain(|kept| *kept != id);
        }
        let mut tries = 0u32;
        let id = loop {
            match check_time(call, ends)? {
                Time::Enough => {}
                Time::LeaseShort => {
                    self.versions = Some(versions);
                    return Ok(Attempt::LeaseShort);
                }
            }
            tries += 1;
            match iam.create_version(arn, &self.new).await {
                Creation::Created(id) => break id,
                Creation::Refused(e) => return Err(e),
                Creation::Throttled(e) if call.time_left() < RENEW_BELOW => return Err(e),
                Creation::Throttled(_) => pause(Duration::from_millis(100 << tries.min(4))).await,
                Creation::VersionsFull if tries > 8 => {
                    return Err(Error::Busy(
                        "the policy's versions fill up faster than they are pruned".to_owned(),
                    ));
                }
                Creation::VersionsFull => {
                    versions = call.read(iam.versions(arn)).await?;
                    // At least one, whatever the list says: it may be stale.
                    let keep = KEPT_VERSIONS.min(versions.ids.len().saturating_sub(1));
                    for id in versions.surplus(keep) {
                        delete(call, target, ends, id).await?;
                        versions.ids.retain(|kept| *kept != id);
                    }
                }
                Creation::Unanswered(e) => {
                    self.unanswered += 1;
                    tracing::warn!(
                        policy.arn = arn,
                        error = e.chain(),
                        "no answer to iam:CreatePolicyVersion: looking for its version"
                    );
                    if tries >= 4 {
                        return Err(Error::Busy("IAM does not answer".to_owned()));
                    }
                    versions = call.read(iam.versions(arn)).await?;
                    if let Some(id) = self.find_own(call, &versions, seen).await? {
                        self.unanswered -= 1;
                        break id;
                    }
                }
            }
        };
        versions.ids.push(id);
        versions.default = id;
        self.versions = Some(versions);
        self.seen = Some(id);
        if planted(Fault::SkipLineage) {
            return Ok(Attempt::Verified(Some(id)));
        }
        let (other, own) = foreign(call, target, seen, id, &self.own).await?;
        self.unanswered = self
            .unanswered
            .saturating_sub(own.iter().filter(|document| **document == self.new).count());
        Ok(match other {
            None => Attempt::Verified(Some(id)),
            Some((overtaken, document)) => {
                tracing::warn!(policy.arn = arn, policy.version = %overtaken, policy.own_version = %id, "a version made by somebody else was overtaken");
                Attempt::Overtook(document)
            }
        })
    }

    /// The version that an unanswered creation made, if it can be seen already.
    async fn find_own(
        &self,
        call: Invocation<'_>,
        versions: &Versions,
        seen: VersionId,
    ) -> Result<Option<VersionId>, Error> {
        let mut newer: Vec<VersionId> = versions
            .ids
            .iter()
            .copied()
            .filter(|id| *id > seen)
            .collect();
        newer.sort_unstable();
        for id in newer.into_iter().rev() {
            if document_of(call, self.job.target, id).await?.as_ref() == Some(&self.new) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Trust policies have no versions: write, and read back until the new document is seen. What is read meanwhile
    /// and is neither the new document nor the one before was written outside.
    async fn attempt_role(
        &mut self,
        call: Invocation<'_>,
        ends: Instant,
    ) -> Result<Attempt, Error> {
        let (target, iam) = (self.job.target, call.aws.iam(self.job.target));
        let mut tries = 0u32;
        loop {
            if let Time::LeaseShort = check_time(call, ends)? {
                return Ok(Attempt::LeaseShort);
            }
            tries += 1;
            match iam.update_trust_policy(target, &self.new).await {
                Update::Written => break,
                Update::Refused(e) => return Err(e),
                Update::Throttled(e) if call.time_left() < RENEW_BELOW => return Err(e),
                Update::Throttled(_) => pause(Duration::from_millis(100 << tries.min(4))).await,
                Update::Unanswered(e) => {
                    // It may land even when the next attempt is answered, and undo what others write later.
                    self.unanswered += 1;
                    tracing::warn!(
                        role.arn = target.arn(),
                        error = e.chain(),
                        "no answer to iam:UpdateAssumeRolePolicy: writing it again"
                    );
                    if tries >= 4 {
                        return Err(Error::Busy("IAM does not answer".to_owned()));
                    }
                }
            }
        }
        let written = self.new.sha256();
        for look in 0..4u32 {
            let found = call.read(iam.trust_policy(target)).await?;
            let hash = found.sha256();
            if hash == written {
                break;
            }
            if hash != self.replaced && !self.own.iter().any(|intent| intent.sha256 == hash) {
                self.replaced = hash;
                return Ok(Attempt::Overtook(found));
            }
            pause(Duration::from_millis(100 << look)).await;
        }
        self.replaced = written;
        Ok(Attempt::Verified(None))
    }
}

enum Time {
    Enough,
    LeaseShort,
}

/// Whether an IAM write may be started now.
fn check_time(call: Invocation<'_>, ends: Instant) -> Result<Time, Error> {
    if call.time_left() < crate::aws::WRITE_TIMEOUT {
        return Err(Error::Busy(
            "there was not enough time left to write".to_owned(),
        ));
    }
    let short = ends.saturating_duration_since(Instant::now()) < RENEW_BELOW;
    Ok(if short {
        Time::LeaseShort
    } else {
        Time::Enough
    })
}

/// Makes room. When that does not succeed for the moment, the creation that follows will say so.
async fn delete(
    call: Invocation<'_>,
    target: &Target,
    ends: Instant,
    id: VersionId,
) -> Result<(), Error> {
    if let Time::LeaseShort = check_time(call, ends)? {
        return Ok(());
    }
    match call.aws.iam(target).delete_version(target.arn(), id).await {
        Deletion::Gone | Deletion::IsDefault => Ok(()),
        Deletion::NotNow(_) => {
            pause(Duration::from_millis(200)).await;
            Ok(())
        }
        Deletion::Refused(e) => Err(e),
    }
}
