//! Time and chance: the two things that a machine may never take by itself.

use std::time::Duration;

use crate::envelope::{EventId, Timestamp, TraceId};

/// The clock. The wall for what people read; a monotonic one for what is measured.
pub trait Clock: Send + Sync + 'static {
    /// Now, on the wall.
    fn now(&self) -> Timestamp;

    /// Time since an arbitrary start; never goes back.
    fn monotonic(&self) -> Duration;
}

/// The source of ids.
pub trait Ids: Send + Sync + 'static {
    /// Ten random bytes.
    fn random(&self) -> [u8; 10];

    /// A fresh event id.
    fn event_id(&self, at: Timestamp) -> EventId {
        EventId::fresh(at, self.random())
    }

    /// A fresh trace id, minted when intent enters.
    fn trace_id(&self, at: Timestamp) -> TraceId {
        TraceId::fresh(at, self.random())
    }
}
