//! The counting allocator as a program's global allocator: what it counts and what it catches.
#![forbid(unsafe_code)]

use segcast_lab::counting_allocator::{CountingAllocator, allocations, assert_no_allocation};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn work_without_allocation_passes() {
    let mut list = Vec::with_capacity(2);
    assert_no_allocation("pushing within the capacity", || list.extend([1, 2]));
}

#[test]
#[should_panic(expected = "growing: 1 allocations")]
fn an_allocation_is_caught() {
    let mut list = vec![1, 2];
    assert_no_allocation("growing", || list.push(3));
}

#[test]
fn other_threads_do_not_count() {
    let before = allocations();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let start = allocations();
            drop(std::hint::black_box(vec![0_u8; 1000]));
            allocations() - start
        });
        // Starting a thread allocates on this one; joining it must not add what it counted.
        let started = allocations();
        assert_eq!(other.join().expect("no panic"), 1);
        assert_eq!(allocations(), started);
    });
    assert!(allocations() > before);
}
