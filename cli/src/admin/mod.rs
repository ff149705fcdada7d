//! The commands of administrators, with their own AWS credentials. reset-policy makes the changes
//! of a policy.

mod baseline;
mod cuts;
mod entries;
mod gate_check;
mod gate_create;
mod gate_lift;
mod members;
mod overview;
mod versions;

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::args::{BaselineCommand, Command, GateCommand, MemberCommand, Place};
use crate::aws::stack::Stack;
use crate::output::Output;
use crate::problem::{Exit, Outcome, Problem};

/// Runs an administrator's command.
pub async fn run(command: &Command, place: &Place, output: Output) -> Outcome {
    match command {
        Command::Gate(GateCommand::Create(arguments)) => {
            return gate_create::run(arguments, place, output).await;
        }
        Command::Gate(GateCommand::Check { file: Some(file), trust_policy, .. }) => {
            return gate_check::file(file, *trust_policy, output);
        }
        _ => {}
    }
    let stack = {
        let _progress = output.progress("looking for the stack");
        Stack::find(place).await?
    };
    match command {
        Command::Member(MemberCommand::Add { name, days, another_key }) => {
            members::add(&stack, name, *days, *another_key, output).await
        }
        Command::Member(MemberCommand::Rotate { name, days }) => {
            members::rotate(&stack, name, *days, output).await
        }
        Command::Member(MemberCommand::Remove { name, entries }) => {
            members::remove(&stack, name, *entries, output).await
        }
        Command::Member(MemberCommand::List) => members::list(&stack, output).await,
        Command::Entries => entries::run(&stack, output).await,
        Command::Baseline(BaselineCommand::Show(arn)) => baseline::show(&stack, arn, output).await,
        Command::Baseline(BaselineCommand::Check(candidate)) => {
            baseline::check(&stack, candidate, output).await
        }
        Command::Baseline(BaselineCommand::Save { candidate, yes }) => {
            baseline::save(&stack, candidate, *yes, output).await
        }
        Command::Reset(dry) => {
            cuts::run(&stack, json!({ "dry_run": dry.dry_run }), "resetting", output).await
        }
        Command::Expire(dry) => {
            let event = json!({ "expire": true, "dry_run": dry.dry_run });
            cuts::run(&stack, event, "taking off what has ended", output).await
        }
        Command::Revoke(arguments) => {
            let dry_run = arguments.dry_run.dry_run;
            let event = match &arguments.member {
                Some(member) => json!({ "revoke_member": member, "dry_run": dry_run }),
                None => json!({ "revoke": arguments.networks, "dry_run": dry_run }),
            };
            cuts::run(&stack, event, "revoking", output).await
        }
        Command::Rollback(arguments) => {
            let target = stack.target(&arguments.target)?;
            let event = json!({
                "rollback": arguments.version,
                "arn": target.arn(),
                "dry_run": arguments.dry_run.dry_run,
            });
            cuts::run(&stack, event, "rolling back", output).await
        }
        Command::Versions(arn) => versions::run(&stack, arn, output).await,
        Command::Gate(GateCommand::Lift { hours, target }) => {
            gate_lift::run(&stack, *hours, target, output).await
        }
        Command::Gate(GateCommand::Check { target, .. }) => {
            gate_check::stack(&stack, target, output).await
        }
        Command::Overview => overview::run(&stack, output).await,
        Command::Gate(GateCommand::Create(_))
        | Command::Login(_)
        | Command::Add(_)
        | Command::Remove(_)
        | Command::Status
        | Command::Watch(_)
        | Command::Completions { .. } => Ok(Exit::Done),
    }
}

/// This machine's clock, in seconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// The text of a file that the administrator names.
fn read_file(path: &Path) -> Result<String, Problem> {
    std::fs::read_to_string(path).map_err(|error| {
        let path = path.display();
        Problem::usage(format!("`{path}` cannot be read: {error}"))
    })
}
