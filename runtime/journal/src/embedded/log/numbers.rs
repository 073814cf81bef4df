//! Little-endian numbers in byte slices, without a panic.

macro_rules! reader {
    ($name:ident, $number:ty, $len:literal) => {
        pub(in crate::embedded) fn $name(bytes: &[u8], at: usize) -> Option<$number> {
            let bytes = bytes.get(at..at.checked_add($len)?)?;
            Some(<$number>::from_le_bytes(bytes.try_into().ok()?))
        }
    };
}

reader!(u16_at, u16, 2);
reader!(u32_at, u32, 4);
reader!(u64_at, u64, 8);
reader!(i64_at, i64, 8);

/// Overwrites bytes that are there already; does nothing when they are not.
pub(in crate::embedded) fn put_at(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(target) = bytes.get_mut(at..at + value.len()) {
        target.copy_from_slice(value);
    }
}
