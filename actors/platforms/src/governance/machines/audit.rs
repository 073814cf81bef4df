//! The audit of denials: batches, each an event; the state only counts them.

use std::convert::Infallible;

use mesh_kernel::{
    entity::{Cause, Decider, Recorded},
    envelope::{Address, ErrorKind, Kind, Refuse, Timestamp},
};
use serde::{Deserialize, Serialize};

use crate::governance::messages::{AuditCommand as Command, AuditEvent as Event};

/// Decides for audits.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditMachine;

/// What is true of an audit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    batches: u64,
    denials: u64,
    last_at: Option<Timestamp>,
}

/// The audit refuses nothing.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Never(#[from] Infallible);

impl Refuse for Never {
    fn code(&self) -> &'static str {
        match self.0 {}
    }

    fn kind(&self) -> ErrorKind {
        match self.0 {}
    }
}

impl Decider for AuditMachine {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Error = Never;

    const KIND: Kind = Kind { platform: "governance", name: "audit" };

    fn initial(&self, _address: &Address) -> State {
        State::default()
    }

    fn decide(&self, _state: &State, command: Command, _cause: &Cause) -> Result<Vec<Event>, Never> {
        let Command::RecordDenials(denials) = command;
        if denials.denied.is_empty() && denials.others == 0 {
            return Ok(Vec::new());
        }
        Ok(vec![Event::DenialsRecorded(denials)])
    }

    fn evolve(&self, state: &mut State, event: Event, recorded: &Recorded<'_>) {
        let Event::DenialsRecorded(denials) = event;
        state.batches += 1;
        state.denials += denials.denied.iter().map(|line| line.count).sum::<u64>() + denials.others;
        state.last_at = Some(recorded.at);
    }
}

#[cfg(test)]
mod tests {
    use mesh_kernel::tenant::{Denials, Denied};

    use super::*;
    use crate::table::{Table, check};

    #[test]
    fn a_batch_is_one_event_and_an_empty_one_is_none() {
        let mut table = Table::new(AuditMachine, "acme/governance/audit/denials");
        let line = |count| Denied {
            principal: "key:ci".into(),
            action: "CancelRun".into(),
            count,
            samples: Default::default(),
        };
        let batch = Denials { denied: vec![line(40), line(2)], others: 8 };
        table.by_system();
        check("a batch", table.send(Command::RecordDenials(batch)), Ok(&["DenialsRecorded"]));
        check("an empty one", table.send(Command::RecordDenials(Denials::default())), Ok(&[]));
        let others = Denials { denied: Vec::new(), others: 1 };
        check("too many to tell apart", table.send(Command::RecordDenials(others)), Ok(&["DenialsRecorded"]));
        assert_eq!((&table.view()["batches"], &table.view()["denials"]), (&2.into(), &51.into()));
    }
}
