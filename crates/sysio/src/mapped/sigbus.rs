//! The SIGBUS handler: a mapped page that cannot be read becomes a page of zeros, and its file is marked.
//!
//! The handler runs on the faulting thread, inside a load from a slice of a [`super::MappedFile`]; so that file's
//! mapping and its table entry exist for as long as the handler runs. It uses atomics, mmap(2), and nothing else: no lock,
//! no allocation, no formatting. An address that is not ours, and a SIGBUS that was sent by kill(2), go to the handler that
//! was installed before (std's, a debugger's) or to the default action.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::SysError;

/// Most files mapped at once in a process: 4096 segment files, 4 TiB of 1 GiB, and the leaves of as many sets.
/// 8192 × 32 bytes = 256 KiB, scanned on a fault only.
pub const MAX_MAPPINGS: usize = 8192;

/// What is known about the faults of one file: a count, and a bit for each page.
#[derive(Debug)]
pub(super) struct FaultRecord {
    marks: AtomicU64,
    /// Every page was replaced: the machine had no room for a map of one page.
    all: AtomicBool,
    page_bytes: usize,
    pages: Box<[AtomicU64]>,
}

impl FaultRecord {
    /// A clean record for `length` bytes: 32 KiB of bits for 1 GiB.
    pub(super) fn new(length: usize, page_bytes: usize) -> FaultRecord {
        let words = length.div_ceil(page_bytes).div_ceil(64);
        FaultRecord {
            marks: AtomicU64::new(0),
            all: AtomicBool::new(false),
            page_bytes,
            pages: (0..words).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    pub(super) fn marks(&self) -> u64 {
        self.marks.load(SeqCst)
    }

    /// Whether a page that holds a byte of `range` is marked.
    pub(super) fn any_in(&self, range: Range<usize>) -> bool {
        if range.is_empty() {
            return false;
        }
        let last = (range.end - 1) / self.page_bytes;
        self.all.load(SeqCst)
            || (range.start / self.page_bytes..=last).any(|page| {
                self.pages.get(page / 64).is_some_and(|w| w.load(SeqCst) >> (page % 64) & 1 == 1)
            })
    }

    /// Async-signal-safe: atomics only. The bit is set before the count, so whoever sees the count finds the bit.
    fn mark(&self, offset: usize) {
        let page = offset / self.page_bytes;
        if let Some(word) = self.pages.get(page / 64) {
            word.fetch_or(1 << (page % 64), SeqCst);
        }
        self.marks.fetch_add(1, SeqCst);
    }

    fn mark_all(&self) {
        self.all.store(true, SeqCst);
        self.marks.fetch_add(1, SeqCst);
    }
}

/// One mapping as the handler sees it. `start` 0: free.
struct Entry {
    start: AtomicUsize,
    end: AtomicUsize,
    record: AtomicPtr<FaultRecord>,
}

static TABLE: [Entry; MAX_MAPPINGS] = [const {
    Entry {
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        record: AtomicPtr::new(ptr::null_mut()),
    }
}; MAX_MAPPINGS];

/// Writers of the table and the installation take turns; the handler never takes it.
static WRITERS: Mutex<bool> = Mutex::new(false);

/// A table entry that lives as long as its mapping. Holds the record, so that the pointer in the table is valid.
#[derive(Debug)]
pub(super) struct Registration {
    index: usize,
    _record: Arc<FaultRecord>,
}

impl Registration {
    /// Enters `start..start + length`; `None` if the table is full.
    pub(super) fn new(
        start: usize,
        length: usize,
        record: Arc<FaultRecord>,
    ) -> Option<Registration> {
        let _turn = WRITERS.lock().unwrap_or_else(PoisonError::into_inner);
        let index = TABLE.iter().position(|entry| entry.start.load(SeqCst) == 0)?;
        let entry = &TABLE[index];
        entry.record.store(Arc::as_ptr(&record).cast_mut(), SeqCst);
        entry.end.store(start + length, SeqCst);
        // Last: from here on the handler may match the entry, and all of it is in place.
        entry.start.store(start, SeqCst);
        Some(Registration { index, _record: record })
    }

    /// Takes the entry out of the table, before the addresses are unmapped. A second call does nothing.
    pub(super) fn withdraw(&mut self) {
        if self.index < MAX_MAPPINGS {
            TABLE[self.index].start.store(0, SeqCst);
            self.index = MAX_MAPPINGS;
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.withdraw();
    }
}

/// The handler that was there before ours.
struct Previous(UnsafeCell<MaybeUninit<libc::sigaction>>);

// SAFETY: written once under WRITERS, before the handler that reads it is installed; only read after that.
unsafe impl Sync for Previous {}

static PREVIOUS: Previous = Previous(UnsafeCell::new(MaybeUninit::zeroed()));

/// Installs the handler for the process; only the first call does something.
///
/// # Errors
/// What sigaction(2) reports.
pub fn install() -> Result<(), SysError> {
    let mut installed = WRITERS.lock().unwrap_or_else(PoisonError::into_inner);
    if *installed {
        return Ok(());
    }
    let previous: *mut libc::sigaction = PREVIOUS.0.get().cast();
    // SAFETY: asks only (no new action); `previous` points to room for a sigaction, and nobody else touches it: we
    // hold WRITERS, and our handler, the only other reader, is not installed yet.
    let asked = unsafe { libc::sigaction(libc::SIGBUS, ptr::null(), previous) };
    if asked != 0 {
        return Err(SysError::last("ask for the SIGBUS handler (sigaction)"));
    }
    // SAFETY: all zeros is a valid sigaction: no flags, empty mask, default action.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handle as *const () as usize;
    // ONSTACK: a thread that faults near its stack's end has, in Rust, an alternate stack; use it as std does.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: `action` is complete and `handle` has the signature that SA_SIGINFO asks for; `handle` is
    // async-signal-safe (module header).
    let set = unsafe { libc::sigaction(libc::SIGBUS, &action, ptr::null_mut()) };
    if set != 0 {
        return Err(SysError::last("install the SIGBUS handler (sigaction)"));
    }
    *installed = true;
    Ok(())
}

/// Runs on the thread that faulted.
extern "C" fn handle(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: with SA_SIGINFO the kernel passes a valid siginfo_t that lives until the handler returns.
    let siginfo = unsafe { &*info };
    // BUS_ADRERR: beyond the file's end, or it could not be read; BUS_OBJERR: the device failed; BUS_MCEERR_AR: the
    // page is broken in memory. All others are not about a load, or were sent by somebody.
    let about_a_load =
        matches!(siginfo.si_code, libc::BUS_ADRERR | libc::BUS_OBJERR | libc::BUS_MCEERR_AR);
    // SAFETY: si_addr is the active field of the union for a SIGBUS with one of these codes; for others the value is
    // some integer that is not used.
    let address = unsafe { siginfo.si_addr() }.addr();
    if about_a_load && answer_with_zeros(address) {
        return;
    }
    pass_on(signal, info, context, about_a_load);
}

/// Replaces the page around `address` by zeros if it belongs to a mapping of ours.
fn answer_with_zeros(address: usize) -> bool {
    for entry in &TABLE {
        let start = entry.start.load(SeqCst);
        if start == 0 || address < start {
            continue;
        }
        let end = entry.end.load(SeqCst);
        let record = entry.record.load(SeqCst);
        // The entry may be changing hands. If `start` still stands, `end` and `record` are of the mapping that is at
        // `start` now or of one that was there just before; and if `address` lay in neither, it is not matched. The
        // entry of the mapping that holds `address` does not change: its file is borrowed by the faulting load.
        if address >= end || entry.start.load(SeqCst) != start {
            continue;
        }
        // SAFETY: the entry matches, so it is that of the faulting load's file, whose Registration holds this record.
        let record = unsafe { &*record };
        let page = address - address % record.page_bytes;
        // Marked before the zeros appear, so that no thread can read zeros and then find no mark.
        record.mark(page - start);
        if map_zeros(page, record.page_bytes) {
            return true;
        }
        // No room for one more map (vm.max_map_count): replace the whole file, which takes no more than it had.
        record.mark_all();
        return map_zeros(start, end - start);
    }
    false
}

/// Maps zeros over `length` bytes at `start`, which lie in a mapping of ours. Keeps errno.
fn map_zeros(start: usize, length: usize) -> bool {
    // SAFETY: errno's address is valid for the running thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above; the handler interrupts nothing that writes errno meanwhile, it is the same thread.
    let kept = unsafe { *errno };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    let wanted = ptr::without_provenance_mut(start);
    // SAFETY: the range lies within a mapping that this module registered and that is still mapped, so MAP_FIXED
    // replaces nothing else; read-only pages stay read-only. Slices into it stay valid: their bytes become zeros,
    // which is a change of bytes like any other (header of `mapped`). mmap is a plain system call.
    let mapped = unsafe { libc::mmap(wanted, length, libc::PROT_READ, flags, -1, 0) };
    // SAFETY: as above.
    unsafe { *errno = kept };
    mapped != libc::MAP_FAILED
}

/// Hands a SIGBUS that is not ours to the previous handler.
fn pass_on(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void, restarts: bool) {
    let previous: *const libc::sigaction = PREVIOUS.0.get().cast();
    // SAFETY: `install` filled PREVIOUS before it installed this handler; it is never written again.
    let previous = unsafe { &*previous };
    let action = previous.sa_sigaction;
    if action == libc::SIG_DFL || action == libc::SIG_IGN {
        // Put the default action back: the restarted load then ends the process with the right signal and core (a
        // fault cannot be ignored). A signal that was sent is raised again, unless it was ignored.
        if action == libc::SIG_IGN && !restarts {
            return;
        }
        // SAFETY: SIG_DFL is a valid action.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        if !restarts {
            // SAFETY: raise is async-signal-safe (signal-safety(7)); the signal is blocked until we return.
            unsafe { libc::raise(signal) };
        }
        return;
    }
    if previous.sa_flags & libc::SA_SIGINFO != 0 {
        type WithInfo = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);
        // SAFETY: with SA_SIGINFO the action is a function of this type.
        let function = unsafe { std::mem::transmute::<usize, WithInfo>(action) };
        function(signal, info, context);
    } else {
        // SAFETY: without SA_SIGINFO, and not SIG_DFL or SIG_IGN, the action is a function of this type.
        let function = unsafe { std::mem::transmute::<usize, extern "C" fn(i32)>(action) };
        function(signal);
    }
}
