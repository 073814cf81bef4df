//! `DeadLetterService`: what could not be delivered, whole, to be looked at and sent again.

use std::sync::Arc;

use mesh_kernel::{
    BoxFuture,
    envelope::{Envelope, IdempotencyKey, Payload, Refusal, Role, TenantScope, Timestamp},
    path::Caller,
};
use mesh_proto::v1::{self, dead_letter_service_server::DeadLetterService};
use tonic::{Request, Response, Status};

use super::{
    GatewayState,
    auth::caller,
    convert::envelope,
    lists::{Page, PageRequest},
    not_found,
    page::Binding,
    status::status,
};

/// A dead letter as its store keeps it.
#[derive(Debug, Clone)]
pub struct DeadRow {
    /// `dead-…`, unique in the node.
    pub id: String,
    /// The message, whole.
    pub envelope: Arc<Envelope>,
    /// `poison`, `quarantined`, `shut-down`.
    pub reason: String,
    /// How often a handler died of it.
    pub attempts: u32,
    /// When it was laid here.
    pub at: Timestamp,
    /// Why handlers died of it, oldest first.
    pub errors: Vec<String>,
    /// When it was sent again and taken.
    pub replayed_at: Option<Timestamp>,
}

/// The port to where dead letters lie. Filters by tenant in the query, never afterwards.
pub trait DeadLetters: Send + Sync + 'static {
    /// Dead letters, newest first: the scope's own, or all with `None`, which only an operator may
    /// ask for and which the gateway has checked.
    fn list<'a>(
        &'a self,
        scope: Option<&'a TenantScope>,
        include_replayed: bool,
        page: PageRequest,
    ) -> BoxFuture<'a, Result<Page<DeadRow>, Refusal>>;

    /// One dead letter; `None` when there is none with this id in the scope.
    fn get<'a>(
        &'a self,
        scope: Option<&'a TenantScope>,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<DeadRow>, Refusal>>;

    /// Notes that it was sent again and taken.
    fn replayed<'a>(&'a self, id: &'a str, at: Timestamp) -> BoxFuture<'a, Result<(), Refusal>>;
}

/// The service.
pub(super) struct Letters(pub(super) GatewayState);

#[tonic::async_trait]
impl DeadLetterService for Letters {
    async fn list_dead_letters(
        &self,
        request: Request<v1::ListDeadLettersRequest>,
    ) -> Result<Response<v1::ListDeadLettersResponse>, Status> {
        let caller = caller(&request)?;
        let listed = self.list(&caller, request.into_inner()).await;
        listed.map(Response::new).map_err(|refusal| status(&refusal))
    }

    async fn get_dead_letter(
        &self,
        request: Request<v1::GetDeadLetterRequest>,
    ) -> Result<Response<v1::GetDeadLetterResponse>, Status> {
        let caller = caller(&request)?;
        let found = self.get(&caller, &request.get_ref().dead_letter_id).await;
        let row = found.map_err(|refusal| status(&refusal))?;
        Ok(Response::new(v1::GetDeadLetterResponse { dead_letter: Some(message(&row, true)) }))
    }

    async fn replay_dead_letter(
        &self,
        request: Request<v1::ReplayDeadLetterRequest>,
    ) -> Result<Response<v1::ReplayDeadLetterResponse>, Status> {
        let caller = caller(&request)?;
        let replayed = self.replay(&caller, &request.get_ref().dead_letter_id).await;
        let row = replayed.map_err(|refusal| status(&refusal))?;
        Ok(Response::new(v1::ReplayDeadLetterResponse { dead_letter: Some(message(&row, true)) }))
    }
}

impl Letters {
    async fn list(
        &self,
        caller: &Caller,
        request: v1::ListDeadLettersRequest,
    ) -> Result<v1::ListDeadLettersResponse, Refusal> {
        let action = if request.all_tenants { "ListAllDeadLetters" } else { "ListDeadLetters" };
        self.0.mesh.admit_read(caller, action)?;
        let asked = format!("{} {}", request.include_replayed, request.all_tenants);
        let binding = Binding::new(caller.scope(), "dead-letters", &asked);
        let page = binding.request(request.page_size, &request.page_token)?;
        let scope = (!request.all_tenants).then(|| caller.scope());
        let page = self.0.dead_letters.list(scope, request.include_replayed, page).await?;
        Ok(v1::ListDeadLettersResponse {
            dead_letters: page.rows.iter().map(|row| message(row, false)).collect(),
            next_page_token: binding.seal(page.next.as_deref()),
        })
    }

    async fn get(&self, caller: &Caller, id: &str) -> Result<DeadRow, Refusal> {
        self.0.mesh.admit_read(caller, "GetDeadLetter")?;
        self.find(caller, id).await
    }

    async fn find(&self, caller: &Caller, id: &str) -> Result<DeadRow, Refusal> {
        let scope = (!caller.principal().has(Role::Operator)).then(|| caller.scope());
        self.0.dead_letters.get(scope, id).await?.ok_or_else(|| not_found("dead letter", id))
    }

    /// Sends the message again: same type, payload, key and lineage, on behalf of whoever sent it
    /// first. Its actor is released from quarantine, for that is why most letters lie here.
    async fn replay(&self, caller: &Caller, id: &str) -> Result<DeadRow, Refusal> {
        self.0.mesh.admit_read(caller, "ReplayDeadLetter")?;
        let row = self.find(caller, id).await?;
        let dead = &row.envelope;
        let subject = dead.headers.subject.clone();
        let key = dead
            .headers
            .idempotency_key
            .clone()
            .unwrap_or_else(|| IdempotencyKey::of(&dead.event_id, "replay", subject.as_str()));
        let command = Payload {
            name: dead.event_type.clone(),
            schema_version: dead.headers.schema_version,
            bytes: dead.payload.clone(),
        };
        tracing::info!(letter = %row.id, %subject, by = %caller.principal().name, "a dead letter is sent again");
        self.0.mesh.directory().release(&subject);
        self.0.mesh.react("dead-letters", dead, subject, command, key).await?;
        let at = self.0.clock.now();
        self.0.dead_letters.replayed(&row.id, at).await?;
        Ok(DeadRow { replayed_at: Some(at), ..row })
    }
}

fn message(row: &DeadRow, whole: bool) -> v1::DeadLetter {
    v1::DeadLetter {
        dead_letter_id: row.id.clone(),
        subject: row.envelope.headers.subject.as_str().to_owned(),
        message_type: row.envelope.event_type.as_ref().to_owned(),
        reason: row.reason.clone(),
        create_time: Some(row.at.into()),
        attempts: row.attempts,
        replay_time: row.replayed_at.map(Into::into),
        envelope: whole.then(|| envelope::message(&row.envelope)),
        errors: row.errors.clone(),
    }
}
