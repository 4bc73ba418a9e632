//! What tests and benches need of the operating system and the product does not.
//!
//! Network namespaces and TAP devices need root (CAP_SYS_ADMIN, CAP_NET_ADMIN) and end with their
//! file descriptors: nothing is left behind by a test that dies.

pub mod bpf;
pub mod counting_allocator;
pub mod cpu_clock;
pub mod netns;
pub mod realtime;
pub mod tap;

/// Tries to set up a ring of two entries: what a test that needs io_uring asks first.
///
/// # Errors
/// ENOSYS or EPERM where io_uring is missing or forbidden (sysctl kernel.io_uring_disabled,
/// seccomp), ENOMEM where the limit of locked memory is too low.
pub fn try_io_uring() -> std::io::Result<()> {
    io_uring::IoUring::new(2).map(drop)
}

/// Says that a test was skipped and why; where nothing may be skipped, fails it.
#[cfg(test)]
fn skip(missing: &str) {
    assert!(std::env::var_os("SEGCAST_REQUIRE_ALL").is_none_or(|v| v != "1"), "needs {missing}");
    println!("skipped: needs {missing}");
}
