//! Labels of rows, and filters over them.

use std::{borrow::Cow, collections::BTreeMap};

use crate::sys::map::Column;

use super::{bits::Bits, error::Error};

/// Labels of one chunk.
const LABELS_MAX: usize = 32;
/// **Units**: bytes.
const LABEL_LEN_MAX: usize = 256;
/// A label of more than one row in so many is kept as bits: a list would be longer.
const DENSE: usize = 32;

/// Which rows a search may find, by their labels. The default lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// A row has all of these.
    pub all: Vec<String>,
    /// A row has one of these; none named is no condition.
    pub any: Vec<String>,
    /// A row has none of these.
    pub none: Vec<String>,
}

impl Filter {
    /// Whether it lets everything through.
    pub fn is_open(&self) -> bool {
        self.all.is_empty() && self.any.is_empty() && self.none.is_empty()
    }
}

/// Refuses what would make labels a second store.
pub(super) fn check(of: impl std::fmt::Display, labels: &[&str]) -> Result<(), Error> {
    let what = if labels.len() > LABELS_MAX {
        format!("{} of them, and {LABELS_MAX} are possible", labels.len())
    } else {
        match labels.iter().find(|label| label.is_empty() || label.len() > LABEL_LEN_MAX) {
            Some(label) => {
                format!("one has {} bytes (`{:.40}…`), and 1 to {LABEL_LEN_MAX} are possible", label.len(), label)
            }
            None => return Ok(()),
        }
    };
    Err(Error::Labels { of: of.to_string(), what })
}

/// The labels of a segment, each with its rows.
///
/// **Shape**: the texts in order, one after the other; for each where it ends, how many rows it has, and where
/// these begin in `lists` or, for one that many rows have, in `dense`.
#[derive(Debug, Default)]
pub(super) struct Labels {
    pub(super) texts: Column<u8>,
    pub(super) ends: Column<u32>,
    pub(super) counts: Column<u32>,
    pub(super) starts: Column<u32>,
    pub(super) lists: Column<u32>,
    pub(super) dense: Column<u64>,
}

/// The rows of a label.
enum Posting<'a> {
    List(&'a [u32]),
    Dense(&'a [u64]),
}

/// The rows of a segment that a search may find.
#[derive(Debug)]
pub(super) enum Matches<'a> {
    /// All.
    All,
    /// Few: these.
    List(Cow<'a, [u32]>),
    /// Those whose bit is set, and how many that are.
    Bits(Cow<'a, Bits>, usize),
}

impl Labels {
    /// Of rows by label; the lists are ascending.
    pub(super) fn of(by_label: &BTreeMap<Box<str>, Vec<u32>>, rows: usize) -> Self {
        let (mut texts, mut ends, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        let (mut starts, mut lists, mut dense) = (Vec::new(), Vec::<u32>::new(), Vec::<u64>::new());
        for (label, of) in by_label.iter().filter(|(_, of)| !of.is_empty()) {
            texts.extend_from_slice(label.as_bytes());
            ends.push(texts.len() as u32);
            counts.push(of.len() as u32);
            if of.len() * DENSE > rows {
                starts.push(dense.len() as u32);
                let mut bits = Bits::none(rows);
                for row in of {
                    bits.set(*row);
                }
                dense.extend_from_slice(bits.words());
            } else {
                starts.push(lists.len() as u32);
                lists.extend_from_slice(of);
            }
        }
        Self {
            texts: Column::Owned(texts),
            ends: Column::Owned(ends),
            counts: Column::Owned(counts),
            starts: Column::Owned(starts),
            lists: Column::Owned(lists),
            dense: Column::Owned(dense),
        }
    }

    fn text(&self, at: usize) -> &[u8] {
        let end = |at: usize| self.ends.get().get(at).copied().unwrap_or_default() as usize;
        let start = at.checked_sub(1).map_or(0, end);
        self.texts.get().get(start..end(at)).unwrap_or_default()
    }

    fn posting(&self, at: usize, rows: usize) -> Posting<'_> {
        let count = self.counts.get().get(at).copied().unwrap_or_default() as usize;
        let start = self.starts.get().get(at).copied().unwrap_or_default() as usize;
        if count * DENSE > rows {
            Posting::Dense(self.dense.get().get(start..start + rows.div_ceil(64)).unwrap_or_default())
        } else {
            Posting::List(self.lists.get().get(start..start + count).unwrap_or_default())
        }
    }

    /// The rows that have a label.
    fn rows_of(&self, label: &str, rows: usize) -> Posting<'_> {
        let (mut from, mut to) = (0, self.ends.get().len());
        while from < to {
            let middle = usize::midpoint(from, to);
            match self.text(middle).cmp(label.as_bytes()) {
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Greater => to = middle,
                std::cmp::Ordering::Equal => return self.posting(middle, rows),
            }
        }
        Posting::List(&[])
    }

    /// Every label with its rows.
    pub(super) fn each(&self, rows: usize) -> impl Iterator<Item = (String, Vec<u32>)> + '_ {
        (0..self.ends.get().len()).map(move |at| {
            let of = match self.posting(at, rows) {
                Posting::List(list) => list.to_vec(),
                Posting::Dense(words) => Bits::of(words.to_vec()).rows().collect(),
            };
            (String::from_utf8_lossy(self.text(at)).into_owned(), of)
        })
    }

    /// The rows that a filter lets through and that are alive.
    pub(super) fn matches<'a>(&'a self, filter: &Filter, rows: usize, alive: &'a Bits, live: usize) -> Matches<'a> {
        if filter.is_open() {
            return if live == rows { Matches::All } else { Matches::Bits(Cow::Borrowed(alive), live) };
        }
        if let (true, true, [label]) = (filter.any.is_empty(), filter.none.is_empty(), filter.all.as_slice())
            && let Posting::List(list) = self.rows_of(label, rows)
        {
            return Matches::List(if live == rows {
                Cow::Borrowed(list)
            } else {
                list.iter().copied().filter(|row| alive.has(*row)).collect()
            });
        }
        let mut bits = alive.clone();
        for label in &filter.all {
            self.join(label, rows, &mut bits, |held, other| held & other);
        }
        if !filter.any.is_empty() {
            let mut any = Bits::none(rows);
            filter.any.iter().for_each(|label| self.join(label, rows, &mut any, |held, other| held | other));
            bits.join(any.words(), |held, other| held & other);
        }
        for label in &filter.none {
            self.join(label, rows, &mut bits, |held, other| held & !other);
        }
        let count = bits.count();
        if count * DENSE > rows { Matches::Bits(Cow::Owned(bits), count) } else { Matches::List(bits.rows().collect()) }
    }

    fn join(&self, label: &str, rows: usize, bits: &mut Bits, how: impl Fn(u64, u64) -> u64) {
        match self.rows_of(label, rows) {
            Posting::Dense(words) => bits.join(words, how),
            Posting::List(list) => {
                let mut of = Bits::none(rows);
                for row in list {
                    of.set(*row);
                }
                bits.join(of.words(), how);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_lets_through_what_has_all_and_any_and_none() {
        let rows = 300;
        let by = |step: usize| (0..rows as u32).step_by(step).collect::<Vec<_>>();
        let held = [("third", by(3)), ("fifth", by(5)), ("rare", vec![15, 45, 46])];
        let by_label = held.into_iter().map(|(label, rows)| (Box::from(label), rows)).collect();
        let labels = Labels::of(&by_label, rows);
        let mut alive = Bits::all(rows);
        alive.unset(45);
        let of = |all: &[&str], any: &[&str], none: &[&str]| {
            let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
            let filter = Filter { all: texts(all), any: texts(any), none: texts(none) };
            match labels.matches(&filter, rows, &alive, rows - 1) {
                Matches::All => Vec::new(),
                Matches::List(list) => list.to_vec(),
                Matches::Bits(bits, count) => {
                    assert_eq!(bits.count(), count);
                    bits.rows().collect()
                }
            }
        };
        let expected =
            |of: &dyn Fn(u32) -> bool| (0..rows as u32).filter(|row| *row != 45 && of(*row)).collect::<Vec<_>>();
        assert_eq!(of(&["third"], &[], &[]), expected(&|row| row % 3 == 0));
        assert_eq!(of(&["third", "fifth"], &[], &[]), expected(&|row| row % 15 == 0));
        assert_eq!(
            of(&[], &["third", "fifth"], &["rare"]),
            expected(&|row| (row % 3 == 0 || row % 5 == 0) && row != 15 && row != 46)
        );
        assert_eq!(of(&["rare"], &[], &[]), [15, 46]);
        assert_eq!(of(&["rare"], &[], &["third"]), [46]);
        assert_eq!(of(&["nobody"], &[], &[]), [0; 0]);
        assert_eq!(of(&[], &[], &["nobody"]).len(), rows - 1);
        assert_eq!(labels.each(rows).find(|(label, _)| label == "fifth").map(|(_, rows)| rows), Some(by(5)));
    }
}
