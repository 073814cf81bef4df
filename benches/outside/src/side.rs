//! One of those that are compared.

use std::time::Duration;

use anyhow::Result;
use futures_util::future::LocalBoxFuture;

use crate::measure::Slot;

/// A system that executes workflows of ten steps, with its processes.
pub(crate) trait Side {
    /// What it is called in the table.
    fn name(&self) -> &'static str;

    /// The version that runs.
    fn version(&self) -> String;

    /// The processes whose memory is told: those that a user must run for their workflows to last.
    fn servers(&self) -> Vec<u32>;

    /// Other processes that work for it: the user's own steps, where they do not run in the server.
    fn helpers(&self) -> Vec<u32> {
        Vec::new()
    }

    /// Keeps so many runs in flight for so long.
    fn measure(&mut self, in_flight: usize, length: Duration) -> LocalBoxFuture<'_, Result<Slot>>;

    /// How many finished runs its own interface knows of.
    fn finished(&mut self) -> LocalBoxFuture<'_, Result<u64>>;
}
