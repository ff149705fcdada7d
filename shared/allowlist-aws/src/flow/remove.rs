//! A member takes back entries of their own.

use allowlist::document::Document;
use allowlist::error::Error;
use allowlist::grant::{Grant, Member};
use allowlist::network::Network;
use allowlist::target::Target;

use super::cut::{Cut, cut};
use super::lease::Release;
use super::view::networks;
use super::{Context, PartialFailure, TargetOutcome};
use crate::join::try_join_all;

/// Why an entry stays on the list although its member took it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepReason {
    /// It is on the baseline.
    Permanent,
    /// Somebody else was granted it too.
    GrantedToOthers,
}

impl KeepReason {
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
    pub kept: Vec<(Network, KeepReason)>,
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
    let permanent = match report.baselines.as_slice() {
        [] => permanent(ctx).await?,
        used => used.iter().flat_map(|b| networks(&b.document, &ctx.config.gate_sids)).collect(),
    };
    let mut ended: Vec<Network> = report.ended.iter().map(|grant| grant.key.network).collect();
    ended.sort();
    ended.dedup();
    let is_others = |grant: &&Grant| grant.key.member.as_ref() != Some(member);
    let others: Vec<&Network> =
        report.remaining.iter().filter(is_others).map(|grant| &grant.key.network).collect();
    let reason = |network: &Network| {
        if permanent.iter().any(|entry| entry.covers(network)) {
            Some(KeepReason::Permanent)
        } else if others.iter().any(|granted| granted.covers(network)) {
            Some(KeepReason::GrantedToOthers)
        } else {
            None
        }
    };
    // A network that was never theirs may still be on the list: then the answer says why.
    let asked = network.filter(|_| ended.is_empty());
    let looked_at = ended.iter().chain(&asked).copied();
    let kept = looked_at.filter_map(|network| Some((network, reason(&network)?))).collect();
    let removed = ended.iter().filter(|network| reason(network).is_none()).copied().collect();
    let targets = if report.targets.is_empty() {
        targets.into_iter().map(|target| TargetOutcome::unchanged(target, None)).collect()
    } else {
        report.targets
    };
    Ok(RemoveReport { removed, kept, targets, release: report.release })
}

/// The networks on any baseline; none of one that is missing or unusable.
async fn permanent(ctx: Context<'_>) -> Result<Vec<Network>, Error> {
    let texts = ctx.config.targets.iter().map(|target| ctx.read(ctx.aws.state.baseline(target)));
    let documents = try_join_all(texts).await?.into_iter().flatten();
    let documents = documents.filter_map(|text| Document::parse(&text).ok());
    Ok(documents.flat_map(|document| networks(&document, &ctx.config.gate_sids)).collect())
}
