//! eBPF by the bpf(2) system call alone: instructions, programs, ring buffers; and the one filter that benches need.
//!
//! No compiler, loader or type information: a filter of some thirty instructions does not need them. Needs CAP_BPF
//! and CAP_NET_ADMIN, as root has them.

mod instruction;
mod program;
mod ring;
mod train_filter;

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};

pub use program::Program;
pub use ring::RingBuffer;
pub use train_filter::{HEAD_BYTES, TrainFilter, TrainRecord};

/// Commands of bpf(2) (linux/bpf.h).
const BPF_MAP_CREATE: libc::c_int = 0;
const BPF_PROG_LOAD: libc::c_int = 5;

/// Attributes of a command: a C structure without padding that the command's bpf(2) page describes.
///
/// # Safety
/// The structure must be what the kernel expects for the command it is used with, every byte initialised, and each
/// address in it must be valid for what the kernel does with it, for the length of the call.
unsafe trait Attributes {}

/// Calls bpf(2) with a command that makes a descriptor.
fn bpf<A: Attributes>(command: libc::c_int, attributes: &mut A) -> io::Result<OwnedFd> {
    let pointer: *mut A = attributes;
    // SAFETY: `pointer` is valid for reads and writes of its size for the length of the call; what it holds is right by
    // the contract of `Attributes`.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, pointer, size_of::<A>()) };
    let fd = libc::c_int::try_from(fd).map_err(io::Error::other)?;
    crate::netns::check(fd)?;
    // SAFETY: both commands return a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
