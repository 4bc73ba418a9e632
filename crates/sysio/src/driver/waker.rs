//! Ends a driver's wait from another thread, through an eventfd(2), or a socket where a driver cannot wait for one.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};

use crate::error::SysError;

/// What is added to the eventfd's counter: an integer of 8 bytes in the machine's order.
#[expect(clippy::host_endian_bytes, reason = "eventfd(2) takes host order")]
const ONE: [u8; 8] = 1_u64.to_ne_bytes();

/// Wakes one driver; cheap to clone, usable from any thread, also after the driver is gone.
#[derive(Debug, Clone)]
pub struct Waker {
    event: Arc<OwnedFd>,
}

impl Waker {
    pub(crate) fn new() -> Result<Waker, SysError> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|e| SysError::new("open an eventfd", e.into()))?;
        Ok(Waker { event: Arc::new(event) })
    }

    /// A waker that writes to `event`, which never makes it wait.
    #[cfg(feature = "glommio")]
    pub(crate) fn of(event: OwnedFd) -> Result<Waker, SysError> {
        rustix::io::ioctl_fionbio(&event, true)
            .map_err(|e| SysError::new("make a socket non-blocking", e.into()))?;
        Ok(Waker { event: Arc::new(event) })
    }

    /// Ends the wait of the driver's turn, or its next one if it is not waiting. Several calls
    /// before that turn count as one.
    pub fn wake(&self) {
        // Fails only when the counter stands at its maximum (or a socket is full), and then the driver is awake already.
        let _ = rustix::io::write(&self.event, &ONE);
    }

    /// Takes what was written, so that the descriptor is not readable any more.
    pub(crate) fn drain(&self) {
        let _ = rustix::io::read(&self.event, &mut [0_u8; 8]);
    }

    pub(crate) fn raw(&self) -> RawFd {
        self.event.as_raw_fd()
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
