//! Taking single entries back before their time: named networks, or everything of one member.

use futures_util::future::try_join_all;

use super::Invocation;
use super::change::{Change, Failed, Grants, Outcome, apply};
use allowlist::document::Document;
use allowlist::error::Error;
use allowlist::gate::Gate;
use allowlist::grant::{Grant, Member, networks_by_age};
use allowlist::network::Network;
use allowlist::plan::withdraw;
use allowlist::target::Target;

/// What to revoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// These networks, whoever was granted them; entries that were added by hand too.
    Networks(Vec<Network>),
    /// Every grant of one member.
    Member(Member),
}

/// Takes entries off every target, with their grants. An entry stays where another grant or the baseline has it.
///
/// # Errors
/// [`Failed`], naming every target that was left as it was.
pub async fn revoke(
    call: Invocation<'_>,
    revocation: &Revocation,
    dry_run: bool,
) -> Result<Vec<Outcome>, Failed> {
    let ends = |grant: &Grant, _: i64| match revocation {
        Revocation::Networks(networks) => networks.contains(&grant.network),
        Revocation::Member(member) => grant.member.as_ref() == Some(member),
    };
    let permanent = permanent(call).await?;
    let document = |target: &Target, base: &Document, grants: &Grants| {
        let revoked = match revocation {
            Revocation::Networks(networks) => networks.clone(),
            Revocation::Member(_) => networks_by_age(&grants.ended),
        };
        let kept = permanent
            .iter()
            .find(|(known, _)| *known == target)
            .map(|(_, networks)| networks.as_slice());
        withdraw(
            base,
            &call.config.gate_sids,
            call.config.limit(target),
            &revoked,
            kept.unwrap_or_default(),
            &grants.remaining,
        )
    };
    let targets: Vec<&Target> = call.config.targets.iter().collect();
    let change = Change {
        ends: &ends,
        document: &document,
    };
    apply(call, &targets, &change, dry_run, Vec::new()).await
}

/// The networks on each target's baseline; none where there is no readable one.
async fn permanent<'a>(call: Invocation<'a>) -> Result<Vec<(&'a Target, Vec<Network>)>, Error> {
    let read = async |target: &'a Target| {
        let text = call.read(call.aws.state.baseline(target)).await?;
        let document = text.and_then(|text| Document::parse(&text).ok());
        let entries = document.and_then(|document| {
            Gate::find(&document, &call.config.gate_sids)
                .ok()
                .map(|gate| gate.entries(&document))
        });
        let networks = entries
            .unwrap_or_default()
            .into_iter()
            .filter_map(|entry| entry.network)
            .collect();
        Ok::<_, Error>((target, networks))
    };
    try_join_all(call.config.targets.iter().map(read)).await
}
