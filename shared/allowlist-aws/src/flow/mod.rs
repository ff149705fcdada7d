//! The algorithm: take a snapshot, decide in pure code, apply the decision under the lease.
//!
//! It knows the order of calls and what to do with every answer, and nothing of HTTP or of Lambda. The steps, whose
//! names stand at the functions that take them (`docs/architecture.md` explains each line, and each rule):
//!
//! ```text
//! VIEW     list the versions of each target; read documents by version id, or take the one in lease.json
//!          list behind lease.json: that version is in force if it can be read, or was written a moment ago
//!          default unreadable: ask for seconds, then build on what can be read below it; it is in the gap then
//! READS    lease.json, VIEW, the grants; an answer needs: covered, no cut, own grant alone, the same cuts afterwards
//! COUNT    of each entry the newest grant that lives; of each member the share; nothing of removed members
//! TAKE     write our nonce over the lease.json that was read, If-Match; refused or unanswered: read, then wait
//! BASE     nothing pending: the view's document; else the newest foreign version since, or what stood before
//! PUBLISH  intent to lease.json; create; the id must be the next one, else FOREIGN in the gap is merged, three times
//! FOREIGN  the newest version in a gap of ids that is not ours; one that cannot be read stops the search
//! RELEASE  prune to four; lease.json with what was written and whom it serves; unknown writes: let it run out
//!
//! ADD      READS answers | refuse | put the grant and TAKE at once, else wait: served, removed or our turn
//!          after a wait: VIEW, BASE, COUNT anew; a role's first baseline; PUBLISH; a policy's first baseline;
//!          drop older objects of the entry, and what is over a share; answer; RELEASE
//! CUT      TAKE as a cut; VIEW, BASE; PUBLISH without what ends and with every live grant;
//!          lease.json without intents; delete the grants; answer; RELEASE
//! ```

pub mod add;
mod capture;
pub mod current;
pub mod cut;
pub mod expire;
pub mod gap;
pub mod inventory;
pub mod lease;
mod plan;
pub mod publication;
pub mod publish;
pub mod reads;
mod refuse;
pub mod remove;
pub mod reset;
pub mod revoke;
pub mod rollback;
pub mod status;
pub mod view;
mod write;

use std::future::Future;
use std::time::{Duration, SystemTime};

use allowlist::baseline::Baseline;
use allowlist::config::Config;
use allowlist::edit::{Difference, TargetRules};
use allowlist::error::Error;
use allowlist::notice::{Addition, Notice};
use allowlist::target::Target;
use allowlist::versions::VersionId;
use tokio::time::Instant;

use crate::aws::Aws;
use crate::join::join_all;

/// How long a notice of a change may keep an answer back.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(2);

/// One run of a function.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The clients.
    pub aws: &'a Aws,
    /// The settings.
    pub config: &'a Config,
    /// For people: who holds the lease, who put a grant.
    pub request_id: &'a str,
    /// When the work must be done; the lease can still be given back a little after it.
    pub deadline: Instant,
}

/// What came of a request on one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetOutcome {
    /// The target's ARN.
    pub arn: String,
    /// Whether the document was written, or would be.
    pub wrote: bool,
    /// The version in force; `None` for a role.
    pub version: Option<VersionId>,
    /// What differs from the document before.
    pub difference: Difference,
    /// How much of the characters that IAM allows the document takes, in percent; `None` where nothing was written.
    pub percent_full: Option<usize>,
    /// What came on the list, and for whom.
    pub listed: Vec<Addition>,
}

impl TargetOutcome {
    /// Nothing was written.
    fn unchanged(target: &Target, version: Option<VersionId>) -> Self {
        Self {
            arn: target.arn().to_owned(),
            wrote: false,
            version,
            difference: Difference::default(),
            percent_full: None,
            listed: Vec::new(),
        }
    }
}

/// A request that failed, at least on some targets. What could be done is done.
#[derive(Debug)]
pub struct PartialFailure {
    /// Why; each error names its target. Never empty.
    pub errors: Vec<Error>,
    /// What was done all the same.
    pub done: Vec<TargetOutcome>,
}

impl From<Error> for PartialFailure {
    fn from(error: Error) -> Self {
        Self { errors: vec![error], done: Vec::new() }
    }
}

impl PartialFailure {
    /// The stable name of the first error.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.errors.first().map_or("aws_error", Error::kind)
    }
}

impl std::fmt::Display for PartialFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let reasons: Vec<String> = self.errors.iter().map(Error::chain).collect();
        write!(f, "not everything was done: {}", reasons.join("; "))?;
        match self.done.iter().map(|outcome| outcome.arn.as_str()).collect::<Vec<_>>().as_slice() {
            [] => Ok(()),
            done => write!(f, " (done all the same: {})", done.join(", ")),
        }
    }
}

impl<'a> Context<'a> {
    /// What is left of the time.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Waits for reads, but not longer than there is time. Never wrap a write in this: it would be left on the wire.
    ///
    /// # Errors
    /// The future's own; [`Error::Busy`] when time is up.
    pub async fn read<T>(&self, reads: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        match tokio::time::timeout_at(self.deadline, reads).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Busy("AWS did not answer in time".to_owned())),
        }
    }

    /// What a decision needs to know about a target.
    #[must_use]
    pub fn rules(&self, target: &'a Target, baseline: Option<Baseline>) -> TargetRules<'a> {
        let (sids, limit) = (&self.config.gate_sids, self.config.limit(target));
        TargetRules { target, sids, limit, baseline }
    }

    /// Notifies the topic, where there is one, of what was changed. The change stands whatever becomes of that: a notice
    /// that could not be sent is logged as an error.
    pub async fn notify(&self, notices: &[Notice<'_>]) {
        let Some(topic) = &self.aws.topic else { return };
        let timeout = self.time_left().clamp(Duration::from_millis(500), NOTICE_TIMEOUT);
        let notify = async |notice: &Notice<'_>| {
            let published = tokio::time::timeout(timeout, topic.publish(notice)).await;
            let error = match published {
                Ok(Ok(())) => return,
                Ok(Err(e)) => e.chain(),
                Err(_) => "SNS did not answer in time".to_owned(),
            };
            tracing::error!(
                outcome = "notice_not_sent",
                target.arn = notice.arn,
                error,
                "changed {}, but the topic was not notified",
                notice.arn
            );
        };
        join_all(notices.iter().map(notify)).await;
    }
}

/// Logs the objects under `grants/` that are no grants, in one line.
pub(crate) fn report_foreign_objects(objects: &[String]) {
    if !objects.is_empty() {
        tracing::error!(
            outcome = "foreign_object",
            objects = objects.join(" "),
            "objects under grants/ are no grants and do not count: delete {}",
            objects.join(", ")
        );
    }
}

/// Sleeps around `middle`, half to one and a half of it, so that waiters do not march in step.
pub async fn pause(middle: Duration) {
    tokio::time::sleep(middle.mul_f64(0.5 + fastrand::f64())).await;
}

/// How long an invocation may work, by Lambda's deadline (milliseconds since 1970): without `reserve`, and at most
/// `longest`. A deadline that has passed is no deadline: local runtimes send one now and then.
#[must_use]
pub fn time_until(
    now: SystemTime,
    deadline: u64,
    reserve: Duration,
    longest: Duration,
) -> Duration {
    let end = SystemTime::UNIX_EPOCH + Duration::from_millis(deadline);
    end.duration_since(now).map_or(longest, |left| left.saturating_sub(reserve).min(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invocation_works_until_its_reserve() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let time = |deadline| {
            let (reserve, longest) = (Duration::from_millis(1500), Duration::from_secs(26));
            time_until(now, deadline, reserve, longest).as_millis()
        };
        assert_eq!(time(1_800_000_010_000), 8500);
        assert_eq!(time(1_800_000_001_000), 0, "the reserve is all that is left");
        assert_eq!(time(1_800_000_100_000), 26_000);
        assert_eq!(time(1_799_999_999_999), 26_000, "a deadline that has passed is none");
    }
}
