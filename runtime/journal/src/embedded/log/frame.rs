//! Batch frames: what one flush makes durable, all or nothing.

use super::numbers::{put_at, u32_at, u64_at};

/// Length of a frame's head. **Units**: bytes.
pub(in crate::embedded) const HEAD: usize = 32;
/// A frame without records: a mark. **Units**: bytes.
pub(in crate::embedded) const MARK_LEN: u64 = 40;

/// Never zero: a frame whose last bytes were not written is never taken for whole.
const PADDING: u8 = 0x5a;

/// The length of a frame with `body` bytes of records.
pub(in crate::embedded) fn len_of(body: usize) -> u64 {
    ((HEAD + body) / 8 * 8 + 8) as u64
}

/// What a frame's head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::embedded) struct Head {
    /// Of the whole frame. **Units**: bytes.
    pub(in crate::embedded) len: usize,
    pub(in crate::embedded) crc: u32,
    /// 1 for the first batch of a store, without gaps.
    pub(in crate::embedded) batch: u64,
    pub(in crate::embedded) prev_crc: u32,
    pub(in crate::embedded) count: u32,
    pub(in crate::embedded) body_len: usize,
}

/// Why bytes are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::embedded) enum NoFrame {
    /// Zeros where the head should be: perhaps the end of the log.
    Zeros,
    /// The frame is longer than the bytes at hand: this many are needed.
    Longer(usize),
    /// Not a frame.
    Bad(&'static str),
}

/// Begins a frame at the end of `out`, and answers where it began.
pub(in crate::embedded) fn begin(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.resize(start + HEAD, 0);
    start
}

/// Ends the frame that began at `start`, and answers its checksum.
pub(in crate::embedded) fn end(
    out: &mut Vec<u8>,
    start: usize,
    seed: u32,
    batch: u64,
    prev_crc: u32,
    count: u32,
) -> u32 {
    let body_len = out.len() - start - HEAD;
    let len = len_of(body_len) as usize;
    out.resize(start + len, PADDING);
    let Some(frame) = out.get_mut(start..) else {
        return 0;
    };
    put_at(frame, 0, &(len as u32).to_le_bytes());
    put_at(frame, 8, &batch.to_le_bytes());
    put_at(frame, 16, &prev_crc.to_le_bytes());
    put_at(frame, 20, &count.to_le_bytes());
    put_at(frame, 24, &(body_len as u32).to_le_bytes());
    let crc = checksum(frame, seed);
    put_at(frame, 4, &crc.to_le_bytes());
    crc
}

/// The head of the frame that `bytes` begin with, when the whole frame is there and good.
pub(in crate::embedded) fn check(bytes: &[u8], seed: u32) -> Result<Head, NoFrame> {
    let head = peek(bytes)?;
    let frame = bytes.get(..head.len).ok_or(NoFrame::Longer(head.len))?;
    if checksum(frame, seed) == head.crc { Ok(head) } else { Err(NoFrame::Bad("the checksum of the batch is wrong")) }
}

/// What the head says, without a look at the checksum.
pub(in crate::embedded) fn peek(bytes: &[u8]) -> Result<Head, NoFrame> {
    let Some(head) = bytes.get(..HEAD) else {
        return Err(NoFrame::Longer(HEAD));
    };
    if head.iter().all(|byte| *byte == 0) {
        return Err(NoFrame::Zeros);
    }
    let short = NoFrame::Longer(HEAD);
    let len = u32_at(head, 0).ok_or(short)? as usize;
    let body_len = u32_at(head, 24).ok_or(short)? as usize;
    if len as u64 != len_of(body_len) {
        return Err(NoFrame::Bad("the length of the batch is wrong"));
    }
    Ok(Head {
        len,
        crc: u32_at(head, 4).ok_or(short)?,
        batch: u64_at(head, 8).ok_or(short)?,
        prev_crc: u32_at(head, 16).ok_or(short)?,
        count: u32_at(head, 20).ok_or(short)?,
        body_len,
    })
}

fn checksum(frame: &[u8], seed: u32) -> u32 {
    let crc = crc32c::crc32c_append(seed, frame.get(..4).unwrap_or_default());
    crc32c::crc32c_append(crc, frame.get(8..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let start = begin(&mut out);
        out.extend_from_slice(body);
        end(&mut out, start, 7, 3, 9, 1);
        out
    }

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        for len in 0..40 {
            let bytes = frame(&vec![1; len]);
            assert_eq!(bytes.len() % 8, 0);
            let head = check(&bytes, 7).unwrap();
            assert_eq!((head.batch, head.prev_crc, head.count, head.body_len), (3, 9, 1, len));
            assert_eq!(head.len, bytes.len());
        }
        assert_eq!(frame(&[]).len() as u64, MARK_LEN);
    }

    #[test]
    fn a_frame_of_another_segment_is_none() {
        assert!(matches!(check(&frame(b"abc"), 8), Err(NoFrame::Bad(_))));
    }

    #[test]
    fn any_flipped_bit_makes_it_no_frame() {
        let good = frame(b"some records");
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(check(&bytes, 7).is_err(), "bit {bit} went unseen");
        }
    }

    #[test]
    fn a_frame_cut_anywhere_is_none_even_over_zeros() {
        let good = frame(&[0; 64]);
        for cut in 0..good.len() {
            let mut bytes = good.clone();
            bytes[cut..].fill(0);
            assert!(check(&bytes, 7).is_err(), "cut at {cut} went unseen");
        }
    }
}
