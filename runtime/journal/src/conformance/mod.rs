//! The suite that every engine of the journal port passes.
//!
//! An engine brings an [`Engine`]; [`run`] goes through the promises of the port one by one and
//! panics, with the promise's name, at the first that is not kept. What only a local file can do
//! (damage with an offset, a full disk, a failed flush) is not in here.

mod appending;
mod following;
mod retiring;
mod waking;

use std::sync::Arc;

use bytes::Bytes;
use mesh_kernel::{
    BoxFuture,
    envelope::{Address, IdempotencyKey, TenantId, TenantScope},
    ports::{Append, AppendOutcome, Event, Journal, Wake},
};

/// How the suite reaches an engine.
pub trait Engine: Send + Sync {
    /// Opens the store with this name, making it when it is new. The suite closes a store before it
    /// opens it again.
    fn open<'a>(&'a self, store: &'a str) -> BoxFuture<'a, Arc<dyn Journal>>;

    /// A scope of this tenant, which a test of a store may make.
    fn scope(&self, tenant: TenantId) -> TenantScope;
}

/// Goes through all promises of the port.
///
/// # Panics
/// At the first promise that the engine does not keep.
pub async fn run(engine: &dyn Engine) {
    appending::run(engine).await;
    following::run(engine).await;
    waking::run(engine).await;
    retiring::run(engine).await;
}

/// Says which promise is being looked at, for whoever reads a failure.
macro_rules! promise {
    ($name:literal) => {
        tracing::info!(promise = $name);
    };
}
use promise;

fn address(text: &str) -> Address {
    match text.parse() {
        Ok(address) => address,
        Err(error) => unreachable!("the suite's own address `{text}`: {error}"),
    }
}

fn key(text: &str) -> IdempotencyKey {
    match IdempotencyKey::parse(text) {
        Ok(key) => key,
        Err(error) => unreachable!("the suite's own key `{text}`: {error}"),
    }
}

/// Events that can be told apart: `<address> <version>`.
fn events(address: &Address, after: u64, count: u64) -> Vec<Event> {
    (1..=count).map(|nth| Bytes::from(format!("{address} {}", after + nth)).into()).collect()
}

fn request(journal: &dyn Journal, address: &Address, after: u64, count: u64) -> Append {
    Append {
        address: address.clone(),
        expected_version: after,
        epoch: journal.epoch(address.shard()),
        events: events(address, after, count),
        key: None,
        wake: Wake::Idle,
    }
}

/// Appends `count` events after version `after`, which must succeed.
async fn append(journal: &dyn Journal, address: &Address, after: u64, count: u64) {
    let outcome = journal.append(request(journal, address, after, count)).await;
    assert!(
        matches!(outcome, AppendOutcome::Appended { version, .. } if version == after + count),
        "{address} at {after}: {outcome:?}"
    );
}

/// The versions and bytes that a read answers, or a panic.
async fn read(journal: &dyn Journal, address: &Address, from: u64) -> Vec<(u64, Event)> {
    match journal.read(address, from).await {
        Ok(events) => events
            .into_iter()
            .inspect(|event| assert_eq!(event.address, *address, "an event of another entity"))
            .map(|event| (event.version, event.event))
            .collect(),
        Err(error) => unreachable!("{address} cannot be read: {error}"),
    }
}

/// What a read from version `from` must answer when there are `last` events.
fn expected(address: &Address, from: u64, last: u64) -> Vec<(u64, Event)> {
    (from..=last).zip(events(address, from - 1, last + 1 - from)).collect()
}
