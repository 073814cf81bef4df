//! What the command line may say.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Measures a node and its peers from outside.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// What is measured.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The comparisons.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Workflows of ten steps, every one of them flushed to disk.
    Durable(Durable),
}

/// Options of `durable`.
#[derive(Debug, Args)]
pub(crate) struct Durable {
    /// Which sides run: ours, restate, temporal, temporal-activities, dbos.
    #[arg(long, value_delimiter = ',', default_value = "ours,restate,temporal,temporal-activities,dbos")]
    pub(crate) only: Vec<String>,
    /// Length of one measurement: of one side at one level in one round.
    #[arg(long, default_value_t = 6)]
    pub(crate) seconds: u64,
    /// How many runs are in flight.
    #[arg(long, value_delimiter = ',', default_value = "1,32,256")]
    pub(crate) levels: Vec<usize>,
    /// How often the sides take turns; the peers in Python take part in the first round only.
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
    /// The binary `mesh`.
    #[arg(long)]
    pub(crate) mesh: PathBuf,
    /// A folder on the disk that is measured, for the data of all sides.
    #[arg(long)]
    pub(crate) work: PathBuf,
    /// The binary `restate-server`.
    #[arg(long, default_value = "restate-server")]
    pub(crate) restate_server: PathBuf,
    /// The service that has the steps of Restate's side.
    #[arg(long, default_value = "restate-steps")]
    pub(crate) restate_steps: PathBuf,
    /// The Python that has the SDKs of Temporal and DBOS.
    #[arg(long, default_value = "python3")]
    pub(crate) python: PathBuf,
    /// The folder with the scripts of the peers in Python.
    #[arg(long, default_value = "benches/peers")]
    pub(crate) scripts: PathBuf,
}
