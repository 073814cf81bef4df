//! The reasoning core beside its peers, each command one comparison: `benches/compare vectors`, `retrieval`, `lineage`.

mod lineage;
mod retrieval;
mod vectors;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Measures the reasoning core beside its peers.
#[derive(Debug, Parser)]
struct Options {
    /// What is measured.
    #[command(subcommand)]
    command: Command,
}

/// The comparisons.
#[derive(Debug, Subcommand)]
enum Command {
    /// The vector index beside hnswlib, usearch, faiss and Qdrant's embedded engine.
    Vectors(vectors::Options),
    /// One side of it, in a process of its own.
    #[command(hide = true)]
    VectorsSide(vectors::Side),
    /// How well chunks are found, beside bm25s.
    Retrieval(Rest),
    /// Closures over the lineage graph beside petgraph.
    Lineage(Rest),
}

/// Arguments that the comparison reads by itself.
#[derive(Debug, clap::Args)]
struct Rest {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, num_args = 0..)]
    arguments: Vec<String>,
}

fn main() -> Result<()> {
    match Options::parse().command {
        Command::Vectors(options) => vectors::compare(&options),
        Command::VectorsSide(side) => vectors::side(&side),
        Command::Retrieval(rest) => retrieval::main(&rest.arguments),
        Command::Lineage(rest) => lineage::main(&rest.arguments),
    }
}
