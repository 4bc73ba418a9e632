//! Opens a ring as the driver wants it. The probe opens one the same way, so that it cannot find
//! what the driver then does not.

use std::io;

use io_uring::{IoUring, Probe, opcode};

use crate::driver::ring::buffers::GROUP;
use crate::driver::trains::arena::Arena;
use crate::driver::trains::pages::Pages;
use crate::error::SysError;
use crate::mapped::page_bytes;
use crate::rlimit::{self, Limit};

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

/// What a ring of these sizes counts as locked memory since Linux 6.14, bytes: its two queues, and the ring of its receive
/// buffers, each in whole pages (io_uring_setup(2)).
pub(crate) fn ring_bytes(submissions: u32, completions: u32, buffers: u16) -> u64 {
    const SUBMISSION: u64 = 64;
    const COMPLETION: u64 = 16;
    // With each submission goes an index of 4 bytes; the heads of both queues take a few cache lines.
    const INDEX: u64 = 4;
    const HEADS: u64 = 512;
    let size = |entries: u32| u64::from(entries.next_power_of_two().min(2 * MOST_ENTRIES));
    let pages = |bytes: u64| bytes.next_multiple_of(page_bytes() as u64);
    let queues = size(completions) * COMPLETION + size(submissions) * INDEX + HEADS;
    let buffers = size(buffers.into()) * COMPLETION;
    pages(size(submissions) * SUBMISSION) + pages(queues) + pages(buffers)
}

/// What to do where `what` does not fit into the limit of locked memory.
pub(crate) fn locked_memory_hint(what: &str, bytes: u64) -> String {
    let kib = |bytes: u64| bytes.div_ceil(1024);
    let limit = rlimit::soft(Limit::LockedMemory);
    let limit = limit.map_or("unlimited".to_owned(), |bytes| format!("{} KiB", kib(bytes)));
    format!(
        "RLIMIT_MEMLOCK is {limit} for all of this user's processes, and {what} takes {} KiB: raise it (ulimit -l, or \
         LimitMEMLOCK= in the unit)",
        kib(bytes)
    )
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
            error.with_hint(locked_memory_hint("each driver's send buffer", bytes as u64))
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
    let hint = e.raw_os_error().and_then(|errno| Machine::look().hint_for(errno));
    let error = SysError::new("use io_uring", e);
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// What tells the causes apart that io_uring_setup(2) has the same errno for.
pub(crate) struct Machine {
    /// The kernel's version.
    pub(crate) release: (u32, u32),
    /// The sysctl kernel.io_uring_disabled, which there is since Linux 6.6; `None`: it cannot be read.
    pub(crate) disabled: Option<u8>,
    /// A filter of system calls is in force (proc_pid_status(5), Seccomp).
    pub(crate) filtered: bool,
}

impl Machine {
    fn look() -> Machine {
        let uname = rustix::system::uname();
        let mut numbers = uname.release().to_str().unwrap_or("").split(['.', '-']);
        let mut number = || numbers.next().and_then(|text| text.parse().ok()).unwrap_or(0);
        let release = (number(), number());
        let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        Machine {
            release,
            disabled: disabled.ok().and_then(|text| text.trim().parse().ok()),
            filtered: status.lines().any(|line| line.split_whitespace().eq(["Seccomp:", "2"])),
        }
    }

    /// The hint for an errno of io_uring_setup(2).
    pub(crate) fn hint_for(&self, errno: i32) -> Option<String> {
        const ALLOW: &str = "allow the io_uring_* system calls in its profile";
        const SYSCTL: &str = "sysctl kernel.io_uring_disabled";
        let (major, minor) = self.release;
        // Before it existed it forbade nothing.
        let disabled = if self.release < (6, 6) { Some(0) } else { self.disabled };
        Some(match errno {
            libc::EPERM => match (disabled, self.filtered) {
                (Some(1), _) => {
                    format!("{SYSCTL} is 1: set it to 0, or run in kernel.io_uring_group")
                }
                (Some(2), _) => format!("{SYSCTL} is 2: set it to 0"),
                (Some(_), true) => format!("a seccomp filter forbids it: {ALLOW}"),
                (Some(_), false) => "a security module forbids it: see its log".to_owned(),
                (None, true) => format!(
                    "{SYSCTL}, which cannot be read here, or a seccomp filter forbids it: set the one to 0, or {ALLOW}"
                ),
                (None, false) => {
                    format!("{SYSCTL}, which cannot be read here, or a security module forbids it")
                }
            },
            libc::EACCES => "a security module forbids it: see its log".to_owned(),
            libc::ENOSYS if self.release < (5, 1) => too_old(major, minor),
            libc::ENOSYS if self.filtered => format!(
                "a seccomp filter says that there is none, as podman's does, but this is Linux {major}.{minor}: {ALLOW}"
            ),
            libc::ENOSYS => "this kernel was built without it (CONFIG_IO_URING)".to_owned(),
            libc::EINVAL => too_old(major, minor),
            libc::ENOMEM => locked_memory_hint("even a small ring", ring_bytes(8, 32, 8)),
            _ => return None,
        })
    }
}

fn too_old(major: u32, minor: u32) -> String {
    format!("this kernel is too old: it is Linux {major}.{minor}, and the ring needs 6.1")
}
