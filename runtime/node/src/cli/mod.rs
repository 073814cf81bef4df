//! The command line: a client of the public contract like any other, and the way to start a node.
//!
//! `mesh up | run | tail | tree | logs` at the top, everything else noun then verb; one file for
//! each noun. What a command prints, how it fails and with which exit code is in `docs/cli.md`.

mod agents;
mod approvals;
mod args;
mod backup;
mod blueprints;
mod clients;
mod completions;
mod connect;
mod context;
mod dead_letters;
mod definitions;
mod doctor;
mod failure;
mod keys;
mod knowledge;
mod lineage;
mod logging;
mod logs;
mod open;
mod output;
mod run;
mod runs;
mod settings;
mod signals;
mod skills;
mod stream;
mod tail;
mod tenants;
#[cfg(test)]
mod tests;
mod tree;
mod up;

use std::process::ExitCode;

use clap::Parser;

pub(crate) use failure::Failure;

use args::{Cli, Command};
use context::Context;

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version go to standard output with 0, mistakes to standard error with 2.
        Err(error) => error.exit(),
    };
    match start(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(failure.exit())
        }
    }
}

/// Stack of each thread: address space, of which only what is used takes memory. The bounds of what is
/// nested in what callers send are set by it.
const THREAD_STACK_BYTES: usize = 8 << 20;

fn start(cli: Cli) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(THREAD_STACK_BYTES)
        .build()
        .map_err(|error| Failure::Node(anyhow::Error::new(error).context("the runtime cannot be started")))?;
    let context = Context::new(cli.global);
    let ended = runtime.block_on(dispatch(cli.command, context));
    // Tasks that wait for nobody any more must not hold the process back.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    ended
}

async fn dispatch(command: Command, context: Context) -> Result<(), Failure> {
    match command {
        Command::Up(args) => up::up(args, context).await,
        Command::Run(args) => run::run(args, context).await,
        Command::Tail(args) => tail::tail(args, context).await,
        Command::Tree(args) => tree::tree(args, context).await,
        Command::Open(args) => open::open(args, context).await,
        Command::Logs(args) => logs::logs(args, context).await,
        Command::Runs { command } => runs::dispatch(command, context).await,
        Command::Approvals { command } => approvals::dispatch(command, context).await,
        Command::Definitions { command } => definitions::dispatch(command, context).await,
        Command::Lineage { command } => lineage::dispatch(command, context).await,
        Command::Agents { command } => agents::dispatch(command, context).await,
        Command::Knowledge { command } => knowledge::dispatch(command, context).await,
        Command::Skills { command } => skills::dispatch(command, context).await,
        Command::Blueprints { command } => blueprints::dispatch(command, context).await,
        Command::Tenants { command } => tenants::dispatch(command, context).await,
        Command::Keys { command } => keys::dispatch(command, context).await,
        Command::DeadLetters { command } => dead_letters::dispatch(command, context).await,
        Command::Config { command } => settings::dispatch(command, context),
        Command::Backup(args) => backup::backup(args, context).await,
        Command::Restore(args) => backup::restore(&args, &context),
        Command::ResumeNode => backup::resume_node(&context),
        Command::Doctor(args) => doctor::doctor(args, context).await,
        Command::Completions(args) => completions::completions(args),
    }
}
