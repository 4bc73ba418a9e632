//! How a ring is entered: by its number among the rings registered with this thread, which saves the
//! kernel looking up and holding a file that other threads of the process could close.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use io_uring::IoUring;
use io_uring::types::{SubmitArgs, Timespec};

/// Operations of io_uring_register(2), Linux 5.18.
const REGISTER_RING_FDS: u32 = 20;
const UNREGISTER_RING_FDS: u32 = 21;
/// Flags of io_uring_enter(2).
const ENTER_GETEVENTS: u32 = 1;
const ENTER_EXT_ARG: u32 = 1 << 3;
const ENTER_REGISTERED_RING: u32 = 1 << 4;

/// `struct io_uring_rsrc_update` (linux/io_uring.h).
#[repr(C)]
struct Update {
    /// The number; all ones: the kernel chooses.
    offset: u32,
    reserved: u32,
    /// The descriptor.
    data: u64,
}

/// The way into one ring, for the thread that made it. To be dropped before the ring: a registered
/// ring stays open until its number is given back.
#[derive(Debug)]
pub(crate) struct Door {
    ring: RawFd,
    number: Option<u32>,
}

impl Door {
    pub(crate) fn new(ring: &IoUring) -> Door {
        let ring = ring.as_raw_fd();
        let mut update = Update { offset: u32::MAX, reserved: 0, data: ring as u64 };
        // A thread has 16 numbers; the driver works without.
        let number = register(ring, REGISTER_RING_FDS, &mut update).is_ok();
        Door { ring, number: number.then_some(update.offset) }
    }

    /// Submits `submissions` entries; waits for a completion if `waiting`, at most `timeout`.
    ///
    /// # Errors
    /// Those of io_uring_enter(2), `ETIME` after the timeout.
    ///
    /// # Safety
    /// What the submitted entries point to is good until their operations are over.
    pub(crate) unsafe fn enter(
        &self,
        submissions: u32,
        waiting: bool,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        let spec = timeout.map(Timespec::from);
        let mut args = SubmitArgs::new();
        if let Some(spec) = &spec {
            args = args.timespec(spec);
        }
        let (fd, flags) = match self.number {
            Some(number) => (number.cast_signed(), ENTER_REGISTERED_RING),
            None => (self.ring, 0),
        };
        let flags = flags | ENTER_GETEVENTS | ENTER_EXT_ARG;
        // SAFETY: EXT_ARG wants an io_uring_getevents_arg, which SubmitArgs is (transparent), of the
        // stated length and alive with its timespec through the call. The rest is the caller's
        // promise.
        let result = unsafe {
            libc::syscall(
                libc::SYS_io_uring_enter,
                fd,
                submissions,
                u32::from(waiting),
                flags,
                &raw const args,
                size_of::<SubmitArgs<'_, '_>>(),
            )
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Some(offset) = self.number {
            let mut update = Update { offset, reserved: 0, data: 0 };
            // It cannot fail for a number that was given out; the end of the thread does the same.
            let _ = register(self.ring, UNREGISTER_RING_FDS, &mut update);
        }
    }
}

/// io_uring_register(2) of one update.
fn register(ring: RawFd, operation: u32, update: &mut Update) -> io::Result<()> {
    // SAFETY: both operations read and write one `io_uring_rsrc_update`, which `update` is, borrowed
    // exclusively through the call.
    let done =
        unsafe { libc::syscall(libc::SYS_io_uring_register, ring, operation, &raw mut *update, 1) };
    if done == 1 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::ring::setup;

    #[test]
    fn a_thread_that_has_no_number_left_still_gets_in() {
        if crate::probe::ring().is_err() {
            assert!(std::env::var_os("SEGCAST_REQUIRE_ALL").is_none_or(|all| all != "1"));
            return println!("not tested: no ring here");
        }
        let rings: Vec<IoUring> = (0..18).map(|_| setup::open(8, 32).unwrap()).collect();
        let doors: Vec<Door> = rings.iter().map(Door::new).collect();
        assert!(doors[0].number.is_some() && doors[17].number.is_none());
        for door in &doors {
            // SAFETY: nothing is submitted.
            unsafe { door.enter(0, false, None) }.unwrap();
            // SAFETY: likewise.
            let waited = unsafe { door.enter(0, true, Some(Duration::from_micros(1))) };
            assert_eq!(waited.unwrap_err().raw_os_error(), Some(libc::ETIME));
        }
        drop(doors);
        assert!(Door::new(&rings[17]).number.is_some(), "numbers come back");
    }
}
