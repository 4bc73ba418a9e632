//! What this machine offers for datagram I/O, and the choice of a driver with a reason that can be
//! logged.

use std::os::fd::AsFd;

use socket2::{Domain, Protocol, Socket, Type};

use crate::driver::ring::setup;
use crate::error::SysError;
pub use crate::kind::IoKind;
use crate::udp::set_option;

/// Whether the ring driver works here: flags, operations and provided buffers are all tried.
///
/// # Errors
/// What is missing, with a hint: a sysctl, a seccomp profile, a newer kernel.
pub fn ring() -> Result<(), SysError> {
    setup::probe()
}

/// Whether a driver that wraps an executor works here.
fn runtime(kind: IoKind) -> Result<(), SysError> {
    match kind {
        #[cfg(feature = "tokio-uring")]
        IoKind::TokioUring => crate::driver::runtimes::on_tokio_uring::probe(),
        #[cfg(feature = "glommio")]
        IoKind::Glommio => crate::driver::runtimes::on_glommio::probe(),
        other => Err(other.not_built()),
    }
}

/// Chooses a driver: the one asked for, or the ring where it works and epoll elsewhere. Returns the
/// reason too, in words for the log.
///
/// # Errors
/// If the one asked for does not work on this machine.
pub fn choose(requested: Option<IoKind>) -> Result<(IoKind, String), SysError> {
    match requested {
        Some(IoKind::Mmsg) => Ok((IoKind::Mmsg, "epoll was asked for".to_owned())),
        Some(IoKind::Ring) => {
            ring().map(|()| (IoKind::Ring, "io_uring was asked for, and works".to_owned()))
        }
        Some(kind) => runtime(kind).map(|()| (kind, format!("{} was asked for", kind.name()))),
        None => Ok(match ring() {
            Ok(()) => (IoKind::Ring, "io_uring works here".to_owned()),
            Err(missing) => (IoKind::Mmsg, format!("epoll, because: {missing}")),
        }),
    }
}

/// Which UDP offloads the kernel knows. A device or a route may still refuse at run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UdpOffload {
    /// `UDP_SEGMENT` (Linux 4.18): one send for a train of datagrams.
    pub gso: bool,
    /// `UDP_GRO` (Linux 5.0): one receive for a train of datagrams.
    pub gro: bool,
}

/// Asks the kernel, on a socket that is not bound.
pub fn udp_offload() -> UdpOffload {
    let known = |option| {
        Socket::new(Domain::IPV4, Type::DGRAM.cloexec(), Some(Protocol::UDP))
            .is_ok_and(|socket| set_option(socket.as_fd(), libc::SOL_UDP, option, 1).is_ok())
    };
    UdpOffload { gso: known(libc::UDP_SEGMENT), gro: known(libc::UDP_GRO) }
}

#[cfg(test)]
mod tests {
    use setup::Machine;

    use super::*;
    use crate::driver::{Driver, DriverConfig};

    #[test]
    fn what_is_asked_for_is_chosen_and_a_reason_is_given() {
        let (kind, reason) = choose(Some(IoKind::Mmsg)).unwrap();
        assert_eq!((kind, reason.is_empty()), (IoKind::Mmsg, false));
        match ring() {
            Ok(()) => {
                assert_eq!(choose(Some(IoKind::Ring)).unwrap().0, IoKind::Ring);
                assert_eq!(choose(None).unwrap().0, IoKind::Ring);
            }
            Err(missing) => {
                assert!(choose(Some(IoKind::Ring)).is_err());
                let (kind, reason) = choose(None).unwrap();
                assert!(kind == IoKind::Mmsg && reason.contains(&missing.to_string()));
            }
        }
    }

    #[test]
    fn drivers_that_are_not_built_in_say_which_feature_they_need() {
        for &kind in IoKind::ALL {
            match choose(Some(kind)) {
                Ok((chosen, _)) => assert!(chosen == kind && kind.is_built()),
                Err(missing) if !kind.is_built() => {
                    let feature = format!("--features {}", kind.name());
                    assert!(missing.to_string().contains(&feature), "{missing}");
                    let refused = Driver::new(kind, Vec::new(), DriverConfig::CLIENT).unwrap_err();
                    assert!(refused.to_string().contains(&feature), "{refused}");
                }
                // The kernel, a filter or a limit: not a matter of features.
                Err(missing) => assert!(!missing.to_string().contains("--features"), "{missing}"),
            }
        }
    }

    /// Answers io_uring_setup(2) of the calling thread with `errno`, as a container's profile does.
    fn forbid_rings(errno: i32) {
        use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W};
        let instruction = |code: u32, jt, k| libc::sock_filter { code: code as u16, jt, jf: 0, k };
        let refuse = libc::SECCOMP_RET_ERRNO | errno as u32;
        let mut program = [
            // Offset 0 of seccomp_data is the number of the system call.
            instruction(BPF_LD | BPF_W | BPF_ABS, 0, 0),
            instruction(BPF_JMP | BPF_JEQ | BPF_K, 1, libc::SYS_io_uring_setup as u32),
            instruction(BPF_RET | BPF_K, 0, libc::SECCOMP_RET_ALLOW),
            instruction(BPF_RET | BPF_K, 0, refuse),
        ];
        let filter = libc::sock_fprog { len: 4, filter: program.as_mut_ptr() };
        // SAFETY: this option takes integers only.
        let first = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        // SAFETY: the filter and its program live through the call, which copies them.
        let second = unsafe {
            libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter)
        };
        assert_eq!((first, second), (0, 0), "{}", std::io::Error::last_os_error());
    }

    #[test]
    fn a_seccomp_filter_leads_to_epoll_and_is_named() {
        for filtered in [libc::EPERM, libc::ENOSYS] {
            std::thread::spawn(move || {
                forbid_rings(filtered);
                let (kind, reason) = choose(None).unwrap();
                assert_eq!(kind, IoKind::Mmsg);
                // Where the sysctl forbids rings to all, the kernel and the filter say the same errno.
                let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
                if disabled.is_ok_and(|value| value.trim() == "0") {
                    assert!(reason.contains("seccomp filter"), "{reason}");
                }
                for kind in IoKind::ALL.iter().copied().filter(|kind| kind.is_built()) {
                    // Those on a runtime too: no panic, no exit.
                    let errno = choose(Some(kind)).err().and_then(|missing| missing.errno());
                    assert_eq!(errno, (kind != IoKind::Mmsg).then_some(filtered), "{kind:?}");
                }
            })
            .join()
            .unwrap();
        }
    }

    #[test]
    fn hints_tell_age_sysctl_filters_and_policies_and_memory_apart() {
        let hint = |errno, release, disabled, filtered| {
            Machine { release, disabled, filtered }.hint_for(errno).expect("a hint")
        };
        let (now, old) = ((6, 18), (4, 19));
        for (hint, wanted) in [
            (hint(libc::EPERM, now, Some(2), true), "io_uring_disabled is 2"),
            (hint(libc::EPERM, now, Some(1), false), "io_uring_group"),
            (hint(libc::EPERM, now, Some(0), true), "a seccomp filter forbids it"),
            (hint(libc::EPERM, now, Some(0), false), "a security module forbids it"),
            // A unit with ProcSubset=pid: it may be either.
            (hint(libc::EPERM, now, None, true), "cannot be read here, or a seccomp filter"),
            (hint(libc::EPERM, now, None, false), "cannot be read here, or a security module"),
            (hint(libc::EPERM, (6, 1), None, true), "a seccomp filter forbids it"),
            (hint(libc::EACCES, now, Some(0), true), "a security module"),
            (hint(libc::ENOSYS, now, Some(0), true), "a seccomp filter says that there is none"),
            (hint(libc::ENOSYS, now, Some(0), false), "CONFIG_IO_URING"),
            (hint(libc::ENOSYS, old, None, true), "too old: it is Linux 4.19"),
            (hint(libc::EINVAL, (5, 15), None, false), "too old: it is Linux 5.15"),
            (hint(libc::ENOMEM, now, Some(0), false), "RLIMIT_MEMLOCK is"),
        ] {
            assert!(hint.contains(wanted), "{hint}, not {wanted}");
        }
    }

    #[test]
    fn every_kernel_since_5_0_has_both_offloads() {
        assert_eq!(udp_offload(), UdpOffload { gso: true, gro: true });
    }
}
