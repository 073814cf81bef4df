//! Joins what several ways of searching found into one order, and says of each hit why it stands where it does.
//!
//! Ways whose scores mean something are brought to between 0 and 1 for each question and summed by weight: the
//! convex combination of Bruch and others (arXiv 2210.11934), which needs one weight for each embedder. Ways
//! without scores, and those whose embedder nobody has tuned, are joined by rank. A way that found nothing is
//! told as silent: an order that rests on one way alone must not look like one that rests on two.
//!
//! Never here: texts or policy. What is near-duplicate is judged by fingerprints that are given in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::ChunkId;

mod near;

pub use near::{Dropped, Fingerprint, diverse, without_duplicates};

/// A way of searching.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// By words.
    Lexical,
    /// By vectors.
    Vector,
    /// By what is near in the lineage graph.
    Graph,
}

/// What a way found, best first.
#[derive(Debug, Clone, PartialEq)]
pub struct Leg {
    /// Which way.
    pub way: Way,
    /// The chunks, and how good the way finds them: BM25, a cosine, or nothing that can be compared.
    pub hits: Vec<(ChunkId, f32)>,
}

/// The vectors' share for the static word table, chosen on our own questions (`knowledge/README.md`): its vectors are
/// the weaker way, and 0.5 would let them take from the words what those found.
pub const STATIC_TABLE_ALPHA: f32 = 0.3;

/// How legs are joined.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Scores or ranks.
    pub method: Method,
    /// The vectors' share of the sum, from 0 to 1; words have the rest. It belongs to an embedder. Default: 0.5.
    pub alpha: f32,
    /// What a hit of the graph adds at most, beside a sum that reaches 1. Default: 0.15.
    pub graph: f32,
}

/// By what legs are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The weighted sum of scores between 0 and 1.
    Scores,
    /// The sum of weights by rank: weight / (60 + rank). For an embedder that nobody has tuned.
    Ranks,
}

impl Default for Options {
    fn default() -> Self {
        Self { method: Method::Scores, alpha: 0.5, graph: 0.15 }
    }
}

/// What a way said of a hit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Which way.
    pub way: Way,
    /// Its place there, from 1.
    pub rank: usize,
    /// What the way gave.
    pub score: f32,
    /// That, between 0 and 1 for this question.
    pub normalised: f32,
    /// What it added to the hit's sum.
    pub added: f32,
}

/// A chunk, and why it stands where it does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fused {
    /// Which.
    pub id: ChunkId,
    /// The sum.
    pub score: f32,
    /// One for each way that found it.
    pub shares: Vec<Share>,
}

/// An order, and the ways it rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Best first; equal sums in the order of their ids.
    pub hits: Vec<Fused>,
    /// Ways that were asked and found nothing.
    pub silent: Vec<Way>,
}

/// Constant of the sum by rank, as in the paper that brought it (Cormack and others, SIGIR 2009).
const RANK_BASE: f32 = 60.0;
/// With fewer hits the worst one says nothing about how bad a hit can be.
const OBSERVED_MIN: usize = 10;

/// Joins legs.
///
/// A chunk that a leg did not return has nothing from it. Two legs of one way count as one each.
///
/// **Cost** grows with the hits and their logarithm.
pub fn fuse(legs: &[Leg], options: &Options) -> Outcome {
    let silent = legs.iter().filter(|leg| leg.hits.is_empty()).map(|leg| leg.way).collect();
    let heard = |way: Way| legs.iter().any(|leg| leg.way == way && !leg.hits.is_empty());
    let both = heard(Way::Lexical) && heard(Way::Vector);
    let alpha = options.alpha.clamp(0.0, 1.0);
    let mut found: BTreeMap<ChunkId, Vec<Share>> = BTreeMap::new();
    for leg in legs {
        let weight = match leg.way {
            Way::Graph => options.graph,
            // A way that is alone decides alone, whatever its share would have been.
            Way::Lexical | Way::Vector if !both => 1.0,
            Way::Lexical => 1.0 - alpha,
            Way::Vector => alpha,
        };
        let scale = Scale::of(leg);
        for (rank, (id, score)) in (1..).zip(&leg.hits) {
            let normalised = scale.at(*score, rank);
            let added = weight
                * match options.method {
                    Method::Scores => normalised,
                    Method::Ranks => 1.0 / (RANK_BASE + rank as f32),
                };
            let shares = found.entry(*id).or_default();
            if !shares.iter().any(|share| share.way == leg.way) {
                shares.push(Share { way: leg.way, rank, score: *score, normalised, added });
            }
        }
    }
    let mut hits: Vec<Fused> = found
        .into_iter()
        .map(|(id, shares)| Fused { id, score: shares.iter().map(|share| share.added).sum(), shares })
        .collect();
    hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
    Outcome { hits, silent }
}

/// What is 0 and what is 1 for a leg.
enum Scale {
    Between {
        low: f32,
        high: f32,
    },
    /// Scores that cannot be compared: the rank decides.
    Rank,
}

impl Scale {
    fn of(leg: &Leg) -> Self {
        let scores = || leg.hits.iter().map(|(_, score)| *score).filter(|score| score.is_finite());
        let high = scores().fold(f32::NEG_INFINITY, f32::max);
        let observed = scores().fold(f32::INFINITY, f32::min);
        // The least that a score can be, where too few were seen.
        let low = match leg.way {
            Way::Lexical if leg.hits.len() < OBSERVED_MIN => 0.0,
            Way::Vector if leg.hits.len() < OBSERVED_MIN => -1.0,
            Way::Lexical | Way::Vector => observed,
            Way::Graph => return Self::Rank,
        };
        Self::Between { low, high }
    }

    fn at(&self, score: f32, rank: usize) -> f32 {
        match self {
            Self::Rank => RANK_BASE / (RANK_BASE + rank as f32 - 1.0),
            Self::Between { .. } if !score.is_finite() => 0.0,
            Self::Between { low, high } if high - low <= f32::EPSILON => 1.0,
            Self::Between { low, high } => ((score - low) / (high - low)).clamp(0.0, 1.0),
        }
    }
}

#[cfg(test)]
mod tests;
