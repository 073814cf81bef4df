//! The index: where each entity stands. It is rebuilt from the log, and never the truth.

use std::collections::HashMap;

use mesh_kernel::{
    envelope::Address,
    ports::{Position, Wake},
};

/// Where an entity stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// The version of its last event.
    pub(super) version: u64,
    /// Where that lies; the records before it are chained from there.
    pub(super) last: Position,
    /// What it waits for.
    pub(super) wake: Wake,
}

/// Every entity that has events. **Cost**: about 200 bytes of memory for each.
pub(super) type Index = HashMap<Address, Entry>;
