//! What stands on every list now and why, and whether a document could serve as a baseline: reads only.

use std::collections::HashSet;

use allowlist::baseline::{Baseline, StatementDifference, statement_difference};
use allowlist::cutoff::without_cutoff;
use allowlist::document::Document;
use allowlist::edit::{Difference, difference, networks_by_age};
use allowlist::error::Error;
use allowlist::gate::{Entry, Gate};
use allowlist::grant::{Grant, Member, last_end, newest_of_each_entry};
use allowlist::target::Target;
use allowlist::versions::VersionId;

use super::view::{TargetView, View};
use super::{Context, report_foreign_objects};

/// Why an entry stands on a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryOrigin {
    /// It is on the baseline.
    Permanent,
    /// Somebody was granted it.
    Granted,
    /// Neither: somebody edited the list by hand.
    ByHand,
}

impl EntryOrigin {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::Granted => "granted",
            Self::ByHand => "by_hand",
        }
    }
}

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListEntry {
    /// As it is written.
    pub text: String,
    /// Why it stands there.
    pub origin: EntryOrigin,
    /// Who was granted it; those without a key are not named.
    pub members: Vec<Member>,
    /// When it was first granted, in seconds since 1970.
    pub granted_at: Option<i64>,
    /// When the last of its grants ends by itself; `None`: with the next reset, or no grant.
    pub ends: Option<i64>,
}

/// What stands on the list of one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// The target's ARN.
    pub arn: String,
    /// The version in force; `None` for a role.
    pub version: Option<VersionId>,
    /// Whether there is a baseline that a reset could go back to.
    pub has_baseline: bool,
    /// The entries, in the document's order.
    pub entries: Vec<ListEntry>,
}

/// Lists every target.
///
/// # Errors
/// As [`View::read_as_holder`]; the errors of [`Gate::find`], naming the target.
pub async fn inventory(ctx: Context<'_>) -> Result<Vec<Inventory>, Error> {
    let targets: Vec<&Target> = ctx.config.targets.iter().collect();
    let (targets, grants) = read(ctx, &targets).await?;
    targets
        .iter()
        .map(|view| list(ctx, view, &grants).map_err(|e| e.at(view.target.arn())))
        .collect()
}

async fn read<'a>(
    ctx: Context<'a>,
    targets: &[&'a Target],
) -> Result<(Vec<TargetView<'a>>, Vec<Grant>), Error> {
    let stored = ctx.read(ctx.aws.state.lease()).await?;
    let view = View::read_as_holder(ctx, targets, &stored.record, stored.clock).await?;
    report_foreign_objects(&view.foreign_objects);
    Ok((view.targets.into_iter().collect::<Result<_, _>>()?, view.grants))
}

fn list(ctx: Context<'_>, view: &TargetView<'_>, grants: &[Grant]) -> Result<Inventory, Error> {
    let current = view.current()?;
    let document = without_cutoff(&current.document);
    let gate = Gate::find(&document, &ctx.config.gate_sids)?;
    let baseline = view.usable_baseline(ctx).ok();
    let entries = |baseline: &Baseline| baseline.gate.entries(&baseline.document);
    let permanent = baseline.as_ref().map(entries).unwrap_or_default();
    let permanent: HashSet<String> = permanent.iter().map(Entry::identity).collect();
    let cutoff = ctx.config.cutoff();
    let grants = newest_of_each_entry(grants);
    let describe = |entry: Entry| {
        let granted: Vec<&Grant> = grants
            .iter()
            .filter(|grant| Some(grant.key.network) == entry.network)
            .copied()
            .collect();
        let origin = if permanent.contains(&entry.identity()) {
            EntryOrigin::Permanent
        } else if granted.is_empty() {
            EntryOrigin::ByHand
        } else {
            EntryOrigin::Granted
        };
        let mut members: Vec<Member> =
            granted.iter().filter_map(|grant| grant.key.member.clone()).collect();
        members.sort();
        members.dedup();
        ListEntry {
            text: entry.text,
            origin,
            members,
            granted_at: granted.iter().map(|grant| grant.granted_at).min(),
            ends: last_end(&granted, cutoff),
        }
    };
    Ok(Inventory {
        arn: view.target.arn().to_owned(),
        version: current.versions.as_ref().map(|versions| versions.default),
        has_baseline: baseline.is_some(),
        entries: gate.entries(&document).into_iter().map(describe).collect(),
    })
}

/// A document that may be saved as a baseline.
#[derive(Clone, Debug)]
pub struct BaselineCandidate {
    /// Where to save it.
    pub object: String,
    /// What to save.
    pub baseline: Baseline,
    /// How it differs from the baseline that it replaces; `None` without one.
    pub replaces: Option<(Difference, StatementDifference)>,
}

/// Checks a document that the administrator wants to save as the baseline of a target. Without one, what is in force is
/// taken, without temporary entries; what the present baseline has stays, also where somebody holds a grant for it.
///
/// # Errors
/// [`Error::BaselineUnusable`] when a reset could not go back to it; as [`inventory`].
pub async fn baseline_candidate(
    ctx: Context<'_>,
    target: &Target,
    document: Option<Document>,
) -> Result<BaselineCandidate, Error> {
    let sids = &ctx.config.gate_sids;
    let at = |e: Error| e.at(target.arn());
    let document = match document {
        Some(document) => document,
        None => in_force_without_grants(ctx, target).await?,
    };
    let limit = ctx.config.limit(target);
    let baseline = Baseline::check(document, sids, limit).map_err(at)?;
    let stored = ctx.read(ctx.aws.state.baseline(target)).await?;
    let before = stored.and_then(|text| Document::parse(&text).ok());
    let rules = ctx.rules(target, None);
    let replaces = before.map(|before| {
        let changed = difference(&rules, &before, &baseline.document, &[]);
        let (before, after) = (target.comparable(&before), target.comparable(&baseline.document));
        (changed, statement_difference(&before, &after, sids))
    });
    Ok(BaselineCandidate { object: target.baseline_object(), baseline, replaces })
}

async fn in_force_without_grants(ctx: Context<'_>, target: &Target) -> Result<Document, Error> {
    let (targets, grants) = read(ctx, &[target]).await?;
    let view = targets.first().ok_or_else(|| Error::Busy("the target was not seen".to_owned()))?;
    let document = without_cutoff(&view.current().map_err(|e| e.at(target.arn()))?.document);
    let gate = Gate::find(&document, &ctx.config.gate_sids).map_err(|e| e.at(target.arn()))?;
    let permanent: HashSet<_> = view
        .usable_baseline(ctx)
        .map(|baseline| baseline.gate.entries(&baseline.document))
        .unwrap_or_default()
        .into_iter()
        .filter_map(|entry| entry.network)
        .collect();
    let mut temporary = networks_by_age(&grants);
    temporary.retain(|network| !permanent.contains(network));
    Ok(gate.without(&document, &temporary))
}
