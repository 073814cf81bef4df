//! One bit for each row of a segment.

/// One bit for each row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// None of so many rows.
    pub(super) fn none(rows: usize) -> Self {
        Self(vec![0; rows.div_ceil(64)])
    }

    /// All of so many rows.
    pub(super) fn all(rows: usize) -> Self {
        let mut words = vec![u64::MAX; rows.div_ceil(64)];
        if let Some(last) = words.last_mut().filter(|_| !rows.is_multiple_of(64)) {
            *last = (1 << (rows % 64)) - 1;
        }
        Self(words)
    }

    pub(super) fn of(words: Vec<u64>) -> Self {
        Self(words)
    }

    pub(super) fn words(&self) -> &[u64] {
        &self.0
    }

    #[inline]
    pub(super) fn has(&self, row: u32) -> bool {
        self.0.get(row as usize / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// Sets a bit, and says whether it was not set.
    #[inline]
    pub(super) fn set(&mut self, row: u32) -> bool {
        let Some(word) = self.0.get_mut(row as usize / 64) else { return false };
        let fresh = *word >> (row % 64) & 1 == 0;
        *word |= 1 << (row % 64);
        fresh
    }

    pub(super) fn unset(&mut self, row: u32) {
        if let Some(word) = self.0.get_mut(row as usize / 64) {
            *word &= !(1 << (row % 64));
        }
    }

    /// So many rows, all of them unset; keeps its memory.
    pub(super) fn reset(&mut self, rows: usize) {
        self.0.clear();
        self.0.resize(rows.div_ceil(64), 0);
    }

    pub(super) fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Joins each word with that of another, as `how` says.
    pub(super) fn join(&mut self, other: &[u64], how: impl Fn(u64, u64) -> u64) {
        for (word, other) in self.0.iter_mut().zip(other) {
            *word = how(*word, *other);
        }
    }

    /// The rows whose bit is set, ascending.
    pub(super) fn rows(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros())?;
                left &= left - 1;
                Some(at as u32 * 64 + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_set_counted_and_listed_up_to_the_last_row() {
        for rows in [0, 1, 63, 64, 65, 200] {
            let mut bits = Bits::all(rows);
            assert_eq!((bits.count(), bits.rows().count()), (rows, rows));
            bits.unset(0);
            assert_eq!(bits.rows().next(), (rows > 1).then_some(1));
            assert_eq!(bits.set(0), rows > 0);
            assert!(!bits.set(0) && !bits.has(rows as u32));
        }
    }
}
