//! What a test needs of the machine, and what happens where it is missing.
//!
//! Tests with needs run under libtest-mimic (`harness = false`): one whose need is missing is
//! reported as ignored and says why; with `SEGCAST_REQUIRE_ALL=1` it fails instead. Each need is
//! tried, not guessed: root without capabilities is an ordinary user.

use std::process::Command;

use libtest_mimic::{Arguments, Failed, Trial};
use segcast_lab::netns::Namespace;
use segcast_lab::tap::Tap;
use segcast_sysio::probe;

use crate::process::memory_group::MemoryGroup;
use crate::process::postgres;
use crate::progress::{self, Progress};

/// A need: nothing when it is there, else its name and what was tried.
pub type Need = fn() -> Result<(), String>;

/// Network namespaces: CAP_SYS_ADMIN.
///
/// # Errors
/// When none can be made here.
pub fn namespaces() -> Result<(), String> {
    Namespace::new().map(drop).map_err(|error| format!("network namespaces, as root ({error})"))
}

/// TAP devices, in a namespace.
///
/// # Errors
/// When none can be made here.
pub fn tap() -> Result<(), String> {
    namespaces()?;
    Namespace::new()
        .and_then(|namespace| namespace.run(|| Tap::create("need0", false)))
        .flatten()
        .map(drop)
        .map_err(|error| format!("TAP devices, as root, and /dev/net/tun ({error})"))
}

/// io_uring.
///
/// # Errors
/// When no ring can be set up, or the kernel's rings lack an operation that the driver uses.
pub fn io_uring() -> Result<(), String> {
    probe::ring().map_err(|error| format!("io_uring ({error})"))
}

/// Configured interfaces: `ip` of iproute2.
///
/// # Errors
/// When it is not installed.
pub fn iproute2() -> Result<(), String> {
    runs("ip", "-V")
}

/// `nft` of nftables.
///
/// # Errors
/// When it is not installed.
pub fn nftables() -> Result<(), String> {
    runs("nft", "--version")
}

/// `ffmpeg`.
///
/// # Errors
/// When it is not installed.
pub fn ffmpeg() -> Result<(), String> {
    runs("ffmpeg", "-version")
}

/// `iperf3`.
///
/// # Errors
/// When it is not installed.
pub fn iperf3() -> Result<(), String> {
    runs("iperf3", "--version")
}

/// Python with the package `cryptography`.
///
/// # Errors
/// When either is not installed.
pub fn python_cryptography() -> Result<(), String> {
    runs("python3", "-cimport cryptography")
}

/// PostgreSQL of Debian's packages, and for root the right to become its user.
///
/// # Errors
/// When either is missing.
pub fn postgresql() -> Result<(), String> {
    postgres::missing()
}

/// `strace`, and the right to trace.
///
/// # Errors
/// When it is not installed or may not trace.
pub fn strace() -> Result<(), String> {
    let output = Command::new("strace").args(["-qq", "-e", "trace=none", "true"]).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("strace ({})", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("strace ({error})")),
    }
}

/// Control groups with a limit of memory, as root.
///
/// # Errors
/// When none can be made here.
pub fn memory_groups() -> Result<(), String> {
    MemoryGroup::new(1 << 30)
        .map(drop)
        .map_err(|error| format!("control groups for memory, as root ({error})"))
}

/// Mount namespaces for a user: `unshare` of util-linux, and a kernel that allows them.
///
/// # Errors
/// When nothing can be mounted in one.
pub fn mounts() -> Result<(), String> {
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]);
    match unshare.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("mount namespaces (unshare --user --mount: {})", said.trim()))
        }
        Err(error) => Err(format!("mount namespaces (unshare: {error})")),
    }
}

/// Limits and capabilities for a child: `prlimit` and `setpriv` of util-linux.
///
/// # Errors
/// When either is not installed.
pub fn limits() -> Result<(), String> {
    runs("prlimit", "--version").and_then(|()| runs("setpriv", "--version"))
}

/// A disk under temporary files, from which what left the page cache is read again.
///
/// # Errors
/// When they lie in memory (tmpfs(5)).
pub fn disk() -> Result<(), String> {
    const TMPFS_MAGIC: u64 = 0x0102_1994;
    let folder = std::env::temp_dir();
    match rustix::fs::statfs(&folder) {
        Ok(found) if found.f_type as u64 != TMPFS_MAGIC => Ok(()),
        Ok(_) => Err(format!("a disk under {}: it is a tmpfs", folder.display())),
        Err(error) => Err(format!("a disk under {} ({error})", folder.display())),
    }
}

/// Two cores for this process.
///
/// # Errors
/// When it may run on one only.
pub fn two_cores() -> Result<(), String> {
    match segcast_sysio::cpu::allowed_cores() {
        Ok(cores) if cores.len() > 1 => Ok(()),
        other => Err(format!("two cores ({other:?})")),
    }
}

/// TCP CUBIC in the kernel.
///
/// # Errors
/// When neither built in nor loaded.
pub fn cubic() -> Result<(), String> {
    let path = "/proc/sys/net/ipv4/tcp_available_congestion_control";
    let list = std::fs::read_to_string(path).unwrap_or_default();
    if list.split_whitespace().any(|name| name == "cubic") {
        return Ok(());
    }
    Err(format!("TCP CUBIC ({path}: {:?})", list.trim()))
}

fn runs(program: &str, argument: &str) -> Result<(), String> {
    let output = Command::new(program).arg(argument).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{program} ({argument}: {})", output.status)),
        Err(error) => Err(format!("{program} ({error})")),
    }
}

/// Whether a missing need fails a test: `SEGCAST_REQUIRE_ALL=1`.
#[must_use]
pub fn all_required() -> bool {
    std::env::var("SEGCAST_REQUIRE_ALL").is_ok_and(|value| value == "1")
}

/// Whether the long form of a test is wanted: `SEGCAST_FULL=1`.
#[must_use]
pub fn full() -> bool {
    std::env::var("SEGCAST_FULL").is_ok_and(|value| value == "1")
}

/// For a test of libtest, which cannot skip by itself: the first need that is missing, after saying so to the terminal
/// with the test's name; where nothing may be skipped, the failure of the test.
///
/// # Panics
/// When a need is missing and `SEGCAST_REQUIRE_ALL=1`.
#[must_use]
pub fn missing(name: &str, needs: &[Need]) -> bool {
    match plan(needs, all_required()) {
        Plan::Run => false,
        Plan::Fail(missing) => panic!("{name} needs {missing}"),
        Plan::Skip(missing) => {
            progress::say(&format!("skipped: {name}: needs {missing}"));
            true
        }
    }
}

/// A test with needs, which are tried now. A panic of `test` is its failure.
#[must_use]
pub fn trial(name: &str, needs: &[Need], test: impl FnOnce() + Send + 'static) -> Trial {
    match plan(needs, all_required()) {
        Plan::Run => {
            let long = name.to_owned();
            Trial::test(name, move || {
                let _progress = Progress::quiet(long);
                test();
                Ok(())
            })
        }
        Plan::Fail(missing) => {
            Trial::test(name, move || Err(Failed::from(format!("needs {missing}"))))
        }
        Plan::Skip(missing) => {
            progress::say(&format!("skipped: {name}: needs {missing}"));
            Trial::test(name, || Ok(())).with_ignored_flag(true)
        }
    }
}

/// What becomes of a test; the text is the first need that is missing.
#[derive(Debug, PartialEq)]
enum Plan {
    Run,
    Skip(String),
    Fail(String),
}

fn plan(needs: &[Need], all_required: bool) -> Plan {
    match needs.iter().find_map(|need| need().err()) {
        None => Plan::Run,
        Some(missing) if all_required => Plan::Fail(missing),
        Some(missing) => Plan::Skip(missing),
    }
}

/// Runs the tests of a `harness = false` target one after another (they measure time, and there
/// are few cores) and ends the process.
pub fn main(trials: Vec<Trial>) -> ! {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(1);
    libtest_mimic::run(&arguments, trials).exit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there() -> Result<(), String> {
        Ok(())
    }

    fn missing() -> Result<(), String> {
        Err("a unicorn".into())
    }

    #[test]
    fn a_missing_need_skips_the_test_or_fails_it_where_all_is_required() {
        assert_eq!(plan(&[there, missing], false), Plan::Skip("a unicorn".into()));
        assert_eq!(plan(&[missing, there], true), Plan::Fail("a unicorn".into()));
        assert!(trial("it", &[missing], || ()).has_ignored_flag() != all_required());
    }

    #[test]
    fn a_test_whose_needs_are_met_is_run() {
        for all_required in [false, true] {
            assert_eq!(plan(&[there, there], all_required), Plan::Run);
        }
        assert!(!trial("it", &[there], || ()).has_ignored_flag());
    }

    #[test]
    fn a_program_that_is_not_installed_is_missing() {
        assert!(runs("segcast-no-such-program", "-V").is_err());
        assert!(runs("false", "-V").is_err());
        assert!(runs("true", "-V").is_ok());
    }
}
