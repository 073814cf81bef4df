//! Which segments become one, and how.

use std::sync::{Arc, atomic::AtomicBool};

use super::{
    draft::Draft,
    graph,
    segment::{Part, Segment},
    settings::Settings,
};

/// So many segments of one size become one of the next.
const TIER: usize = 8;
/// A graph is built anew with what came beside it when it is at most so many times as large: a row is then put into
/// a graph a few times in its life, and there are few graphs to walk.
const GROWTH: usize = 4;

/// The power of [`TIER`] that so many rows reach.
fn tier(rows: usize) -> u32 {
    rows.max(1).ilog(TIER)
}

/// Makes one segment of the parts' living rows, with a graph from so many rows on; nothing when it was told to stop.
pub(super) fn join(
    parts: &[Part],
    dimensions: usize,
    graph_from: usize,
    settings: &Settings,
    stop: &AtomicBool,
) -> Option<Arc<Segment>> {
    let mut draft = Draft::default();
    draft.vectors.reserve_exact(parts.iter().map(|part| part.live).sum::<usize>() * dimensions);
    parts.iter().for_each(|part| take(part, &mut draft));
    if draft.rows() < graph_from {
        return Some(Segment::of(draft, dimensions, None, settings));
    }
    let (graph, order) = graph::build(&draft.vectors, dimensions, settings, stop)?;
    draft.reorder(&order, dimensions);
    Some(Segment::of(draft, dimensions, Some(graph), settings))
}

/// Takes the living rows of a part.
fn take(part: &Part, draft: &mut Draft) {
    const GONE: u32 = u32::MAX;
    let segment = &part.segment;
    let mut place = vec![GONE; segment.rows()];
    for row in part.alive.rows() {
        if let Some(place) = place.get_mut(row as usize) {
            *place = draft.ids.len() as u32;
        }
        draft.ids.push(segment.id(row));
        draft.seqs.push(segment.seq(row));
        draft.vectors.extend_from_slice(segment.vector(row));
    }
    for (label, rows) in segment.labels().each(segment.rows()) {
        let moved = rows.into_iter().filter_map(|row| place.get(row as usize).copied()).filter(|row| *row != GONE);
        draft.labels.entry(label.into_boxed_str()).or_default().extend(moved);
    }
}

/// Joins small segments of one size that `may` be joined, until there are fewer than [`TIER`] of each.
pub(super) fn tidy(parts: &mut Vec<Part>, dimensions: usize, settings: &Settings, may: impl Fn(&Part) -> bool) {
    parts.retain(|part| part.live > 0 || part.leaving);
    let mut tiers = 0;
    while tiers <= tier(settings.tail_max) {
        let of_tier = |part: &Part| !part.leaving && !part.has_graph() && tier(part.live) == tiers && may(part);
        if parts.iter().filter(|part| of_tier(part)).count() < TIER {
            tiers += 1;
            continue;
        }
        let (joined, rest): (Vec<Part>, Vec<Part>) = parts.drain(..).partition(of_tier);
        *parts = rest;
        let one = join(&joined, dimensions, usize::MAX, settings, &AtomicBool::new(false));
        parts.extend(one.map(|one| Part::of(one, None)));
    }
}

/// The places of the parts that are due to become one with a graph; none when nothing is.
pub(super) fn due(parts: &[Part], settings: &Settings) -> Vec<usize> {
    let (graphs, loose): (Vec<usize>, Vec<usize>) =
        (0..parts.len()).partition(|at| parts.get(*at).is_some_and(Part::has_graph));
    let live = |at: &usize| parts.get(*at).map_or(0, |part| part.live);
    let worn = |at: &usize| {
        let dead = parts.get(*at).map_or(0, |part| part.segment.rows() - part.live);
        dead * 100 > (dead + live(at)) * settings.dead_percent_max
    };
    let mut rows: usize = loose.iter().map(live).sum();
    let limit = if graphs.is_empty() { settings.graph_min } else { settings.tail_max };
    let any_worn = graphs.iter().any(worn);
    if rows < limit && !any_worn {
        return Vec::new();
    }
    let mut chosen = loose;
    let mut by_size = graphs;
    by_size.sort_by_key(live);
    for at in by_size {
        if live(&at) < rows.saturating_mul(GROWTH) || worn(&at) {
            rows += live(&at);
            chosen.push(at);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(rows: usize, graph: bool, dead: usize) -> Part {
        let mut draft = Draft::default();
        (0..rows).for_each(|row| draft.push(row as u128, 1, [1.0, row as f32].into_iter(), &["l"]));
        let graph = graph.then(graph::Graph::default);
        let mut part = Part::of(Segment::of(draft, 2, graph, &Settings::default()), None);
        (0..dead as u32).for_each(|row| part.bury(row));
        part
    }

    #[test]
    fn small_segments_become_larger_ones_and_a_graph_is_due_when_enough_came_beside_it() {
        let settings = Settings { graph_min: 500, tail_max: 200, ..Settings::default() };
        let mut parts = Vec::new();
        for _ in 0..200 {
            parts.push(part(1, false, 0));
            tidy(&mut parts, 2, &settings, |_| true);
        }
        assert_eq!(parts.iter().map(|part| part.live).sum::<usize>(), 200);
        assert_eq!(parts.len(), 200 / 64 + 200 % 64 / 8);
        assert!(due(&parts, &settings).is_empty());
        assert_eq!(due(&[part(300, false, 0), part(250, false, 0)], &settings), [0, 1]);
        assert!(due(&[part(5000, true, 0), part(100, false, 0)], &settings).is_empty());
        assert_eq!(due(&[part(5000, true, 0), part(210, false, 0)], &settings), [1]);
        assert_eq!(due(&[part(5000, true, 0), part(210, false, 0), part(800, true, 0)], &settings), [1, 2]);
        assert_eq!(due(&[part(5000, true, 1200), part(10, false, 0)], &settings), [1, 0]);
        let joined = join(&[part(9, false, 3), part(2, false, 0)], 2, 9999, &settings, &AtomicBool::new(false));
        assert_eq!(joined.map(|segment| segment.rows()), Some(8));
    }
}
