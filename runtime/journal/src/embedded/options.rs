//! What can be set.

use std::time::Duration;

use super::{
    OpenError,
    log::{frame, segment},
};

/// How the journal uses its disk and memory. The defaults suit one machine with a local disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Length of a segment. The next one is filled with zeros ahead of time, so that no flush
    /// changes metadata. **Units**: bytes. Default 64 MiB; 8 KiB to 1 GiB.
    pub segment_bytes: u64,
    /// Length of a new store's first segment: small, so that a first start is quick.
    /// **Units**: bytes. Default 4 MiB; 8 KiB to 1 GiB.
    pub first_segment_bytes: u64,
    /// Kept back for entities that exist already, so that on a full disk outcomes and cancels can
    /// still be recorded. **Units**: bytes. Default 16 MiB; 0 keeps nothing back.
    pub reserve_bytes: u64,
    /// New files are only made while this much is left on the disk. **Units**: bytes.
    /// Default 64 MiB.
    pub free_bytes_min: u64,
    /// The most that one flush covers, as long as a single append is not larger.
    /// **Units**: bytes. Default 1 MiB.
    pub batch_bytes_max: usize,
    /// The most events that one flush covers, as long as a single append has not more.
    /// Default 4,096.
    pub batch_events_max: usize,
    /// The largest append; larger ones are answered `Full`. **Units**: bytes. Default 8 MiB; must
    /// fit into a segment.
    pub append_bytes_max: usize,
    /// What may wait for the writer; when it is full, senders wait. Each append counts as at least
    /// 1 KiB, so this bounds their number too. **Units**: bytes. Default 64 MiB.
    pub queue_bytes_max: usize,
    /// What followers that keep up read from memory. **Units**: bytes. Default 3 MiB.
    pub tail_bytes_max: usize,
    /// After this much idleness an empty batch is written behind the last one, so that damage to
    /// the last one can be told from a torn tail. `None`: only at close. Default 10 ms.
    pub mark_after: Option<Duration>,
    /// The index is saved whenever this much log was written since it was last saved, so that
    /// opening stays quick. **Units**: bytes. Default 64 MiB; it happens when a segment is full.
    pub checkpoint_bytes: u64,
    /// The largest snapshot that is kept; larger ones cost a replay. **Units**: bytes.
    /// Default 16 MiB.
    pub snapshot_bytes_max: usize,
    /// Fill segments and save the index on threads beside the writer. `false` does it in the
    /// writer, in an order that depends on nothing else: for simulations.
    pub background: bool,
}

impl Default for Options {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            segment_bytes: 64 * MIB as u64,
            first_segment_bytes: 4 * MIB as u64,
            reserve_bytes: 16 * MIB as u64,
            free_bytes_min: 64 * MIB as u64,
            batch_bytes_max: MIB,
            batch_events_max: 4096,
            append_bytes_max: 8 * MIB,
            queue_bytes_max: 64 * MIB,
            tail_bytes_max: 3 * MIB,
            mark_after: Some(Duration::from_millis(10)),
            checkpoint_bytes: 64 * MIB as u64,
            snapshot_bytes_max: 16 * MIB,
            background: true,
        }
    }
}

impl Options {
    /// Small segments and nothing beside the writer: every run does the same operations in the
    /// same order. For simulations.
    pub fn simulation() -> Self {
        Self {
            segment_bytes: 16 * 1024,
            first_segment_bytes: 12 * 1024,
            reserve_bytes: 12 * 1024,
            free_bytes_min: 0,
            batch_bytes_max: 4 * 1024,
            append_bytes_max: 6 * 1024,
            tail_bytes_max: 4 * 1024,
            mark_after: None,
            checkpoint_bytes: 24 * 1024,
            background: false,
            ..Self::default()
        }
    }

    pub(super) fn validate(&self) -> Result<(), OpenError> {
        let no = |option, what| Err(OpenError::Option { option, what });
        let range = 8 * 1024..=1 << 30;
        if !range.contains(&self.segment_bytes) {
            return no("segment_bytes", "8 KiB to 1 GiB are possible");
        }
        if !range.contains(&self.first_segment_bytes) {
            return no("first_segment_bytes", "8 KiB to 1 GiB are possible");
        }
        if self.reserve_bytes != 0 && !range.contains(&self.reserve_bytes) {
            return no("reserve_bytes", "0, or 8 KiB to 1 GiB are possible");
        }
        if self.append_bytes_max as u64 + OVERHEAD > self.segment_bytes {
            return no("append_bytes_max", "an append must fit into a segment");
        }
        if self.queue_bytes_max < 64 * 1024 || self.queue_bytes_max < self.append_bytes_max {
            return no("queue_bytes_max", "at least 64 KiB, and at least the largest append");
        }
        if self.batch_bytes_max as u64 + OVERHEAD > self.segment_bytes {
            return no("batch_bytes_max", "a batch must fit into a segment");
        }
        if self.batch_bytes_max == 0 || self.batch_events_max == 0 {
            return no("batch_bytes_max", "a batch holds at least one byte and one event");
        }
        Ok(())
    }
}

/// What a segment holds beside one append: its header, the frame's head and padding, and a mark.
const OVERHEAD: u64 = segment::HEAD + frame::HEAD as u64 + 8 + frame::MARK_LEN;
