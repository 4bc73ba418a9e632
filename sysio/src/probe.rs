//! What this machine offers for datagram I/O, and the choice of a driver with a reason that can be
//! logged.

use crate::error::SysError;

/// The drivers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IoKind {
    /// io_uring.
    Ring,
    /// epoll, recvmmsg, sendmmsg.
    Mmsg,
}

/// Chooses a driver: the one asked for, or the best that works. Returns the reason too.
///
/// # Errors
/// If the one asked for does not work on this machine.
pub fn choose(requested: Option<IoKind>) -> Result<(IoKind, String), SysError> {
    match requested {
        Some(IoKind::Ring) => {
            let cause = std::io::Error::from_raw_os_error(libc::ENOSYS);
            Err(SysError::new("use io_uring", cause).with_hint("this build has no ring driver"))
        }
        _ => Ok((IoKind::Mmsg, "epoll: this build has no ring driver".to_owned())),
    }
}
