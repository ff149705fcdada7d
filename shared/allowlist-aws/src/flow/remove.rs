//! A member takes back entries of their own.

use std::collections::HashSet;

use allowlist::gate::Gate;
use allowlist::grant::{Grant, Member};
use allowlist::network::Network;
use allowlist::target::Target;

use super::cut::{Cut, CutReport, cut};
use super::lease::Release;
use super::{Context, PartialFailure, TargetOutcome};

/// Why an entry stays on the list although its member took it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is on the baseline.
    Permanent,
    /// Somebody else was granted it too.
    GrantedToOthers,
}

impl Kept {
    /// The word for it in answers.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::GrantedToOthers => "granted_to_others",
        }
    }
}

/// What a removal has come to.
#[derive(Debug)]
pub struct RemoveReport {
    /// Networks that are off the lists.
    pub removed: Vec<Network>,
    /// Networks that stay, and why.
    pub kept: Vec<(Network, Kept)>,
    /// On every target.
    pub targets: Vec<TargetOutcome>,
    /// What is left to do after the answer.
    pub release: Option<Release>,
}

/// Takes back the entry of `member` for `network`, or all of their entries.
///
/// # Errors
/// [`PartialFailure`], naming every target that was left as it was.
pub async fn remove(
    ctx: Context<'_>,
    member: &Member,
    network: Option<Network>,
) -> Result<RemoveReport, PartialFailure> {
    let targets: Vec<&Target> = ctx.config.targets.iter().collect();
    let report = cut(ctx, &targets, &Cut::Remove(member.clone(), network), false).await?;
    let mut networks: Vec<Network> = Vec::new();
    for grant in &report.ended {
        if !networks.contains(&grant.key.network) {
            networks.push(grant.key.network);
        }
    }
    let permanent = permanent(&report);
    let is_granted = |network: &Network| {
        let others = report
            .remaining
            .iter()
            .map(|grant: &Grant| &grant.key.network);
        others.into_iter().any(|granted| granted.covers(network))
    };
    let (mut removed, mut kept) = (Vec::new(), Vec::new());
    for network in networks {
        if permanent.iter().any(|entry| entry.covers(&network)) {
            kept.push((network, Kept::Permanent));
        } else if is_granted(&network) {
            kept.push((network, Kept::GrantedToOthers));
        } else {
            removed.push(network);
        }
    }
    Ok(RemoveReport {
        removed,
        kept,
        targets: report.targets,
        release: report.release,
    })
}

fn permanent(report: &CutReport) -> HashSet<Network> {
    let entries = report.baselines.iter().flat_map(|baseline| {
        let gate: &Gate = &baseline.gate;
        gate.entries(&baseline.document)
    });
    entries.filter_map(|entry| entry.network).collect()
}
