//! Wakes helper threads through an eventfd(2): the one who rings takes no lock, and makes no system call while nobody
//! sleeps.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use crate::error::SysError;
use crate::sleepers::Sleepers;

/// What is added to the eventfd's counter: an integer of 8 bytes in the machine's order.
#[expect(clippy::host_endian_bytes, reason = "eventfd(2) takes host order")]
const ONE: [u8; 8] = 1_u64.to_ne_bytes();

/// A bell that several threads may sleep by.
#[derive(Debug)]
pub struct Bell {
    event: OwnedFd,
    sleepers: Sleepers,
}

impl Bell {
    /// A bell that nobody has rung.
    ///
    /// # Errors
    /// What eventfd(2) reports: no more descriptors.
    pub fn new() -> Result<Self, SysError> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE;
        let event = eventfd(0, flags).map_err(|e| SysError::new("open an eventfd", e.into()))?;
        Ok(Self { event, sleepers: Sleepers::new() })
    }

    /// Wakes one sleeper, if there is one. What it is to find must have been put in place before.
    pub fn ring(&self) {
        if self.sleepers.any() {
            // Fails only when the counter stands at its maximum, and then everyone is awake already.
            let _ = rustix::io::write(&self.event, &ONE);
        }
    }

    /// Sleeps until the bell rings or `longest` is over, unless `has_work` finds something to do.
    pub fn sleep(&self, longest: Duration, has_work: impl FnOnce() -> bool) {
        self.sleepers.sleep(has_work, || self.wait(longest));
    }

    fn wait(&self, longest: Duration) {
        let mut entry = [PollFd::new(&self.event, PollFlags::IN)];
        // Longer than seconds can say: for ever.
        let longest = Timespec::try_from(longest).ok();
        if poll(&mut entry, longest.as_ref()).is_ok_and(|ready| ready > 0) {
            // Another sleeper may have taken this ring: then there is nothing to read.
            let _ = rustix::io::read(&self.event, &mut [0_u8; 8]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn work_that_is_there_already_is_not_slept_over() {
        Bell::new().unwrap().sleep(LONG, || true);
    }

    #[test]
    fn without_a_ring_a_sleep_ends() {
        Bell::new().unwrap().sleep(Duration::from_millis(1), || false);
    }

    #[test]
    fn every_piece_of_work_wakes_someone() {
        let bell = Bell::new().unwrap();
        let (work, done) = (AtomicU32::new(0), AtomicU32::new(0));
        let stop = AtomicBool::new(false);
        let take = || work.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Acquire) {
                        while take().is_ok() {
                            done.fetch_add(1, Ordering::AcqRel);
                        }
                        let ready =
                            || work.load(Ordering::Acquire) > 0 || stop.load(Ordering::Acquire);
                        bell.sleep(LONG, ready);
                    }
                });
            }
            for number in 0..1000 {
                work.fetch_add(1, Ordering::AcqRel);
                bell.ring();
                // A lost ring would hang here for a minute.
                while done.load(Ordering::Acquire) <= number {
                    std::thread::yield_now();
                }
            }
            stop.store(true, Ordering::Release);
            (0..2).for_each(|_| bell.ring());
        });
        assert_eq!(done.into_inner(), 1000);
    }
}
