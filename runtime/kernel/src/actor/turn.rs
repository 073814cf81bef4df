//! An actor's turn: it handles one batch, and what it took is measured.
//!
//! A message that is handled at once costs no future. Reading the clock is then a fifth of the whole,
//! so messages that take less than a microsecond each are timed in groups, each charged its part of
//! the group's time; the first slow one makes the next timed alone again.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt as _;

use super::{Behaviour, Cause, Slot, batch::Batch, chain, verdict::verdict};
use crate::{
    BoxFuture,
    telemetry::{Gathered, SignalKind},
};

/// The largest group that is timed at once.
const GROUP_MAX: u32 = 16;

/// Groups grow while a message takes less than this, and are given up when one takes four times it.
const QUICK: Duration = Duration::from_micros(1);

/// How many messages of an actor are timed at once.
#[derive(Debug, Clone, Copy)]
struct Pace(u32);

impl Default for Pace {
    fn default() -> Self {
        Self(1)
    }
}

impl Pace {
    #[inline]
    fn adapt(&mut self, each: Duration) {
        if each < QUICK {
            self.0 = (self.0 * 2).min(GROUP_MAX);
        } else if each >= QUICK * 4 {
            self.0 = 1;
        }
    }
}

/// What an incarnation remembers from one turn to the next.
#[derive(Debug, Default)]
pub(super) struct Habits {
    pace: Pace,
    /// The type that its slot names as in hand.
    named: Option<Arc<str>>,
}

/// One batch in the hands of one behaviour.
pub(super) struct Turn<'a> {
    slot: &'a Slot,
    behaviour: &'a mut dyn Behaviour,
    habits: &'a mut Habits,
    batch: Batch<'a>,
    began: Duration,
    /// The clock as it was read last.
    at: Duration,
    /// Messages that were handled since then, and how long they had waited.
    number: u32,
    waits: Gathered,
}

/// How a turn went. True when more waits.
pub(super) enum Went<'a> {
    /// Everything was handled at once.
    Over(Result<bool, Cause>),
    /// A message has to be waited for.
    On(BoxFuture<'a, Result<bool, Cause>>),
}

impl<'a> Turn<'a> {
    /// The next turn; none when nothing waits.
    #[inline]
    pub(super) fn take(slot: &'a Slot, behaviour: &'a mut dyn Behaviour, habits: &'a mut Habits) -> Option<Self> {
        let batch = Batch::take(slot)?;
        let began = slot.floor.now();
        Some(Self { slot, behaviour, habits, batch, began, at: began, number: 0, waits: Gathered::default() })
    }

    /// Handles the batch.
    pub(super) fn run(mut self) -> Went<'a> {
        match self.at_once() {
            Ok(true) => Went::Over(Ok(self.finish())),
            Ok(false) => Went::On(Box::pin(self.go_on())),
            Err(cause) => Went::Over(Err(cause)),
        }
    }

    async fn go_on(mut self) -> Result<bool, Cause> {
        loop {
            self.wait_for().await?;
            if self.is_over() || self.at_once()? {
                return Ok(self.finish());
            }
        }
    }

    /// Handles messages as long as they need no waiting. False when the one in hand does.
    fn at_once(&mut self) -> Result<bool, Cause> {
        while let Some(item) = self.batch.next(&mut self.habits.named) {
            if self.number == 0 {
                self.slot.meter.begin(self.at);
            }
            let waited = self.at.saturating_sub(item.enqueued_at);
            let behaviour = &mut self.behaviour;
            match catch_unwind(AssertUnwindSafe(|| behaviour.handle_at_once(item))) {
                Ok(Some(Ok(()))) => self.handled(waited),
                Ok(None) => return Ok(false),
                Ok(Some(failed)) => return Err(self.failed(waited, verdict(Ok(failed)))),
                Err(panic) => return Err(self.failed(waited, verdict(Err(panic)))),
            }
            if self.is_over() {
                break;
            }
        }
        Ok(true)
    }

    /// Whether others shall have a turn.
    #[inline]
    fn is_over(&self) -> bool {
        self.at.saturating_sub(self.began) >= self.slot.floor.config.batch_time || self.batch.is_urged()
    }

    #[inline]
    fn finish(mut self) -> bool {
        self.close();
        self.batch.finish()
    }

    /// The message in hand was handled at once.
    #[inline]
    fn handled(&mut self, waited: Duration) {
        self.waits.record(waited);
        self.number += 1;
        // Who listens is told of each message by itself.
        let listening = self.slot.floor.signals.listening();
        if listening {
            self.close_with_signal(waited);
        }
        self.batch.done();
        if self.number >= self.habits.pace.0 {
            self.close();
        }
    }

    fn close_with_signal(&mut self, waited: Duration) {
        let before = self.at;
        self.close();
        let took = self.at.saturating_sub(before);
        if let Some(item) = self.batch.in_hand() {
            self.slot.signal_message(SignalKind::Handled, item, waited, took);
        }
        self.habits.pace = Pace::default();
    }

    /// Waits for the handler of the message in hand.
    async fn wait_for(&mut self) -> Result<(), Cause> {
        let Some(item) = self.batch.in_hand() else { return Ok(()) };
        let waited = self.at.saturating_sub(item.enqueued_at);
        if self.number > 0 {
            self.close();
            self.slot.meter.begin(self.at);
        }
        // Others look at the sums meanwhile.
        self.batch.tell();
        let Some(item) = self.batch.in_hand() else { return Ok(()) };
        let asked_by = item.asked_by.clone();
        let handling = chain::within(&self.slot.address, asked_by, self.behaviour.handle(item));
        let outcome = verdict(AssertUnwindSafe(handling).catch_unwind().await);
        self.record(waited, outcome.is_err());
        outcome.inspect_err(|cause| self.slot.note(cause.clone()))?;
        self.batch.done();
        Ok(())
    }

    /// The message in hand failed at once. The cause is written down before the batch is dropped,
    /// which decides by it what becomes of the message.
    fn failed(&mut self, waited: Duration, outcome: Result<(), Cause>) -> Cause {
        self.close();
        self.record(waited, true);
        let cause = outcome.err().unwrap_or(Cause::Vanished);
        self.slot.note(cause.clone());
        cause
    }

    /// Reads the clock, and records the message in hand alone.
    fn record(&mut self, waited: Duration, failed: bool) {
        let now = self.slot.floor.now();
        let took = now.saturating_sub(self.at);
        self.slot.meter.end(self.at, now, failed);
        self.slot.kind_meter.record(waited, took, failed);
        let told = if failed { SignalKind::Failed } else { SignalKind::Handled };
        if let Some(item) = self.batch.in_hand() {
            self.slot.signal_message(told, item, waited, took);
        }
        self.at = now;
        self.batch.time_passes();
    }

    /// Reads the clock, and records the messages that were handled since it was read last.
    fn close(&mut self) {
        if self.number == 0 {
            return;
        }
        let now = self.slot.floor.now();
        let each = now.saturating_sub(self.at) / self.number;
        self.slot.meter.end_many(self.number, each, now);
        self.slot.kind_meter.record_many(self.number, each, &self.waits);
        self.habits.pace.adapt(each);
        self.waits.clear();
        self.number = 0;
        self.at = now;
        self.batch.time_passes();
    }
}
