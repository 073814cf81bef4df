//! Sums over vectors: by AVX-512 with VNNI, by AVX2, or in plain Rust, whichever the processor has.
//!
//! The sums of whole numbers are the same on each of them; those of floats differ in their last bits.

#![expect(unsafe_code, reason = "wide registers are loaded by pointer, and only where the processor has them")]

use std::sync::OnceLock;

/// How wide the processor sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// The sums of this processor.
///
/// INVARIANT: a width is only ever made by [`Sums::all`], which asked the processor for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sums(Width);

impl Sums {
    /// The widest that this processor has.
    pub(crate) fn best() -> Self {
        static BEST: OnceLock<Sums> = OnceLock::new();
        *BEST.get_or_init(|| Self::all().pop().unwrap_or(Self(Width::Plain)))
    }

    /// All that this processor has, the widest last.
    pub(crate) fn all() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "there is only one elsewhere"))]
        let mut all = vec![Self(Width::Plain)];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("popcnt")
            {
                all.push(Self(Width::Avx2));
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vnni")
                    && is_x86_feature_detected!("avx512vpopcntdq")
                {
                    all.push(Self(Width::Avx512));
                }
            }
        }
        all
    }

    /// The inner product of two vectors of one length.
    pub(crate) fn dot(self, a: &[f32], b: &[f32]) -> f32 {
        match self.0 {
            Width::Plain => plain::dot(a, b),
            // SAFETY: the processor has it, see the invariant.
            #[cfg(target_arch = "x86_64")]
            Width::Avx2 => unsafe { avx2::dot(a, b) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Width::Avx512 => unsafe { avx512::dot(a, b) },
        }
    }

    /// The inner products of a query with rows of `query.len()` codes; `out` is overwritten, a row that is not there
    /// counts 0.
    pub(crate) fn codes(self, query: &[i8], codes: &[u8], rows: impl Iterator<Item = u32>, out: &mut Vec<i32>) {
        out.clear();
        match self.0 {
            Width::Plain => plain::codes(query, codes, rows, out),
            // SAFETY: the processor has it, see the invariant.
            #[cfg(target_arch = "x86_64")]
            Width::Avx2 => unsafe { avx2::codes(query, codes, rows, out) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Width::Avx512 => unsafe { avx512::codes(query, codes, rows, out) },
        }
    }

    /// In how many bits a query differs from rows of `query.len()` words; `out` is overwritten.
    pub(crate) fn differing(self, query: &[u64], bits: &[u64], rows: impl Iterator<Item = u32>, out: &mut Vec<u16>) {
        out.clear();
        match self.0 {
            Width::Plain => plain::differing(query, bits, rows, out),
            // SAFETY: the processor has it, see the invariant.
            #[cfg(target_arch = "x86_64")]
            Width::Avx2 => unsafe { avx2::differing(query, bits, rows, out) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Width::Avx512 => unsafe { avx512::differing(query, bits, rows, out) },
        }
    }
}

/// Tells the processor that this will be read soon.
#[inline]
pub(crate) fn soon<T>(numbers: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let start = numbers.as_ptr().cast::<i8>();
        for line in (0..std::mem::size_of_val(numbers)).step_by(64) {
            // SAFETY: a prefetch reads nothing, and the address lies within the slice.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(line)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = numbers;
}

/// The row of `width` numbers with this number.
#[inline]
fn row<T>(numbers: &[T], width: usize, row: u32) -> &[T] {
    let start = row as usize * width;
    numbers.get(start..start + width).unwrap_or_default()
}

mod plain {
    use super::row;

    pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    pub(super) fn codes(query: &[i8], codes: &[u8], rows: impl Iterator<Item = u32>, out: &mut Vec<i32>) {
        out.extend(rows.map(|at| {
            let row = row(codes, query.len(), at);
            query.iter().zip(row).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum::<i32>()
        }));
    }

    pub(super) fn differing(query: &[u64], bits: &[u64], rows: impl Iterator<Item = u32>, out: &mut Vec<u16>) {
        out.extend(rows.map(|at| {
            let row = row(bits, query.len(), at);
            query.iter().zip(row).map(|(a, b)| (a ^ b).count_ones() as u16).sum::<u16>()
        }));
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_loadu_si128, _mm256_add_epi32, _mm256_castps256_ps128, _mm256_castsi256_si128,
        _mm256_cvtepi8_epi16, _mm256_cvtepu8_epi16, _mm256_extractf128_ps, _mm256_extracti128_si256, _mm256_fmadd_ps,
        _mm256_loadu_ps, _mm256_madd_epi16, _mm256_setzero_ps, _mm256_setzero_si256,
    };
    use std::arch::x86_64::{
        _mm_add_epi32, _mm_add_ps, _mm_add_ss, _mm_cvtsi128_si32, _mm_cvtss_f32, _mm_movehl_ps, _mm_shuffle_epi32,
        _mm_shuffle_ps,
    };

    use super::row;

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
        let mut sum = [_mm256_setzero_ps(); 2];
        let (a16, b16) = (a.chunks_exact(16), b.chunks_exact(16));
        let rest: f32 = a16.remainder().iter().zip(b16.remainder()).map(|(a, b)| a * b).sum();
        for (a, b) in a16.zip(b16) {
            for (half, sum) in sum.iter_mut().enumerate() {
                // SAFETY: 8 floats at 0 and 8 of 16 floats.
                let (a, b) =
                    unsafe { (_mm256_loadu_ps(a.as_ptr().add(half * 8)), _mm256_loadu_ps(b.as_ptr().add(half * 8))) };
                *sum = _mm256_fmadd_ps(a, b, *sum);
            }
        }
        let [first, second] = sum;
        let sum = std::arch::x86_64::_mm256_add_ps(first, second);
        let four = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two))) + rest
    }

    #[target_feature(enable = "avx2")]
    fn sum(eight: __m256i) -> i32 {
        let four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256::<1>(eight));
        let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b00_00_11_10>(four));
        _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<1>(two)))
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn codes(query: &[i8], codes: &[u8], rows: impl Iterator<Item = u32>, out: &mut Vec<i32>) {
        for at in rows {
            let mut eight = _mm256_setzero_si256();
            for (a, b) in query.chunks_exact(16).zip(row(codes, query.len(), at).chunks_exact(16)) {
                // SAFETY: both have 16 bytes.
                let (a, b) = unsafe {
                    (_mm_loadu_si128(a.as_ptr().cast::<__m128i>()), _mm_loadu_si128(b.as_ptr().cast::<__m128i>()))
                };
                // As 16-bit numbers, since the instruction for bytes saturates.
                let products = _mm256_madd_epi16(_mm256_cvtepi8_epi16(a), _mm256_cvtepu8_epi16(b));
                eight = _mm256_add_epi32(eight, products);
            }
            out.push(sum(eight));
        }
    }

    #[target_feature(enable = "popcnt")]
    pub(super) fn differing(query: &[u64], bits: &[u64], rows: impl Iterator<Item = u32>, out: &mut Vec<u16>) {
        for at in rows {
            let row = row(bits, query.len(), at);
            out.push(query.iter().zip(row).map(|(a, b)| (a ^ b).count_ones() as u16).sum());
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::{
        _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_maskz_loadu_epi64,
        _mm512_popcnt_epi64, _mm512_reduce_add_epi32, _mm512_reduce_add_epi64, _mm512_reduce_add_ps, _mm512_setzero_ps,
        _mm512_setzero_si512, _mm512_xor_si512,
    };

    use super::row;

    #[target_feature(enable = "avx512f")]
    pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
        let mut sum = _mm512_setzero_ps();
        let (a16, b16) = (a.chunks_exact(16), b.chunks_exact(16));
        let rest: f32 = a16.remainder().iter().zip(b16.remainder()).map(|(a, b)| a * b).sum();
        for (a, b) in a16.zip(b16) {
            // SAFETY: both have 16 floats.
            let (a, b) = unsafe { (_mm512_loadu_ps(a.as_ptr()), _mm512_loadu_ps(b.as_ptr())) };
            sum = _mm512_fmadd_ps(a, b, sum);
        }
        _mm512_reduce_add_ps(sum) + rest
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) fn codes(query: &[i8], codes: &[u8], rows: impl Iterator<Item = u32>, out: &mut Vec<i32>) {
        for at in rows {
            let mut sum = _mm512_setzero_si512();
            for (a, b) in query.chunks_exact(64).zip(row(codes, query.len(), at).chunks_exact(64)) {
                // SAFETY: both have 64 bytes.
                let (a, b) = unsafe { (_mm512_loadu_si512(a.as_ptr().cast()), _mm512_loadu_si512(b.as_ptr().cast())) };
                sum = _mm512_dpbusd_epi32(sum, b, a);
            }
            out.push(_mm512_reduce_add_epi32(sum));
        }
    }

    #[target_feature(enable = "avx512f,avx512vpopcntdq")]
    pub(super) fn differing(query: &[u64], bits: &[u64], rows: impl Iterator<Item = u32>, out: &mut Vec<u16>) {
        for at in rows {
            let mut sum = _mm512_setzero_si512();
            for (a, b) in query.chunks(8).zip(row(bits, query.len(), at).chunks(8)) {
                let mask = ((1_u16 << a.len().min(b.len())) - 1) as u8;
                // SAFETY: the mask leaves out what lies beyond either slice.
                let (a, b) = unsafe {
                    (
                        _mm512_maskz_loadu_epi64(mask, a.as_ptr().cast()),
                        _mm512_maskz_loadu_epi64(mask, b.as_ptr().cast()),
                    )
                };
                sum = std::arch::x86_64::_mm512_add_epi64(sum, _mm512_popcnt_epi64(_mm512_xor_si512(a, b)));
            }
            out.push(_mm512_reduce_add_epi64(sum) as u16);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_width_gives_the_same_sums(
            blocks in 1_usize..8,
            rows in 1_usize..20,
            seed in prop::collection::vec(any::<u8>(), 64..200),
        ) {
            let width = blocks * 64;
            let byte = |at: usize| seed.get((at * 7 + at / 13) % seed.len()).copied().unwrap_or_default();
            let query: Vec<i8> = (0..width).map(|at| (byte(at + 3) as i8).max(-127)).collect();
            let codes: Vec<u8> = (0..width * rows).map(byte).collect();
            let words: Vec<u64> = (0..blocks * (rows + 1)).map(|at| u64::from(byte(at)).wrapping_mul(0x0101_8181_4242_0303)).collect();
            let floats = |from: usize| (0..width - 5).map(|at| f32::from(byte(at + from)) / 255.0 - 0.5).collect::<Vec<_>>();
            let (a, b) = (floats(1), floats(17));
            let list: Vec<u32> = (0..rows as u32).rev().collect();
            let of = |sums: Sums| {
                let (mut dots, mut bits) = (Vec::new(), Vec::new());
                sums.codes(&query, &codes, list.iter().copied(), &mut dots);
                sums.differing(words.get(..blocks).unwrap_or_default(), &words, list.iter().copied(), &mut bits);
                (dots, bits, sums.dot(&a, &b))
            };
            let (dots, bits, dot) = of(Sums(Width::Plain));
            for sums in Sums::all() {
                let (other_dots, other_bits, other) = of(sums);
                prop_assert_eq!(&dots, &other_dots, "{:?}", sums);
                prop_assert_eq!(&bits, &other_bits, "{:?}", sums);
                prop_assert!((dot - other).abs() < 1e-3, "{:?}: {} and {}", sums, dot, other);
            }
        }
    }
}
