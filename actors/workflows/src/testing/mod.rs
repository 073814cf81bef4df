//! Runs of a definition with skills answered from a script and time skipped.
//!
//! `mesh definitions test FILE` runs the cases that stand in the file: the same decider as in the
//! node, without a node. Time passes only when nothing else can happen, from one timer to the next.
//!
//! Never here: I/O, real time.

mod cases;
mod simulation;

pub use cases::{CaseReport, run_cases};
pub use simulation::{Answer, Simulation, Stuck};
