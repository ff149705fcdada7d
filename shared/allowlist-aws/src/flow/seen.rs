//! What can be seen without holding the lease, and what may be said on the strength of it.

use futures_util::future::{try_join, try_join_all};

use super::Invocation;
use super::snapshot::{Patience, Snapshot, look};
use crate::aws::lease::Reading;
use crate::planted::{Fault, planted};
use allowlist::error::Error;
use allowlist::gate::Gate;
use allowlist::grant::{Grant, Member};
use allowlist::lease::{Mark, Record};
use allowlist::network::Network;
use allowlist::target::{Target, TargetKind};
use allowlist::versions::VersionId;

/// What is seen without holding the lease.
#[derive(Debug)]
pub struct Seen<'a> {
    /// Every target with what the lease says about it; without a snapshot where none could be had.
    pub targets: Vec<(&'a Target, Mark, Option<Snapshot>)>,
    /// Whether a target that was never written has a baseline already.
    pub baselines: Vec<bool>,
    /// Every grant.
    pub grants: Vec<Grant>,
}

impl<'a> Seen<'a> {
    /// Reads everything at once.
    ///
    /// # Errors
    /// As [`look`].
    pub async fn read(call: Invocation<'a>, reading: &Reading) -> Result<Self, Error> {
        let marks: Vec<(&Target, Mark)> = call
            .config
            .targets
            .iter()
            .map(|target| {
                (
                    target,
                    reading
                        .record
                        .as_ref()
                        .map(|record| record.mark(target.arn()))
                        .unwrap_or_default(),
                )
            })
            .collect();
        let looks = try_join_all(
            marks
                .iter()
                .map(|(target, mark)| look(call, target, mark, Patience::Little)),
        );
        let baselines = try_join_all(
            marks
                .iter()
                .map(|(target, mark)| has_baseline(call, target, mark)),
        );
        let (snapshots, (baselines, grants)) = try_join(
            looks,
            try_join(baselines, call.read(call.aws.state.grants())),
        )
        .await?;
        let targets = marks
            .into_iter()
            .zip(snapshots)
            .map(|((target, mark), snapshot)| (target, mark, snapshot))
            .collect();
        Ok(Self {
            targets,
            baselines,
            grants,
        })
    }

    /// Whether this member has a grant for the network.
    #[must_use]
    pub fn holds(&self, network: &Network, member: Option<&Member>) -> bool {
        self.grants
            .iter()
            .any(|grant| grant.network == *network && grant.member.as_ref() == member)
    }

    /// Whether what was seen may be published without another look, if the lease can be taken over `reading`.
    #[must_use]
    pub fn stands(&self, call: Invocation<'_>, reading: &Reading) -> bool {
        let free = reading
            .record
            .as_ref()
            .is_none_or(|record| record.nonce.is_none());
        let settled = |(_, mark, snapshot): &(&Target, Mark, Option<Snapshot>)| {
            mark.pending.is_empty() && snapshot.as_ref().is_some_and(|snapshot| snapshot.fresh)
        };
        free && self.targets.iter().all(settled)
            && call
                .config
                .targets
                .iter()
                .all(|target| target.kind() == TargetKind::Policy)
    }

    /// Where the network is in force already, as far as this look can tell for certain: every target was seen fresh and
    /// covers it, and no reset is at work. `None` where that is not so.
    ///
    /// # Errors
    /// The errors of [`Gate::find`], naming the target.
    pub fn allowed(
        &self,
        call: Invocation<'_>,
        reading: &Reading,
        network: &Network,
    ) -> Result<Option<Allowed>, Error> {
        if reading.record.as_ref().is_some_and(Record::is_resetting)
            && !planted(Fault::AnswerDuringReset)
        {
            return Ok(None);
        }
        let mut allowed = Allowed {
            versions: Vec::with_capacity(self.targets.len()),
            by_grants_only: false,
        };
        for (target, _, snapshot) in &self.targets {
            let Some(snapshot) = snapshot.as_ref().filter(|snapshot| snapshot.fresh) else {
                return Ok(None);
            };
            let gate = Gate::find(&snapshot.document, &call.config.gate_sids)
                .map_err(|e| e.at(target.arn()))?;
            let entries = gate.entries(&snapshot.document);
            let mut covering = entries
                .iter()
                .filter_map(|entry| entry.network)
                .filter(|listed| listed.covers(network))
                .peekable();
            if covering.peek().is_none() {
                return Ok(None);
            }
            allowed.by_grants_only |=
                covering.all(|listed| self.grants.iter().any(|grant| grant.network == listed));
            allowed
                .versions
                .push(snapshot.versions.as_ref().map(|versions| versions.default));
        }
        Ok(Some(allowed))
    }
}

/// What a look can tell for certain of a network that is in force.
#[derive(Debug)]
pub struct Allowed {
    /// The versions in force, in the order of the targets; `None` for roles.
    pub versions: Vec<Option<VersionId>>,
    /// On some target only grants cover it.
    pub by_grants_only: bool,
}

/// Whether the target needs no baseline to be captured: it has one, or a version of ours is in force.
///
/// # Errors
/// As [`crate::aws::state::State::baseline`].
pub async fn has_baseline(
    call: Invocation<'_>,
    target: &Target,
    mark: &Mark,
) -> Result<bool, Error> {
    if mark.last.is_some() && mark.pending.is_empty() {
        return Ok(true);
    }
    Ok(call.read(call.aws.state.baseline(target)).await?.is_some())
}
