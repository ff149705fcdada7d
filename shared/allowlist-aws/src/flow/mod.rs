//! The flows: take a snapshot, decide in pure code, apply the decision under the lease.
//!
//! They know the order of calls and what to do with every answer, and nothing of HTTP or of Lambda.

pub mod add;
mod attempt;
mod capture;
pub mod change;
pub mod holder;
pub mod inventory;
pub mod publish;
pub mod reset;
pub mod revoke;
pub mod rollback;
pub mod seen;
pub mod snapshot;
pub mod status;

use std::future::Future;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::aws::Aws;
use allowlist::config::Config;
use allowlist::error::Error;
use allowlist::notice::Notice;

/// One run of a function.
#[derive(Clone, Copy, Debug)]
pub struct Invocation<'a> {
    /// The clients.
    pub aws: &'a Aws,
    /// The settings.
    pub config: &'a Config,
    /// For people: who holds the lease, who put a grant.
    pub request_id: &'a str,
    /// When the work must be done; the lease can still be given back a little after it.
    pub deadline: Instant,
}

impl Invocation<'_> {
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
}

/// How long telling of a change may keep an answer back.
const TELLING: Duration = Duration::from_secs(2);

impl Invocation<'_> {
    /// Tells the topic, where there is one, of what was changed. The change stands whatever becomes of that: a notice
    /// that could not be sent is logged as an error.
    pub async fn tell(&self, notices: &[Notice<'_>]) {
        let Some(topic) = &self.aws.topic else { return };
        let patience = self.time_left().clamp(Duration::from_millis(500), TELLING);
        let tell = async |notice: &Notice<'_>| {
            let published = tokio::time::timeout(patience, topic.publish(notice)).await;
            let error = match published {
                Ok(Ok(())) => return,
                Ok(Err(e)) => e.chain(),
                Err(_) => "SNS did not answer in time".to_owned(),
            };
            tracing::error!(
                target.arn = notice.arn,
                error,
                "the change was made, but the topic was not told of it"
            );
        };
        join_all(notices.iter().map(tell)).await;
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
    end.duration_since(now)
        .map_or(longest, |left| left.saturating_sub(reserve).min(longest))
}
