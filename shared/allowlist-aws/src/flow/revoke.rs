//! An administrator takes entries back before their time: named networks, or everything of one member. An entry stays
//! if the baseline or a grant that is not revoked has it.

use allowlist::grant::Member;
use allowlist::network::Network;
use allowlist::target::Target;

use super::cut::{Cut, CutReport, cut};
use super::{Context, PartialFailure};

/// Takes these networks off every target, with their grants; entries that were added by hand too.
///
/// # Errors
/// [`PartialFailure`], naming every target that was left as it was.
pub async fn revoke_networks(
    ctx: Context<'_>,
    networks: &[Network],
    dry_run: bool,
) -> Result<CutReport, PartialFailure> {
    revoke(ctx, Cut::RevokeNetworks(networks.to_vec()), dry_run).await
}

/// Takes every grant of one member away, and whatever requests of theirs are on their way.
///
/// # Errors
/// [`PartialFailure`], naming every target that was left as it was.
pub async fn revoke_member(
    ctx: Context<'_>,
    member: &Member,
    dry_run: bool,
) -> Result<CutReport, PartialFailure> {
    revoke(ctx, Cut::RevokeMember(member.clone()), dry_run).await
}

async fn revoke(ctx: Context<'_>, what: Cut, dry_run: bool) -> Result<CutReport, PartialFailure> {
    let targets: Vec<&Target> = ctx.config.targets.iter().collect();
    cut(ctx, &targets, &what, dry_run).await
}
