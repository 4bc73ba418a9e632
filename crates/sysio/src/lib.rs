//! The only crate that ships unsafe: rings, sockets, mapped files, CPU pinning, probes. It knows no
//! protocol and depends on no other crate of the workspace.
//!
//! - [`driver`]: datagram I/O of one thread, by io_uring or by epoll; send buffers; waking. Behind features of the same
//!   names, for comparison: the same on tokio-uring and on glommio
//! - [`udp`]: sockets with the options that all of them have, and steering between them
//! - [`probe`]: what this machine offers, and the choice of a driver with its reason
//! - [`mapped`]: files mapped for reading, and the SIGBUS handler behind them
//! - [`file`](mod@file): the steps of crash-safe commits, and the lock file; [`byte_lock`]: who uses what of a file
//! - [`bell`]: waking helper threads without a lock
//! - [`mod@prefetch`]: asking for memory before it is needed
//! - [`cpu`], [`clock`], [`rlimit`], [`memory`]: pinning and naming threads; the two clocks; limits
//! - [`error`]: one error that says what an operator can change
//!
//! # What its unsafe code rests on
//!
//! 1. **A send buffer has one owner.** A slot is handed out once until it comes back: to the caller
//!    as [`SendBuffer`](driver::SendBuffer), then to the driver, which gives it back when the kernel
//!    has answered for every piece of it, and has notified where it reads beyond the answer.
//! 2. **What the kernel may touch is neither moved nor freed.** Message headers, addresses and
//!    control messages of the ring lie in boxes that stay until the completion; buffers that the
//!    kernel may fill are given to the program by completions only. The registered arena is only
//!    read, and the kernel pins its pages itself. Dropping a ring driver cancels everything, waits
//!    for the last completion or notification, and leaks the memory should that not come.
//!    A driver on a runtime lends parts of its send buffers to the operations, which keep the memory mapped; it awaits every
//!    operation to its end, also when it is dropped, and leaks the runtime should an end not come.
//! 3. **Synchronous calls keep nothing.** sendmmsg, recvmmsg, setsockopt and the others use pointers
//!    only until they return, and these are derived anew for each call.
//! 4. **What the kernel wrote is parsed as bytes**, with checked slices: addresses, control messages,
//!    the head of a multishot receive. No length or index of the kernel's reaches unsafe code
//!    without a bound beside it.
//! 5. **Mapped bytes may change, addresses may not vanish**: see [`mapped`]. The signal handler uses
//!    atomics and mmap(2), and matches only addresses of mappings that the faulting load borrows.
//! 6. **Drivers stay on their thread** (`Rc` inside: neither `Send` nor `Sync`), as a ring with a
//!    single issuer wants. Only [`Waker`](driver::Waker) crosses threads, and it is an eventfd.
#![allow(unsafe_code, reason = "this crate is where the workspace's unsafe code lives")]
#![deny(clippy::undocumented_unsafe_blocks)]

pub mod bell;
pub mod byte_lock;
pub mod clock;
pub mod cpu;
pub mod driver;
pub mod error;
pub mod file;
mod kind;
pub mod mapped;
pub mod memory;
pub mod prefetch;
pub mod probe;
pub mod rlimit;
mod sleepers;
/// The atomics of `sleepers`.
mod sync {
    pub(crate) use std::sync::atomic::{AtomicU32, Ordering, fence};
}
pub mod udp;

pub use error::SysError;
