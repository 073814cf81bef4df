//! An awake entity: it runs the last four steps for each envelope, one at a time.

use std::{collections::HashSet, sync::Arc};

use parking_lot::RwLock;

use super::{Services, load};
use crate::{
    BoxFuture,
    actor::{Answered, Behaviour, Crash, Item, SlotHandle, Spawner, Unknown},
    entity::{AnyState, ErasedDecider, KeySpan, KeyWindow, LoadError},
    envelope::{Address, Envelope, ErrorKind, IdempotencyKey, Refusal, Timestamp},
    ports::{JournalError, Position, Wake},
};

/// What readers see of an awake entity. Written after a record and never before.
pub(super) struct Published {
    pub(super) decider: Arc<dyn ErasedDecider>,
    pub(super) inner: RwLock<PublishedState>,
}

pub(super) struct PublishedState {
    pub(super) state: AnyState,
    pub(super) version: u64,
    pub(super) position: Position,
    pub(super) last: Option<Arc<Envelope>>,
}

/// One incarnation of one entity.
pub(super) struct Entity {
    pub(super) address: Address,
    pub(super) services: Arc<Services>,
    pub(super) decider: Arc<dyn ErasedDecider>,
    pub(super) slot: SlotHandle,
    pub(super) published: Arc<Published>,
    pub(super) version: u64,
    pub(super) last_at: Timestamp,
    pub(super) keys: KeyWindow,
    /// Effects that this incarnation has handed to the workers.
    pub(super) asked: HashSet<IdempotencyKey>,
    /// What the journal believes that this entity waits for.
    pub(super) recorded_wake: Wake,
    pub(super) since_snapshot: u64,
}

/// Makes an entity's behaviour for each incarnation.
pub(super) struct EntitySpawner(pub(super) Arc<Services>);

impl Spawner for EntitySpawner {
    fn behaviour(&self, address: &Address, slot: &SlotHandle) -> Box<dyn Behaviour> {
        let Some(decider) = self.0.kinds.of(address) else {
            return Box::new(Unknown);
        };
        let published = Arc::new(Published {
            decider: decider.clone(),
            inner: RwLock::new(PublishedState {
                state: decider.initial(address),
                version: 0,
                position: Position::default(),
                last: None,
            }),
        });
        Box::new(Entity {
            address: address.clone(),
            services: self.0.clone(),
            decider,
            slot: slot.clone(),
            published,
            version: 0,
            last_at: Timestamp::default(),
            keys: KeyWindow::default(),
            asked: HashSet::new(),
            recorded_wake: Wake::Idle,
            since_snapshot: 0,
        })
    }
}

impl Entity {
    /// Rebuilds everything from the journal: at the start, and when an append's answer says that
    /// what this incarnation believes is not what the journal holds.
    pub(super) async fn reload(&mut self) -> Result<(), Crash> {
        let loaded = load::load(&self.services, self.decider.as_ref(), &self.address).await.map_err(crash)?;
        crate::failpoint::pass("wake");
        self.version = loaded.version;
        self.last_at = loaded.last_at;
        self.keys = loaded.keys;
        self.since_snapshot = loaded.replayed;
        *self.published.inner.write() = PublishedState {
            state: loaded.state,
            version: loaded.version,
            position: loaded.position,
            last: loaded.last,
        };
        Ok(())
    }

    /// Steps 5 to 8 for one envelope.
    async fn take(&mut self, item: &mut Item) -> Result<(), Crash> {
        let envelope = item.envelope.clone();
        // Twice: after a conflict the state is read back and the command is decided once more.
        for _ in 0..2 {
            let answer = match self.decide(&envelope)? {
                super::decide::Verdict::Refused(refusal) => Err(refusal),
                super::decide::Verdict::Nothing => {
                    self.keys.add_nothing(&envelope.headers, self.version);
                    Ok(self.unchanged())
                }
                super::decide::Verdict::Repeated(span) => self.repeated(span).await,
                super::decide::Verdict::Happened(events, fresh) => match self.record(&envelope, &events).await? {
                    super::record::Record::Done(position) => {
                        self.apply(&envelope, &events, fresh, position)?;
                        crate::failpoint::pass("apply");
                        Ok(answered(self.version, position, events))
                    }
                    super::record::Record::Conflict => {
                        self.reload().await?;
                        continue;
                    }
                    super::record::Record::Refused(refusal) => Err(refusal),
                },
            };
            self.announce(item, &envelope, answer);
            return Ok(());
        }
        let conflict = Refusal::new(
            "KER-0070",
            ErrorKind::Aborted,
            "somebody else writes to this entity at the same time: read it, then repeat",
        );
        self.announce(item, &envelope, Err(Refusal { retry: crate::envelope::Retry::Now, ..conflict }));
        Ok(())
    }

    fn unchanged(&self) -> Answered {
        let position = self.published.inner.read().position;
        answered(self.version, position, Vec::new())
    }

    /// The first answer of a key that was done before.
    async fn repeated(&self, span: KeySpan) -> Result<Answered, Refusal> {
        let records =
            self.services.journal.read(&self.address, span.first).await.map_err(|error| unreadable(&error))?;
        let mut answered = self.unchanged();
        answered.repeated = true;
        answered.version = span.last;
        for record in records.into_iter().take_while(|record| record.version <= span.last) {
            answered.position = record.position;
            if let Ok(envelope) = record.event.envelope() {
                answered.events.push(envelope);
            }
        }
        Ok(answered)
    }
}

impl Behaviour for Entity {
    fn start(&mut self) -> BoxFuture<'_, Result<(), Crash>> {
        Box::pin(async move {
            self.reload().await?;
            self.slot.done(self.decider.is_done(&self.published.inner.read().state));
            self.slot.publish(self.published.clone());
            // What the journal believes is not read back: say it again, it costs no flush.
            self.recorded_wake = Wake::Now;
            self.want(true);
            Ok(())
        })
    }

    fn handle<'a>(&'a mut self, item: &'a mut Item) -> BoxFuture<'a, Result<(), Crash>> {
        Box::pin(self.take(item))
    }

    fn again(&mut self) {
        self.want(true);
    }

    fn may_park(&self) -> bool {
        true
    }

    fn park(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // Who is done may never be woken.
            let few = if self.slot.is_done() { self.services.settings.snapshot_every } else { 16 };
            if self.since_snapshot > few {
                self.write_snapshot().await;
            }
        })
    }

    fn size(&self) -> usize {
        let state = self.published.inner.read();
        self.decider.size_hint(&state.state)
    }
}

fn answered(version: u64, position: Position, events: Vec<Arc<Envelope>>) -> Answered {
    Answered { version, position, events, view: serde_json::Value::Null, repeated: false }
}

pub(super) fn crash(error: LoadError) -> Crash {
    match error {
        LoadError::Journal(error @ (JournalError::Io { .. } | JournalError::Closed)) => Crash::Retry(Box::new(error)),
        other => Crash::Quarantine { version: other.version(), reason: Box::new(other) },
    }
}

pub(super) fn unreadable(error: &JournalError) -> Refusal {
    Refusal::new("KER-0071", ErrorKind::Internal, error.to_string())
}
