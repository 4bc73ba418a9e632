//! How much memory this process may use: the machine's, or less in a control group.

use std::path::{Path, PathBuf};

/// Bytes of memory for this process: the machine's memory, or the lowest limit of its control groups (cgroup v2
/// `memory.max`, v1 `memory.limit_in_bytes`) where that is lower.
pub fn available_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    let machine = info.totalram.saturating_mul(u64::from(info.mem_unit));
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    group_limit(&groups, Path::new("/sys/fs/cgroup")).map_or(machine, |limit| limit.min(machine))
}

/// The lowest limit of the groups that `groups` (cgroups(7), /proc/pid/cgroup) names, and of those above them.
fn group_limit(groups: &str, root: &Path) -> Option<u64> {
    groups.lines().filter_map(|line| limit_of_line(line, root)).min()
}

fn limit_of_line(line: &str, root: &Path) -> Option<u64> {
    let mut fields = line.splitn(3, ':');
    let (controllers, path) = (fields.nth(1)?, fields.next()?);
    let (mount, file): (PathBuf, &str) = if controllers.is_empty() {
        (root.to_owned(), "memory.max")
    } else if controllers.split(',').any(|name| name == "memory") {
        (root.join("memory"), "memory.limit_in_bytes")
    } else {
        return None;
    };
    let group = mount.join(path.trim_start_matches('/'));
    let levels = group.ancestors().take_while(|level| level.starts_with(&mount));
    // "max" is no number: no limit on that level.
    let limit = |level: &Path| std::fs::read_to_string(level.join(file)).ok()?.trim().parse().ok();
    levels.filter_map(limit).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_may_use_some_memory_and_no_more_than_there_is() {
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
        let total = meminfo.lines().next().and_then(|line| line.split_whitespace().nth(1)).unwrap();
        let available = available_bytes();
        assert!(available > 0 && available <= total.parse::<u64>().unwrap() * 1024);
    }

    #[test]
    fn the_lowest_limit_on_the_way_up_counts() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("a/memory.max", "5000\n");
        write("a/b/memory.max", "max\n");
        write("memory/x/memory.limit_in_bytes", "7000\n");
        let limit = |groups| group_limit(groups, root.path());
        assert_eq!(limit("0::/a/b\n"), Some(5000));
        assert_eq!(limit("4:memory:/x/y\n0::/a/b\n"), Some(5000));
        assert_eq!(limit("4:cpu,memory:/x\n3:cpu:/a\n"), Some(7000));
        assert_eq!(limit("0::/\n"), None);
        assert_eq!(limit("nonsense\n\n"), None);
    }
}
