//! Records: one event of one entity, as it lies in a frame.

use mesh_kernel::{envelope::Timestamp, ports::Wake};

use super::numbers::{i64_at, put_at, u16_at, u32_at, u64_at};

/// Length of a record before its address. **Units**: bytes.
pub(in crate::embedded) const HEAD: usize = 48;

const KIND_EVENT: u8 = 1;
const KIND_WAKE: u8 = 2;
const KIND_RETIRE: u8 = 3;
const KIND_ERASE: u8 = 4;
const WAKE_NOW: u8 = 1;
const WAKE_AT: u8 = 2;
const WAKE_MASK: u8 = 3;
const HAS_KEY: u8 = 4;

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::embedded) enum Kind {
    /// An event of the entity, with the version that it makes.
    Event,
    /// What the entity waits for at this version; no event, and not in the chain.
    Wake,
    /// A tombstone: the entity ended at this version. It has no address; what it says is in
    /// [`Tombstone`], so that the name of who ended is in no file any more.
    Retire,
    /// A tenant ended; the envelope is its key.
    Erase,
}

/// One record, borrowed from the bytes that hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::embedded) struct Record<'a> {
    pub(in crate::embedded) kind: Kind,
    pub(in crate::embedded) address: &'a str,
    pub(in crate::embedded) shard: u8,
    pub(in crate::embedded) version: u64,
    /// Position of the entity's record before this one; 0 when there is none.
    pub(in crate::embedded) prev: u64,
    /// Its index in its append.
    pub(in crate::embedded) nth: u16,
    pub(in crate::embedded) wake: Wake,
    /// A digest of the key of the command that caused it.
    pub(in crate::embedded) key: Option<u64>,
    pub(in crate::embedded) envelope: &'a [u8],
}

/// The length of a record.
pub(in crate::embedded) fn len_of(address: &str, envelope: &[u8]) -> usize {
    HEAD + address.len() + envelope.len()
}

/// Writes a record to the end of `out`.
pub(in crate::embedded) fn push(out: &mut Vec<u8>, seed: u32, record: &Record<'_>) {
    let start = out.len();
    let (wake, at) = match record.wake {
        Wake::Idle => (0, 0),
        Wake::Now => (WAKE_NOW, 0),
        Wake::At(at) => (WAKE_AT, at.unix_nanos()),
    };
    let mut head = [0_u8; HEAD];
    put_at(&mut head, 0, &(len_of(record.address, record.envelope) as u32).to_le_bytes());
    let flags = wake | if record.key.is_some() { HAS_KEY } else { 0 };
    let kind = match record.kind {
        Kind::Event => KIND_EVENT,
        Kind::Wake => KIND_WAKE,
        Kind::Retire => KIND_RETIRE,
        Kind::Erase => KIND_ERASE,
    };
    put_at(&mut head, 8, &[kind, record.shard, flags, 0]);
    put_at(&mut head, 12, &record.nth.to_le_bytes());
    put_at(&mut head, 14, &(record.address.len() as u16).to_le_bytes());
    put_at(&mut head, 16, &record.version.to_le_bytes());
    put_at(&mut head, 24, &record.prev.to_le_bytes());
    put_at(&mut head, 32, &at.to_le_bytes());
    put_at(&mut head, 40, &record.key.unwrap_or_default().to_le_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(record.address.as_bytes());
    out.extend_from_slice(record.envelope);
    let crc = out.get(start..).map_or(0, |bytes| checksum(bytes, seed));
    put_at(out, start + 4, &crc.to_le_bytes());
}

/// The length of the record that `bytes` begin with, as its head says.
pub(in crate::embedded) fn peek_len(bytes: &[u8]) -> Option<usize> {
    let len = u32_at(bytes, 0)? as usize;
    (len >= HEAD).then_some(len)
}

/// Reads the record that `bytes` begin with, and checks it when a seed is given.
///
/// The seed is left out where the frame around it was checked a moment ago.
pub(in crate::embedded) fn read(bytes: &[u8], seed: Option<u32>) -> Result<(Record<'_>, usize), &'static str> {
    const CUT: &str = "a record is cut short";
    let len = peek_len(bytes).ok_or("the length of a record is wrong")?;
    let bytes = bytes.get(..len).ok_or(CUT)?;
    if let Some(seed) = seed
        && u32_at(bytes, 4) != Some(checksum(bytes, seed))
    {
        return Err("the checksum of a record is wrong");
    }
    let (Some(&kind), Some(&shard), Some(&flags)) = (bytes.get(8), bytes.get(9), bytes.get(10)) else {
        return Err(CUT);
    };
    let kind = match kind {
        KIND_EVENT => Kind::Event,
        KIND_WAKE => Kind::Wake,
        KIND_RETIRE => Kind::Retire,
        KIND_ERASE => Kind::Erase,
        _ => return Err("a record is of a kind that this version does not know"),
    };
    let address_len = u16_at(bytes, 14).ok_or(CUT)? as usize;
    let address = bytes.get(HEAD..HEAD + address_len).ok_or(CUT)?;
    let at = Timestamp::from_unix_nanos(i64_at(bytes, 32).ok_or(CUT)?);
    let record = Record {
        kind,
        address: std::str::from_utf8(address).map_err(|_| "the address of a record is no text")?,
        shard,
        version: u64_at(bytes, 16).ok_or(CUT)?,
        prev: u64_at(bytes, 24).ok_or(CUT)?,
        nth: u16_at(bytes, 12).ok_or(CUT)?,
        wake: match flags & WAKE_MASK {
            0 => Wake::Idle,
            WAKE_NOW => Wake::Now,
            WAKE_AT => Wake::At(at),
            _ => return Err("a record's wake is of a kind that this version does not know"),
        },
        key: if flags & HAS_KEY == 0 { None } else { u64_at(bytes, 40) },
        envelope: bytes.get(HEAD + address_len..).unwrap_or_default(),
    };
    Ok((record, len))
}

fn checksum(record: &[u8], seed: u32) -> u32 {
    let crc = crc32c::crc32c_append(seed, record.get(..4).unwrap_or_default());
    crc32c::crc32c_append(crc, record.get(8..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let at = Wake::At(Timestamp::from_unix_nanos(-5));
        for (wake, key) in [(Wake::Idle, None), (Wake::Now, Some(0)), (at, Some(u64::MAX))] {
            let record = Record {
                kind: if key.is_some() { Kind::Event } else { Kind::Wake },
                address: "acme/control-plane/run/run-1",
                shard: 63,
                version: 9,
                prev: 1 << 40,
                nth: 3,
                wake,
                key,
                envelope: b"envelope",
            };
            let mut bytes = Vec::new();
            push(&mut bytes, 5, &record);
            let len = bytes.len();
            bytes.extend_from_slice(b"what follows");
            assert_eq!(read(&bytes, Some(5)), Ok((record, len)));
            assert!(read(&bytes, Some(6)).is_err(), "another segment's record was taken");
            assert!(read(&bytes[..len - 1], Some(5)).is_err(), "a cut record was taken");
        }
    }
}
