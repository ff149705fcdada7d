//! Lifts the gate for a while, with the administrator's own rights, as an edit in the console would.

use allowlist::TargetKind;
use allowlist::new_gate::lift;
use allowlist::time::rfc3339;
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
    let (document, before) = stack.aws.iam.in_force(&target).await?;
    let until = now() + (hours * 3600.0).ceil() as i64;
    let lifted = lift(&document, &stack.sids(), until)?;
    let version = stack.aws.iam.create_version(target.arn(), &lifted).await?;
    drop(progress);
    let (until, before) = (rfc3339(until), before.map(String::from).unwrap_or_default());
    let answer = json!({
        "status": "lifted", "arn": target.arn(), "version": version, "until": until, "before": before,
    });
    output.answer(&answer, || {
        vec![
            format!("{version} lets everybody through until {until}, and denies again by itself after that."),
            "Members may add their addresses meanwhile. To close it sooner, with everybody who is in:".to_owned(),
            format!("  ip-gate rollback {before} --arn {target}"),
            "The next reset closes it too, and takes the condition out of the document.".to_owned(),
        ]
    });
    Ok(Exit::Done)
}
