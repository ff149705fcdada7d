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

use args::{Cli, Command};
use output::Output;
use problem::{Exit, Outcome};

fn main() -> ExitCode {
    let cli = Cli::parse();
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
            output.line(String::from_utf8_lossy(&script).trim_end());
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
}
