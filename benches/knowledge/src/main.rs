//! The reasoning core beside its peers: `benches/compare vectors`.

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
}

fn main() -> Result<()> {
    match Options::parse().command {
        Command::Vectors(options) => vectors::compare(&options),
        Command::VectorsSide(side) => vectors::side(&side),
    }
}
