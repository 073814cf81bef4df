//! Short codes of vectors: eight bits a number with a scale for each vector, and one bit a number.

use crate::sys::{
    map::Column,
    sums::{Sums, soon},
};

/// Bytes of a row of codes are a multiple of this, so that one row begins no line of the cache of another.
const STEP: usize = 64;
/// What stands for zero: codes are unsigned, since the processor multiplies unsigned bytes with signed ones.
const ZERO: u8 = 128;

/// Bytes of a row of eight-bit codes.
pub(super) const fn width(dimensions: usize) -> usize {
    dimensions.next_multiple_of(STEP)
}

/// Words of a row of one-bit codes.
pub(super) const fn words(dimensions: usize) -> usize {
    dimensions.div_ceil(64)
}

/// Eight-bit codes of many vectors.
///
/// **Shape**: codes `[n, width]`, scales `[n]`; a number is `(code - 128) * scale`.
#[derive(Debug, Clone, Default)]
pub(super) struct Codes {
    pub(super) width: usize,
    pub(super) codes: Column<u8>,
    pub(super) scales: Column<f32>,
}

impl Codes {
    /// The codes of vectors that lie one after the other.
    pub(super) fn of<'a>(vectors: impl ExactSizeIterator<Item = &'a [f32]>, dimensions: usize) -> Self {
        let width = width(dimensions);
        let (mut codes, mut scales) = (Vec::with_capacity(vectors.len() * width), Vec::with_capacity(vectors.len()));
        for vector in vectors {
            let scale = scale(vector);
            codes.extend(vector.iter().map(|number| (code(*number, scale) as u8).wrapping_add(ZERO)));
            codes.resize(codes.len().next_multiple_of(width), ZERO);
            scales.push(scale);
        }
        Self { width, codes: Column::Owned(codes), scales: Column::Owned(scales) }
    }

    /// For reading.
    pub(super) fn view(&self) -> View<'_> {
        View { width: self.width, codes: self.codes.get(), scales: self.scales.get(), sums: Sums::best() }
    }
}

/// The scale with which the largest number of a vector is 127.
fn scale(vector: &[f32]) -> f32 {
    let largest = vector.iter().fold(0.0_f32, |largest, number| largest.max(number.abs()));
    if largest > 0.0 { largest / 127.0 } else { 1.0 }
}

fn code(number: f32, scale: f32) -> i8 {
    (number / scale).round() as i8
}

/// A query as codes.
#[derive(Debug, Clone, Default)]
pub(super) struct CodedQuery {
    codes: Vec<i8>,
    /// What the codes' zero adds to each sum.
    offset: i32,
    scale: f32,
}

impl CodedQuery {
    pub(super) fn of(vector: &[f32]) -> Self {
        let scale = scale(vector);
        let mut codes: Vec<i8> = vector.iter().map(|number| code(*number, scale)).collect();
        codes.resize(width(vector.len()), 0);
        let mut query = Self { codes, offset: 0, scale };
        query.settle();
        query
    }

    fn settle(&mut self) {
        self.offset = self.codes.iter().map(|code| i32::from(*code)).sum::<i32>() * i32::from(ZERO);
    }
}

/// Codes, for reading.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    width: usize,
    codes: &'a [u8],
    scales: &'a [f32],
    sums: Sums,
}

impl View<'_> {
    pub(super) fn rows(&self) -> usize {
        self.scales.len()
    }

    /// Makes the query a row of these codes.
    pub(super) fn take(&self, row: u32, query: &mut CodedQuery) {
        let start = row as usize * self.width;
        query.codes.clear();
        let codes = self.codes.get(start..start + self.width).unwrap_or_default();
        query.codes.extend(codes.iter().map(|code| code.wrapping_sub(ZERO) as i8));
        query.scale = self.scales.get(row as usize).copied().unwrap_or_default();
        query.settle();
    }

    /// About the inner products of a query with these rows; `scores` is overwritten.
    pub(super) fn scores(
        &self,
        query: &CodedQuery,
        rows: impl Iterator<Item = u32> + Clone,
        dots: &mut Vec<i32>,
        scores: &mut Vec<f32>,
    ) {
        self.sums.codes(&query.codes, self.codes, rows.clone(), dots);
        scores.clear();
        scores.extend(rows.zip(dots.iter()).map(|(row, dot)| {
            (dot - query.offset) as f32 * query.scale * self.scales.get(row as usize).copied().unwrap_or_default()
        }));
    }

    /// As [`View::scores`] for rows that lie anywhere: the next ones are fetched while one is summed.
    pub(super) fn scattered(&self, query: &CodedQuery, rows: &[u32], dots: &mut Vec<i32>, scores: &mut Vec<f32>) {
        const AHEAD: usize = 4;
        for row in rows.iter().take(AHEAD) {
            self.fetch(*row);
        }
        let fetching = rows.iter().enumerate().map(|(at, row)| {
            if let Some(next) = rows.get(at + AHEAD) {
                self.fetch(*next);
            }
            *row
        });
        self.sums.codes(&query.codes, self.codes, fetching, dots);
        scores.clear();
        scores.extend(rows.iter().zip(dots.iter()).map(|(row, dot)| {
            (dot - query.offset) as f32 * query.scale * self.scales.get(*row as usize).copied().unwrap_or_default()
        }));
    }

    #[inline]
    fn fetch(&self, row: u32) {
        let start = row as usize * self.width;
        soon(self.codes.get(start..start + self.width).unwrap_or_default());
        soon(self.scales.get(row as usize..row as usize + 1).unwrap_or_default());
    }
}

/// One-bit codes: whether a number lies above the mean of its place.
///
/// **Shape**: mean `[dimensions]`, bits `[n, words]`.
#[derive(Debug, Clone, Default)]
pub(super) struct OneBit {
    pub(super) mean: Column<f32>,
    pub(super) bits: Column<u64>,
}

impl OneBit {
    pub(super) fn of(vectors: &[f32], dimensions: usize) -> Self {
        let mut mean = vec![0.0_f64; dimensions];
        for vector in vectors.chunks_exact(dimensions) {
            mean.iter_mut().zip(vector).for_each(|(mean, number)| *mean += f64::from(*number));
        }
        let rows = (vectors.len() / dimensions).max(1) as f64;
        let mean: Vec<f32> = mean.into_iter().map(|sum| (sum / rows) as f32).collect();
        let mut bits = Vec::with_capacity(vectors.len() / dimensions * words(dimensions));
        for vector in vectors.chunks_exact(dimensions) {
            signs(vector, &mean, &mut bits);
        }
        Self { mean: Column::Owned(mean), bits: Column::Owned(bits) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bits.get().is_empty()
    }

    /// In how many bits a query differs from these rows; `out` is overwritten.
    pub(super) fn differing(
        &self,
        query: &[f32],
        rows: impl Iterator<Item = u32>,
        signs_of: &mut Vec<u64>,
        out: &mut Vec<u16>,
    ) {
        signs_of.clear();
        signs(query, self.mean.get(), signs_of);
        Sums::best().differing(signs_of, self.bits.get(), rows, out);
    }
}

fn signs(vector: &[f32], mean: &[f32], out: &mut Vec<u64>) {
    for (numbers, means) in vector.chunks(64).zip(mean.chunks(64)) {
        let above = numbers.iter().zip(means).enumerate();
        out.push(above.fold(0, |word, (at, (number, mean))| word | u64::from(number > mean) << at));
    }
}

/// The rows that differ least: at least `wanted` of them, and all that differ as much as the last of those.
/// At most `max` are kept.
pub(super) fn least(differing: &[u16], wanted: usize, max: usize) -> impl Iterator<Item = usize> + '_ {
    let mut counts = vec![0_usize; differing.iter().max().map_or(0, |most| usize::from(*most) + 1)];
    for differs in differing {
        if let Some(count) = counts.get_mut(usize::from(*differs)) {
            *count += 1;
        }
    }
    let mut sum = 0;
    let limit = counts.iter().position(|count| {
        sum += count;
        sum >= wanted
    });
    let limit = limit.map_or(u16::MAX, |limit| limit as u16);
    differing.iter().enumerate().filter(move |(_, differs)| **differs <= limit).map(|(at, _)| at).take(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_keep_inner_products_and_one_bit_codes_keep_sides() {
        let vectors: Vec<f32> = (0..50 * 70).map(|at| ((at * 37 % 101) as f32 - 50.0) / 400.0).collect();
        let codes = Codes::of(vectors.chunks_exact(70), 70);
        let view = codes.view();
        let query: Vec<f32> = vectors.iter().take(70).copied().collect();
        let (mut dots, mut scores) = (Vec::new(), Vec::new());
        view.scores(&CodedQuery::of(&query), 0..50, &mut dots, &mut scores);
        for (vector, score) in vectors.chunks_exact(70).zip(&scores) {
            let exact: f32 = vector.iter().zip(&query).map(|(a, b)| a * b).sum();
            assert!((exact - score).abs() < 0.005, "{exact} and {score}");
        }
        let mut again = Vec::new();
        let mut taken = CodedQuery::default();
        view.take(0, &mut taken);
        view.scattered(&taken, &(0..50).collect::<Vec<_>>(), &mut dots, &mut again);
        assert_eq!(scores, again);
        let bits = OneBit::of(&vectors, 70);
        let mut differing = Vec::new();
        bits.differing(&query, 0..50, &mut Vec::new(), &mut differing);
        assert_eq!(differing.first(), Some(&0));
        assert_eq!(least(&[4, 0, 9, 4, 1], 3, 9).collect::<Vec<_>>(), [0, 1, 3, 4]);
        assert_eq!(least(&[4, 0], 3, 9).count(), 2);
    }
}
