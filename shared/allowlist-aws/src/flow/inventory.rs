//! What stands on every list now and why, and whether a document could serve as a baseline: reads only.

use std::collections::HashSet;

use futures_util::future::{try_join, try_join_all};

use super::Invocation;
use super::snapshot::{Snapshot, in_force};
use allowlist::baseline::Baseline;
use allowlist::document::Document;
use allowlist::error::Error;
use allowlist::gate::{Entry, Gate};
use allowlist::grant::{Grant, Member, networks_by_age};
use allowlist::lease::Mark;
use allowlist::plan::{Difference, difference};
use allowlist::target::Target;
use allowlist::versions::VersionId;

/// Why an entry stands on a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is on the baseline.
    Permanent,
    /// Somebody was granted it.
    Granted,
    /// Neither: somebody edited the list by hand.
    ByHand,
}

impl Standing {
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
pub struct Listed {
    /// As it is written.
    pub text: String,
    /// Why it stands there.
    pub standing: Standing,
    /// Who was granted it; those without a key are not named.
    pub members: Vec<Member>,
    /// When it was first granted, in seconds since 1970.
    pub granted_at: Option<i64>,
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
    pub entries: Vec<Listed>,
}

/// Lists every target.
///
/// # Errors
/// As [`in_force`]; the errors of [`Gate::find`], naming the target.
pub async fn inventory<'a>(call: Invocation<'a>) -> Result<Vec<Inventory>, Error> {
    let reading = call.read(call.aws.state.lease()).await?;
    let one = async |target: &'a Target| {
        let mark = reading
            .record
            .as_ref()
            .map(|record| record.mark(target.arn()))
            .unwrap_or_default();
        let (snapshot, baseline) = try_join(
            in_force(call, target, &mark),
            call.read(call.aws.state.baseline(target)),
        )
        .await?;
        let baseline = baseline
            .and_then(|text| Document::parse(&text).ok())
            .and_then(|document| check(call, target, document).ok());
        Ok::<_, Error>((target, snapshot, baseline))
    };
    let (targets, grants) = try_join(
        try_join_all(call.config.targets.iter().map(one)),
        call.read(call.aws.state.grants()),
    )
    .await?;
    targets
        .into_iter()
        .map(|(target, snapshot, baseline)| {
            list(call, target, &snapshot, baseline.as_ref(), &grants)
        })
        .collect()
}

fn check(call: Invocation<'_>, target: &Target, document: Document) -> Result<Baseline, Error> {
    Baseline::check(document, &call.config.gate_sids, call.config.limit(target))
}

fn list(
    call: Invocation<'_>,
    target: &Target,
    snapshot: &Snapshot,
    baseline: Option<&Baseline>,
    grants: &[Grant],
) -> Result<Inventory, Error> {
    let gate =
        Gate::find(&snapshot.document, &call.config.gate_sids).map_err(|e| e.at(target.arn()))?;
    let permanent = baseline
        .map(|baseline| baseline.gate.entries(&baseline.document))
        .unwrap_or_default();
    let permanent: HashSet<String> = permanent.iter().map(Entry::identity).collect();
    let describe = |entry: Entry| {
        let granted: Vec<&Grant> = grants
            .iter()
            .filter(|grant| Some(grant.network) == entry.network)
            .collect();
        let standing = if permanent.contains(&entry.identity()) {
            Standing::Permanent
        } else if granted.is_empty() {
            Standing::ByHand
        } else {
            Standing::Granted
        };
        Listed {
            text: entry.text,
            standing,
            members: granted
                .iter()
                .filter_map(|grant| grant.member.clone())
                .collect(),
            granted_at: granted.iter().map(|grant| grant.granted_at).min(),
        }
    };
    Ok(Inventory {
        arn: target.arn().to_owned(),
        version: snapshot.versions.as_ref().map(|versions| versions.default),
        has_baseline: baseline.is_some(),
        entries: gate
            .entries(&snapshot.document)
            .into_iter()
            .map(describe)
            .collect(),
    })
}

/// A document that may be saved as a baseline.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Where to save it.
    pub object: String,
    /// What to save.
    pub baseline: Baseline,
    /// How it differs from the baseline that it replaces; `None` without one.
    pub difference: Option<Difference>,
}

/// Checks a document that the administrator wants to save as the baseline of a target. Without one, what is in force is
/// taken, without anybody's temporary entries.
///
/// # Errors
/// [`Error::BaselineUnusable`] when a reset could not go back to it; as [`inventory`].
pub async fn candidate(
    call: Invocation<'_>,
    target: &Target,
    document: Option<Document>,
) -> Result<Candidate, Error> {
    let sids = &call.config.gate_sids;
    let document = match document {
        Some(document) => document,
        None => {
            let (snapshot, grants) = try_join(
                in_force(call, target, &Mark::default()),
                call.read(call.aws.state.grants()),
            )
            .await?;
            let gate = Gate::find(&snapshot.document, sids).map_err(|e| e.at(target.arn()))?;
            gate.without(&snapshot.document, &networks_by_age(&grants))
        }
    };
    let baseline = check(call, target, document).map_err(|e| e.at(target.arn()))?;
    let before = call
        .read(call.aws.state.baseline(target))
        .await?
        .and_then(|text| Document::parse(&text).ok());
    let difference = before.map(|before| difference(&before, &baseline.document, sids, &[]));
    Ok(Candidate {
        object: target.baseline_object(),
        baseline,
        difference,
    })
}
