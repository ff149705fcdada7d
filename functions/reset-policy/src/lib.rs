//! Puts the gate back to its baseline: any event in, a report out, an error where something was not reset.

use std::time::{Duration, SystemTime};

use allowlist::Config;
use allowlist::aws::Aws;
use allowlist::flow::reset::{Failed, Outcome, reset};
use allowlist::flow::{Invocation, time_until};
use lambda_runtime::{Diagnostic, LambdaEvent};
use serde_json::{Value, json};
use tokio::time::Instant;

/// What is kept back of the function's time to give the lease back and answer.
const RESERVE: Duration = Duration::from_secs(3);

/// The function's own time limit is the only one.
const LONGEST: Duration = Duration::from_secs(900);

/// What the function keeps from one invocation to the next.
#[derive(Debug)]
pub struct Deps {
    /// The settings.
    pub config: Config,
    /// The clients.
    pub aws: Aws,
}

/// Handles one event: `{"dry_run": true}` only tells what would be done, every other event resets.
///
/// # Errors
/// A [`Diagnostic`] that names every target that was not reset, so that Lambda counts an error and tries again.
pub async fn handle(event: LambdaEvent<Value>, deps: &Deps) -> Result<Value, Diagnostic> {
    let LambdaEvent { payload, context } = event;
    let dry_run = payload.get("dry_run") == Some(&Value::Bool(true));
    let call = Invocation {
        aws: &deps.aws,
        config: &deps.config,
        request_id: &context.request_id,
        deadline: Instant::now() + time_until(SystemTime::now(), context.deadline, RESERVE, LONGEST),
    };
    match reset(call, dry_run).await {
        Ok(outcomes) => {
            outcomes.iter().for_each(|outcome| log(outcome, dry_run));
            let changed = outcomes.iter().any(|outcome| outcome.changed);
            let targets: Vec<Value> = outcomes.iter().map(|outcome| target(outcome, dry_run)).collect();
            Ok(json!({ "status": word(changed, dry_run), "targets": targets }))
        }
        Err(failed) => {
            failed.done.iter().for_each(|outcome| log(outcome, dry_run));
            Err(diagnose(&failed))
        }
    }
}

fn diagnose(failed: &Failed) -> Diagnostic {
    let message = failed.to_string();
    let kind = failed.errors.first().map_or("aws_error", allowlist::Error::kind);
    tracing::error!(outcome = kind, error = message, "not everything was reset");
    Diagnostic { error_type: kind.to_owned(), error_message: message }
}

fn word(changed: bool, dry_run: bool) -> &'static str {
    match (changed, dry_run) {
        (true, true) => "would_reset",
        (true, false) => "reset",
        (false, _) => "unchanged",
    }
}

fn target(outcome: &Outcome, dry_run: bool) -> Value {
    json!({
        "arn": outcome.arn,
        "status": word(outcome.changed, dry_run),
        "version": outcome.version,
        "removed": outcome.difference.removed,
        "restored": outcome.difference.restored,
        "drift": outcome.difference.drift,
    })
}

fn log(outcome: &Outcome, dry_run: bool) {
    tracing::info!(
        outcome = word(outcome.changed, dry_run),
        policy.arn = outcome.arn,
        policy.version = outcome.version.map(String::from),
        removed = outcome.difference.removed.join(" "),
        restored = outcome.difference.restored.join(" "),
        drift = outcome.difference.drift,
        "answered"
    );
}
