//! Files as memory, and columns of numbers in them.

#![expect(unsafe_code, reason = "mapped files and their columns are reached by pointer")]

use std::{fs::File, io, ops::Range, sync::Arc};

use memmap2::{Mmap, MmapMut};

#[cfg(not(target_endian = "little"))]
compile_error!("columns on disk are little-endian and are read as they lie");

/// A number that is the same bytes in a file and in memory.
///
/// # Safety
/// Every pattern of bits is a value, and there is no padding.
pub(crate) unsafe trait Plain: Copy + Send + Sync + 'static {}

// SAFETY: integers and floats take every pattern of bits and have no padding.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for u32 {}
// SAFETY: as above.
unsafe impl Plain for u64 {}
// SAFETY: as above.
unsafe impl Plain for f32 {}

/// The bytes of numbers, as they lie in a file.
pub(crate) fn bytes_of<T: Plain>(numbers: &[T]) -> &[u8] {
    // SAFETY: `Plain` has no padding, so each of these bytes is initialised; the lifetime is the slice's.
    unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), std::mem::size_of_val(numbers)) }
}

/// The numbers that these bytes are, or nothing where they do not fit.
fn numbers_of<T: Plain>(bytes: &[u8]) -> Option<&[T]> {
    let size = size_of::<T>();
    if !bytes.len().is_multiple_of(size) || !bytes.as_ptr().addr().is_multiple_of(align_of::<T>()) {
        return None;
    }
    // SAFETY: length and alignment were checked, `Plain` takes every pattern of bits, the lifetime is the slice's.
    Some(unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / size) })
}

/// Memory that does not change any more.
#[derive(Debug)]
pub(crate) enum Map {
    /// A file.
    File(Mmap),
    /// A copy in huge pages: what is read at random costs a miss in the page table at each read otherwise.
    Copy(Mmap),
}

impl Map {
    /// Maps a whole file.
    ///
    /// INVARIANT: nobody changes or cuts the file as long as it is mapped. Files of segments are written once, under
    /// a name that no other has, and are only ever unlinked.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn file(file: &File) -> io::Result<Self> {
        // SAFETY: see the invariant above; the folder is locked for this process.
        unsafe { Mmap::map(file) }.map(Self::File)
    }

    /// Copies bytes into memory of its own, in huge pages where the system gives them.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn copy(bytes: &[u8]) -> io::Result<Self> {
        // Huge pages begin where 2 MiB begin, and the system gives them only where they fit as a whole.
        let mut map = MmapMut::map_anon(bytes.len().max(1).next_multiple_of(2 * 1024 * 1024))?;
        #[cfg(target_os = "linux")]
        map.advise(memmap2::Advice::HugePage).ok();
        if let Some(into) = map.get_mut(..bytes.len()) {
            into.copy_from_slice(bytes);
        }
        map.make_read_only().map(Self::Copy)
    }

    /// All of it.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::File(map) | Self::Copy(map) => map,
        }
    }
}

/// Numbers that lie in memory of ours or in a mapped file.
#[derive(Debug, Clone)]
pub(crate) enum Column<T> {
    /// In memory of ours.
    Owned(Vec<T>),
    /// A part of a map.
    Mapped(Arc<Map>, Range<usize>),
}

impl<T: Plain> Column<T> {
    /// The numbers at these bytes of a map, or nothing where they do not fit.
    pub(crate) fn mapped(map: &Arc<Map>, range: Range<usize>) -> Option<Self> {
        numbers_of::<T>(map.bytes().get(range.clone())?)?;
        Some(Self::Mapped(Arc::clone(map), range))
    }

    /// The numbers.
    pub(crate) fn get(&self) -> &[T] {
        match self {
            Self::Owned(numbers) => numbers,
            Self::Mapped(map, range) => map.bytes().get(range.clone()).and_then(numbers_of).unwrap_or_default(),
        }
    }
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Self::Owned(Vec::new())
    }
}
