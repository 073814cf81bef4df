//! The bytes of the log.
//!
//! ```text
//! segment = header, 4 KiB | batch frames, 8-byte aligned | zeros to the end of the file
//! frame   = len u32 | crc u32 | batch no u64 | crc of the batch before u32 | count u32
//!           | body len u32 | 0 u32 | records | 1 to 8 bytes 0x5a
//! record  = len u32 | crc u32 | kind u8 | shard u8 | flags u8 | 0 u8 | nth u16 | address len u16
//!           | version u64 | previous position u64 | wake at i64 | key u64 | address | envelope
//! ```
//!
//! A segment whose dead records were dropped is **sparse**: its header says so, and before each
//! record lies its offset in the segment as it was (u32). Positions are made of that offset, so
//! they hold for ever, wherever the bytes lie by now.
//!
//! All numbers are little-endian. Checksums are CRC-32C, seeded with the store's id and the
//! segment's number, so that bytes of another file, or bytes that a caller made up, are no frame.
//! A record's checksum lets one record be read alone; a frame's covers all of its records.

pub(super) mod frame;
pub(super) mod numbers;
pub(super) mod record;
pub(super) mod segment;
pub(super) mod sparse;
pub(super) mod walk;

use mesh_kernel::ports::Position;

/// Where bytes lie: a segment and an offset in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) segment: u64,
    pub(super) offset: u64,
}

impl From<Place> for Position {
    fn from(place: Place) -> Self {
        Self((place.segment << 32) | place.offset)
    }
}

impl From<Position> for Place {
    fn from(position: Position) -> Self {
        Self { segment: position.0 >> 32, offset: position.0 & 0xffff_ffff }
    }
}
