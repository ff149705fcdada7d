//! Puts the gate back to its baseline: any event in, a report out, an error if a target was not
//! reset. Other events are commands of an administrator. A mistake in a command is an answer and no
//! error, so that the alarms are for resets.

pub mod command;
mod report;

use std::time::{Duration, SystemTime};

use allowlist::{Config, Error};
use allowlist_aws::aws::Aws;
use allowlist_aws::flow::cut::CutReport;
use allowlist_aws::flow::expire::expire;
use allowlist_aws::flow::inventory::{baseline_candidate, inventory};
use allowlist_aws::flow::reset::reset;
use allowlist_aws::flow::revoke::{revoke_member, revoke_networks};
use allowlist_aws::flow::rollback::rollback;
use allowlist_aws::flow::{Context, PartialFailure, time_until};
use command::Command;
use lambda_runtime::{Diagnostic, LambdaEvent};
use serde_json::Value;
use tokio::time::Instant;

/// The part of the function's time that is kept for the answer and for giving the lease back.
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
/// A [`Diagnostic`] that names every target that was not reset, so that Lambda counts an error and
/// tries again. Only a reset ends like this.
pub async fn handle(event: LambdaEvent<Value>, deps: &Deps) -> Result<Value, Diagnostic> {
    let LambdaEvent { payload, context } = event;
    let dry_run = payload.get("dry_run") == Some(&Value::Bool(true));
    let command = match Command::read(&payload, &deps.config) {
        Ok(command) => command,
        Err(error) => return Ok(report::refused(&error)),
    };
    let time = time_until(SystemTime::now(), context.deadline, RESERVE, LONGEST);
    let ctx = Context {
        aws: &deps.aws,
        config: &deps.config,
        request_id: &context.request_id,
        deadline: Instant::now() + time,
    };
    let answer = match &command {
        Command::Reset => reset(ctx, dry_run).await,
        Command::Expire => expire(ctx, dry_run).await,
        Command::RevokeNetworks(networks) => revoke_networks(ctx, networks, dry_run).await,
        Command::RevokeMember(member) => revoke_member(ctx, member, dry_run).await,
        Command::Rollback(target, version) => rollback(ctx, target, *version, dry_run).await,
        Command::List => {
            return Ok(told(inventory(ctx).await.map(|found| report::listed(&found))));
        }
        Command::CheckBaseline(target, document) => {
            let found = baseline_candidate(ctx, target, document.clone()).await;
            return Ok(told(found.map(|found| report::usable(&found))));
        }
    };
    conclude(ctx, &command, dry_run, answer).await
}

/// The answer to a question: what was found, or why nothing was.
fn told(answer: Result<Value, Error>) -> Value {
    answer.unwrap_or_else(|error| report::refused_or_failed(&error.into()))
}

async fn conclude(
    ctx: Context<'_>,
    command: &Command<'_>,
    dry_run: bool,
    answer: Result<CutReport, PartialFailure>,
) -> Result<Value, Diagnostic> {
    let done = match &answer {
        Ok(report) => &report.targets,
        Err(failure) => &failure.done,
    };
    for outcome in done {
        report::log(outcome, command, dry_run);
    }
    if !dry_run {
        report::notify(ctx, done, command.word(true, false)).await;
    }
    match answer {
        Ok(cut) => {
            let answer = report::answer(&cut.targets, command, dry_run);
            if let Some(release) = cut.release {
                release.run().await;
            }
            if *command == Command::Reset && !dry_run {
                report::reset_completed(&cut.targets);
            }
            Ok(answer)
        }
        Err(failure) if *command == Command::Reset && !dry_run => {
            Err(report::reset_failed(&failure))
        }
        // A schedule asks for this, so the reason is not a mistake in a command.
        Err(failure) if *command == Command::Expire => Ok(report::failed(&failure)),
        Err(failure) => Ok(report::refused_or_failed(&failure)),
    }
}
