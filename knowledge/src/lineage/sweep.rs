//! Closures: everything that led to some nodes, or that came of them.
//!
//! It begins as a breadth-first walk. Past some thousand nodes it becomes one pass over the bitmap of what was
//! reached, word by word towards the causes (or the effects): each node's neighbours lie ahead of the pass, so
//! there is no queue, and rows are read in the order in which they lie.
//!
//! **Cost**: a bit for each node of the graph, from a pool; the edges of what is reached, once.

use std::sync::Arc;

use super::{
    bitmaps::Bitmaps,
    graph::{NODE, NODES_MAX, View},
    kinds::{EdgeKinds, Toward},
};

/// The walk becomes a pass after so many nodes.
const SWEEP_FROM: usize = 2048;

/// What a question follows.
#[derive(Debug, Clone, Copy)]
pub struct Follow {
    /// Which way.
    pub toward: Toward,
    /// Along which edges.
    pub kinds: EdgeKinds,
    /// How many edges far; as far as it goes when absent.
    pub depth: Option<u16>,
}

impl Follow {
    /// Everything in one direction.
    pub const fn all(toward: Toward) -> Self {
        Self { toward, kinds: EdgeKinds::ALL, depth: None }
    }
}

/// A set of nodes.
pub struct Reached {
    words: Vec<u64>,
    /// The first and the last word that may have a bit.
    span: (usize, usize),
    len: usize,
    pool: Arc<Bitmaps>,
}

impl Reached {
    fn empty(view: &View) -> Self {
        Self { words: view.bitmaps().take(view.len()), span: (usize::MAX, 0), len: 0, pool: view.bitmaps().clone() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether a node is one.
    pub fn has(&self, node: u32) -> bool {
        self.words.get(node as usize / 64).is_some_and(|word| word >> (node % 64) & 1 != 0)
    }

    /// Adds a node, and says whether it was not there before.
    #[inline]
    pub(super) fn add(&mut self, node: u32) -> bool {
        let at = node as usize / 64;
        let Some(word) = self.words.get_mut(at) else { return false };
        let bit = 1 << (node % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        self.len += usize::from(is_new);
        self.span = (self.span.0.min(at), self.span.1.max(at));
        is_new
    }

    /// The nodes from the oldest on, behind `after` when it is given.
    pub fn oldest_first(&self, after: Option<u32>) -> impl Iterator<Item = u32> + '_ {
        let from = after.map_or(0, |after| after as usize + 1);
        let words = self.words.iter().enumerate().skip(self.start().max(from / 64)).take(self.words_left(from / 64));
        words
            .flat_map(|(at, word)| Bits(*word).map(move |bit| number(at, bit)))
            .filter(move |node| *node as usize >= from)
    }

    /// The nodes from the newest on, behind `after` when it is given.
    pub fn newest_first(&self, after: Option<u32>) -> impl Iterator<Item = u32> + '_ {
        let until = after.map_or(usize::MAX, |after| after as usize);
        let words = self.words.iter().enumerate().take(self.span.1 + 1).skip(self.start()).rev();
        let words = words.skip_while(move |(at, _)| at * 64 >= until);
        words
            .flat_map(|(at, word)| BitsDown(*word).map(move |bit| number(at, bit)))
            .filter(move |node| (*node as usize) < until)
    }

    fn start(&self) -> usize {
        self.span.0.min(self.words.len())
    }

    fn words_left(&self, from: usize) -> usize {
        (self.span.1 + 1).saturating_sub(self.start().max(from))
    }

    /// Keeps what is in both.
    pub fn keep(&mut self, other: &Self) {
        self.combine(other, |one, two| one & two);
    }

    /// Removes what is in the other.
    pub fn remove(&mut self, other: &Self) {
        self.combine(other, |one, two| one & !two);
    }

    fn combine(&mut self, other: &Self, of: impl Fn(u64, u64) -> u64) {
        let (start, left) = (self.start(), self.words_left(0));
        let mut len = 0;
        for (at, word) in self.words.iter_mut().enumerate().skip(start).take(left) {
            *word = of(*word, other.words.get(at).copied().unwrap_or(0));
            len += word.count_ones() as usize;
        }
        self.len = len;
    }
}

impl Drop for Reached {
    fn drop(&mut self) {
        let (start, left) = (self.start(), self.words_left(0));
        self.words.iter_mut().skip(start).take(left).for_each(|word| *word = 0);
        self.pool.give(std::mem::take(&mut self.words));
    }
}

fn number(word: usize, bit: u32) -> u32 {
    u32::try_from(word * 64).unwrap_or(u32::MAX).saturating_add(bit)
}

struct Bits(u64);

impl Iterator for Bits {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let bit = (self.0 != 0).then(|| self.0.trailing_zeros())?;
        self.0 &= self.0 - 1;
        Some(bit)
    }
}

struct BitsDown(u64);

impl Iterator for BitsDown {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let bit = 63_u32.checked_sub(self.0.leading_zeros())?;
        self.0 &= !(1 << bit);
        Some(bit)
    }
}

/// Everything that can be reached from some nodes, themselves included. Numbers that name nothing are passed over.
pub fn closure(view: &View, starts: &[u32], follow: Follow) -> Reached {
    let mut reached = Reached::empty(view);
    let mut queue: Vec<u32> =
        starts.iter().copied().filter(|start| view.has(*start)).filter(|start| reached.add(*start)).collect();
    if let Some(depth) = follow.depth {
        by_depth(view, &mut reached, queue, follow, depth);
        return reached;
    }
    let mut next = 0;
    while let Some(node) = queue.get(next).copied() {
        if queue.len() > SWEEP_FROM {
            drop(queue);
            match follow.toward {
                Toward::Older => sweep_down(view, &mut reached, follow.kinds),
                Toward::Newer => sweep_up(view, &mut reached, follow.kinds),
            }
            return reached;
        }
        next += 1;
        neighbours(view, node, follow, |other| {
            if reached.add(other) {
                queue.push(other);
            }
        });
    }
    reached
}

#[inline]
fn neighbours(view: &View, node: u32, follow: Follow, mut see: impl FnMut(u32)) {
    view.packed(node, follow.toward, |packed| {
        if follow.kinds.has_number(packed >> NODES_MAX.trailing_zeros()) && view.has(packed & NODE) {
            see(packed & NODE);
        }
    });
}

/// A limit of depth needs levels, so it is the plain walk.
fn by_depth(view: &View, reached: &mut Reached, mut level: Vec<u32>, follow: Follow, depth: u16) {
    for _ in 0..depth {
        let mut next = Vec::new();
        for node in level {
            neighbours(view, node, follow, |other| {
                if reached.add(other) {
                    next.push(other);
                }
            });
        }
        if next.is_empty() {
            return;
        }
        level = next;
    }
}

/// What is in the bitmap already may be looked at a second time; it is little.
fn sweep_down(view: &View, reached: &mut Reached, kinds: EdgeKinds) {
    let (low, limit) = (view.lowest(), view.len());
    let mut at = reached.span.1;
    let mut first = reached.span.0;
    loop {
        // Within a word the neighbours may be in the same word, below the bit that is looked at.
        let mut below = u64::MAX;
        while let Some(bit) = reached
            .words
            .get(at)
            .map(|word| word & below)
            .filter(|left| *left != 0)
            .map(|left| 63 - left.leading_zeros())
        {
            below = (1 << bit) - 1;
            view.packed(number(at, bit), Toward::Older, |packed| {
                let other = packed & NODE;
                if kinds.has_number(packed >> NODES_MAX.trailing_zeros()) && other >= low && other < limit {
                    let word = other as usize / 64;
                    first = first.min(word);
                    if let Some(word) = reached.words.get_mut(word) {
                        *word |= 1 << (other % 64);
                    }
                }
            });
        }
        if at <= first {
            break;
        }
        at -= 1;
    }
    reached.span.0 = first;
    recount(reached);
}

fn sweep_up(view: &View, reached: &mut Reached, kinds: EdgeKinds) {
    let (low, limit) = (view.lowest(), view.len());
    let mut at = reached.start();
    let mut last = reached.span.1;
    while at <= last {
        let mut above = u64::MAX;
        while let Some(bit) =
            reached.words.get(at).map(|word| word & above).filter(|left| *left != 0).map(u64::trailing_zeros)
        {
            above = (u64::MAX << bit) << 1;
            view.packed(number(at, bit), Toward::Newer, |packed| {
                let other = packed & NODE;
                if kinds.has_number(packed >> NODES_MAX.trailing_zeros()) && other >= low && other < limit {
                    let word = other as usize / 64;
                    last = last.max(word);
                    if let Some(word) = reached.words.get_mut(word) {
                        *word |= 1 << (other % 64);
                    }
                }
            });
        }
        at += 1;
    }
    reached.span.1 = last;
    recount(reached);
}

fn recount(reached: &mut Reached) {
    let (start, left) = (reached.start(), reached.words_left(0));
    reached.len = reached.words.iter().skip(start).take(left).map(|word| word.count_ones() as usize).sum();
}
