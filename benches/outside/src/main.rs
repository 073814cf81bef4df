//! Drives a node and its peers from outside, each over its own public interface, and measures both
//! in one run.
//!
//! Started by `benches/compare NAME`, which builds and installs what is needed. The last line of
//! standard output is one JSON object; the table before it is for people.

mod agents;
mod durable;
mod fairness;
mod growth;
mod k6;
mod limit;
mod load;
mod measure;
mod options;
mod ours;
mod process;
mod ready;
mod report;
mod restate;
mod scripted;
mod side;
mod worker;

use clap::Parser as _;

use crate::options::{Command, Options};

/// One thread: the driver's own work is on the same cores as the servers', and must stay small.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match Options::parse().command {
        Command::Agents(options) => agents::run(&options).await,
        Command::BareAgent(options) => agents::run_bare(&options).await,
        Command::Durable(options) => durable::run(&options).await,
        Command::Fairness(options) => fairness::run(&options).await,
        Command::Growth(options) => growth::run(&options).await,
        Command::Load(options) => load::run(&options).await,
        Command::ModelServer(options) => agents::run_model_server(&options).await,
        Command::Ready(options) => ready::run(&options).await,
        Command::Worker(options) => worker::run(&options).await,
    }
}
