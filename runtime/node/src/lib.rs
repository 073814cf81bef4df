//! The node: configuration, the composition root, the gateway, the pages and the command line.
//!
//! A library only so that the end-to-end tests can ask it for its routes; everything runs through
//! the one binary, `mesh`.

pub mod agents;
pub mod archive;
pub mod backup;
pub mod budgets;
pub mod catalogue;
pub mod cli;
pub mod config;
pub mod gateway;
pub mod http;
pub mod knowledge;
mod manifest;
pub mod node;
pub mod readmodel;
pub mod telemetry;
