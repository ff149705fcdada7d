//! Going back to the baselines, and what came of it.

use allowlist::target::Target;

use super::cut::{Cut, CutReport, cut};
use super::{Context, PartialFailure};

/// Puts every target with a usable baseline back to it. With `dry_run` nothing is written anywhere.
///
/// # Errors
/// [`PartialFailure`], naming every target that was not reset. Without any usable baseline nothing is done, and grants
/// stay.
pub async fn reset(ctx: Context<'_>, dry_run: bool) -> Result<CutReport, PartialFailure> {
    let targets: Vec<&Target> = ctx.config.targets.iter().collect();
    let answer = cut(ctx, &targets, &Cut::Reset, dry_run).await;
    let done = match &answer {
        Ok(report) => &report.targets,
        Err(failure) => &failure.done,
    };
    for outcome in done.iter().filter(|outcome| !outcome.difference.by_hand.is_empty()) {
        let entries = outcome.difference.by_hand.join(" ");
        tracing::warn!(
            target.arn = outcome.arn,
            entries,
            "{entries} on {} was added by hand: save a new baseline if it should stay",
            outcome.arn
        );
    }
    let baselines = answer.iter().flat_map(|report| &report.baselines);
    for baseline in baselines.filter(|baseline| !baseline.unparsed.is_empty()) {
        let entries = baseline.unparsed.join(" ");
        tracing::warn!(
            entries,
            "entries of a baseline are no networks and admit nobody: {entries}"
        );
    }
    answer
}
