//! Marks, and hints: what is written when nothing else is.

use mesh_kernel::envelope::Address;

use super::Writer;
use crate::embedded::{
    hints::Hint,
    index::Entry,
    log::{
        frame,
        record::{self, Kind},
    },
};

/// About as much as the hints of one batch may take. **Units**: bytes.
const HINT_BYTES: usize = 512 * 1024;

impl Writer {
    /// Whether a mark or a hint waits for a moment of idleness.
    pub(super) fn has_loose_ends(&self) -> bool {
        let unmarked = self.unmarked && !self.must_roll && self.room() >= frame::MARK_LEN;
        unmarked || !self.hints.is_empty() || !self.shared.hints.is_empty()
    }

    /// Writes a batch without events behind the last one: what is followed by a good frame was
    /// flushed, so damage to it is damage and not a torn tail. It carries the hints that wait.
    pub(super) fn mark(&mut self) {
        self.take_hints();
        let wanted = if self.hints.is_empty() {
            self.unmarked && !self.must_roll && self.room() >= frame::MARK_LEN
        } else {
            self.make_room(frame::len_of(1024)).is_ok()
        };
        if !wanted {
            // Without room for them the entities are woken once in vain; nothing waits for it.
            self.hints.clear();
            return;
        }
        self.buffer.clear();
        self.pending.clear();
        self.stones.clear();
        self.ends.clear();
        self.told.clear();
        self.event_bytes = 0;
        let start = frame::begin(&mut self.buffer);
        let count = self.encode_hints();
        if count == 0 && !self.unmarked {
            // None of them says anything new.
            self.publish_index();
            return;
        }
        frame::end(&mut self.buffer, start, self.active.seed, self.next_batch, self.prev_crc, count);
        match self.write() {
            Ok(()) => self.publish_mark(),
            Err(error) => {
                tracing::error!(segment = %self.active.name, ?error, "a mark could not be flushed");
                self.must_roll = true;
                self.hints.clear();
            }
        }
    }

    fn publish_mark(&mut self) {
        let kept = self.kept();
        self.keep(kept);
        self.advance();
        self.unmarked = false;
        self.publish_index();
        // Nobody needs to wake for a batch without events.
        self.shared.end.send_if_modified(|end| {
            end.next_batch = self.next_batch;
            false
        });
    }

    /// Writes the hints that still hold and fit to the end of the buffer, and answers how many.
    pub(super) fn encode_hints(&mut self) -> u32 {
        self.take_hints();
        let room = (self.room() - frame::MARK_LEN.min(self.room())) as usize;
        let bytes_max = room.min(self.buffer.len() + HINT_BYTES);
        let hints = std::mem::take(&mut self.hints);
        let mut count = 0;
        let mut seen = 0;
        for (address, hint) in &hints {
            let len = record::len_of(address.as_str(), &[]);
            if frame::len_of(self.buffer.len() - frame::HEAD + len) > bytes_max as u64 {
                break;
            }
            seen += 1;
            let Some(entry) = self.still_holds(address, *hint) else {
                continue;
            };
            let record = record::Record {
                kind: Kind::Wake,
                address: address.as_str(),
                shard: address.shard().number(),
                version: hint.version,
                prev: 0,
                nth: 0,
                wake: hint.wake,
                key: None,
                envelope: &[],
            };
            record::push(&mut self.buffer, self.active.seed, &record);
            self.pending.insert(self.shared.keys.of(address.as_str()), entry.waiting_for(hint.wake));
            count += 1;
        }
        self.hints = hints;
        self.hints_encoded = seen;
        count
    }

    /// The entity as it stands, when the hint is about this version and says something new.
    fn still_holds(&self, address: &Address, hint: Hint) -> Option<Entry> {
        let key = self.shared.keys.of(address.as_str());
        if self.stones.iter().any(|(stone, ..)| stone.key == key) {
            return None;
        }
        let entry = match self.pending.get(&key) {
            Some(entry) => *entry,
            None => *self.shared.index.read().entries.get(&key)?,
        };
        (entry.version() == hint.version && entry.wake() != hint.wake).then_some(entry)
    }

    /// What was not taken stays where a newer hint of the same entity replaces it.
    fn take_hints(&mut self) {
        if self.hints.is_empty() {
            self.shared.hints.take(&mut self.hints);
        }
    }

    /// Bytes that are left in the active segment.
    fn room(&self) -> u64 {
        self.active.len.saturating_sub(self.offset)
    }
}
