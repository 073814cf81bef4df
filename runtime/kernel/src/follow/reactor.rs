//! Reactors: durable subscribers that turn events into commands for other entities.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::{Seen, projection::interesting};
use crate::{
    envelope::{Address, Envelope, IdempotencyKey, Payload, Retry},
    path::Mesh,
    ports::{Cursors, Journal, JournalError},
    telemetry::ServiceMeter,
};

use super::ProjectionError;

/// How many targets of one batch are written to at once.
const TARGETS_AT_ONCE: usize = 256;

/// A command that a reactor wants sent because of an event.
#[derive(Debug, Clone)]
pub struct Reaction {
    /// Who gets it; always of the tenant of the event.
    pub to: Address,
    /// The command.
    pub command: Payload,
    /// Tells this reaction from others to the same target because of the same event.
    pub handler: &'static str,
}

/// Turns events into commands. Pure: the cursor, the keys, delivery and retries are the kernel's.
pub trait Reactor: Send + Sync + 'static {
    /// Its name: names its cursor, so it must never change.
    fn name(&self) -> &'static str;

    /// The event types that it answers; empty means all.
    fn interests(&self) -> &'static [&'static str] {
        &[]
    }

    /// The commands that this event causes.
    fn react(&self, event: &Envelope) -> Vec<Reaction>;
}

/// Drives one reactor until cancelled.
///
/// The cursor is stored after the commands of a batch were answered, so a crash sends some again
/// with the same idempotency keys, and their receivers answer without doing them twice.
///
/// # Errors
/// [`ProjectionError`] when the journal cannot be read; its supervisor starts it again.
pub async fn run_reactor(
    mesh: Mesh,
    journal: Arc<dyn Journal>,
    reactor: Arc<dyn Reactor>,
    cursors: Arc<dyn Cursors>,
    stop: CancellationToken,
    meter: Arc<ServiceMeter>,
) -> Result<(), ProjectionError> {
    let mut feed = match journal.follow(None, cursors.load(reactor.name())) {
        Err(JournalError::BadCursor | JournalError::Freed) => journal.follow(None, None)?,
        other => other?,
    };
    feed.only(reactor.interests());
    loop {
        let followed = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            followed = feed.next() => followed?,
        };
        let seen = interesting(&followed, reactor.interests())?;
        let by_target = reactions(reactor.as_ref(), &seen);
        meter.holds(seen.len());
        if !by_target.is_empty() {
            let sent = stream::iter(by_target)
                .for_each_concurrent(TARGETS_AT_ONCE, |(_, steps)| deliver_all(&mesh, reactor.name(), steps, &stop));
            sent.await;
            if stop.is_cancelled() {
                return Ok(());
            }
        }
        meter.handled(seen.len());
        if !seen.is_empty() {
            crate::failpoint::pass("reactor");
        }
        cursors.store(reactor.name(), &followed.cursor);
        cursors.reached(reactor.name(), followed.position);
    }
}

type Step = (Arc<Envelope>, Reaction);

/// The reactions of a batch, in order for each target.
fn reactions(reactor: &dyn Reactor, seen: &[Seen]) -> HashMap<Address, Vec<Step>> {
    let mut by_target: HashMap<Address, Vec<Step>> = HashMap::new();
    for seen in seen {
        for reaction in reactor.react(&seen.envelope) {
            if reaction.to.tenant() != &seen.envelope.tenant_id {
                tracing::error!(reactor = reactor.name(), to = %reaction.to, event = %seen.envelope.event_id,
                    "a reaction to another tenant was not sent");
                continue;
            }
            by_target.entry(reaction.to.clone()).or_default().push((seen.envelope.clone(), reaction));
        }
    }
    by_target
}

async fn deliver_all(mesh: &Mesh, reactor: &'static str, steps: Vec<Step>, stop: &CancellationToken) {
    for (cause, reaction) in steps {
        deliver(mesh, reactor, &cause, reaction, stop).await;
    }
}

/// Sends one reaction until it was answered: done, or refused for good (then it is a dead letter).
async fn deliver(mesh: &Mesh, reactor: &'static str, cause: &Envelope, reaction: Reaction, stop: &CancellationToken) {
    let key = IdempotencyKey::of(&cause.event_id, reaction.handler, reaction.to.as_str());
    let mut backoff = Duration::from_millis(20);
    loop {
        let answer = mesh.react(reactor, cause, reaction.to.clone(), reaction.command.clone(), key.clone()).await;
        let Err(refusal) = answer else { return };
        let delay = match refusal.retry {
            Retry::Never => {
                tracing::debug!(reactor, to = %reaction.to, command = %reaction.command.name, %refusal, "a reaction was refused");
                return;
            }
            Retry::Now => Duration::from_millis(1),
            Retry::After(delay) => delay,
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(delay.max(backoff)) => {}
        }
        backoff = (backoff * 2).min(Duration::from_secs(5));
    }
}
