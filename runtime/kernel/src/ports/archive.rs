//! The archive port: what is kept of entities that have ended, when their events are gone.

use serde_json::Value;

use super::JournalError;
use crate::{
    BoxFuture,
    envelope::{Address, TenantScope},
};

/// An entity as it was when it was archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    /// The version of its last event.
    pub version: u64,
    /// The entity as callers see it, with the instant of its archiving in `archivedAt`.
    pub view: Value,
}

/// Keeps what entities were. Durable, for as long as their tenant.
pub trait Archive: Send + Sync + 'static {
    /// An entity that was archived.
    ///
    /// # Errors
    /// [`JournalError::Io`] when the archive cannot be read.
    fn find<'a>(
        &'a self,
        scope: &'a TenantScope,
        address: &'a Address,
    ) -> BoxFuture<'a, Result<Option<Archived>, JournalError>>;
}
