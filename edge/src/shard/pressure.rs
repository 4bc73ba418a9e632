//! Whether the shard's thread has time to spare, from the kernel's own account of it.
//!
//! A thread that runs, or waits for its core, nearly all the time is the bottleneck of what it serves, even if no train
//! waits for long: what it has not got round to lies in its sockets.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use segcast_proto::time::Instant;

/// The account is looked at this often while the shard works.
const INTERVAL: Duration = Duration::from_millis(20);
/// Runnable for this many percent of the time: no time to spare.
const PRESSED_PERCENT: u128 = 95;
/// Room for the three numbers of `schedstat`.
const TEXT_MAX: usize = 80;

/// The account of one thread.
#[derive(Debug)]
pub(super) struct Pressure {
    /// None where the kernel keeps no account.
    schedstat: Option<File>,
    looked: Instant,
    /// Nanoseconds that the thread has been running or ready to run.
    runnable: u64,
}

impl Pressure {
    /// The account of the calling thread (proc_pid_schedstat: "time spent on the cpu, time spent waiting on a
    /// runqueue", in nanoseconds).
    pub(super) fn of_this_thread(now: Instant) -> Self {
        let schedstat = File::open("/proc/thread-self/schedstat").ok();
        let runnable = schedstat.as_ref().and_then(read).unwrap_or(0);
        Self { schedstat, looked: now, runnable }
    }

    /// Whether the thread had no time to spare since the last look; none: it is too soon to say, or unknown.
    pub(super) fn look(&mut self, now: Instant) -> Option<bool> {
        if now.saturating_since(self.looked) < INTERVAL {
            return None;
        }
        let runnable = self.schedstat.as_ref().and_then(read)?;
        Some(self.judge(now, runnable))
    }

    fn judge(&mut self, now: Instant, runnable: u64) -> bool {
        let passed = now.saturating_since(self.looked).as_nanos();
        let ran = u128::from(runnable.saturating_sub(self.runnable));
        (self.looked, self.runnable) = (now, runnable);
        ran * 100 >= passed * PRESSED_PERCENT
    }
}

fn read(schedstat: &File) -> Option<u64> {
    let mut text = [0; TEXT_MAX];
    let len = schedstat.read_at(&mut text, 0).ok()?;
    runnable(text.get(..len)?)
}

/// The sum of the first two numbers.
fn runnable(text: &[u8]) -> Option<u64> {
    let mut numbers = std::str::from_utf8(text).ok()?.split_ascii_whitespace();
    let mut next = || numbers.next()?.parse::<u64>().ok();
    next()?.checked_add(next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn time_on_the_core_and_time_waiting_for_it_count_alike() {
        assert_eq!(runnable(b"100 23 7\n"), Some(123));
        assert_eq!(runnable(b"100"), None);
        assert_eq!(runnable(b""), None);
    }

    #[test]
    fn a_thread_that_sleeps_a_tenth_of_the_time_is_not_pressed() {
        let mut pressure = Pressure { schedstat: None, looked: at(0), runnable: 5_000_000 };
        assert!(pressure.judge(at(100), 5_000_000 + 96_000_000));
        assert!(!pressure.judge(at(200), 5_000_000 + 96_000_000 + 90_000_000));
        assert!(!pressure.judge(at(700), 5_000_000 + 96_000_000 + 91_000_000));
        assert_eq!(pressure.look(at(710)), None, "too soon");
        assert_eq!(pressure.look(at(730)), None, "no account");
    }

    #[test]
    fn this_kernel_keeps_an_account_of_this_thread() {
        let mut pressure = Pressure::of_this_thread(at(0));
        assert!(pressure.look(at(1_000_000_000)).is_some_and(|pressed| !pressed));
    }
}
