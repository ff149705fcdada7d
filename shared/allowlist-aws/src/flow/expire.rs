//! Taking away what has ended by itself. With nothing to end it costs one listing.

use allowlist::target::Target;

use super::cut::{Cut, CutReport, cut};
use super::{Context, PartialFailure};

/// Takes the entries off every target whose grants have ended.
///
/// # Errors
/// [`PartialFailure`], naming every target that was left as it was.
pub async fn expire(ctx: Context<'_>, dry_run: bool) -> Result<CutReport, PartialFailure> {
    let targets: Vec<&Target> = ctx.config.targets.iter().collect();
    cut(ctx, &targets, &Cut::Expire, dry_run).await
}
