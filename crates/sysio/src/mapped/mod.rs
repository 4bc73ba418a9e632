//! Files mapped once for reading, with an answer to every way in which reading them can go wrong.
//!
//! # A file changing beneath a `&[u8]`
//!
//! [`MappedFile::bytes`] hands out plain slices of a shared mapping, so that packets are sealed straight from the
//! page cache. Rust's rules want the bytes behind a `&[u8]` not to change while it lives, and the kernel cannot promise
//! that: whoever may write to the file can change it. Why this is sound in practice here:
//!
//! 1. Within the product nobody writes where somebody reads. One process writes to a store (`LockFile`), it writes a slot
//!    with `pwrite` before the slot is committed, slices are taken of committed slots only, and the slots of a removed set
//!    stay as they are while any process shows it ([`byte_lock`](crate::byte_lock)). That is the precondition of `bytes`,
//!    and it is the store's to keep.
//! 2. A foreign writer (an operator with an editor, a failing disk) can break that. Every bit pattern is a valid
//!    `u8`, so no invalid value can arise. What remains is that two loads of one byte may differ. So readers must
//!    not derive indices, lengths or branches that memory safety rests on from mapped bytes without copying them
//!    first; the product only passes them to the cipher, to a digest or to a copy, which read each byte once and
//!    work for any values. The result is then wrong data, which the client's digest check rejects: the same as a disk
//!    that returned wrong data.
//! 3. A file that shrinks, or a page that cannot be read, raises SIGBUS at the load. [`sigbus`] turns that into a page
//!    of zeros plus a mark on the file. The load is an ordinary instruction that is restarted, so for the program
//!    it is case 2: bytes that changed, never a wild access.

pub mod sigbus;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use memmap2::{Mmap, MmapOptions};
use sigbus::{FaultRecord, Registration};

use crate::error::SysError;
use crate::file::Inode;

/// How a range will be read, for the kernel's read-ahead (madvise(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// No special pattern.
    Normal,
    /// Read from front to back: read ahead far.
    Sequential,
    /// Read here and there: no read-ahead. Slows `populate` down, so not for ranges that are populated.
    Random,
    /// Will be read soon: start reading now, without waiting.
    WillNeed,
}

/// Size of a page of this machine, in bytes.
pub fn page_bytes() -> usize {
    rustix::param::page_size()
}

/// A file mapped whole, shared and read-only, from `open` until it is dropped. `Sync`: any thread may read.
#[derive(Debug)]
pub struct MappedFile {
    // Field order is drop order: the handler must forget the addresses before they are unmapped.
    registration: Registration,
    map: Mmap,
    faults: Arc<FaultRecord>,
    path: PathBuf,
    inode: Inode,
}

impl MappedFile {
    /// Maps `path`, which must be `expected_bytes` long (not 0), and installs the SIGBUS handler if this is the
    /// first map of the process.
    ///
    /// # Errors
    /// If the length differs, if the file cannot be opened or mapped, or if [`sigbus::MAX_MAPPINGS`] files are mapped
    /// already.
    pub fn open(path: &Path, expected_bytes: u64) -> Result<MappedFile, SysError> {
        let file =
            File::open(path).map_err(|e| SysError::new(format!("open {}", path.display()), e))?;
        Self::of(&file, path, expected_bytes)
    }

    /// As [`open`](Self::open), of a file that is open for reading. `path` is where it was found.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn of(file: &File, path: &Path, expected_bytes: u64) -> Result<MappedFile, SysError> {
        let failed = |what: &str, e| SysError::new(format!("{what} {}", path.display()), e);
        let metadata = file.metadata().map_err(|e| failed("read the length of", e))?;
        let found = metadata.len();
        if found != expected_bytes || found == 0 {
            let text =
                format!("it is {found} bytes long, expected {expected_bytes} and more than 0");
            return Err(failed("map", io::Error::new(io::ErrorKind::InvalidData, text)));
        }
        let length = usize::try_from(found)
            .map_err(|e| failed("map", io::Error::new(io::ErrorKind::OutOfMemory, e)))?;
        sigbus::install()?;
        // SAFETY: a file-backed map is unsafe because the file may change or shrink beneath it; the module's header
        // argues why neither breaks memory safety here, and the handler is installed above.
        let map = unsafe { MmapOptions::new().len(length).map(file) }.map_err(|e| {
            failed("map", e).with_hint("check ulimit -v and sysctl vm.max_map_count")
        })?;
        let faults = Arc::new(FaultRecord::new(length, page_bytes()));
        let start = map.as_ptr().addr();
        let registration = Registration::new(start, length, Arc::clone(&faults))
            .ok_or_else(|| failed("map", io::Error::from_raw_os_error(libc::ENFILE)))
            .map_err(|e| e.with_hint("too many mapped files: use larger segment files"))?;
        let inode = Inode::in_metadata(&metadata);
        Ok(MappedFile { registration, map, faults, path: path.to_owned(), inode })
    }

    /// The path that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which file is mapped, also when another has its name by now.
    pub fn inode(&self) -> Inode {
        self.inode
    }

    /// Length in bytes, fixed at `open`; never 0.
    #[expect(clippy::len_without_is_empty, reason = "an empty file cannot be mapped")]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// The bytes of `range`. See the module's header for what may change beneath them: take slices of committed
    /// ranges only, and check [`Self::faulted_in`] after reading.
    ///
    /// # Panics
    /// If the range does not lie in the file.
    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.map[range]
    }

    /// Reads `range` from disk into memory and maps its pages, waiting until done, so that a later read does not
    /// fault (`MADV_POPULATE_READ`, Linux 5.14; else by touching each page). Call it off the hot threads.
    ///
    /// # Errors
    /// If a page cannot be read (`EFAULT` beyond the end of a file that shrank, `EIO`, `EHWPOISON`).
    pub fn populate(&self, range: Range<usize>) -> Result<(), SysError> {
        let (start, length) = self.page_span(&range);
        match self.map.advise_range(memmap2::Advice::PopulateRead, start, length) {
            Ok(()) => Ok(()),
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => self.touch(start..start + length),
            Err(e) => Err(self.failed("populate", &range, e)),
        }
    }

    /// Populates as kernels before 5.14 can: one load per page.
    fn touch(&self, span: Range<usize>) -> Result<(), SysError> {
        let end = span.end.min(self.len());
        for offset in (span.start..end).step_by(page_bytes()) {
            std::hint::black_box(self.bytes(offset..offset + 1)[0]);
        }
        if self.faulted_in(span.clone()) {
            return Err(self.failed("populate", &span, io::Error::from_raw_os_error(libc::EFAULT)));
        }
        Ok(())
    }

    /// Whether all pages of `range` are in memory now (mincore(2)); they may be evicted right after unless locked.
    /// The kernel tells this only to a user who owns the file or may write it; to others it says yes.
    pub fn is_resident(&self, range: Range<usize>) -> bool {
        // 256 pages, 1 MiB, at a time: a segment of default size is one call, and nothing is allocated.
        const PAGES_PER_CALL: usize = 256;
        let mut pages = [0u8; PAGES_PER_CALL];
        let page = page_bytes();
        let (start, length) = self.page_span(&range);
        let end = start + length;
        let mut at = start;
        while at < end {
            let step = (end - at).min(PAGES_PER_CALL * page);
            let address = self.map[at..].as_ptr().cast_mut().cast();
            // SAFETY: `address..address + step` lies in the mapping and starts on a page; `pages` has a byte for each
            // of its at most PAGES_PER_CALL pages. mincore reads no memory of the range.
            let result = unsafe { libc::mincore(address, step, pages.as_mut_ptr()) };
            if result != 0 || pages[..step.div_ceil(page)].iter().any(|state| state & 1 == 0) {
                return false;
            }
            at += step;
        }
        true
    }

    /// Keeps the pages of `range` in memory until [`Self::unlock`] or drop (mlock(2)). An error is no reason to stop:
    /// the range can be read all the same, it may only fault.
    ///
    /// # Errors
    /// `ENOMEM` or `EPERM` when RLIMIT_MEMLOCK is used up.
    pub fn lock(&self, range: Range<usize>) -> Result<(), SysError> {
        let (start, length) = self.page_span(&range);
        // SAFETY: the span lies in the mapping; locking changes no contents.
        let result = unsafe { libc::mlock(self.map[start..].as_ptr().cast(), length) };
        if result == 0 {
            return Ok(());
        }
        Err(self.failed("lock in memory", &range, io::Error::last_os_error()).with_hint(
            "raise RLIMIT_MEMLOCK: ulimit -l, LimitMEMLOCK= in the unit, or CAP_IPC_LOCK",
        ))
    }

    /// Undoes [`Self::lock`] for the pages of `range` (locks do not nest).
    ///
    /// # Errors
    /// What munlock(2) reports.
    pub fn unlock(&self, range: Range<usize>) -> Result<(), SysError> {
        let (start, length) = self.page_span(&range);
        // SAFETY: the span lies in the mapping; unlocking changes no contents.
        let result = unsafe { libc::munlock(self.map[start..].as_ptr().cast(), length) };
        if result == 0 {
            return Ok(());
        }
        Err(self.failed("unlock", &range, io::Error::last_os_error()))
    }

    /// Tells the kernel how `range` will be read.
    ///
    /// # Errors
    /// What madvise(2) reports.
    pub fn advise(&self, range: Range<usize>, advice: Advice) -> Result<(), SysError> {
        let (start, length) = self.page_span(&range);
        let advice = match advice {
            Advice::Normal => memmap2::Advice::Normal,
            Advice::Sequential => memmap2::Advice::Sequential,
            Advice::Random => memmap2::Advice::Random,
            Advice::WillNeed => memmap2::Advice::WillNeed,
        };
        self.map.advise_range(advice, start, length).map_err(|e| self.failed("advise", &range, e))
    }

    /// How many faults were answered with zeros since `open`. Only ever grows; 0 in a file that was always readable.
    ///
    /// To use it: read the bytes, then compare with what it was when the bytes were last known good, and on a change
    /// ask [`Self::faulted_in`]. Faults of other threads count too: the mark is set before the zeros can be seen.
    pub fn fault_mark(&self) -> u64 {
        // Orders the caller's reads of mapped bytes before this load: whoever saw a page of zeros sees its mark.
        fence(Ordering::SeqCst);
        self.faults.marks()
    }

    /// Whether any page of this file was ever replaced by zeros.
    pub fn faulted(&self) -> bool {
        self.fault_mark() != 0
    }

    /// Whether a page of `range` was ever replaced by zeros. It stays so until the file is opened anew.
    pub fn faulted_in(&self, range: Range<usize>) -> bool {
        self.faulted() && self.faults.any_in(range)
    }

    /// The whole pages around `range`, as start and length. Panics outside the file, like a slice.
    fn page_span(&self, range: &Range<usize>) -> (usize, usize) {
        assert!(
            range.start <= range.end && range.end <= self.len(),
            "{range:?} is not in the file"
        );
        let start = range.start - range.start % page_bytes();
        (start, range.end - start)
    }

    fn failed(&self, what: &str, range: &Range<usize>, e: io::Error) -> SysError {
        SysError::new(format!("{what} {range:?} of {}", self.path.display()), e)
    }
}

impl Drop for MappedFile {
    fn drop(&mut self) {
        // Explicit although field order says it too: the table must not name addresses that are unmapped.
        self.registration.withdraw();
    }
}
