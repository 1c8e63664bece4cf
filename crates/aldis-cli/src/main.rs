//! The `aldis` command: what people type. A client of the control API and nothing else: it holds no key, opens no
//! file of the daemon, and shows no text from elsewhere without making it safe first.

mod args;
mod ask;
mod bell;
mod commands;
mod failure;
mod paint;
mod render;
mod screen;
mod table;
mod when;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;
use crate::failure::Failure;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return report_usage(&error),
    };
    let json = cli.json;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(commands::run(cli)),
        Err(source) => Err(Failure::Program {
            program: "aldis".into(),
            reason: source.to_string(),
            advice: "check the limits on open files of this user",
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(json);
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Shows help where it was asked for, and what is wrong with the command line otherwise.
fn report_usage(error: &clap::Error) -> ExitCode {
    let wants_json = std::env::args_os().any(|arg| arg == "--json");
    if error.use_stderr() && wants_json {
        let text = error.render().to_string();
        let what = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Failure::usage(what, "see --help").report(true);
    } else if error.print().is_err() {
        // Nobody reads our output any more; the exit code still tells.
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}
