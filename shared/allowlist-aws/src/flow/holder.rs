//! Taking, keeping and giving back the lease.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::{Invocation, pause};
use crate::aws::Aws;
use crate::aws::lease::{Held, Reading, Written, until};
use crate::aws::managed_policy::Deletion;
use allowlist::error::Error;
use allowlist::lease::{Kind, Mark, Record};
use allowlist::network::Network;
use allowlist::target::Target;
use allowlist::versions::VersionId;

/// With less time than this left, taking the lease would not leave enough to write under it.
const LEAST_TIME: Duration = Duration::from_secs(5);

/// One invocation's attempts at the lease.
#[derive(Debug)]
pub struct Applicant {
    nonce: String,
    kind: Kind,
    first_attempt: Option<Instant>,
}

/// What waiting for the lease came to.
#[derive(Debug)]
pub enum Turn {
    /// It is ours.
    Held(Held),
    /// An add that released it meanwhile has put the network in force: its record says where.
    Served(Record),
}

impl Applicant {
    /// An applicant with a nonce of its own. A retried asynchronous invocation keeps its request id, so the id alone
    /// would not do.
    #[must_use]
    pub fn new(call: Invocation<'_>, kind: Kind) -> Self {
        Self {
            nonce: format!("{}-{:016x}", call.request_id, fastrand::u64(..)),
            kind,
            first_attempt: None,
        }
    }

    /// The record that takes the lease over what was read: marks and intents stay.
    #[must_use]
    pub fn record(&self, call: Invocation<'_>, reading: &Reading) -> Record {
        Record {
            nonce: Some(self.nonce.clone()),
            holder: call.request_id.to_owned(),
            kind: self.kind,
            until: until(),
            targets: reading
                .record
                .as_ref()
                .map(|record| record.targets.clone())
                .unwrap_or_default(),
            networks: Vec::new(),
        }
    }

    /// One attempt to take the lease with `record` over what was read.
    ///
    /// # Errors
    /// As [`crate::aws::state::State::take_lease`].
    pub async fn take(
        &mut self,
        call: Invocation<'_>,
        reading: &Reading,
        record: Record,
    ) -> Result<Option<Held>, Error> {
        let since = *self.first_attempt.get_or_insert_with(Instant::now);
        call.aws.state.take_lease(reading, record, since).await
    }

    /// Waits for the lease, with jitter, reading `lease.json` and never IAM. With `network`, the release of an add
    /// that covers it answers too, unless it is the one that was read at the start (`known`).
    ///
    /// # Errors
    /// [`Error::Busy`] when the lease was not had in time; as [`crate::aws::state::State::lease`].
    pub async fn wait(
        &mut self,
        call: Invocation<'_>,
        known: Option<&str>,
        network: Option<&Network>,
    ) -> Result<Turn, Error> {
        let mut middle = Duration::from_millis(30);
        loop {
            if call.time_left() < LEAST_TIME {
                return Err(Error::Busy(
                    "somebody else is changing the allow list".to_owned(),
                ));
            }
            let reading = call.read(call.aws.state.lease()).await?;
            if let (Some(since), Some(_)) = (self.first_attempt, &reading.record)
                && let Some(held) = reading.held_by(&self.nonce, since)
            {
                return Ok(Turn::Held(held));
            }
            if let (Some(network), Some(record)) = (network, &reading.record)
                && reading.etag.as_deref() != known
                && record.released_with(network)
                && call
                    .config
                    .targets
                    .iter()
                    .all(|target| record.mark(target.arn()).last.is_some())
            {
                return Ok(Turn::Served(record.clone()));
            }
            if reading.is_free() {
                if let Some(dead) = reading
                    .record
                    .as_ref()
                    .filter(|record| record.nonce.is_some())
                {
                    tracing::warn!(
                        lease.holder = dead.holder,
                        "taking over from a writer that died"
                    );
                }
                let record = self.record(call, &reading);
                if let Some(held) = self.take(call, &reading, record).await? {
                    return Ok(Turn::Held(held));
                }
            }
            pause(middle).await;
            middle = (middle * 3 / 2).min(Duration::from_millis(400));
        }
    }
}

/// Writes a new record under the lease, which renews it for its whole length.
///
/// # Errors
/// [`Error::Busy`] when the lease is no longer ours: stop, without writing anything.
pub async fn renew(
    call: Invocation<'_>,
    held: &mut Held,
    targets: BTreeMap<String, Mark>,
) -> Result<(), Error> {
    let record = Record {
        until: until(),
        targets,
        ..held.record.clone()
    };
    match call.aws.state.update_lease(held, record).await? {
        Written::Ours => Ok(()),
        Written::Lost => Err(Error::Busy(
            "the lease ran out and somebody else took it".to_owned(),
        )),
    }
}

/// What is left to do when the change is in force and verified: prune, and give the lease back. Nobody's answer
/// depends on it, so a function may do it after it has answered; if it never happens the lease runs out and the next
/// writer prunes.
#[derive(Debug)]
pub struct Finish {
    aws: Aws,
    held: Held,
    record: Record,
    surplus: Vec<(Target, Vec<VersionId>)>,
}

impl Finish {
    /// Does it for somebody whose answer does not depend on it: an add's grant brings its entry back, whatever becomes
    /// of the lease.
    pub async fn run_and_log(self) {
        if let Err(e) = self.run().await {
            tracing::warn!(
                error = e.chain(),
                "the lease was not given back, it runs out by itself"
            );
        }
    }

    /// Prepares the release with the marks now known, for an add with the networks that every target covers.
    /// Without `accounted` a write whose fate is not known may still land: then the lease is kept until it runs out.
    #[must_use]
    pub fn new(
        call: Invocation<'_>,
        held: Held,
        targets: BTreeMap<String, Mark>,
        networks: Vec<Network>,
        accounted: bool,
        surplus: Vec<(Target, Vec<VersionId>)>,
    ) -> Self {
        let nonce = held.record.nonce.clone().filter(|_| !accounted);
        let record = Record {
            nonce,
            until: until(),
            targets,
            networks,
            ..held.record.clone()
        };
        Self {
            aws: call.aws.clone(),
            held,
            record,
            surplus,
        }
    }

    /// Prepares the release of a lease under which nothing was written.
    #[must_use]
    pub fn unwritten(call: Invocation<'_>, held: Held) -> Self {
        let marks = held.record.targets.clone();
        Self::new(call, held, marks, Vec::new(), true, Vec::new())
    }

    /// Prunes, oldest first, and gives the lease back. A version that was not pruned is logged, and left to the next.
    ///
    /// # Errors
    /// When it is not certain that the lease was given back: then it runs out by itself, and whoever takes it over
    /// goes back behind what was written, to the document before it and every grant.
    pub async fn run(mut self) -> Result<(), Error> {
        let prune = async |(target, ids): &(Target, Vec<VersionId>)| {
            for id in ids {
                let deletion = self.aws.iam(target).delete_version(target.arn(), *id).await;
                if let Deletion::NotNow(e) | Deletion::Refused(e) = deletion {
                    tracing::warn!(policy.arn = target.arn(), policy.version = %id, error = e.chain(), "a version was not pruned");
                }
            }
        };
        join_all(self.surplus.iter().map(prune)).await;
        match self
            .aws
            .state
            .update_lease(&mut self.held, self.record)
            .await
        {
            Ok(Written::Ours) => Ok(()),
            Ok(Written::Lost) => Err(Error::Busy(
                "the lease ran out before it was given back".to_owned(),
            )),
            Err(e) => Err(e),
        }
    }
}
