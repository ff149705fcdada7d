//! An administrator takes entries back before their time: named networks, or everything of one member.

use allowlist::grant::Member;
use allowlist::network::Network;
use allowlist::target::Target;

use super::cut::{Cut, CutReport, cut};
use super::{Context, PartialFailure};

/// What to revoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// These networks, whoever was granted them; entries that were added by hand too.
    Networks(Vec<Network>),
    /// Every grant of one member, and whatever requests of theirs are on their way.
    Member(Member),
}

/// Takes entries off every target, with their grants. An entry stays where another grant or the baseline has it.
///
/// # Errors
/// [`PartialFailure`], naming every target that was left as it was.
pub async fn revoke(
    ctx: Context<'_>,
    revocation: &Revocation,
    dry_run: bool,
) -> Result<CutReport, PartialFailure> {
    let what = match revocation {
        Revocation::Networks(networks) => Cut::RevokeNetworks(networks.clone()),
        Revocation::Member(member) => Cut::RevokeMember(member.clone()),
    };
    let targets: Vec<&Target> = ctx.config.targets.iter().collect();
    cut(ctx, &targets, &what, dry_run).await
}
