//! What a process has used so far, from /proc (proc_pid_stat(5), proc_pid_status(5)).

use procfs::{ProcError, ProcResult};

/// One reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Process {
    /// User and system time of all its threads, io_uring's workers among them, seconds; ticks of 10 ms.
    pub(crate) cpu_s: f64,
    pub(crate) rss_bytes: u64,
    pub(crate) rss_max_bytes: u64,
    pub(crate) minor_faults: u64,
    pub(crate) major_faults: u64,
    pub(crate) threads: u64,
    /// Since boot, in ticks: tells whether a process id was given anew.
    pub(crate) started: u64,
}

impl Process {
    pub(crate) fn read(pid: u32) -> ProcResult<Self> {
        let pid = i32::try_from(pid).map_err(|_| ProcError::NotFound(None))?;
        let process = procfs::process::Process::new(pid)?;
        let (stat, status) = (process.stat()?, process.status()?);
        // A process that ended and was not waited for has no memory any more.
        let bytes = |kib: Option<u64>| kib.unwrap_or(0) * 1024;
        Ok(Self {
            cpu_s: (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64,
            minor_faults: stat.minflt,
            major_faults: stat.majflt,
            threads: u64::try_from(stat.num_threads).unwrap_or(0),
            started: stat.starttime,
            rss_bytes: bytes(status.vmrss),
            rss_max_bytes: bytes(status.vmhwm),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_read() {
        let read = || Process::read(std::process::id()).expect("this process has an entry");
        let (first, second) = (read(), read());
        assert!(first.rss_bytes > 0 && first.rss_max_bytes >= first.rss_bytes, "{first:?}");
        assert_eq!(first.started, second.started);
        assert!(second.cpu_s >= first.cpu_s && second.minor_faults >= first.minor_faults);
        assert!(Process::read(u32::MAX).is_err());
    }
}
