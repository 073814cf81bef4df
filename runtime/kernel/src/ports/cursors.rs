//! Where followers keep how far they have come.

use super::{Cursor, Position};

/// Durable cursors by follower name. A cursor that lags costs only repeats, which receivers drop.
pub trait Cursors: Send + Sync + 'static {
    /// The cursor stored last under this name.
    fn load(&self, follower: &str) -> Option<Cursor>;

    /// Stores a cursor; best effort.
    fn store(&self, follower: &str, cursor: &Cursor);

    /// Hears up to which position a follower has come, for whoever watches how far it lags.
    fn reached(&self, _follower: &str, _position: Position) {}
}
