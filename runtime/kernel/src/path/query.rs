//! Queries: steps 1 and 2, then a read. They never enter a mailbox.
//!
//! An entity that is awake is read where it stands; one that sleeps is rebuilt from the journal for
//! the answer and is not woken.

use std::sync::Arc;

use super::{
    Caller, Mesh,
    admit::not_found,
    entity::{Published, unreadable},
    load,
};
use crate::{
    envelope::{Address, Envelope, ErrorKind, Refusal, TenantScope},
    ports::{Archived, JournalError, Position},
};

/// The answer to a query.
#[derive(Debug, Clone)]
pub struct Viewed {
    /// The entity's version that the view shows.
    pub version: u64,
    /// The journal position that the view reflects.
    pub position: Position,
    /// The entity as callers see it.
    pub view: serde_json::Value,
}

/// One event of an entity's history.
#[derive(Debug, Clone)]
pub struct Past {
    /// Its version, from 1.
    pub version: u64,
    /// The event.
    pub envelope: Arc<Envelope>,
}

impl Mesh {
    /// Reads an entity. `action` is what the policy is asked, such as `GetRun`; `what` names the view.
    ///
    /// # Errors
    /// `NotFound` when it has no events or is another tenant's.
    pub async fn query(&self, caller: &Caller, address: &Address, action: &str, what: &str) -> Result<Viewed, Refusal> {
        self.admit_query(caller, action, Some(address))?;
        self.view_of(address, what).await
    }

    /// The version at which an entity stands, awake or asleep; 0 when it has no events.
    ///
    /// # Errors
    /// As [`Mesh::query`].
    pub async fn version(&self, caller: &Caller, address: &Address, action: &str) -> Result<u64, Refusal> {
        self.admit_query(caller, action, Some(address))?;
        self.0.services.journal.version(address).await.map_err(|error| unreadable(&error))
    }

    /// An entity's events from a version on.
    ///
    /// # Errors
    /// As [`Mesh::query`].
    pub async fn history(&self, caller: &Caller, address: &Address, from_version: u64) -> Result<Vec<Past>, Refusal> {
        self.admit_query(caller, "GetHistory", Some(address))?;
        let journal = &self.0.services.journal;
        let records = journal.read(address, from_version.max(1)).await.map_err(|error| unreadable(&error))?;
        if records.is_empty() && journal.version(address).await.map_err(|error| unreadable(&error))? == 0 {
            return Err(not_found(address));
        }
        records
            .into_iter()
            .map(|record| {
                let envelope = record.event.envelope().map_err(|error| {
                    Refusal::new("KER-0072", ErrorKind::Internal, format!("event {}: {error}", record.version))
                })?;
                Ok(Past { version: record.version, envelope })
            })
            .collect()
    }

    /// The published view, or one rebuilt from the journal.
    pub(super) async fn view_of(&self, address: &Address, what: &str) -> Result<Viewed, Refusal> {
        if let Some(published) = self.published(address) {
            let inner = published.inner.read();
            if inner.version > 0 {
                let view = published.decider.view(&inner.state, what);
                return Ok(Viewed { version: inner.version, position: inner.position, view });
            }
        }
        let services = &self.0.services;
        let decider = services.kinds.of(address).ok_or_else(|| not_found(address))?;
        let loaded = load::load(services, decider.as_ref(), address)
            .await
            .map_err(|error| Refusal::new("KER-0074", ErrorKind::Internal, error.to_string()))?;
        if loaded.version == 0 {
            return self.archived(address).await;
        }
        let view = decider.view(&loaded.state, what);
        Ok(Viewed { version: loaded.version, position: loaded.position, view })
    }

    async fn archived(&self, address: &Address) -> Result<Viewed, Refusal> {
        let Some(archive) = self.0.archive.get() else { return Err(not_found(address)) };
        let scope = TenantScope::proven(address.tenant().clone());
        let found = archive.find(&scope, address).await.map_err(|error| unreadable(&error))?;
        let Archived { version, view } = found.ok_or_else(|| not_found(address))?;
        Ok(Viewed { version, position: Position::default(), view })
    }

    /// The last event of an entity.
    pub(crate) async fn last_event(&self, address: &Address) -> Result<Option<Arc<Envelope>>, JournalError> {
        if let Some(published) = self.published(address)
            && let Some(last) = published.inner.read().last.clone()
        {
            return Ok(Some(last));
        }
        let journal = &self.0.services.journal;
        let version = journal.version(address).await?;
        let records = journal.read(address, version.max(1)).await?;
        Ok(records.last().and_then(|record| record.event.envelope().ok()))
    }

    fn published(&self, address: &Address) -> Option<Arc<Published>> {
        let slot = self.0.directory.slot(address)?;
        slot.published()?.downcast::<Published>().ok()
    }
}
