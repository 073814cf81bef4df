//! The gRPC gateway: the services of `mesh/v1` on the kernel's path and the read models.
//!
//! A method does four things and no more: it reads the request, asks the kernel (a command, a query)
//! or a list, and says the answer in the contract's words. What is decided is decided by entities;
//! what a caller may do is decided by the policy in step 2.
//!
//! INVARIANT: the tenant is the credential's. No request of ours has a field that chooses it, but for
//! an operator's in `TenantService`, and there the kernel checks it.

mod agents;
mod approvals;
mod auth;
mod blueprints;
mod budgets;
mod convert;
mod cursor;
mod dead_letters;
mod filter;
mod follow;
mod keys;
mod knowledge;
mod lineage;
pub mod lists;
pub mod mcp;
mod mount;
mod open;
mod page;
mod skills;
mod status;
mod tasks;
mod telemetry;
mod tenants;
mod unreadable;
mod workers;
mod workflows;

use std::{sync::Arc, time::Duration};

pub use dead_letters::{DeadLetters, DeadRow};
pub use mount::{Method, MountError, methods, routes};
pub use status::status;
pub use workflows::Recent;

use lists::Lists;
use mesh_kernel::{
    entity::encode_tagged,
    envelope::{Address, CorrelationId, ErrorKind, IdempotencyKey, Kind, ProjectId, Refusal, TenantId, TraceId},
    path::{Caller, Command, Mesh, Reply},
    ports::{Clock, ContentStore, Digest, Position},
};
use mesh_knowledge::lineage::projection::Lineages;
use mesh_skills::logs::LogStore;
use tokio_util::sync::CancellationToken;

use crate::{agents::AgentCatalogue, catalogue::Catalogue, knowledge::Knowledge};

/// How long a list waits for a position that a request names.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// What the services need; handed over by the composition root. Cheap to clone.
#[derive(Clone)]
pub struct GatewayState {
    /// The kernel.
    pub mesh: Mesh,
    /// The read models.
    pub lists: Arc<dyn Lists>,
    /// What steps have written.
    pub logs: Arc<LogStore>,
    /// Bodies over 64 KB.
    pub content: Arc<dyn ContentStore>,
    /// Definitions that were submitted lately.
    pub recent: Recent,
    /// What could not be delivered.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// The skills that definitions may call.
    pub skills: Arc<Catalogue>,
    /// The agents that tenants have published.
    pub agents: Arc<AgentCatalogue>,
    /// What was read, and is found again.
    pub knowledge: Arc<Knowledge>,
    /// What came from what.
    pub lineages: Arc<Lineages>,
    /// The kernel's clock.
    pub clock: Arc<dyn Clock>,
    /// Draws the secret of a new API key.
    pub secret: fn() -> String,
    /// Fires when the node stops: streams end.
    pub stopping: CancellationToken,
}

/// The conditions under which a command is sent.
#[derive(Default)]
struct Terms {
    key: Option<IdempotencyKey>,
    request: Option<Digest>,
    expected_version: Option<u64>,
    project: Option<ProjectId>,
    correlation: Option<CorrelationId>,
    trace: Option<TraceId>,
}

impl Terms {
    /// Those of a request with a `request_id` and an `etag`.
    fn of<M: prost::Message>(method: &str, body: &M, request_id: &str, etag: &str) -> Result<Self, Refusal> {
        let key = keys::key(method, request_id)?;
        Ok(Self {
            request: key.as_ref().map(|_| keys::digest(body)),
            key,
            expected_version: keys::expected(etag)?,
            ..Self::default()
        })
    }
}

impl GatewayState {
    /// Sends a command and answers with the usual view.
    async fn tell<C: serde::Serialize>(
        &self,
        caller: &Caller,
        to: Address,
        command: &C,
        terms: Terms,
    ) -> Result<Reply, Refusal> {
        self.send(caller, to, command, terms, Some(String::new())).await
    }

    /// Sends a command after which there may be nothing to view.
    async fn order<C: serde::Serialize>(
        &self,
        caller: &Caller,
        to: Address,
        command: &C,
        terms: Terms,
    ) -> Result<Reply, Refusal> {
        self.send(caller, to, command, terms, None).await
    }

    async fn send<C: serde::Serialize>(
        &self,
        caller: &Caller,
        to: Address,
        command: &C,
        terms: Terms,
        what: Option<String>,
    ) -> Result<Reply, Refusal> {
        let payload = encode_tagged(command, 1)
            .map_err(|error| Refusal::new("GTW-0005", ErrorKind::Internal, error.to_string()))?;
        let mut command = Command::new(to, payload);
        command.key = terms.key;
        command.request = terms.request;
        command.expected_version = terms.expected_version;
        command.project = terms.project;
        command.correlation = terms.correlation;
        command.trace = terms.trace;
        command.what = what;
        self.mesh.send(caller, command).await
    }

    /// Waits until the lists know a position that a request names; 0 names none.
    ///
    /// # Errors
    /// `InvalidArgument` when the journal has not come so far; `Unavailable` when the lists do not in time.
    async fn reach(&self, min_position: u64) -> Result<(), Refusal> {
        // Nobody was ever told a position that nothing stands at: to wait for it is in vain.
        if min_position > self.mesh.durable().0 {
            let known = self.mesh.durable().0;
            let what = format!("the journal is at {known}: send back a position that an answer told");
            return Err(status::refused_field("min_position", what));
        }
        if min_position > self.lists.position().0 {
            self.lists.wait_for(Position(min_position), WAIT_MAX).await?;
        }
        Ok(())
    }
}

/// The address of the entity that a request names.
///
/// An id that no address can have names nothing, and so is answered as not found.
fn address(tenant: &TenantId, kind: Kind, what: &str, id: &str) -> Result<Address, Refusal> {
    Address::new(tenant, kind, id).map_err(|_| not_found(what, id))
}

fn not_found(what: &str, id: &str) -> Refusal {
    let shown: String = id.chars().take(80).collect();
    Refusal::new("GTW-0006", ErrorKind::NotFound, format!("there is no {what} `{shown}`"))
}
