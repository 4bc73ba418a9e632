//! Page-aligned memory that is lent out in pieces, to the program and to the kernel in turns.

use std::io;
use std::ops::Range;
use std::ptr::NonNull;

use memmap2::{Advice, MmapMut};

use crate::error::SysError;
use crate::mapped::page_bytes;

/// A huge page of x86-64, and of arm64 with small pages of 4 KiB.
const HUGE_BYTES: usize = 2 << 20;

/// Anonymous memory, zeroed, mapped once, unmapped on drop.
#[derive(Debug)]
pub(crate) struct Pages {
    /// Owns the mapping; its bytes are reached through `base` only, so that no reference to the
    /// whole exists while pieces are lent out.
    _map: MmapMut,
    base: NonNull<u8>,
    bytes: usize,
}

impl Pages {
    /// Maps `bytes`, rounded up to whole pages.
    pub(crate) fn new(bytes: usize) -> Result<Pages, SysError> {
        let bytes = bytes.next_multiple_of(page_bytes());
        let map = MmapMut::map_anon(bytes).map_err(|e| failed(bytes, e))?;
        Self::within(map, 0, bytes)
    }

    /// The same in huge pages if at least half of one is used, and if the kernel gives them
    /// (transparent_hugepage/enabled is not `never`): a whole train is then one piece of memory for
    /// it, and takes one entry of the TLB.
    pub(crate) fn huge(bytes: usize) -> Result<Pages, SysError> {
        let bytes = bytes.next_multiple_of(page_bytes());
        if bytes < HUGE_BYTES / 2 {
            return Self::new(bytes);
        }
        let whole = bytes.next_multiple_of(HUGE_BYTES);
        // More address space than is used: one part of it begins where a huge page may.
        let map = MmapMut::map_anon(whole + HUGE_BYTES).map_err(|e| failed(whole, e))?;
        let start = map.as_ptr().addr().next_multiple_of(HUGE_BYTES) - map.as_ptr().addr();
        // An error: a kernel without huge pages. Small ones do the same, slower.
        let _ = map.advise_range(Advice::HugePage, start, whole);
        Self::within(map, start, bytes)
    }

    fn within(mut map: MmapMut, start: usize, bytes: usize) -> Result<Pages, SysError> {
        let base = map.get_mut(start..start + bytes).map(|part| NonNull::from(part).cast());
        let base = base.ok_or_else(|| failed(bytes, io::Error::from_raw_os_error(libc::ENOMEM)))?;
        Ok(Pages { _map: map, base, bytes })
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    /// Address of the byte at `offset`, for the kernel.
    pub(crate) fn address(&self, offset: usize) -> *mut u8 {
        assert!(offset <= self.bytes, "{offset} is outside the pages");
        self.base.as_ptr().wrapping_add(offset)
    }

    /// The bytes of `range`, to read.
    ///
    /// # Safety
    /// While the slice lives, nobody, the kernel included, writes the range.
    pub(crate) unsafe fn slice(&self, range: Range<usize>) -> &[u8] {
        assert!(range.start <= range.end && range.end <= self.bytes, "{range:?} is outside");
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
        assert!(range.start <= range.end && range.end <= self.bytes, "{range:?} is outside");
        let start = self.base.as_ptr().wrapping_add(range.start);
        // SAFETY: the range lies in the mapping, which is initialised (zeros) and lives as long as
        // `self`; that nobody else uses it is the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(start, range.end - range.start) }
    }
}

fn failed(bytes: usize, error: io::Error) -> SysError {
    SysError::new(format!("map {bytes} bytes of buffers"), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_pages_begin_where_one_may_and_are_as_long_as_asked_for() {
        let pages = Pages::huge(1 << 20).unwrap();
        assert_eq!(pages.address(0).addr() % HUGE_BYTES, 0);
        assert_eq!(pages.len(), 1 << 20);
        // SAFETY: nothing else knows these pages.
        unsafe { pages.slice_mut(0..1 << 20) }.fill(7);
        // SAFETY: the slice above is gone.
        assert!(unsafe { pages.slice(0..1 << 20) }.iter().all(|&byte| byte == 7));
    }
}
