//! A small generator of chance, so that a seed tells the whole course of a test.

/// Xorshift over 64 bits.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The course of this seed.
    pub fn new(seed: u64) -> Self {
        Self::of(seed, 0)
    }

    /// The course of one part of what has this seed: the same whatever the other parts do.
    pub fn of(seed: u64, part: u64) -> Self {
        // Splitmix, so that neighbours have nothing in common.
        let mut mixed = seed.wrapping_add(part.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self((mixed ^ (mixed >> 31)) | 1)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below the bound; 0 when that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        (self.bits() >> 11).checked_rem(bound).unwrap_or_default()
    }

    /// An index of something so long.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or_default()
    }

    /// True once in so many.
    pub fn once_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    /// One of these.
    pub fn one<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.index(of.len()))
    }
}
