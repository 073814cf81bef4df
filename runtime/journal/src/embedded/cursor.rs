//! Cursors: how far a follower has come, sealed so that no other bytes pass for one.

use bytes::Bytes;
use mesh_kernel::{
    envelope::Shard,
    ports::{Cursor, Position},
};
use sha2::{Digest as _, Sha256};

use super::log::{
    Place,
    numbers::{u32_at, u64_at},
    segment::StoreId,
};

const FORMAT: u8 = 2;
/// As above, but without `freed`.
const FORMAT_1: u8 = 1;
const ALL_SHARDS: u8 = u8::MAX;
const BODY: usize = 38;
const BODY_1: usize = 34;
const SEAL: usize = 8;

/// What a cursor says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stand {
    /// Where the next frame lies, unless the next segment begins with it.
    pub(super) place: Place,
    /// Its number.
    pub(super) next_batch: u64,
    /// Position of the last event before it.
    pub(super) position: Position,
    /// What was freed until then is no loss to the follower: it saw it, or never had it to see.
    pub(super) freed: u32,
}

pub(super) fn encode(store: &StoreId, shard: Option<Shard>, stand: Stand) -> Cursor {
    let mut bytes = Vec::with_capacity(BODY + SEAL);
    bytes.push(FORMAT);
    bytes.push(shard.map_or(ALL_SHARDS, Shard::number));
    for number in [stand.place.segment, stand.place.offset, stand.next_batch, stand.position.0] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&stand.freed.to_le_bytes());
    let seal = seal(store, &bytes);
    bytes.extend_from_slice(&seal);
    Cursor(Bytes::from(bytes))
}

/// What the cursor says, when this store made it for this shard.
pub(super) fn decode(store: &StoreId, shard: Option<Shard>, cursor: &Cursor) -> Option<Stand> {
    let len = match *cursor.0.first()? {
        FORMAT => BODY,
        FORMAT_1 => BODY_1,
        _ => return None,
    };
    let (body, sealed) = cursor.0.split_at_checked(len)?;
    let ours = sealed == seal(store, body) && body.get(1) == Some(&shard.map_or(ALL_SHARDS, Shard::number));
    if !ours {
        return None;
    }
    Some(Stand {
        place: Place { segment: u64_at(body, 2)?, offset: u64_at(body, 10)? },
        next_batch: u64_at(body, 18)?,
        position: Position(u64_at(body, 26)?),
        freed: u32_at(body, 34).unwrap_or(0),
    })
}

fn seal(store: &StoreId, body: &[u8]) -> [u8; SEAL] {
    let digest = Sha256::new().chain_update(store).chain_update(body).finalize();
    let mut seal = [0; SEAL];
    for (to, from) in seal.iter_mut().zip(digest.iter()) {
        *to = *from;
    }
    seal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_of_the_first_format_is_read() {
        let stand = Stand { place: Place { segment: 3, offset: 4096 }, next_batch: 9, position: Position(7), freed: 0 };
        let mut bytes = vec![FORMAT_1, ALL_SHARDS];
        for number in [3_u64, 4096, 9, 7] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&seal(&[1; 16], &bytes));
        assert_eq!(decode(&[1; 16], None, &Cursor(Bytes::from(bytes))), Some(stand));
    }

    #[test]
    fn a_cursor_is_read_by_the_store_that_made_it_and_by_no_other() {
        let stand = Stand { place: Place { segment: 3, offset: 4096 }, next_batch: 9, position: Position(7), freed: 5 };
        for shard in [None, Shard::new(5)] {
            let cursor = encode(&[1; 16], shard, stand);
            assert_eq!(decode(&[1; 16], shard, &cursor), Some(stand));
            assert_eq!(decode(&[2; 16], shard, &cursor), None, "another store's");
            assert_eq!(decode(&[1; 16], Shard::new(6), &cursor), None, "another shard's");
            for bit in 0..cursor.0.len() * 8 {
                let mut bytes = cursor.0.to_vec();
                bytes[bit / 8] ^= 1 << (bit % 8);
                let forged = Cursor(Bytes::from(bytes));
                assert_eq!(decode(&[1; 16], shard, &forged), None, "bit {bit} went unseen");
            }
            assert_eq!(decode(&[1; 16], shard, &Cursor::default()), None);
        }
    }
}
