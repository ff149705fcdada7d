//! Puts the gate back to its baseline: any event in, a report out, an error where something was not reset.

pub mod command;

use std::time::{Duration, SystemTime};

use allowlist::Config;
use allowlist::Error;
use allowlist::notice::{Addition, Notice};
use allowlist_aws::aws::Aws;
use allowlist_aws::aws::state::rfc3339;
use allowlist_aws::flow::change::{Failed, Outcome};
use allowlist_aws::flow::inventory::{Candidate, Inventory, Listed, candidate, inventory};
use allowlist_aws::flow::reset::reset;
use allowlist_aws::flow::revoke::revoke;
use allowlist_aws::flow::rollback::rollback;
use allowlist_aws::flow::{Invocation, time_until};
use command::Command;
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

/// Handles one event, see [`Command`]. With `"dry_run": true` it only tells what would be done.
///
/// # Errors
/// A [`Diagnostic`] that names every target that was not changed, so that Lambda counts an error and tries again.
pub async fn handle(event: LambdaEvent<Value>, deps: &Deps) -> Result<Value, Diagnostic> {
    let LambdaEvent { payload, context } = event;
    let dry_run = payload.get("dry_run") == Some(&Value::Bool(true));
    let refuse = |error: Error| diagnose(&error.into());
    let command = Command::read(&payload, &deps.config).map_err(refuse)?;
    let call = Invocation {
        aws: &deps.aws,
        config: &deps.config,
        request_id: &context.request_id,
        deadline: Instant::now()
            + time_until(SystemTime::now(), context.deadline, RESERVE, LONGEST),
    };
    let answer = match &command {
        Command::Reset => reset(call, dry_run).await,
        Command::Revoke(revocation) => revoke(call, revocation, dry_run).await,
        Command::Rollback(target, version) => rollback(call, target, *version, dry_run).await,
        Command::List => {
            return inventory(call)
                .await
                .map(|found| listed(&found))
                .map_err(refuse);
        }
        Command::CheckBaseline(target, document) => {
            return candidate(call, target, document.clone())
                .await
                .map(|found| usable(&found))
                .map_err(refuse);
        }
    };
    let done = match &answer {
        Ok(done) => done,
        Err(failed) => &failed.done,
    };
    done.iter()
        .for_each(|outcome| log(outcome, command.word(outcome.changed, dry_run)));
    if !dry_run {
        let changed = done.iter().filter(|outcome| outcome.changed);
        call.tell(
            &changed
                .map(|outcome| notice(outcome, command.word(true, false), call.request_id))
                .collect::<Vec<_>>(),
        )
        .await;
    }
    let outcomes = answer.map_err(|failed| diagnose(&failed))?;
    let changed = outcomes.iter().any(|outcome| outcome.changed);
    if command == Command::Reset && !dry_run {
        // The template counts these lines: an alarm rings when none comes for 26 hours.
        tracing::info!(
            outcome = "reset_completed",
            changed,
            "every target is at its baseline"
        );
    }
    let targets: Vec<Value> = outcomes
        .iter()
        .map(|outcome| target(outcome, command.word(outcome.changed, dry_run)))
        .collect();
    Ok(json!({ "status": command.word(changed, dry_run), "targets": targets }))
}

fn diagnose(failed: &Failed) -> Diagnostic {
    let message = failed.to_string();
    let kind = failed.errors.first().map_or("aws_error", Error::kind);
    tracing::error!(outcome = kind, error = message, "failed");
    Diagnostic {
        error_type: kind.to_owned(),
        error_message: message,
    }
}

fn listed(found: &[Inventory]) -> Value {
    let entry = |entry: &Listed| {
        json!({
            "entry": entry.text,
            "standing": entry.standing.word(),
            "members": entry.members,
            "granted_at": entry.granted_at.map(rfc3339),
        })
    };
    let target = |found: &Inventory| {
        let entries: Vec<Value> = found.entries.iter().map(entry).collect();
        json!({ "arn": found.arn, "version": found.version, "baseline": found.has_baseline, "entries": entries })
    };
    json!({ "status": "listed", "targets": found.iter().map(target).collect::<Vec<_>>() })
}

fn usable(
    Candidate {
        object,
        baseline,
        difference,
    }: &Candidate,
) -> Value {
    let entries: Vec<String> = baseline
        .gate
        .entries(&baseline.document)
        .into_iter()
        .map(|entry| entry.text)
        .collect();
    json!({
        "status": "usable",
        "object": object,
        "document": baseline.document.render(),
        "entries": entries,
        "unparsed": baseline.unparsed,
        "replaces": difference.as_ref().map(|d| json!({ "removed": d.removed, "added": d.restored, "drift": d.drift })),
    })
}

fn target(outcome: &Outcome, status: &str) -> Value {
    json!({
        "arn": outcome.arn,
        "status": status,
        "version": outcome.version,
        "removed": outcome.difference.removed,
        "restored": outcome.difference.restored,
        "drift": outcome.difference.drift,
    })
}

fn notice<'a>(outcome: &'a Outcome, word: &'a str, request: &'a str) -> Notice<'a> {
    let Outcome {
        arn,
        version,
        difference,
        ..
    } = outcome;
    let put_back = |entry: &String| Addition {
        network: entry.clone(),
        members: Vec::new(),
    };
    Notice {
        outcome: word,
        arn,
        version: *version,
        added: difference.restored.iter().map(put_back).collect(),
        removed: difference.removed.clone(),
        drift: difference.drift,
        request,
    }
}

fn log(outcome: &Outcome, word: &str) {
    tracing::info!(
        outcome = word,
        policy.arn = outcome.arn,
        policy.version = outcome.version.map(String::from),
        removed = outcome.difference.removed.join(" "),
        restored = outcome.difference.restored.join(" "),
        drift = outcome.difference.drift,
        "answered"
    );
}
