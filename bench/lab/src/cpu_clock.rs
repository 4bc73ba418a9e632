//! Processor time of any process, to the nanosecond.
//!
//! `/proc/<pid>/stat` counts in ticks of 10 ms and `/proc/<pid>/task/*/schedstat` forgets threads that ended. The
//! CPU-time clock of a process (clock_getcpuclockid(3)) has neither fault: it holds every thread of the process, io_uring's
//! workers among them (they are threads of it since Linux 5.12), and the running ones up to this moment.

use std::io;
use std::time::Duration;

/// User and system time of the process `pid` since it began: all threads, ended ones too. Kernel threads are processes
/// of their own here (ksoftirqd, for one).
///
/// # Errors
/// `InvalidInput` for a pid that cannot be, ESRCH or EINVAL when there is no such process.
pub fn process_time(pid: u32) -> io::Result<Duration> {
    let pid = libc::pid_t::try_from(pid).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut clock: libc::clockid_t = 0;
    // SAFETY: `clock` is a valid, exclusively borrowed clockid_t for the length of the call.
    let refused = unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) };
    if refused != 0 {
        return Err(io::Error::from_raw_os_error(refused));
    }
    read(clock)
}

/// User and system time of the calling thread since it began.
///
/// # Errors
/// None on Linux; what clock_gettime(2) gives.
pub fn thread_time() -> io::Result<Duration> {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn read(clock: libc::clockid_t) -> io::Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid, exclusively borrowed timespec for the length of the call.
    let result = unsafe { libc::clock_gettime(clock, &raw mut time) };
    crate::netns::check(result)?;
    // Neither field is negative on this clock.
    Ok(Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_ended_threads_stays_and_of_nobody_is_an_error() {
        let own = std::process::id();
        let before = process_time(own).expect("this process");
        let spin = || {
            let thread = std::thread::spawn(|| {
                let mut word = 1_u64;
                (0..2_000_000).for_each(|n| word = std::hint::black_box(word.wrapping_mul(n | 1)));
            });
            thread.join().expect("no panic");
        };
        spin();
        let after = process_time(own).expect("this process");
        assert!(after > before, "{after:?} after {before:?}");
        assert!(thread_time().expect("this thread") < after, "the other thread's time is in it");
        assert!(process_time(u32::MAX).is_err());
        // Beyond PID_MAX_LIMIT (2^22): never a process.
        assert!(process_time(1 << 23).is_err());
    }
}
