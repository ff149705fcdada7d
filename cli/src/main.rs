//! `ip-gate`: one command for administrators and members of an IP gate.

mod admin;
mod args;
mod aws;
mod caller;
mod http_client;
mod output;
mod problem;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use serde_json::json;

use args::{Cli, Command};
use output::Output;
use problem::{Exit, Outcome, Problem};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && std::env::args().any(|word| word == "--json") => {
            let problem = Problem::usage(first_paragraph(&error));
            Output::new(true).problem(&problem);
            return ExitCode::from(problem.exit.code());
        }
        Err(error) => error.exit(),
    };
    let output = Output::new(cli.json);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else {
        return ExitCode::from(Exit::Failed.code());
    };
    let outcome = runtime.block_on(run(&cli, output));
    // A look-up of a name that never ends must not keep the program.
    runtime.shutdown_background();
    let exit = outcome.unwrap_or_else(|problem| {
        output.problem(&problem);
        problem.exit
    });
    ExitCode::from(exit.code())
}

/// What clap says is wrong, on one line, without the usage that follows.
fn first_paragraph(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().take_while(|line| !line.starts_with("Usage:")).map(str::trim);
    let words: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    words.join(" ").trim_start_matches("error: ").to_owned()
}

async fn run(cli: &Cli, output: Output) -> Outcome {
    match &cli.command {
        Command::Login(arguments) => caller::login::run(arguments, output).await,
        Command::Add(arguments) => caller::add::run(arguments, output).await,
        Command::Remove(arguments) => caller::remove::run(arguments, output).await,
        Command::Status => caller::status::run(output).await,
        Command::Watch(arguments) => caller::watch::run(arguments, output).await,
        Command::Completions { shell } => {
            let mut command = Cli::command();
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut command, "ip-gate", &mut script);
            let script = String::from_utf8_lossy(&script).trim_end().to_owned();
            let answer = json!({ "shell": shell.to_string(), "script": script });
            output.answer(&answer, || vec![script]);
            Ok(Exit::Done)
        }
        administrator => admin::run(administrator, &cli.place, output).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_of_every_command_has_examples() {
        fn visit(command: &clap::Command) {
            let is_group = command.has_subcommands();
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let name = command.get_name();
            assert!(is_group || help.contains("Examples:\n  ip-gate "), "{name}");
            command.get_subcommands().for_each(visit);
        }
        visit(&Cli::command());
    }
}
