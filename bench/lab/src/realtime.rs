//! Being on time: real-time scheduling for the calling thread, and waits to the nanosecond.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::netns::check;

/// Gives the calling thread the lowest real-time priority (SCHED_FIFO 1, sched(7)): it runs as
/// soon as it is woken, before every ordinary thread. It must sleep most of the time.
///
/// # Errors
/// EPERM without CAP_SYS_NICE.
pub fn schedule_realtime() -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 1 };
    // SAFETY: sched_setscheduler(2) reads one `sched_param`, which outlives the call; process 0
    // is the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) };
    check(result)
}

/// Waits until one of the descriptors can be read or `timeout` has passed, by a high-resolution
/// timer. A signal ends the wait early.
///
/// # Errors
/// Those of ppoll(2) but EINTR.
pub fn wait_readable<const N: usize>(
    descriptors: [BorrowedFd<'_>; N],
    timeout: Duration,
) -> io::Result<()> {
    let mut polled = descriptors
        .each_ref()
        .map(|descriptor| PollFd::from_borrowed_fd(*descriptor, PollFlags::IN));
    // Longer than seconds can say: for ever.
    match poll(&mut polled, Timespec::try_from(timeout).ok().as_ref()) {
        Err(error) if error != Errno::INTR => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn a_wait_ends_by_data_and_by_time() {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let start = std::time::Instant::now();
        wait_readable([reader.as_fd()], Duration::from_millis(5)).expect("polled");
        assert!(start.elapsed() >= Duration::from_millis(5));
        io::Write::write_all(&mut writer, b"x").expect("written");
        wait_readable([reader.as_fd()], Duration::from_secs(3600)).expect("polled");
    }
}
