//! Cores and threads: which cores this process may use, pinning a thread to one of them, naming it.

use std::ffi::CString;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::error::SysError;

/// Longest thread name the kernel keeps, in bytes (`TASK_COMM_LEN` less the final zero; prctl(2), PR_SET_NAME).
pub const MAX_THREAD_NAME_BYTES: usize = 15;

/// The cores that the calling thread may run on, ascending. Respects cpusets, taskset and systemd's CPUAffinity=.
///
/// # Errors
/// What sched_getaffinity(2) reports.
pub fn allowed_cores() -> Result<Vec<usize>, SysError> {
    let set = sched_getaffinity(None)
        .map_err(|e| SysError::new("read the allowed cores (sched_getaffinity)", e.into()))?;
    Ok((0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect())
}

/// Pins the calling thread to `core`.
///
/// # Errors
/// `EINVAL` if the core does not exist or is not allowed.
pub fn pin_current_thread(core: usize) -> Result<(), SysError> {
    let mut set = CpuSet::new();
    if core >= CpuSet::MAX_CPU {
        let cause = std::io::Error::from_raw_os_error(libc::EINVAL);
        return Err(SysError::new(format!("pin the thread to core {core}"), cause));
    }
    set.set(core);
    sched_setaffinity(None, &set).map_err(|e| {
        SysError::new(format!("pin the thread to core {core}"), e.into())
            .with_hint("choose a core from the allowed ones: taskset -pc $$")
    })
}

/// Names the calling thread as `top -H` and `/proc/<pid>/task/*/comm` show it; cut to [`MAX_THREAD_NAME_BYTES`].
///
/// # Errors
/// If the name contains a zero byte.
pub fn name_current_thread(name: &str) -> Result<(), SysError> {
    let cut = name.floor_char_boundary(MAX_THREAD_NAME_BYTES);
    let name = CString::new(&name[..cut])
        .map_err(|e| SysError::new(format!("name the thread {name:?}"), e.into()))?;
    rustix::thread::set_name(&name)
        .map_err(|e| SysError::new(format!("name the thread {name:?}"), e.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_pinned_to_a_core_may_run_there_only() {
        let cores = allowed_cores().unwrap();
        let last = *cores.last().expect("at least one core");
        std::thread::spawn(move || {
            pin_current_thread(last).unwrap();
            assert_eq!(allowed_cores().unwrap(), [last]);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_core_that_does_not_exist_is_refused_with_its_number() {
        let error = pin_current_thread(1023).unwrap_err();
        assert!(error.to_string().contains("1023"));
        pin_current_thread(usize::MAX).unwrap_err();
    }

    #[test]
    fn long_names_are_cut_at_a_character() {
        std::thread::spawn(|| {
            name_current_thread("fourteen bytesé").unwrap();
            let comm = std::fs::read_to_string("/proc/thread-self/comm").unwrap();
            assert_eq!(comm, "fourteen bytes\n");
        })
        .join()
        .unwrap();
    }
}
