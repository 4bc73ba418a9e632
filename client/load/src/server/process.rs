//! What a process has used so far, from /proc (proc_pid_stat(5), proc_pid_status(5)).

use crate::result::kibibytes;
use std::fs;
use std::io;

/// One reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Process {
    /// User and system time of all its threads, io_uring's workers among them, seconds; ticks of 10 ms.
    pub(super) cpu_s: f64,
    pub(super) rss_bytes: u64,
    pub(super) rss_max_bytes: u64,
    pub(super) minor_faults: u64,
    pub(super) major_faults: u64,
    pub(super) threads: u64,
    /// Since boot, in ticks: tells whether a process id was given anew.
    pub(super) started: u64,
}

impl Process {
    pub(super) fn read(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        Self::parse(&stat, &status).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}: not as expected"))
        })
    }

    fn parse(stat: &str, status: &str) -> Option<Self> {
        // The name in field 2 may hold anything, so count from its closing bracket: field 3 comes next.
        let (_, rest) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let field = |number: usize| -> Option<u64> { fields.get(number - 3)?.parse().ok() };
        let ticks = field(14)? + field(15)?;
        Some(Self {
            cpu_s: ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
            minor_faults: field(10)?,
            major_faults: field(12)?,
            threads: field(20)?,
            started: field(22)?,
            // A process that ended and was not waited for has no memory any more.
            rss_bytes: kibibytes(status, "VmRSS").unwrap_or(0),
            rss_max_bytes: kibibytes(status, "VmHWM").unwrap_or(0),
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

    #[test]
    fn a_name_with_brackets_and_spaces_moves_no_field() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 11 12 13 14 250 50 0 0 20 0 9 0 777 1 2";
        let status = "Name:\ta\nVmHWM:\t 2048 kB\nVmRSS:\t    1024 kB\n";
        let found = Process::parse(stat, status).expect("a process");
        assert!((found.cpu_s - 3.0).abs() < 1e-9, "{found:?}");
        assert_eq!((found.minor_faults, found.major_faults), (11, 13));
        assert_eq!((found.threads, found.started, found.rss_bytes), (9, 777, 1 << 20));
        assert_eq!(Process::parse("7 (cut off) S 1", status), None);
    }
}
