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
    /// An agent of three turns and two calls, where the model answers at once.
    Agents(Agents),
    /// Workflows of ten steps, every one of them flushed to disk.
    Durable(Durable),
    /// Steps per second, memory, disk and start time against the runs that have finished.
    Growth(Growth),
    /// A hundred thousand runs that wait for a place.
    Load(Load),
    /// What one tenant notices of another's flood, and a node of tenants that do nothing.
    Fairness(Fairness),
    /// How soon a node is ready, and how soon it has resumed what was unfinished.
    Ready(Ready),
    /// The model that the agents ask.
    #[command(hide = true)]
    ModelServer(ModelServer),
    /// The side `bare` of the agents.
    #[command(hide = true)]
    BareAgent(BareAgent),
    /// The steps' code of the side `ours-worker`, in a process of its own.
    #[command(hide = true)]
    Worker(Worker),
}

/// Options of `agents`.
#[derive(Debug, Args)]
pub(crate) struct Agents {
    /// Which sides run: ours, ours-memory, bare, bare-stream, langgraph, openai-agents, pydantic-ai,
    /// agent-framework, openai-python.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "ours,ours-memory,bare,langgraph,openai-agents,pydantic-ai,agent-framework,openai-python"
    )]
    pub(crate) only: Vec<String>,
    /// rig as well, which takes minutes to build.
    #[arg(long)]
    pub(crate) with_rig: bool,
    /// How many runs are in flight.
    #[arg(long, value_delimiter = ',', default_value = "1,50")]
    pub(crate) levels: Vec<usize>,
    /// How often the sides take turns.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Runs of one measurement of ours and of the peers in Rust.
    #[arg(long, default_value_t = 5_000)]
    pub(crate) runs: usize,
    /// Runs of one measurement of the peers in Python, which take fifty times as long.
    #[arg(long, default_value_t = 200)]
    pub(crate) python_runs: usize,
    /// The binary `mesh`.
    #[arg(long)]
    pub(crate) mesh: PathBuf,
    /// A folder on the disk that is measured.
    #[arg(long)]
    pub(crate) work: PathBuf,
    /// The program that runs rig's agent.
    #[arg(long, default_value = "rig-bench")]
    pub(crate) rig: PathBuf,
    /// The Python that has the frameworks.
    #[arg(long, default_value = "python3")]
    pub(crate) python: PathBuf,
    /// The folder with the scripts of the peers in Python.
    #[arg(long, default_value = "benches/peers/agents")]
    pub(crate) scripts: PathBuf,
}

/// Options of `model-server`.
#[derive(Debug, Args)]
pub(crate) struct ModelServer {
    /// Where it listens, on this machine only; any free port when it is 0.
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
}

/// Options of `bare-agent`: what every peer is told.
#[derive(Debug, Args)]
pub(crate) struct BareAgent {
    /// The model server, with the version behind it.
    #[arg(long)]
    pub(crate) url: String,
    /// How many runs are in flight.
    #[arg(long)]
    pub(crate) in_flight: usize,
    /// How many runs count.
    #[arg(long)]
    pub(crate) runs: usize,
    /// How many come before them.
    #[arg(long)]
    pub(crate) warm: usize,
    /// Whether answers stream.
    #[arg(long)]
    pub(crate) stream: bool,
}

/// Options of `worker`. The key comes in `MESH_API_KEY`.
#[derive(Debug, Args)]
pub(crate) struct Worker {
    /// The node, `http://…`.
    #[arg(long)]
    pub(crate) url: String,
    /// How many calls it takes at once.
    #[arg(long, default_value_t = 512)]
    pub(crate) concurrency: u32,
}

/// Options of `load`.
#[derive(Debug, Args)]
pub(crate) struct Load {
    /// How many runs are queued.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) runs: usize,
    /// For how long k6 submits them; what is missing then comes from the driver itself.
    #[arg(long, default_value_t = 10)]
    pub(crate) seconds: u64,
    /// How much memory the node may take. **Units**: MiB.
    #[arg(long, default_value_t = 1024)]
    pub(crate) mib: u64,
    /// The binary `mesh`.
    #[arg(long)]
    pub(crate) mesh: PathBuf,
    /// A folder on the disk that is measured.
    #[arg(long)]
    pub(crate) work: PathBuf,
    /// The binary `k6`.
    #[arg(long, default_value = "k6")]
    pub(crate) k6: PathBuf,
    /// What k6 does.
    #[arg(long, default_value = "benches/peers/submit.js")]
    pub(crate) script: PathBuf,
}

/// Options of `fairness`.
#[derive(Debug, Args)]
pub(crate) struct Fairness {
    /// Commands a second of each tenant, and its burst; the node's default when it is not said.
    #[arg(long)]
    pub(crate) quota: Option<u32>,
    /// Length of each quiet and of each flooded measurement.
    #[arg(long, default_value_t = 15)]
    pub(crate) seconds: u64,
    /// How often they take turns.
    #[arg(long, default_value_t = 2)]
    pub(crate) rounds: usize,
    /// What the flooding tenant submits. **Units**: runs of ten steps per second.
    #[arg(long, default_value_t = 4_000)]
    pub(crate) rate: u32,
    /// How many tenants do nothing.
    #[arg(long, default_value_t = 1_000)]
    pub(crate) idle: usize,
    /// The binary `mesh`.
    #[arg(long)]
    pub(crate) mesh: PathBuf,
    /// A folder on the disk that is measured.
    #[arg(long)]
    pub(crate) work: PathBuf,
    /// The binary `k6`.
    #[arg(long, default_value = "k6")]
    pub(crate) k6: PathBuf,
    /// What k6 does.
    #[arg(long, default_value = "benches/peers/submit.js")]
    pub(crate) script: PathBuf,
}

/// Options of `growth`.
#[derive(Debug, Args)]
pub(crate) struct Growth {
    /// What grows: finished, history, tenants, queue.
    #[arg(long, value_delimiter = ',', default_value = "finished,history,tenants,queue")]
    pub(crate) of: Vec<String>,
    /// Measured when so many runs have finished.
    #[arg(long, value_delimiter = ',', default_value = "1000,3000,10000,30000,100000,300000")]
    pub(crate) runs: Vec<usize>,
    /// How many events a run has, about.
    #[arg(long, value_delimiter = ',', default_value = "10,100,1000,10000")]
    pub(crate) events: Vec<usize>,
    /// How many tenants share the work.
    #[arg(long, value_delimiter = ',', default_value = "1,10,100,1000")]
    pub(crate) tenants: Vec<usize>,
    /// How many runs wait for their turn.
    #[arg(long, value_delimiter = ',', default_value = "100,1000,10000")]
    pub(crate) queued: Vec<usize>,
    /// How many runs are in flight.
    #[arg(long, default_value_t = 256)]
    pub(crate) in_flight: usize,
    /// Length of the measurement at each size.
    #[arg(long, default_value_t = 5)]
    pub(crate) seconds: u64,
    /// The binary `mesh`.
    #[arg(long)]
    pub(crate) mesh: PathBuf,
    /// A folder on the disk that is measured.
    #[arg(long)]
    pub(crate) work: PathBuf,
}

/// Options of `ready`.
#[derive(Debug, Args)]
pub(crate) struct Ready {
    /// How often an empty node is started.
    #[arg(long, default_value_t = 10)]
    pub(crate) starts: usize,
    /// How many unfinished runs are resumed.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) runs: usize,
    /// The binary `mesh`.
    #[arg(long)]
    pub(crate) mesh: PathBuf,
    /// A folder on the disk that is measured.
    #[arg(long)]
    pub(crate) work: PathBuf,
}

/// Options of `durable`.
#[derive(Debug, Args)]
pub(crate) struct Durable {
    /// Which sides run: ours, ours-each, ours-worker, restate, temporal, temporal-activities, dbos.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "ours,ours-each,ours-worker,restate,temporal,temporal-activities,dbos"
    )]
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
