//! Cursors of streams: where each message of a stream stands, so that the next one goes on behind it.
//!
//! The journal's cursor stands behind a batch; a message stands within one. So a cursor of ours is
//! the journal's before the batch, and for each shard the position up to which it was sent: order
//! holds within a shard, and so nothing is lost or doubled however the batches fall next time.

use std::collections::BTreeMap;

use mesh_kernel::{
    envelope::{Refusal, Shard, hex},
    ports::{Cursor, Position},
};

use super::status::refused_field;

/// First byte of a cursor in the journal.
const JOURNAL: u8 = 1;
/// First byte of a cursor in one run's events.
const VERSION: u8 = 2;
/// Longest cursor taken. **Units**: characters.
const CHARS_MAX: usize = 8_192;

/// Where a stream of the journal's events stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The journal's cursor; `None` before the first event.
    pub(super) cursor: Option<Cursor>,
    /// What was sent behind it: a shard's events up to this position.
    pub(super) sent: BTreeMap<u8, u64>,
}

impl Place {
    /// Behind everything up to the journal's cursor.
    pub(super) fn at(cursor: Option<Cursor>) -> Self {
        Self { cursor, sent: BTreeMap::new() }
    }

    /// Whether the event at this place was sent.
    pub(super) fn has(&self, shard: Shard, position: Position) -> bool {
        self.sent.get(&shard.number()).is_some_and(|sent| position.0 <= *sent)
    }

    /// Notes that it was.
    pub(super) fn add(&mut self, shard: Shard, position: Position) {
        self.sent.insert(shard.number(), position.0);
    }

    /// Drops what was noted of a shard.
    pub(super) fn forget(&mut self, shard: Shard) {
        self.sent.remove(&shard.number());
    }

    /// As a token.
    pub(super) fn seal(&self) -> String {
        let cursor = self.cursor.as_ref().map(|cursor| cursor.0.as_ref());
        let mut bytes = vec![JOURNAL, u8::from(cursor.is_some())];
        let cursor = cursor.unwrap_or_default();
        bytes.extend(u16::try_from(cursor.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend(cursor);
        for (shard, position) in &self.sent {
            bytes.push(*shard);
            bytes.extend(position.to_be_bytes());
        }
        hex::encode(&bytes)
    }

    /// The place that a token stands for.
    ///
    /// # Errors
    /// When it is none of ours, or one of another sort of stream.
    pub(super) fn open(token: &str) -> Result<Self, Refusal> {
        let bytes = decode(token)?;
        read_place(&bytes).ok_or_else(wrong)
    }
}

fn read_place(bytes: &[u8]) -> Option<Place> {
    let (head, rest) = bytes.split_at_checked(4)?;
    let [JOURNAL, some, high, low] = *head else { return None };
    let (cursor, mut rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
    let mut sent = BTreeMap::new();
    while let Some((mark, after)) = rest.split_first_chunk::<9>() {
        let (shard, position) = mark.split_first()?;
        Shard::new(*shard)?;
        sent.insert(*shard, u64::from_be_bytes(position.try_into().ok()?));
        rest = after;
    }
    let cursor = (some == 1).then(|| Cursor(cursor.to_vec().into()));
    rest.is_empty().then_some(Place { cursor, sent })
}

/// The token behind a run's event with this version.
pub(super) fn seal_version(version: u64) -> String {
    hex::encode(&[&[VERSION][..], &version.to_be_bytes()].concat())
}

/// The version that a token of one run's stream stands for.
///
/// # Errors
/// When it is none of ours, or one of another sort of stream.
pub(super) fn open_version(token: &str) -> Result<u64, Refusal> {
    let bytes = decode(token)?;
    match bytes.split_first() {
        Some((&VERSION, version)) => version.try_into().map(u64::from_be_bytes).map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

fn decode(token: &str) -> Result<Vec<u8>, Refusal> {
    if token.len() > CHARS_MAX {
        return Err(wrong());
    }
    hex::decode(token).ok_or_else(wrong)
}

fn wrong() -> Refusal {
    refused_field("cursor", "not a cursor of this stream: send back one that it gave, or begin without one")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { cursor: Some(Cursor(vec![1, 2, 3].into())), sent: [(0, 7), (63, u64::MAX)].into() }
    }

    #[test]
    fn a_place_survives_its_token() {
        for place in [place(), Place::default(), Place::at(Some(Cursor::default()))] {
            assert_eq!(Place::open(&place.seal()).unwrap(), place);
        }
        assert_eq!(open_version(&seal_version(42)).unwrap(), 42);
    }

    #[test]
    fn a_token_of_another_stream_is_refused() {
        assert!(Place::open(&seal_version(42)).is_err());
        assert!(open_version(&place().seal()).is_err());
        let token = place().seal();
        for bad in ["", "zz", "01", "0101ffff", &token[..token.len() - 2], &format!("{token}00"), &"0".repeat(9_000)] {
            assert!(Place::open(bad).is_err(), "`{bad}` was taken");
        }
    }

    #[test]
    fn what_was_sent_of_a_shard_says_nothing_of_another() {
        let mut place = Place::default();
        let (a, b) = (Shard::new(1).unwrap(), Shard::new(2).unwrap());
        place.add(a, Position(10));
        assert!(place.has(a, Position(10)) && place.has(a, Position(9)));
        assert!(!place.has(a, Position(11)) && !place.has(b, Position(9)));
    }
}
