//! The way in: commands from callers, reactors, timers and effect workers take the same steps.

use std::{sync::Arc, time::Duration};

use super::{Caller, Mesh};
use crate::{
    BoxFuture,
    actor::{Answered, DeadLetter, DeadReason},
    envelope::{
        Address, CorrelationId, Envelope, ErrorKind, EventId, Headers, IdempotencyKey, Payload, ProjectId, Refusal,
        Retry, TenantScope, TraceId,
    },
    ports::{Approved, Digest, Outcome, Position},
    work::{EffectTask, Outbox},
};

/// A command as a caller gives it.
#[derive(Debug, Clone)]
pub struct Command {
    /// Who gets it.
    pub to: Address,
    /// What is asked.
    pub payload: Payload,
    /// The same key is never done twice by the same entity.
    pub key: Option<IdempotencyKey>,
    /// Digest of the request that it was made of, without what is minted for it: the same key with
    /// another one is refused as `AlreadyExists`.
    pub request: Option<Digest>,
    /// Refused as `Aborted` when the entity has another version.
    pub expected_version: Option<u64>,
    /// The activity that it belongs to; its own id when there is none.
    pub correlation: Option<CorrelationId>,
    /// The trace that it belongs to; minted when there is none.
    pub trace: Option<TraceId>,
    /// The event that caused it; itself when there is none.
    pub causation: Option<EventId>,
    /// The product that it is about.
    pub project: Option<ProjectId>,
    /// How long the sender waits.
    pub timeout: Option<Duration>,
    /// The view to answer with; `None` asks for no view.
    pub what: Option<String>,
}

impl Command {
    /// A command with everything optional left out, answered with the usual view.
    pub fn new(to: Address, payload: Payload) -> Self {
        Self {
            to,
            payload,
            key: None,
            request: None,
            expected_version: None,
            correlation: None,
            trace: None,
            causation: None,
            project: None,
            timeout: None,
            what: Some(String::new()),
        }
    }
}

/// The answer to a command.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The entity's version afterwards.
    pub version: u64,
    /// Everything up to here is durable and includes what the command did.
    pub position: Position,
    /// The events that it caused; those of the first time when it was a repeat.
    pub events: Vec<Arc<Envelope>>,
    /// The entity as callers see it; null when no view was asked for.
    pub view: serde_json::Value,
    /// Whether it had been done before under the same key.
    pub repeated: bool,
    /// The lineage key that was minted for it, or that it carried.
    pub trace_id: TraceId,
}

impl Mesh {
    /// Sends a command through the eight steps.
    ///
    /// # Errors
    /// The refusal of whichever step said no; its code names the step or the platform.
    pub async fn send(&self, caller: &Caller, command: Command) -> Result<Reply, Refusal> {
        let what = command.what.clone();
        let envelope = self.accepted(caller, &command);
        let (address, trace_id) = (command.to, envelope.trace_id.clone());
        crate::failpoint::pass("accept");
        let Answered { version, position, events, repeated, .. } = self.pass(caller, envelope).await?;
        let view = match what {
            Some(what) => self.view_of(&address, &what).await?.view,
            None => serde_json::Value::Null,
        };
        Ok(Reply { version, position, events, view, repeated, trace_id })
    }

    /// Sends a command because of an event, as reactors, timers and effect workers do. What is
    /// refused for good is kept as a dead letter: nobody else would tell of it.
    ///
    /// # Errors
    /// As [`Mesh::send`].
    pub async fn react(
        &self,
        part: &str,
        cause: &Envelope,
        to: Address,
        command: Payload,
        key: IdempotencyKey,
    ) -> Result<(), Refusal> {
        let caller = self.on_behalf(part, &TenantScope::proven(cause.tenant_id.clone()), cause);
        let mut envelope = self.caused(part, cause, to, command, key);
        let admitted = self.admit(&caller, &mut envelope).await;
        let envelope = Arc::new(envelope);
        let answer = match admitted {
            Ok(()) => self.forward(envelope.clone()).await,
            Err(refusal) => Err(refusal),
        };
        match answer {
            // It waits at the approval, which sends it.
            Err(refusal) if refusal.code == Approved::WAITS => Ok(()),
            // Nobody waited for it in vain, and its key makes it safe to be sent again: a node that stood
            // still for a while must not lose what it was about to say.
            Err(late) if late.kind == ErrorKind::DeadlineExceeded => Err(Refusal { retry: Retry::Now, ..late }),
            answer => answer.map(drop).inspect_err(|refusal| {
                if refusal.retry == Retry::Never {
                    self.bury(envelope, refusal);
                }
            }),
        }
    }

    fn bury(&self, envelope: Arc<Envelope>, refusal: &Refusal) {
        self.0.dead_letters.put(DeadLetter {
            envelope,
            reason: DeadReason::Refused,
            attempts: 1,
            at: self.0.services.clock.now(),
            incarnation: 0,
            errors: vec![refusal.to_string()],
        });
    }

    /// Delivers a dead letter again, as it was, with a fresh deadline.
    ///
    /// # Errors
    /// As [`Mesh::send`]; `NotFound` when the letter is another tenant's.
    pub async fn replay(&self, caller: &Caller, letter: &Envelope) -> Result<Answered, Refusal> {
        self.admit_query(caller, "ReplayDeadLetter", Some(&letter.headers.subject))?;
        let mut envelope = letter.clone();
        envelope.headers.deadline = None;
        self.forward(Arc::new(envelope)).await
    }

    /// Sends a command that has waited for its approval, under the principal that sent it. It is done
    /// once, however often it is released.
    ///
    /// # Errors
    /// As [`Mesh::send`]; `PermissionDenied` when the policy has come to deny it since.
    pub async fn release(&self, scope: &TenantScope, approved: Approved) -> Result<Answered, Refusal> {
        let Headers { principal, subject, .. } = &approved.command.headers;
        let caller = Caller::inside(scope.clone(), principal.clone());
        self.enter(&caller, &approved.command.event_type, Some(subject))?;
        self.forward(Arc::new(approved.admitted())).await
    }

    /// Steps 2 to 4; the entity does 5 to 8.
    async fn pass(&self, caller: &Caller, mut envelope: Envelope) -> Result<Answered, Refusal> {
        self.admit(caller, &mut envelope).await?;
        crate::failpoint::pass("admit");
        self.forward(Arc::new(envelope)).await
    }

    /// Steps 3 and 4, for what is admitted.
    async fn forward(&self, envelope: Arc<Envelope>) -> Result<Answered, Refusal> {
        let lane = self.route(&envelope)?;
        crate::failpoint::pass("route");
        self.deliver(envelope, lane).await
    }
}

impl Outbox for Mesh {
    fn tell<'a>(&'a self, task: &'a EffectTask, outcome: Outcome) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move {
            let key = IdempotencyKey::parse(&format!("{}.outcome", task.request.key))
                .map_err(|error| Refusal::new("KER-0060", crate::envelope::ErrorKind::Internal, error.to_string()))?;
            self.react(task.request.handler, &task.cause, task.address.clone(), outcome, key).await
        })
    }

    fn ask_again(&self, address: &Address) {
        self.0.directory.wake(address);
    }

    fn who_waits(&self) -> BoxFuture<'_, Option<Vec<Address>>> {
        Box::pin(async move {
            let unfinished = self.0.services.journal.unfinished().await;
            let unfinished = unfinished.inspect_err(|error| tracing::warn!(%error, "who waits for work is not known"));
            let waits = unfinished.ok()?.into_iter().filter(|(_, wake)| *wake == crate::ports::Wake::Now);
            Some(waits.map(|(address, _)| address).collect())
        })
    }
}
