//! Puts the gate back to its baseline: any event in, a report out, an error where something was not reset.

use std::time::{Duration, SystemTime};

use allowlist::Config;
use allowlist::aws::Aws;
use allowlist::flow::change::{Failed, Outcome};
use allowlist::flow::reset::reset;
use allowlist::flow::revoke::{Revocation, revoke};
use allowlist::flow::{Invocation, time_until};
use allowlist::{Error, Network};
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

/// What an event asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Command {
    Reset,
    Revoke(Revocation),
}

impl Command {
    /// `{"revoke":["51.44.71.80/32"]}` or `{"revoke_member":"alice"}` revokes; every other event resets. One that tries
    /// to revoke and does not say it right must not reset by mistake.
    fn read(event: &Value) -> Result<Self, Error> {
        if let Some(list) = event.get("revoke") {
            let texts = list.as_array().filter(|list| !list.is_empty()).ok_or_else(|| Error::BadIp(list.to_string()))?;
            let network = |text: &Value| text.as_str().unwrap_or_default().parse::<Network>();
            return Ok(Self::Revoke(Revocation::Networks(texts.iter().map(network).collect::<Result<_, _>>()?)));
        }
        match event.get("revoke_member") {
            Some(name) => Ok(Self::Revoke(Revocation::Member(name.as_str().unwrap_or_default().parse()?))),
            None => Ok(Self::Reset),
        }
    }

    fn word(&self, changed: bool, dry_run: bool) -> &'static str {
        match (self, changed, dry_run) {
            (_, false, _) => "unchanged",
            (Self::Reset, true, true) => "would_reset",
            (Self::Reset, true, false) => "reset",
            (Self::Revoke(_), true, true) => "would_revoke",
            (Self::Revoke(_), true, false) => "revoked",
        }
    }
}

/// Handles one event: a reset, or a revocation. With `"dry_run": true` it only tells what would be done.
///
/// # Errors
/// A [`Diagnostic`] that names every target that was not changed, so that Lambda counts an error and tries again.
pub async fn handle(event: LambdaEvent<Value>, deps: &Deps) -> Result<Value, Diagnostic> {
    let LambdaEvent { payload, context } = event;
    let dry_run = payload.get("dry_run") == Some(&Value::Bool(true));
    let command = Command::read(&payload).map_err(|error| diagnose(&error.into()))?;
    let call = Invocation {
        aws: &deps.aws,
        config: &deps.config,
        request_id: &context.request_id,
        deadline: Instant::now() + time_until(SystemTime::now(), context.deadline, RESERVE, LONGEST),
    };
    let answer = match &command {
        Command::Reset => reset(call, dry_run).await,
        Command::Revoke(revocation) => revoke(call, revocation, dry_run).await,
    };
    let done = match &answer {
        Ok(done) => done,
        Err(failed) => &failed.done,
    };
    done.iter().for_each(|outcome| log(outcome, command.word(outcome.changed, dry_run)));
    let outcomes = answer.map_err(|failed| diagnose(&failed))?;
    let changed = outcomes.iter().any(|outcome| outcome.changed);
    let targets: Vec<Value> = outcomes.iter().map(|outcome| target(outcome, command.word(outcome.changed, dry_run))).collect();
    Ok(json!({ "status": command.word(changed, dry_run), "targets": targets }))
}

fn diagnose(failed: &Failed) -> Diagnostic {
    let message = failed.to_string();
    let kind = failed.errors.first().map_or("aws_error", Error::kind);
    tracing::error!(outcome = kind, error = message, "failed");
    Diagnostic { error_type: kind.to_owned(), error_message: message }
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
