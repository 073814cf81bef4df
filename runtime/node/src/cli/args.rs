//! The commands and what all of them take.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use mesh_workflows::form::parse_duration;

use super::{
    agents, approvals, backup, blueprints, completions, dead_letters, definitions, doctor, keys, knowledge, lineage,
    logs, open, output::Format, run, runs, settings, skills, tail, tenants, tree, up,
};

/// Agent Mesh: one binary that turns a blueprint into a running multi-tenant product.
#[derive(Debug, Parser)]
#[command(name = "mesh", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 done, 1 what it watched failed, 2 usage, 3 refused, 4 not found, \
    5 not allowed, 6 no node answers, 7 try again later, 70 a bug.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The data folder: the node's own, where its address and first key are found
    #[arg(
        long,
        global = true,
        env = "MESH_DATA",
        value_name = "DIR",
        default_value = ".mesh",
        hide_env = true,
        help_heading = "For every command"
    )]
    pub(crate) data: PathBuf,
    /// Talk to this node instead; the key is taken from MESH_API_KEY
    #[arg(
        long,
        global = true,
        env = "MESH_SERVER",
        value_name = "URL",
        hide_env = true,
        help_heading = "For every command"
    )]
    pub(crate) server: Option<String>,
    /// Trust this certificate authority for an https server
    #[arg(
        long,
        global = true,
        env = "MESH_CA_FILE",
        value_name = "PEM",
        hide_env = true,
        help_heading = "For every command"
    )]
    pub(crate) ca: Option<PathBuf>,
    /// How answers are shown
    #[arg(
        long,
        global = true,
        env = "MESH_OUTPUT",
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        hide_env = true,
        help_heading = "For every command"
    )]
    pub(crate) output: Format,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a node and stay in the foreground
    Up(up::Up),
    /// Make a product from a blueprint, and serve it
    Run(run::Run),
    /// Follow what happens: the journal's events, or live signals
    Tail(tail::Tail),
    /// Show the tree of supervised actors
    Tree(tree::Tree),
    /// Print the address of a page, with a log-in that works once
    Open(open::Open),
    /// Show what the attempts of a run's steps have written
    Logs(logs::Logs),
    /// Submit, watch and steer runs
    Runs {
        #[command(subcommand)]
        command: runs::Runs,
    },
    /// Decide what waits for a person
    Approvals {
        #[command(subcommand)]
        command: approvals::Approvals,
    },
    /// Check and publish workflow definitions
    Definitions {
        #[command(subcommand)]
        command: definitions::Definitions,
    },
    /// Look at skills, call one by itself, run their examples
    Skills {
        #[command(subcommand)]
        command: skills::Skills,
    },
    /// Publish agents, give them tasks, and steer these
    Agents {
        #[command(subcommand)]
        command: agents::Agents,
    },
    /// Take documents in, find pieces of them, build context packages
    Knowledge {
        #[command(subcommand)]
        command: knowledge::Knowledge,
    },
    /// Ask what came from what: why, and what came of it
    Lineage {
        #[command(subcommand)]
        command: lineage::Lineage,
    },
    /// Check and apply blueprints
    Blueprints {
        #[command(subcommand)]
        command: blueprints::Blueprints,
    },
    /// Make, disable and delete tenants
    Tenants {
        #[command(subcommand)]
        command: tenants::Tenants,
    },
    /// Make and revoke API keys
    Keys {
        #[command(subcommand)]
        command: keys::Keys,
    },
    /// Look at messages that could not be delivered, and send them again
    DeadLetters {
        #[command(subcommand)]
        command: dead_letters::DeadLetters,
    },
    /// Show the settings
    Config {
        #[command(subcommand)]
        command: settings::Settings,
    },
    /// Check whether a node can live here, and say what to do
    Doctor(doctor::Doctor),
    /// Copy the data folder, while its node works
    Backup(backup::Backup),
    /// Make a data folder of a backup; its node is paused
    Restore(backup::Restore),
    /// End the pause of a restored data folder, for the next start of its node
    ResumeNode,
    /// Print a completion script for a shell
    Completions(completions::Completions),
}

/// Which page of a list.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PageArgs {
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(i32).range(1..=500))]
    pub(crate) limit: i32,
    /// Go on behind the page that printed this token
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
    pub(crate) page: String,
}

/// A duration as people write it.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a duration as in 30s, 5m or 1h30m".to_owned())
}
