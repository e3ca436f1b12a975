//! The command line of one node: arguments, tables, progress, exit codes. What it deletes and how is not decided here.

mod answer;
mod args;
mod asked;
mod confirm;
mod daemon;
mod delete;
mod error;
mod exit;
mod images;
mod interrupt;
mod output;
mod progress;
mod prune;
mod run;
mod screen;
mod self_test;
mod session;
mod table;
mod wait;

use std::io;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use clap_complete::Shell;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::api::crds;
use crate::telemetry::logs::Plain;
use args::{Arguments, Command};
use error::Error;
use exit::Exit;

/// Runs the command line and returns the exit code.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !arguments.command.is_daemon() {
        log(arguments.global.verbose);
    }
    let exit = start(arguments).unwrap_or_else(|error| {
        if !error.is_silent() {
            error.sentences().iter().for_each(screen::complain);
        }
        error.exit()
    });
    exit.into()
}

fn start(arguments: Arguments) -> Result<Exit, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Start)?;
    let Arguments { global, command } = arguments;
    runtime.block_on(async {
        match command {
            Command::Delete(arguments) => delete::delete(&global, arguments).await,
            Command::Run(arguments) => run::run(&global, arguments).await,
            Command::Images(arguments) => images::images(&global, arguments).await,
            Command::Prune(arguments) => prune::prune(&global, arguments).await,
            Command::Agent(arguments) => daemon::agent(&global, arguments).await,
            Command::Controller(arguments) => daemon::controller(arguments).await,
            Command::Crds => print_crds(),
            Command::SelfTest => self_test::self_test().await,
            Command::Completions { shell } => print_completions(shell),
        }
    })
}

fn print_crds() -> Result<Exit, Error> {
    let definitions = crds::all_as_yaml().map_err(|error| Error::Format(error.to_string()))?;
    output::write(&definitions)?;
    Ok(Exit::Done)
}

fn print_completions(shell: Shell) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "secateur", &mut script);
    output::write(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

/// The engine's own words, on stderr: what it changes, for those who ask twice.
fn log(verbose: u8) {
    let level = match verbose {
        0 | 1 => LevelFilter::ERROR,
        2 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    let words = tracing_subscriber::fmt::layer()
        .with_writer(|| Plain::text(io::stderr()))
        .with_ansi(false)
        .with_target(false)
        .without_time();
    tracing_subscriber::registry()
        .with(words.with_filter(Targets::new().with_target("secateur", level)))
        .init();
}
