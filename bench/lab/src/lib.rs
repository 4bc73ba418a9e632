//! What tests and benches need of the operating system and the product does not.
//!
//! It never ships, so it may have `unsafe` code; each block proves itself all the same.
//!
//! - [`netns`], [`tap`]: network namespaces and TAP devices
//! - [`bpf`]: programs on a device, and the ring buffer that they write to
//! - [`counting_allocator`]: allocations of each thread, counted
//! - [`cpu_clock`], [`realtime`]: processor time to the nanosecond; being woken on time
//!
//! Namespaces and devices need root (CAP_SYS_ADMIN, CAP_NET_ADMIN) and end with their file
//! descriptors: nothing is left behind by a test that dies.
#![allow(unsafe_code, reason = "the kernel's interfaces that tests use and no library wraps")]
#![deny(clippy::undocumented_unsafe_blocks)]

pub mod bpf;
pub mod counting_allocator;
pub mod cpu_clock;
pub mod netns;
pub mod realtime;
pub mod tap;

/// Says that a test was skipped and why; where nothing may be skipped, fails it.
#[cfg(test)]
fn skip(missing: &str) {
    assert!(std::env::var_os("SEGCAST_REQUIRE_ALL").is_none_or(|v| v != "1"), "needs {missing}");
    println!("skipped: needs {missing}");
}
