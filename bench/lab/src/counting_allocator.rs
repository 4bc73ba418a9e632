//! A global allocator that counts for each thread, to prove that a data path allocates nothing.
//!
//! ```ignore
//! #[global_allocator]
//! static ALLOCATOR: CountingAllocator = CountingAllocator;
//! counting_allocator::assert_no_allocation("one turn", || shard.turn());
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    // Constant and without a destructor: reading it never allocates and works at thread exit.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static LIVE_BYTES: Cell<i64> = const { Cell::new(0) };
}

/// The system's allocator, counting. Growing (`realloc`) counts as an allocation; freeing not.
#[derive(Debug)]
pub struct CountingAllocator;

fn count() {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
}

/// Notes that `more` bytes were taken and `less` given back. A layout has at most `isize::MAX` bytes.
fn weigh(more: usize, less: usize) {
    LIVE_BYTES.set(LIVE_BYTES.get() + more as i64 - less as i64);
}

// SAFETY: every method hands its arguments to `System` unchanged and returns what `System`
// returned, so `System`'s guarantees are ours; counting touches a thread-local integer only and
// does not unwind.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        weigh(layout.size(), 0);
        // SAFETY: the caller keeps the contract of `alloc`, which is `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        weigh(layout.size(), 0);
        // SAFETY: the caller keeps the contract of `alloc_zeroed`, which is `System`'s.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        weigh(new_size, layout.size());
        // SAFETY: the caller keeps the contract of `realloc`; `pointer` came from `System`.
        unsafe { System.realloc(pointer, layout, new_size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        weigh(0, layout.size());
        // SAFETY: the caller keeps the contract of `dealloc`; `pointer` came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Allocations of the calling thread so far; 0 for ever unless [`CountingAllocator`] is the
/// program's global allocator.
#[must_use]
pub fn allocations() -> u64 {
    ALLOCATIONS.get()
}

/// Bytes that the calling thread has asked for and not given back, as the program counts them: without what the
/// allocator adds. Negative where a thread frees what another one allocated. 0 as [`allocations`].
#[must_use]
pub fn live_bytes() -> i64 {
    LIVE_BYTES.get()
}

/// Runs `work` and returns its result.
///
/// # Panics
/// When `work` allocated on this thread, or when nothing is being counted.
pub fn assert_no_allocation<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let before = allocations();
    drop(std::hint::black_box(Box::new(0_u8)));
    let start = allocations();
    assert!(start > before, "CountingAllocator is not the global allocator of this program");
    let result = work();
    let seen = allocations() - start;
    assert!(seen == 0, "{what}: {seen} allocations where there must be none");
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    // The unit tests of this crate have the system's allocator; the counting one is called here
    // directly, and as the global allocator in `tests/` of this workspace.
    #[test]
    fn calls_are_counted_and_reach_the_system() {
        let layout = Layout::new::<[u64; 4]>();
        let before = allocations();
        // SAFETY: the layout is not zero-sized.
        let first = unsafe { CountingAllocator.alloc_zeroed(layout) };
        assert!(!first.is_null());
        // SAFETY: `first` is a live block of `layout`, and 64 is neither zero nor too large.
        let second = unsafe { CountingAllocator.realloc(first, layout, 64) };
        assert!(!second.is_null());
        let grown = Layout::from_size_align(64, layout.align()).expect("a valid layout");
        // SAFETY: `second` is a live block of 64 bytes with the alignment of `layout`.
        unsafe { CountingAllocator.dealloc(second, grown) };
        assert_eq!(allocations() - before, 2);
    }

    #[test]
    #[should_panic(expected = "not the global allocator")]
    fn a_check_that_counts_nothing_fails() {
        assert_no_allocation("nothing", || ());
    }
}
