//! Builds a graph.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed},
    thread,
};

use parking_lot::Mutex;

use crate::{
    sys::map::Column,
    vectors::{
        codes::{CodedQuery, Codes, View},
        settings::Settings,
    },
};

use super::{
    Graph, Links, NONE, upper_start,
    walk::{Scratch, Walk, beam, down},
};

/// Nodes that one thread puts in before others help: the first ones must find each other.
const ALONE: u32 = 512;
/// Nodes that a thread takes at once.
const SHARE: usize = 32;
/// Locks of nodes; a node has the one that its number names.
const LOCKS: usize = 1 << 12;

/// A graph that grows. Links are read without a lock: whoever reads a list while it is written sees old or new
/// neighbours, all of them nodes, and at worst misses some.
struct Growing<'a> {
    view: View<'a>,
    floors: Vec<u32>,
    low: Vec<AtomicU32>,
    upper: Vec<AtomicU32>,
    links: usize,
    width: usize,
    locks: Vec<Mutex<()>>,
}

impl Links for Growing<'_> {
    fn floors(&self) -> usize {
        self.floors.len()
    }

    #[inline]
    fn each(&self, floor: usize, node: u32, mut take: impl FnMut(u32)) {
        for link in self.of(floor, node) {
            match link.load(Relaxed) {
                NONE => return,
                node => take(node),
            }
        }
    }
}

/// What one thread of a build keeps.
#[derive(Default)]
struct Hands {
    walk: Scratch,
    query: CodedQuery,
    other: CodedQuery,
    candidates: Vec<(f32, u32)>,
    chosen: Vec<u32>,
    dots: Vec<i32>,
    scores: Vec<f32>,
}

/// Builds a graph over vectors, and says in which order its rows stand; nothing when it was told to stop.
///
/// **Shape**: vectors `[n, dimensions]`, normalised. **Cost**: n log n, spread over `settings.build_threads`.
pub(in crate::vectors) fn build(
    vectors: &[f32],
    dimensions: usize,
    settings: &Settings,
    stop: &AtomicBool,
) -> Option<(Graph, Vec<u32>)> {
    let mut order: Vec<u32> = (0..(vectors.len() / dimensions) as u32).collect();
    shuffle(&mut order);
    let vector = |row: &u32| vectors.get(*row as usize * dimensions..).unwrap_or_default();
    let codes = Codes::of(order.iter().map(|row| vector(row).get(..dimensions).unwrap_or_default()), dimensions);
    let growing = Growing::new(codes.view(), settings);
    let rows = order.len();
    let mut hands = Hands::default();
    for node in 1..ALONE.min(rows as u32) {
        growing.insert(node, &mut hands);
    }
    let next = AtomicUsize::new(ALONE as usize);
    thread::scope(|scope| {
        for _ in 1..settings.build_threads {
            scope.spawn(|| growing.work(&next, stop, &mut Hands::default()));
        }
        growing.work(&next, stop, &mut hands);
    });
    if stop.load(Relaxed) {
        return None;
    }
    let places = growing.places();
    let graph = growing.settle(&places);
    Some((graph, places.iter().filter_map(|node| order.get(*node as usize).copied()).collect()))
}

/// The same order each time, and none that the documents had: neighbours in a document would only find each other.
fn shuffle(order: &mut [u32]) {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for at in (1..order.len()).rev() {
        // splitmix64, Steele and others 2014.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        order.swap(at, ((mixed ^ (mixed >> 31)) % (at as u64 + 1)) as usize);
    }
}

impl<'a> Growing<'a> {
    fn new(view: View<'a>, settings: &Settings) -> Self {
        let rows = view.rows();
        let mut floors = vec![rows as u32];
        while let Some(nodes) = floors.last().map(|nodes| nodes / settings.links as u32).filter(|nodes| *nodes > 0) {
            floors.push(nodes);
        }
        let empty = |links: usize| std::iter::repeat_with(|| AtomicU32::new(NONE)).take(links).collect();
        Self {
            view,
            low: empty(rows * settings.links * 2),
            upper: empty(upper_start(&floors, floors.len(), 0, settings.links)),
            floors,
            links: settings.links,
            width: settings.build_width,
            locks: std::iter::repeat_with(Mutex::default).take(LOCKS).collect(),
        }
    }

    fn of(&self, floor: usize, node: u32) -> &[AtomicU32] {
        let (from, start, links) = match floor {
            0 => (&self.low, node as usize * self.links * 2, self.links * 2),
            _ => (&self.upper, upper_start(&self.floors, floor, node, self.links), self.links),
        };
        from.get(start..start + links).unwrap_or_default()
    }

    fn work(&self, next: &AtomicUsize, stop: &AtomicBool, hands: &mut Hands) {
        let rows = self.view.rows();
        while !stop.load(Relaxed) {
            let from = next.fetch_add(SHARE, Relaxed);
            if from >= rows {
                return;
            }
            for node in from..(from + SHARE).min(rows) {
                self.insert(node as u32, hands);
            }
        }
    }

    fn insert(&self, node: u32, hands: &mut Hands) {
        let top = self.floors.iter().filter(|nodes| node < **nodes).count();
        self.view.take(node, &mut hands.query);
        let mut near = down(self, top, 0, &self.view, &hands.query, &mut hands.walk);
        for floor in (0..top).rev() {
            let walk = Walk { width: self.width, only: None };
            beam(self, floor, &[near], &self.view, &hands.query, walk, &mut hands.walk);
            let met = hands.walk.pool.iter().filter(|met| met.row != node);
            hands.candidates.clear();
            hands.candidates.extend(met.map(|met| (met.score, met.row)));
            near = hands.candidates.first().map_or(near, |(_, row)| *row);
            self.choose(self.links, hands);
            for other in std::mem::take(&mut hands.chosen) {
                self.link(floor, node, other, hands);
                self.link(floor, other, node, hands);
            }
        }
    }

    /// Chooses of the candidates, the nearest first, those that are nearer to the node than to any chosen before:
    /// links then lead into all directions.
    fn choose(&self, max: usize, hands: &mut Hands) {
        let Hands { other, candidates, chosen, dots, scores, .. } = hands;
        chosen.clear();
        for (score, row) in candidates.iter() {
            self.view.take(*row, other);
            self.view.scores(other, chosen.iter().copied(), dots, scores);
            if scores.iter().all(|between| between < score) {
                chosen.push(*row);
                if chosen.len() == max {
                    return;
                }
            }
        }
    }

    /// Adds a link; where there is no room, chooses among all.
    fn link(&self, floor: usize, from: u32, to: u32, hands: &mut Hands) {
        let links = self.of(floor, from);
        let _held = self.locks.get(from as usize % LOCKS).map(Mutex::lock);
        for link in links {
            match link.load(Relaxed) {
                NONE => return link.store(to, Relaxed),
                held if held == to => return,
                _ => {}
            }
        }
        let mut of = std::mem::take(&mut hands.other);
        self.view.take(from, &mut of);
        let rows: Vec<u32> = links.iter().map(|link| link.load(Relaxed)).chain([to]).collect();
        self.view.scattered(&of, &rows, &mut hands.dots, &mut hands.scores);
        hands.other = of;
        hands.candidates.clear();
        hands.candidates.extend(hands.scores.iter().copied().zip(rows));
        hands.candidates.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        self.choose(links.len(), hands);
        let chosen = hands.chosen.iter().copied().chain(std::iter::repeat(NONE));
        links.iter().zip(chosen).for_each(|(link, node)| link.store(node, Relaxed));
    }

    /// The nodes in the order in which they shall stand: those of upper floors first, and within a floor as a walk
    /// in breadth over the lowest one meets them.
    fn places(&self) -> Vec<u32> {
        let rows = self.view.rows();
        let mut met = crate::vectors::bits::Bits::none(rows);
        let mut places = Vec::with_capacity(rows);
        let mut at = 0;
        for start in 0..rows as u32 {
            if met.set(start) {
                places.push(start);
            }
            while let Some(node) = places.get(at).copied() {
                at += 1;
                self.each(0, node, |other| {
                    if met.set(other) {
                        places.push(other);
                    }
                });
            }
        }
        places.sort_by_key(|node| self.floors.iter().filter(|nodes| node >= *nodes).count());
        places
    }

    /// The finished graph, its nodes renumbered: `places` says for each new number which node it was.
    fn settle(&self, places: &[u32]) -> Graph {
        let mut renamed = vec![NONE; places.len()];
        for (new, old) in places.iter().enumerate() {
            if let Some(name) = renamed.get_mut(*old as usize) {
                *name = new as u32;
            }
        }
        let rename = |link: &AtomicU32| renamed.get(link.load(Relaxed) as usize).copied().unwrap_or(NONE);
        let floor = |floor: usize, nodes: u32| {
            places.iter().take(nodes as usize).flat_map(move |node| self.of(floor, *node)).map(rename)
        };
        let low = floor(0, self.view.rows() as u32).collect();
        let upper = self.floors.iter().enumerate().skip(1).flat_map(|(at, nodes)| floor(at, *nodes)).collect();
        Graph { floors: Column::Owned(self.floors.clone()), low: Column::Owned(low), upper: Column::Owned(upper) }
    }
}
