//! Going back to the baselines, and what came of it.

use futures_util::future::join_all;

use super::Invocation;
use super::change::{Change, Failed, Grants, Outcome, apply};
use allowlist::baseline::Baseline;
use allowlist::document::Document;
use allowlist::error::Error;
use allowlist::plan::restore;
use allowlist::target::Target;

/// Puts every target with a usable baseline back to it. With `dry_run` nothing is written anywhere.
///
/// # Errors
/// [`Failed`], naming every target that was not reset. Without any usable baseline nothing is done, and grants stay.
pub async fn reset(call: Invocation<'_>, dry_run: bool) -> Result<Vec<Outcome>, Failed> {
    let mut errors = Vec::new();
    let mut usable = Vec::new();
    for (target, baseline) in join_all(
        call.config
            .targets
            .iter()
            .map(|target| read_baseline(call, target)),
    )
    .await
    {
        match baseline {
            Ok(baseline) => usable.push((target, baseline)),
            Err(e) => errors.push(e.at(target.arn())),
        }
    }
    if usable.is_empty() {
        return Err(Failed {
            done: Vec::new(),
            errors,
        });
    }
    let restored = |target: &Target, _: &Document, grants: &Grants| {
        let baseline = usable
            .iter()
            .find(|(known, _)| *known == target)
            .map(|(_, baseline)| baseline);
        let baseline =
            baseline.ok_or_else(|| Error::BaselineUnusable("it was not read".to_owned()))?;
        Ok(restore(
            baseline,
            &grants.remaining,
            call.config.limit(target),
        ))
    };
    let targets: Vec<&Target> = usable.iter().map(|(target, _)| *target).collect();
    // Grants that are newer than the lease were asked for after the reset began, and stay.
    let change = Change {
        ends: &|grant, leased_at| grant.granted_at <= leased_at,
        document: &restored,
    };
    let answer = apply(call, &targets, &change, dry_run, errors).await;
    let done = match &answer {
        Ok(done) => done,
        Err(failed) => &failed.done,
    };
    for Outcome {
        arn, difference, ..
    } in done
    {
        if !difference.by_hand.is_empty() {
            tracing::warn!(
                target.arn = arn,
                entries = difference.by_hand.join(" "),
                "edited by hand: save a new baseline if it should stay"
            );
        }
    }
    answer
}

async fn read_baseline<'a>(
    call: Invocation<'_>,
    target: &'a Target,
) -> (&'a Target, Result<Baseline, Error>) {
    let check = async {
        let text = call.read(call.aws.state.baseline(target)).await?;
        let text = text.ok_or_else(|| {
            Error::BaselineUnusable(format!(
                "`{}` does not exist, save one",
                target.baseline_object()
            ))
        })?;
        let document =
            Document::parse(&text).map_err(|e| Error::BaselineUnusable(e.to_string()))?;
        Baseline::check(document, &call.config.gate_sids, call.config.limit(target))
    };
    let baseline = check.await;
    if let Ok(Baseline { unparsed, .. }) = &baseline
        && !unparsed.is_empty()
    {
        tracing::warn!(
            target.arn = target.arn(),
            entries = unparsed.join(" "),
            "entries of the baseline are no networks and admit nobody"
        );
    }
    (target, baseline)
}
