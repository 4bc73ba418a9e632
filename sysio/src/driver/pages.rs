//! Page-aligned memory that is lent out in pieces, to the program and to the kernel in turns.

use std::io;
use std::ops::Range;
use std::ptr::NonNull;

use memmap2::MmapMut;

use crate::error::SysError;
use crate::mapped::page_bytes;

/// Anonymous memory, zeroed, mapped once, unmapped on drop.
#[derive(Debug)]
pub(crate) struct Pages {
    /// Owns the mapping; its bytes are reached through `base` only, so that no reference to the
    /// whole exists while pieces are lent out.
    map: MmapMut,
    base: NonNull<u8>,
}

impl Pages {
    /// Maps `bytes`, rounded up to whole pages.
    pub(crate) fn new(bytes: usize) -> Result<Pages, SysError> {
        let bytes = bytes.next_multiple_of(page_bytes());
        let failed = |e| SysError::new(format!("map {bytes} bytes of buffers"), e);
        let mut map = MmapMut::map_anon(bytes).map_err(failed)?;
        let base = NonNull::new(map.as_mut_ptr())
            .ok_or_else(|| failed(io::Error::from_raw_os_error(libc::ENOMEM)))?;
        Ok(Pages { map, base })
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    /// Address of the byte at `offset`, for the kernel.
    pub(crate) fn address(&self, offset: usize) -> *mut u8 {
        assert!(offset <= self.map.len(), "{offset} is outside the pages");
        self.base.as_ptr().wrapping_add(offset)
    }

    /// The bytes of `range`, to read.
    ///
    /// # Safety
    /// While the slice lives, nobody, the kernel included, writes the range.
    pub(crate) unsafe fn slice(&self, range: Range<usize>) -> &[u8] {
        assert!(range.start <= range.end && range.end <= self.map.len(), "{range:?} is outside");
        let start = self.base.as_ptr().wrapping_add(range.start);
        // SAFETY: the range lies in the mapping, which is initialised (zeros) and lives as long as
        // `self`; that nobody writes it is the caller's promise.
        unsafe { std::slice::from_raw_parts(start, range.end - range.start) }
    }

    /// The bytes of `range`, to read and write.
    ///
    /// # Safety
    /// While the slice lives, nobody else, the kernel included, reads or writes the range.
    #[expect(clippy::mut_from_ref, reason = "pieces do not overlap: the caller's promise")]
    pub(crate) unsafe fn slice_mut(&self, range: Range<usize>) -> &mut [u8] {
        assert!(range.start <= range.end && range.end <= self.map.len(), "{range:?} is outside");
        let start = self.base.as_ptr().wrapping_add(range.start);
        // SAFETY: the range lies in the mapping, which is initialised (zeros) and lives as long as
        // `self`; that nobody else uses it is the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(start, range.end - range.start) }
    }
}
