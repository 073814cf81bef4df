//! Hits that say the same: dropped by default, spread apart on request.

use sha2::{Digest as _, Sha256};

use super::Fused;
use crate::id::ChunkId;

/// Bits in which two fingerprints of the same text may differ.
const BITS_APART_MAX: u32 = 3;
/// Words in a shingle.
const SHINGLE: usize = 3;

/// 64 bits that are nearly the same for texts that are nearly the same (SimHash over three words at a time,
/// after Charikar 2002).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64);

/// A hit that says what a better one says already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// The hit.
    pub id: ChunkId,
    /// The better one.
    pub same_as: ChunkId,
}

impl Fingerprint {
    /// Of a text's words; case, spaces and signs do not count.
    ///
    /// **Cost** grows with the text.
    pub fn of(text: &str) -> Self {
        let words: Vec<String> =
            text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
        let mut votes = [0i32; 64];
        let width = SHINGLE.min(words.len().max(1));
        for shingle in words.windows(width) {
            let digest = Sha256::digest(shingle.join(" ").as_bytes());
            let bits = digest.iter().take(8).fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
            for (bit, vote) in votes.iter_mut().enumerate() {
                *vote += if bits >> bit & 1 == 1 { 1 } else { -1 };
            }
        }
        Self(votes.iter().enumerate().fold(0, |bits, (bit, vote)| if *vote > 0 { bits | 1 << bit } else { bits }))
    }

    /// Whether two texts are nearly the same.
    pub const fn is_near(self, other: Self) -> bool {
        self.apart(other) <= BITS_APART_MAX
    }

    /// In how many of 64 bits two texts differ.
    pub const fn apart(self, other: Self) -> u32 {
        (self.0 ^ other.0).count_ones()
    }
}

/// Keeps the better of hits that `same` holds for, in their order.
///
/// **Cost**: `same` is asked for each pair of a hit and a kept hit; give the best 50 or so.
pub fn without_duplicates(hits: Vec<Fused>, same: impl Fn(ChunkId, ChunkId) -> bool) -> (Vec<Fused>, Vec<Dropped>) {
    let mut kept: Vec<Fused> = Vec::with_capacity(hits.len());
    let mut dropped = Vec::new();
    for hit in hits {
        match kept.iter().find(|better| same(better.id, hit.id)) {
            Some(better) => dropped.push(Dropped { id: hit.id, same_as: better.id }),
            None => kept.push(hit),
        }
    }
    (kept, dropped)
}

/// The `most` hits that are good and say different things: maximal marginal relevance (Carbonell and Goldstein
/// 1998). `relevance` from 0 to 1 says how much being good counts; 0.7 is usual. `alike` is 1 for the same and 0
/// for nothing in common. It buys variety with relevance, so it is for those who ask for it.
///
/// **Cost** grows with the hits times `most`; give the best 50 or so.
pub fn diverse(
    mut hits: Vec<Fused>,
    most: usize,
    relevance: f32,
    alike: impl Fn(ChunkId, ChunkId) -> f32,
) -> Vec<Fused> {
    let highest = hits.iter().map(|hit| hit.score).fold(f32::MIN_POSITIVE, f32::max);
    let mut nearest = vec![0f32; hits.len()];
    let mut taken: Vec<Fused> = Vec::new();
    while taken.len() < most && !hits.is_empty() {
        let worth = |index: usize| {
            let (Some(hit), Some(near)) = (hits.get(index), nearest.get(index)) else { return f32::NEG_INFINITY };
            relevance * hit.score / highest - (1.0 - relevance) * near
        };
        // The first of equals: hits come best first.
        let best = (0..hits.len()).fold(0, |best, index| if worth(index) > worth(best) { index } else { best });
        let hit = hits.remove(best);
        nearest.remove(best);
        for (other, near) in hits.iter().zip(&mut nearest) {
            *near = near.max(alike(hit.id, other.id));
        }
        taken.push(hit);
    }
    taken
}
