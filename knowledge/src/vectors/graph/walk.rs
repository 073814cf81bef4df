//! Walks through a graph to the rows that are nearest to a query.

use crate::vectors::{
    bits::Bits,
    codes::{CodedQuery, View},
};

use super::{Graph, Links};

/// What a walk needs, kept from one to the next.
#[derive(Debug, Default)]
pub(in crate::vectors) struct Scratch {
    /// Which rows were met. A bit each, all unset at the start: for 100,000 rows that is 12 kB, which stay in the
    /// nearest cache; a stamp for each row would not.
    seen: Bits,
    /// The nearest that were met, the nearest first.
    pub(super) pool: Vec<Met>,
    fresh: Vec<u32>,
    dots: Vec<i32>,
    scores: Vec<f32>,
}

/// A row that was met.
#[derive(Debug, Clone, Copy)]
pub(in crate::vectors) struct Met {
    pub(in crate::vectors) score: f32,
    pub(in crate::vectors) row: u32,
    /// Its neighbours were not looked at yet.
    open: bool,
}

/// How a walk goes.
#[derive(Debug, Clone, Copy)]
pub(in crate::vectors) struct Walk<'a> {
    /// How many of the nearest are kept.
    pub(in crate::vectors) width: usize,
    /// Goes only to these rows, over the heads of others.
    pub(in crate::vectors) only: Option<&'a Bits>,
}

/// Under a filter a step looks at so many rows at most.
const TWO_STEPS_MAX: usize = 96;
/// Rows of a filter where a walk begins, beside where it comes down.
const SEEDS: usize = 8;

impl Graph {
    /// The rows nearest to the query by their codes, the nearest first; with `only`, a few others may be among them.
    pub(in crate::vectors) fn near<'s>(
        &self,
        view: &View<'_>,
        query: &CodedQuery,
        walk: Walk<'_>,
        scratch: &'s mut Scratch,
    ) -> &'s [Met] {
        let links = self.frozen();
        let mut start = vec![down(&links, 1, 0, view, query, scratch)];
        if let Some(only) = walk.only {
            let step = (only.words().len() / SEEDS).max(1);
            let words = only.words().iter().enumerate().step_by(step);
            start
                .extend(words.filter(|(_, word)| **word != 0).map(|(at, word)| at as u32 * 64 + word.trailing_zeros()));
        }
        beam(&links, 0, &start, view, query, walk, scratch);
        &scratch.pool
    }
}

/// Goes from the highest floor down to the one above `to`, always to the nearest neighbour, and says where it is.
pub(super) fn down(
    links: &impl Links,
    to: usize,
    from: u32,
    view: &View<'_>,
    query: &CodedQuery,
    scratch: &mut Scratch,
) -> u32 {
    let mut at = from;
    view.scattered(query, &[at], &mut scratch.dots, &mut scratch.scores);
    let mut best = scratch.scores.first().copied().unwrap_or(f32::MIN);
    for floor in (to..links.floors()).rev() {
        loop {
            scratch.fresh.clear();
            links.each(floor, at, |node| scratch.fresh.push(node));
            view.scattered(query, &scratch.fresh, &mut scratch.dots, &mut scratch.scores);
            let met = scratch.fresh.iter().zip(&scratch.scores);
            let Some((node, score)) = met.max_by(|a, b| a.1.total_cmp(b.1)).filter(|(_, score)| **score > best) else {
                break;
            };
            (at, best) = (*node, *score);
        }
    }
    at
}

/// Walks a floor from `start`, always on from the nearest that was not left yet, until all that are kept were.
pub(super) fn beam(
    links: &impl Links,
    floor: usize,
    start: &[u32],
    view: &View<'_>,
    query: &CodedQuery,
    walk: Walk<'_>,
    scratch: &mut Scratch,
) {
    scratch.seen.reset(view.rows());
    scratch.pool.clear();
    scratch.fresh.clear();
    scratch.fresh.extend(start.iter().copied().filter(|row| scratch.seen.set(*row)));
    view.scattered(query, &scratch.fresh, &mut scratch.dots, &mut scratch.scores);
    let mut next = keep(walk.width, scratch);
    loop {
        let mut open = scratch.pool.iter_mut().enumerate().skip(next).filter(|(_, met)| met.open);
        let Some((at, met)) = open.next() else { return };
        met.open = false;
        let row = met.row;
        if let Some((_, after)) = open.next() {
            links.fetch(after.row);
        }
        next = at + 1;
        scratch.fresh.clear();
        match walk.only {
            None => {
                let (seen, fresh) = (&mut scratch.seen, &mut scratch.fresh);
                links.each(floor, row, |node| {
                    if seen.set(node) {
                        fresh.push(node);
                    }
                });
            }
            Some(only) => two_steps(links, row, only, scratch),
        }
        view.scattered(query, &scratch.fresh, &mut scratch.dots, &mut scratch.scores);
        next = next.min(keep(walk.width, scratch));
    }
}

/// Neighbours that match, and those of neighbours that do not.
fn two_steps(links: &impl Links, row: u32, only: &Bits, scratch: &mut Scratch) {
    let (seen, fresh) = (&mut scratch.seen, &mut scratch.fresh);
    links.each(0, row, |node| {
        if !seen.set(node) {
            return;
        }
        if only.has(node) {
            fresh.push(node);
        } else if fresh.len() < TWO_STEPS_MAX {
            links.each(0, node, |second| {
                if only.has(second) && seen.set(second) {
                    fresh.push(second);
                }
            });
        }
    });
}

/// Keeps those of the rows just scored that are near enough, and says how far in front the nearest of them stands.
#[inline]
fn keep(width: usize, scratch: &mut Scratch) -> usize {
    let mut first = usize::MAX;
    for (row, score) in scratch.fresh.iter().zip(&scratch.scores) {
        if scratch.pool.len() >= width {
            if scratch.pool.last().is_none_or(|last| last.score >= *score) {
                continue;
            }
            scratch.pool.pop();
        }
        let at = scratch.pool.partition_point(|met| met.score >= *score);
        scratch.pool.insert(at, Met { score: *score, row: *row, open: true });
        first = first.min(at);
    }
    first
}
