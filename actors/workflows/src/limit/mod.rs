//! A concurrency limit: grants slots to runs in the order in which they asked.
//!
//! One entity for each definition and key. A run asks when it is submitted, begins when it is
//! granted a slot, and gives it back when it ends, however it ends.

use std::collections::{BTreeSet, VecDeque};

use mesh_kernel::{
    entity::{Cause, Decider, Recorded},
    envelope::{Address, ErrorKind, Kind, Refuse, hex},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The kind of a limit's address.
pub const KIND: Kind = Kind { platform: "control-plane", name: "limit" };

/// The id of the limit of a definition for this value of its key.
pub fn name(definition: &str, key: &Value) -> String {
    let text = match key {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let plain =
        text.len() <= 60 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@'));
    match (text.as_str(), plain) {
        ("", _) => definition.to_owned(),
        (text, true) => format!("{definition}:{text}"),
        // A second `:` cannot stand in a plain key, so no plain key is taken for a digest.
        (text, false) => {
            let digest = Sha256::digest(text.as_bytes());
            format!("{definition}::{}", hex::encode(digest.iter().take(13)))
        }
    }
}

/// What a limit can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum Command {
    /// A run wants to begin.
    RequestSlot {
        /// The run.
        run: Address,
        /// How many may be under way, as its definition says.
        max: u32,
    },
    /// A run has ended, or no longer wants to begin.
    ReleaseSlot {
        /// The run.
        run: Address,
    },
}

/// What happened to a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all_fields = "camelCase")]
pub enum Event {
    /// A run waits in line.
    SlotQueued {
        /// The run.
        run: Address,
        /// How many may be under way from now on.
        max: u32,
    },
    /// A run may begin.
    SlotGranted {
        /// The run.
        run: Address,
    },
    /// A run's slot is free, or it left the line.
    SlotReleased {
        /// The run.
        run: Address,
    },
}

/// Who holds a slot, and who waits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slots {
    /// How many may be under way; the latest word counts.
    pub max: u32,
    /// Runs under way.
    pub holders: BTreeSet<Address>,
    /// Runs in line, the first one first.
    pub waiting: VecDeque<Address>,
}

/// What is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The line is full.
    #[error("{WAITING_MAX} runs wait under this limit already; submit later")]
    Full,
}

/// Most runs in line.
const WAITING_MAX: usize = 100_000;

impl Refuse for Error {
    fn code(&self) -> &'static str {
        "LIM-0001"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::ResourceExhausted
    }
}

/// Decides for all limits.
#[derive(Debug, Clone, Copy, Default)]
pub struct LimitDecider;

impl LimitDecider {
    /// Grants while there is room.
    fn grant(mut slots: Slots, mut events: Vec<Event>) -> Vec<Event> {
        while slots.holders.len() < slots.max.max(1) as usize {
            let Some(run) = slots.waiting.front().cloned() else { break };
            let event = Event::SlotGranted { run };
            apply(&mut slots, &event);
            events.push(event);
        }
        events
    }
}

impl Decider for LimitDecider {
    type State = Slots;
    type Command = Command;
    type Event = Event;
    type Error = Error;

    const KIND: Kind = KIND;

    fn initial(&self, _address: &Address) -> Slots {
        Slots::default()
    }

    fn decide(&self, slots: &Slots, command: Command, _cause: &Cause) -> Result<Vec<Event>, Error> {
        let event = match command {
            Command::RequestSlot { run, .. } if slots.holders.contains(&run) || slots.waiting.contains(&run) => {
                return Ok(Vec::new());
            }
            Command::RequestSlot { .. } if slots.waiting.len() >= WAITING_MAX => return Err(Error::Full),
            Command::RequestSlot { run, max } => Event::SlotQueued { run, max },
            Command::ReleaseSlot { run } if slots.holders.contains(&run) || slots.waiting.contains(&run) => {
                Event::SlotReleased { run }
            }
            Command::ReleaseSlot { .. } => return Ok(Vec::new()),
        };
        let mut after = slots.clone();
        apply(&mut after, &event);
        Ok(Self::grant(after, vec![event]))
    }

    fn evolve(&self, slots: &mut Slots, event: Event, _recorded: &Recorded<'_>) {
        apply(slots, &event);
    }

    fn view(&self, slots: &Slots, _what: &str) -> Value {
        json!({ "max": slots.max, "holders": slots.holders, "waiting": slots.waiting })
    }
}

fn apply(slots: &mut Slots, event: &Event) {
    match event {
        Event::SlotQueued { run, max } => {
            slots.max = *max;
            slots.waiting.push_back(run.clone());
        }
        Event::SlotGranted { run } => {
            slots.waiting.retain(|waiting| waiting != run);
            slots.holders.insert(run.clone());
        }
        Event::SlotReleased { run } => {
            slots.waiting.retain(|waiting| waiting != run);
            slots.holders.remove(run);
        }
    }
}
