//! Processor time: of the server's process, of the kernel threads that work for it, and of its core as a cross-check.
//!
//! Work that the kernel does inside the server's own system calls, softirqs among it, is in the process's time
//! (without CONFIG_IRQ_TIME_ACCOUNTING). What ksoftirqd takes over is not, and is added. The core's busy time holds all
//! of that and whatever else ran there: the two must agree, or something else was on the core.

use std::fs;
use std::ops::Sub;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use segcast_lab::cpu_clock::{process_time, thread_time};
use serde::Serialize;

/// Clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub struct CpuTime {
    process: Duration,
    ksoftirqd: Duration,
    busy: Duration,
    at: Instant,
}

/// What passed on the clocks between two moments.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CpuUse {
    /// CPU-seconds of the process, io_uring's workers among them.
    pub process_s: f64,
    /// CPU-seconds of ksoftirqd on the process's core.
    pub ksoftirqd_s: f64,
    /// Seconds that the core was not idle, in ticks of 10 ms; steal is not in it.
    pub core_busy_s: f64,
    /// Seconds that passed.
    pub elapsed_s: f64,
}

/// The clocks of one process, or of one thread, and its core.
#[derive(Clone, Copy, Debug)]
pub struct CpuClocks {
    /// None: the thread that reads.
    pid: Option<u32>,
    core: usize,
    ksoftirqd: Option<u32>,
}

impl CpuClocks {
    /// Finds the clocks of process `pid`, which runs on `core`.
    #[must_use]
    pub fn of(pid: u32, core: usize) -> Self {
        Self { pid: Some(pid), core, ksoftirqd: ksoftirqd(core) }
    }

    /// Finds the clocks of the calling thread, which runs on `core` and must be the one that reads them.
    #[must_use]
    pub fn of_this_thread(core: usize) -> Self {
        Self { pid: None, core, ksoftirqd: ksoftirqd(core) }
    }

    /// Reads them: some ten microseconds.
    ///
    /// # Errors
    /// When the process has ended or /proc cannot be read.
    pub fn read(&self) -> anyhow::Result<CpuTime> {
        let process = match self.pid {
            Some(pid) => process_time(pid).with_context(|| format!("time of process {pid}"))?,
            None => thread_time().context("time of this thread")?,
        };
        let ksoftirqd = match self.ksoftirqd {
            Some(pid) => process_time(pid).context("time of ksoftirqd")?,
            None => Duration::ZERO,
        };
        let stat = fs::read_to_string("/proc/stat").context("/proc/stat")?;
        let busy = core_busy(&stat, self.core)
            .with_context(|| format!("/proc/stat has no core {}:\n{stat}", self.core))?;
        Ok(CpuTime { process, ksoftirqd, busy, at: Instant::now() })
    }
}

impl Sub for CpuTime {
    type Output = CpuUse;

    fn sub(self, before: Self) -> CpuUse {
        CpuUse {
            process_s: self.process.saturating_sub(before.process).as_secs_f64(),
            ksoftirqd_s: self.ksoftirqd.saturating_sub(before.ksoftirqd).as_secs_f64(),
            core_busy_s: self.busy.saturating_sub(before.busy).as_secs_f64(),
            elapsed_s: self.at.duration_since(before.at).as_secs_f64(),
        }
    }
}

impl CpuUse {
    /// CPU-seconds that the figure is divided by.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.process_s + self.ksoftirqd_s
    }
}

/// The pid of `ksoftirqd/<core>`, if /proc shows it (a container may hide it).
fn ksoftirqd(core: usize) -> Option<u32> {
    let name = format!("ksoftirqd/{core}\n");
    let is_it =
        |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == name);
    let pids = fs::read_dir("/proc")
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    // Kernel threads have the least numbers; sorted, the search ends early.
    let mut pids: Vec<u32> = pids.collect();
    pids.sort_unstable();
    pids.into_iter().find(is_it)
}

/// Time that a core was neither idle nor waiting nor stolen (proc_stat(5): user, nice, system, idle, iowait, irq, softirq).
fn core_busy(stat: &str, core: usize) -> Option<Duration> {
    let name = format!("cpu{core}");
    let line = stat.lines().find(|line| line.split(' ').next() == Some(&name))?;
    let ticks: Vec<u64> = line.split_whitespace().skip(1).map_while(|n| n.parse().ok()).collect();
    let [user, nice, system, _idle, _iowait, irq, softirq, ..] = ticks[..] else { return None };
    // USER_HZ is 100 on every architecture that we support (time(7)).
    Some(Duration::from_millis(10 * (user + nice + system + irq + softirq)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_is_the_right_cores_and_without_idle() {
        let stat = "cpu  9 9 9 9 9 9 9\ncpu1 1 2 3 1000 1000 4 5 700 0 0\ncpu10 7 7 7 7 7 7 7\n";
        assert_eq!(core_busy(stat, 1), Some(Duration::from_millis(150)));
        assert_eq!(core_busy(stat, 10), Some(Duration::from_millis(350)));
        assert_eq!(core_busy(stat, 2), None);
    }

    #[test]
    fn this_process_can_be_read_and_time_goes_forward() {
        let core = segcast_sysio::cpu::allowed_cores().unwrap()[0];
        let clocks = CpuClocks::of(std::process::id(), core);
        let before = clocks.read().unwrap();
        let used = clocks.read().unwrap() - before;
        assert!(used.process_s > 0.0 && used.elapsed_s > 0.0, "{used:?}");
        assert!(used.seconds() >= used.process_s);
    }
}
