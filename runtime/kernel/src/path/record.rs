//! Step 6, record: will it last?
//!
//! The events are appended at the expected version, in one flush with everyone else who is
//! appending now. An answer of "unknown" obliges to read back before deciding again.

use std::{sync::Arc, time::Duration};

use tracing::Instrument;

use super::{entity::Entity, span::step};
use crate::{
    actor::Crash,
    envelope::{Envelope, ErrorKind, Refusal},
    ports::{Append, AppendOutcome, Event, Position, Wake},
};

/// What became of an append.
pub(super) enum Record {
    /// Durable.
    Done(Position),
    /// The journal holds something else than this incarnation believes: reload, then decide again.
    Conflict,
    /// Not recorded, and the caller is told why.
    Refused(Refusal),
}

impl Entity {
    /// Step 6.
    pub(super) async fn record(&mut self, command: &Envelope, events: &[Arc<Envelope>]) -> Result<Record, Crash> {
        let span = step!("record", self.services, &command.trace_id, self.address);
        let append = Append {
            address: self.address.clone(),
            expected_version: self.version,
            epoch: self.services.journal.epoch(self.address.shard()),
            events: events.iter().map(Event::of).collect(),
            key: command.headers.idempotency_key.clone(),
            // A guess that errs towards waking; `apply` says what is true, see `Journal::settle`.
            wake: Wake::Now,
        };
        crate::failpoint::pass("decide");
        let outcome = self.services.journal.append(append).instrument(span).await;
        crate::failpoint::pass("record");
        Ok(match outcome {
            AppendOutcome::Appended { position, .. } => Record::Done(position),
            AppendOutcome::WrongVersion { .. } | AppendOutcome::Duplicate { .. } => Record::Conflict,
            AppendOutcome::Unknown { reason } => {
                tracing::warn!(address = %self.address, reason, "an append's outcome is unknown: read back");
                Record::Conflict
            }
            AppendOutcome::Full { free_bytes, reason } => Record::Refused(
                Refusal::new(
                    "KER-0090",
                    ErrorKind::ResourceExhausted,
                    format!("nothing was recorded: {reason} ({free_bytes} bytes are free)"),
                )
                .after(Duration::from_secs(1)),
            ),
            AppendOutcome::Retired => Record::Refused(Refusal::new(
                "KER-0092",
                ErrorKind::FailedPrecondition,
                format!("nothing was recorded: `{}` was retired, and its name is not used again", self.address),
            )),
            AppendOutcome::Fenced { current } => Record::Refused(
                Refusal::new(
                    "KER-0091",
                    ErrorKind::Unavailable,
                    format!("nothing was recorded: another node owns this shard now (epoch {})", current.0),
                )
                .after(Duration::from_millis(100)),
            ),
        })
    }
}
