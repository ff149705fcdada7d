//! Lifts the gate for a while, with the administrator's own rights, as an edit in the console would.

use allowlist::new_gate::{is_lifted, lift};
use allowlist::time::rfc3339;
use allowlist::{Document, Target, TargetKind, VersionId};
use serde_json::json;

use super::now;
use crate::args::Arn;
use crate::aws::stack::Stack;
use crate::output::Output;
use crate::problem::{Exit, Outcome, Problem};

/// A reset closes the gate at the latest.
const LONGEST_HOURS: f64 = 24.0;

/// Publishes a version in which the gate denies nothing until then.
pub async fn run(stack: &Stack, hours: f64, arn: &Arn, output: Output) -> Outcome {
    if !(hours > 0.0 && hours <= LONGEST_HOURS) {
        return Err(Problem::usage(
            "name at most 24 hours: the nightly reset closes the gate anyway",
        ));
    }
    let target = stack.target(arn)?;
    if target.kind() == TargetKind::Role {
        return Err(Problem::usage("a trust policy cannot be lifted: name a managed policy"));
    }
    let progress = output.progress("lifting the gate");
    let (document, in_force) = stack.aws.iam.in_force(&target).await?;
    let closed = closed_version(stack, &target, &document, in_force).await?;
    let until = now() + (hours * 3600.0).ceil() as i64;
    let lifted = lift(&document, &stack.sids(), until)?;
    let version = stack.aws.iam.create_version(target.arn(), &lifted).await?;
    drop(progress);
    let until = rfc3339(until);
    let (who_stays, sooner) = match closed {
        Some(closed) => {
            ("with everybody who is in", format!("ip-gate rollback {closed} --arn {target}"))
        }
        None => ("without the temporary entries", "ip-gate reset".to_owned()),
    };
    let answer = json!({
        "status": "lifted", "arn": target.arn(), "version": version, "until": until, "before": closed,
        "close_command": sooner,
    });
    output.answer(&answer, || {
        vec![
            format!("{version} lets everybody through until {until}, and denies again by itself after that."),
            format!("Members may add their addresses meanwhile. To close it sooner, {who_stays}:"),
            format!("  {sooner}"),
            "The next reset closes it too, and takes the condition out of the document.".to_owned(),
        ]
    });
    Ok(Exit::Done)
}

/// The newest version in which the gate is not lifted: going back to it closes the gate. `None` if there is none left.
async fn closed_version(
    stack: &Stack,
    target: &Target,
    document: &Document,
    in_force: Option<VersionId>,
) -> Result<Option<VersionId>, Problem> {
    let (sids, now) = (stack.sids(), now());
    if !is_lifted(document, &sids, now) {
        return Ok(in_force);
    }
    for version in stack.aws.iam.versions(target.arn()).await?.iter().rev() {
        match stack.aws.iam.version(target.arn(), version.id).await {
            Ok(Some(older)) if !is_lifted(&older, &sids, now) => return Ok(Some(version.id)),
            // No rollback takes a document that cannot be read.
            Ok(_) => {}
            Err(problem) if problem.is_malformed_document() => {}
            Err(problem) => return Err(problem),
        }
    }
    Ok(None)
}
