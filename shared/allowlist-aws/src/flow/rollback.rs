//! Going back to an older version of a policy in everything but its list.

use allowlist::error::Error;
use allowlist::target::{Target, TargetKind};
use allowlist::versions::VersionId;

use super::cut::{Cut, CutReport, cut};
use super::{Context, PartialFailure};

/// Makes the document of an older version the newest one. Its list becomes the baseline's with every live grant: what
/// was revoked or has expired since then does not come back.
///
/// # Errors
/// [`PartialFailure`]; [`Error::BadCommand`] when the version does not exist, or the target has none.
pub async fn rollback(
    ctx: Context<'_>,
    target: &Target,
    to: VersionId,
    dry_run: bool,
) -> Result<CutReport, PartialFailure> {
    let arn = target.arn();
    if target.kind() == TargetKind::Role {
        let reason = "a trust policy has no versions: reset it, or save another baseline";
        return Err(Error::BadCommand(format!("`{arn}`: {reason}")).into());
    }
    let older = ctx.read(ctx.aws.iam(target).version_document(arn, to)).await?;
    let missing = || Error::BadCommand(format!("`{arn}` has no version {to}: choose another one"));
    let older = older.ok_or_else(missing)?;
    cut(ctx, &[target], &Cut::Rollback(older), dry_run).await
}
