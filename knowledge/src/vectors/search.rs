//! One search in one segment: by scan or by graph, and always rescored by the vectors themselves.

use crate::sys::sums::{Sums, soon};

use super::{
    bits::Bits,
    codes::{CodedQuery, least},
    error::Error,
    graph::{self, Walk},
    labels::{Filter, Matches},
    segment::{Part, Segment},
    settings::Settings,
    top::Top,
};

/// At least so many of the nearest by their codes are compared by their vectors.
const RESCORED_MIN: usize = 20;
/// At least so many of the nearest by one bit are compared by their codes, and one in [`CODED_SHARE`].
const CODED_MIN: usize = 400;
const CODED_SHARE: usize = 50;
/// Under a filter that at least so many of a hundred rows pass, a walk goes to all and keeps those that match.
const WALKED_PERCENT: usize = 40;
/// Of a filter's rows in a hundred, those of a graph that are scanned however many they are.
const SCANNED_PERCENT: usize = 5;

/// A query as each path wants it.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Normalised.
    vector: Vec<f32>,
    coded: CodedQuery,
}

impl Prepared {
    /// # Errors
    /// [`Error::Vector`], when it is no direction.
    pub(super) fn of(vector: &[f32]) -> Result<Self, Error> {
        let length = length(vector, || "the query".to_owned())?;
        let vector: Vec<f32> = normalised(vector, length).collect();
        Ok(Self { coded: CodedQuery::of(&vector), vector })
    }
}

/// A vector's length, where it has a direction.
pub(super) fn length(vector: &[f32], of: impl Fn() -> String) -> Result<f64, Error> {
    let squares: f64 = vector.iter().map(|number| f64::from(*number) * f64::from(*number)).sum();
    if !squares.is_finite() {
        let at = vector.iter().position(|number| !number.is_finite()).unwrap_or_default();
        return Err(Error::Vector { of: of(), what: format!("has a number at {at} that is not finite") });
    }
    if squares == 0.0 {
        return Err(Error::Vector { of: of(), what: "is zero, and points nowhere".to_owned() });
    }
    Ok(squares.sqrt())
}

pub(super) fn normalised(vector: &[f32], length: f64) -> impl Iterator<Item = f32> + '_ {
    vector.iter().map(move |number| (f64::from(*number) / length) as f32)
}

/// What a search needs, kept from one to the next.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    signs: Vec<u64>,
    differing: Vec<u16>,
    dots: Vec<i32>,
    scores: Vec<f32>,
    rows: Vec<u32>,
    near: Top<u32>,
    walk: graph::Scratch,
}

/// Rows of a segment, in the order in which they lie.
#[derive(Clone, Copy)]
enum Rows<'a> {
    All(u32),
    List(&'a [u32]),
}

/// How many are wanted, and how wide a walk is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) k: usize,
    pub(super) width: usize,
}

impl Wanted {
    fn rescored(&self) -> usize {
        self.k.saturating_mul(2).max(RESCORED_MIN)
    }
}

/// Offers what is nearest among the living rows that the filter lets through.
pub(super) fn within(
    part: &Part,
    query: &Prepared,
    wanted: Wanted,
    filter: &Filter,
    settings: &Settings,
    scratch: &mut Scratch,
    found: &mut Top<u128>,
) {
    let segment = &*part.segment;
    let rows = segment.rows();
    match segment.labels().matches(filter, rows, &part.alive, part.live) {
        Matches::All => {
            if !walk(segment, None, rows, query, wanted, scratch) {
                scan(segment, Rows::All(rows as u32), query, wanted, settings, scratch);
            }
        }
        Matches::List(list) => scan(segment, Rows::List(&list), query, wanted, settings, scratch),
        Matches::Bits(bits, matching) => {
            let few = matching <= settings.matches_scanned_max || matching * 100 <= rows * SCANNED_PERCENT;
            if few || !walk(segment, Some(&bits), matching, query, wanted, scratch) {
                let mut list = std::mem::take(&mut scratch.rows);
                list.clear();
                list.extend(bits.rows());
                scan(segment, Rows::List(&list), query, wanted, settings, scratch);
                scratch.rows = list;
            }
        }
    }
    rescore(segment, query, scratch, found);
}

/// Walks the graph, and says whether it found as many as it should: matches may lie where no walk came.
fn walk(
    segment: &Segment,
    only: Option<&Bits>,
    matching: usize,
    query: &Prepared,
    wanted: Wanted,
    scratch: &mut Scratch,
) -> bool {
    let Some(graph) = &segment.graph else { return false };
    let width = wanted.width.max(wanted.rescored());
    let through_all = matching * 100 >= segment.rows() * WALKED_PERCENT;
    let walk = if through_all {
        Walk { width: width * segment.rows() / matching.max(1), only: None }
    } else {
        Walk { width, only }
    };
    let met = graph.near(&segment.codes.view(), &query.coded, walk, &mut scratch.walk);
    scratch.near.reset(wanted.rescored());
    let matches = met.iter().filter(|met| only.is_none_or(|only| only.has(met.row)));
    matches.take(wanted.rescored()).for_each(|met| scratch.near.offer(met.score, met.row));
    scratch.near.best().len() >= wanted.k.min(matching)
}

/// Compares all of the rows, by their codes.
fn scan(
    segment: &Segment,
    rows: Rows<'_>,
    query: &Prepared,
    wanted: Wanted,
    settings: &Settings,
    scratch: &mut Scratch,
) {
    let count = match rows {
        Rows::All(rows) => rows as usize,
        Rows::List(list) => list.len(),
    };
    let view = segment.codes.view();
    scratch.near.reset(wanted.rescored());
    let Scratch { signs, differing, dots, scores, near, .. } = scratch;
    if count >= settings.bits_min && !segment.one_bit.is_empty() {
        match rows {
            Rows::All(rows) => segment.one_bit.differing(&query.vector, 0..rows, signs, differing),
            Rows::List(list) => segment.one_bit.differing(&query.vector, list.iter().copied(), signs, differing),
        }
        let coded = (count / CODED_SHARE).max(CODED_MIN).max(wanted.k.saturating_mul(10));
        // As many again where many differ as much as the last: who stands behind those is not cut by chance.
        let list: Vec<u32> = least(differing, coded, coded.saturating_mul(2))
            .map(|at| match rows {
                Rows::All(_) => at as u32,
                Rows::List(list) => list.get(at).copied().unwrap_or_default(),
            })
            .collect();
        view.scattered(&query.coded, &list, dots, scores);
        list.iter().zip(scores.iter()).for_each(|(row, score)| near.offer(*score, *row));
        return;
    }
    match rows {
        Rows::All(rows) => {
            view.scores(&query.coded, 0..rows, dots, scores);
            (0..rows).zip(scores.iter()).for_each(|(row, score)| near.offer(*score, row));
        }
        Rows::List(list) => {
            view.scattered(&query.coded, list, dots, scores);
            list.iter().zip(scores.iter()).for_each(|(row, score)| near.offer(*score, *row));
        }
    }
}

/// Compares the nearest by their vectors.
fn rescore(segment: &Segment, query: &Prepared, scratch: &Scratch, found: &mut Top<u128>) {
    let (best, sums) = (scratch.near.best(), Sums::best());
    for (at, (_, row)) in best.iter().enumerate() {
        if let Some((_, next)) = best.get(at + 2) {
            soon(segment.vector(*next));
        }
        let score = sums.dot(&query.vector, segment.vector(*row));
        found.offer(score.clamp(-1.0, 1.0), segment.id(*row));
    }
}
