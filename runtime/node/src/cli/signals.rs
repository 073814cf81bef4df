//! Being told to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Failure;

/// Ctrl-C and SIGTERM, each counted from the moment that this was made.
pub(super) struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Takes both signals over from their usual meaning.
    pub(super) fn listen() -> Result<Self, Failure> {
        let taken = |kind| signal(kind).map_err(|error| Failure::Node(anyhow::Error::new(error)));
        Ok(Self { interrupt: taken(SignalKind::interrupt())?, terminate: taken(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    ///
    /// **Cancel safety**: a dropped future loses nothing.
    pub(super) async fn told(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
