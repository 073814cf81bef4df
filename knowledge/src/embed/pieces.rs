//! Byte-pair encoding over a packed vocabulary: the tokenizer of a static table.
//!
//! It gives the numbers that the table's own package gives (a test holds 1,000 texts against them): a text is
//! `▁` and its characters, spaces read as `▁`; a character that the vocabulary lacks is its bytes; then the
//! pair of the lowest rank is merged, the leftmost first, until none is left. No piece of the vocabulary goes
//! on behind a `▁` that follows something else, so words are merged one by one.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

/// What stands for a space.
const SPACE: char = '\u{2581}';
/// The vocabulary's number of the byte 0; the others follow.
const BYTES_FROM: u16 = 3;
/// Signs that are read before anything else, with their numbers.
const SIGNS: [(&str, u16); 3] = [("<unk>", 0), ("<s>", 1), ("</s>", 2)];
/// No symbol before or behind.
const NONE: usize = usize::MAX;

pub(super) struct Pieces {
    characters: HashMap<char, u16>,
    /// Left and right of a merge, to its rank and to what it makes.
    merges: HashMap<(u16, u16), (u32, u16)>,
}

#[derive(Clone, Copy)]
struct Symbol {
    id: u16,
    before: usize,
    behind: usize,
    /// Merged into the one before it.
    gone: bool,
}

impl Pieces {
    pub(super) fn new(
        characters: impl Iterator<Item = (char, u16)>,
        merges: impl Iterator<Item = (u16, u16, u16)>,
    ) -> Self {
        let ranked = (0u32..).zip(merges).map(|(rank, (left, right, made))| ((left, right), (rank, made)));
        Self { characters: characters.collect(), merges: ranked.collect() }
    }

    /// The numbers of a text's pieces.
    ///
    /// **Cost** grows with the text; with the logarithm of a word's length for each of its characters.
    pub(super) fn encode(&self, text: &str) -> Vec<u16> {
        let mut ids = Vec::with_capacity(text.len() / 3);
        let mut rest = text;
        while let Some((before, sign, after)) = next_sign(rest) {
            self.plain(before, &mut ids);
            ids.push(sign);
            rest = after;
        }
        self.plain(rest, &mut ids);
        ids
    }

    /// A text without signs.
    fn plain(&self, text: &str, into: &mut Vec<u16>) {
        if text.is_empty() {
            return;
        }
        let mut word: Vec<u16> = Vec::new();
        let mut spaces_only = true;
        for c in std::iter::once(SPACE).chain(text.chars().map(|c| if c == ' ' { SPACE } else { c })) {
            if c == SPACE && !spaces_only {
                self.merged(&word, into);
                word.clear();
            }
            spaces_only = c == SPACE && (spaces_only || word.is_empty());
            match self.characters.get(&c) {
                Some(id) => word.push(*id),
                None => word.extend(c.encode_utf8(&mut [0; 4]).bytes().map(|byte| BYTES_FROM + u16::from(byte))),
            }
        }
        self.merged(&word, into);
    }

    fn merged(&self, word: &[u16], into: &mut Vec<u16>) {
        let last = word.len().saturating_sub(1);
        let mut symbols: Vec<Symbol> = word
            .iter()
            .enumerate()
            .map(|(at, id)| Symbol {
                id: *id,
                before: at.checked_sub(1).unwrap_or(NONE),
                behind: if at == last { NONE } else { at + 1 },
                gone: false,
            })
            .collect();
        let mut heap = BinaryHeap::new();
        for at in 0..last {
            self.offer(&symbols, at, &mut heap);
        }
        while let Some(Reverse((_, at, left, right))) = heap.pop() {
            self.merge(&mut symbols, at, (left, right), &mut heap);
        }
        into.extend(symbols.iter().filter(|symbol| !symbol.gone).map(|symbol| symbol.id));
    }

    fn offer(&self, symbols: &[Symbol], at: usize, heap: &mut BinaryHeap<Reverse<(u32, usize, u16, u16)>>) {
        let Some(left) = symbols.get(at) else { return };
        let Some(right) = symbols.get(left.behind) else { return };
        if let Some((rank, _)) = self.merges.get(&(left.id, right.id)) {
            heap.push(Reverse((*rank, at, left.id, right.id)));
        }
    }

    /// Merges the pair at `at`, if it is still the one that was offered.
    fn merge(
        &self,
        symbols: &mut [Symbol],
        at: usize,
        pair: (u16, u16),
        heap: &mut BinaryHeap<Reverse<(u32, usize, u16, u16)>>,
    ) {
        let Some(left) = symbols.get(at).copied().filter(|left| !left.gone && left.id == pair.0) else { return };
        let Some(right) = symbols.get(left.behind).copied().filter(|right| right.id == pair.1) else { return };
        let Some((_, made)) = self.merges.get(&pair) else { return };
        if let Some(gone) = symbols.get_mut(left.behind) {
            gone.gone = true;
        }
        if let Some(next) = symbols.get_mut(right.behind) {
            next.before = at;
        }
        if let Some(kept) = symbols.get_mut(at) {
            (kept.id, kept.behind) = (*made, right.behind);
        }
        self.offer(symbols, left.before, heap);
        self.offer(symbols, at, heap);
    }
}

fn next_sign(text: &str) -> Option<(&str, u16, &str)> {
    let signs = SIGNS.iter().filter_map(|(sign, id)| text.find(sign).map(|at| (at, *sign, *id)));
    let (at, sign, id) = signs.min_by_key(|(at, ..)| *at)?;
    Some((text.get(..at)?, id, text.get(at + sign.len()..)?))
}
