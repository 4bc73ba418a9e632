//! Opens a ring as the driver wants it. The probe opens one the same way, so that it cannot find
//! what the driver then does not.

use std::io;

use io_uring::{IoUring, Probe, opcode};

use crate::driver::ring::buffers::GROUP;
use crate::driver::trains::arena::Arena;
use crate::driver::trains::pages::Pages;
use crate::error::SysError;

/// Most entries of a submission queue; a completion queue may have twice as many (io_uring_setup(2)).
const MOST_ENTRIES: u32 = 32_768;

/// A ring for one thread: completions are posted only when that thread enters (no interrupts of
/// the encryption), and a failed entry does not hold up the others.
pub(crate) fn open(submissions: u32, completions: u32) -> io::Result<IoUring> {
    IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_coop_taskrun()
        .setup_submit_all()
        .setup_cqsize(completions.next_power_of_two().min(2 * MOST_ENTRIES))
        .build(submissions.next_power_of_two().min(MOST_ENTRIES))
}

/// Registers all of `arena` as the ring's only fixed buffer, so that its pages are pinned once and
/// not with every send.
///
/// # Errors
/// `ENOMEM` where the limit of locked memory does not allow it.
pub(crate) fn register_arena(ring: &IoUring, arena: &Arena) -> Result<(), SysError> {
    let (address, bytes) = arena.memory();
    // Its provenance is exposed: sends will name addresses inside.
    address.expose_provenance();
    let buffers = [libc::iovec { iov_base: address.cast(), iov_len: bytes }];
    // SAFETY: the range is the arena's mapping. The kernel takes pins of its own on the pages, which
    // last until the ring is closed, so that it never reads memory that is not ours any more; it
    // only reads, and only while sends are in flight, whose slots nobody writes (`SendBuffer`).
    unsafe { ring.submitter().register_buffers(&buffers) }.map_err(|e| {
        let limit = e.raw_os_error() == Some(libc::ENOMEM);
        let error =
            SysError::new("register send buffers with the ring, to send without copying", e);
        if limit {
            error.with_hint("raise RLIMIT_MEMLOCK: ulimit -l, or LimitMEMLOCK= in the unit")
        } else {
            error
        }
    })
}

/// Opens a small ring and checks all that the driver uses.
///
/// # Errors
/// With a hint that says what is in the way.
pub(crate) fn probe() -> Result<(), SysError> {
    let ring = open(8, 32).map_err(cannot_open)?;
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(cannot_open)?;
    let needed = [
        (opcode::RecvMsgMulti::CODE, "RECVMSG"),
        (opcode::SendMsg::CODE, "SENDMSG"),
        (opcode::PollAdd::CODE, "POLL_ADD"),
    ];
    for (code, name) in needed {
        if !probe.is_supported(code) {
            let cause = io::Error::from_raw_os_error(libc::EOPNOTSUPP);
            return Err(SysError::new(format!("use io_uring: operation {name}"), cause));
        }
    }
    if !ring.params().is_feature_nodrop() || !ring.params().is_feature_ext_arg() {
        let cause = io::Error::from_raw_os_error(libc::EOPNOTSUPP);
        return Err(SysError::new("use io_uring: NODROP and EXT_ARG", cause));
    }
    let entries = Pages::new(1)?;
    let address = entries.address(0).expose_provenance() as u64;
    // SAFETY: one page is room for 8 entries and outlives the registration, which ends below or
    // with the ring; no receive is submitted.
    unsafe { ring.submitter().register_buf_ring_with_flags(address, 8, GROUP, 0) }
        .and_then(|()| ring.submitter().unregister_buf_ring(GROUP))
        .map_err(cannot_open)
}

/// Says why a ring cannot be opened here.
pub(crate) fn cannot_open(e: io::Error) -> SysError {
    let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    let hint = hint_for(e.raw_os_error(), disabled.as_deref().unwrap_or("").trim());
    let error = SysError::new("use io_uring", e);
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// The hint for an errno of io_uring_setup(2), given the value of the sysctl.
pub(crate) fn hint_for(errno: Option<i32>, disabled: &str) -> Option<&'static str> {
    match (errno?, disabled) {
        (libc::EPERM, "1") => Some(
            "sysctl kernel.io_uring_disabled is 1: set it to 0, or run in kernel.io_uring_group",
        ),
        (libc::EPERM, "2") => Some("sysctl kernel.io_uring_disabled is 2: set it to 0"),
        (libc::EPERM | libc::EACCES, _) => Some(
            "a seccomp filter or security module forbids it: allow the io_uring_* system calls \
             in the container's profile",
        ),
        (libc::ENOSYS, _) => Some("this kernel has no io_uring; it needs Linux 6.1"),
        (libc::EINVAL, _) => Some("this kernel is too old; the ring needs Linux 6.1"),
        (libc::ENOMEM, _) => Some("raise RLIMIT_MEMLOCK: ulimit -l"),
        _ => None,
    }
}
