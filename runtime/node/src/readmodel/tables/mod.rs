//! One file for each list: how events become its rows, and how a page of it is read.

pub(super) mod approvals;
pub(super) mod blueprints;
pub(super) mod collections;
pub(super) mod definitions;
mod fold;
pub(super) mod products;
pub(super) mod runs;
pub(super) mod tasks;
pub(super) mod tenants;

use mesh_kernel::{entity::decode_tagged, envelope::Envelope, follow::Seen};
use rusqlite::Transaction;
use serde::de::DeserializeOwned;

use super::keys::KeyChange;

/// What a batch does beside the tables.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Changes of the key ring, to be made once the transaction stands.
    pub(super) keys: Vec<KeyChange>,
    runs: fold::Runs,
}

impl Batch {
    /// Writes what was held back; the last thing before the transaction stands.
    pub(super) fn finish(&mut self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        self.runs.write(tx)
    }
}

/// Writes one event into the list that it belongs to; others pass.
pub(super) fn apply(tx: &Transaction<'_>, seen: &Seen, batch: &mut Batch) -> rusqlite::Result<()> {
    let subject = &seen.envelope.headers.subject;
    match (subject.platform(), subject.kind()) {
        ("control-plane", "run") => runs::apply(tx, seen, &mut batch.runs),
        ("control-plane", "definition") => definitions::apply(tx, seen),
        ("control-plane", "blueprint") => blueprints::apply(tx, seen),
        ("control-plane", "tenant") => tenants::apply(tx, seen, batch),
        ("agent-mesh", "task") => tasks::apply(tx, seen),
        ("governance", "approval") => approvals::apply(tx, seen),
        ("knowledge", "collection") => collections::apply(tx, seen),
        ("product", "product") | ("runtime-cloud", "workload") => products::apply(tx, seen),
        _ => Ok(()),
    }
}

/// The event in its own type. One that cannot be read is passed over and told: a list must not
/// stop for it, and the entity itself is quarantined with its position.
fn decoded<E: DeserializeOwned>(envelope: &Envelope) -> Option<E> {
    match decode_tagged(&envelope.event_type, &envelope.payload) {
        Ok(event) => Some(event),
        Err(error) => {
            unreadable(envelope, &error);
            None
        }
    }
}

fn unreadable(envelope: &Envelope, error: &dyn std::fmt::Display) {
    tracing::error!(event = %envelope.event_id, subject = %envelope.headers.subject, %error,
        "an event cannot be read: the lists do not show it");
}

/// Roles and names as one text column.
fn joined<T: ToString>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|item| !item.is_empty())
}
