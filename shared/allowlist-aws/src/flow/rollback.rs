//! Going back to an older version of a policy, without losing anybody's live entry.

use super::Invocation;
use super::change::{Change, Failed, Grants, Outcome, apply};
use super::snapshot::document_of;
use allowlist::document::Document;
use allowlist::error::Error;
use allowlist::gate::Gate;
use allowlist::grant::networks_by_age;
use allowlist::target::{Target, TargetKind};
use allowlist::versions::VersionId;

/// Makes the document of an older version the newest one, with every live grant on its list: an add would bring those
/// back anyway. Everything else, entries of other versions included, is as it was then.
///
/// # Errors
/// [`Failed`]: the version does not exist, or the target has none.
pub async fn rollback(
    call: Invocation<'_>,
    target: &Target,
    to: VersionId,
    dry_run: bool,
) -> Result<Vec<Outcome>, Failed> {
    let unusable = |reason: String| Error::MalformedDocument(reason).at(target.arn());
    if target.kind() == TargetKind::Role {
        return Err(unusable(
            "a trust policy has no versions, reset it or save another baseline".to_owned(),
        )
        .into());
    }
    let older = document_of(call, target, to)
        .await?
        .ok_or_else(|| unusable(format!("there is no version {to}")))?;
    let gate = Gate::find(&older, &call.config.gate_sids).map_err(|e| e.at(target.arn()))?;
    let document = |_: &Target, _: &Document, grants: &Grants| {
        Ok(gate.with(&older, &networks_by_age(&grants.remaining)))
    };
    let change = Change {
        ends: &|_, _| false,
        document: &document,
    };
    apply(call, &[target], &change, dry_run, Vec::new()).await
}
