//! What a test needs of the machine, and what happens where it is missing.
//!
//! Tests with needs run under libtest-mimic (`harness = false`): one whose need is missing is
//! reported as ignored and says why; with `SEGCAST_REQUIRE_ALL=1` it fails instead. Each need is
//! tried, not guessed: root without capabilities is an ordinary user.

use std::path::PathBuf;
use std::process::Command;

use crate::process::memory_group::MemoryGroup;
use libtest_mimic::{Arguments, Failed, Trial};
use segcast_sysio::lab;
use segcast_sysio::lab::netns::Namespace;
use segcast_sysio::lab::tap::Tap;

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
/// When no ring can be set up.
pub fn io_uring() -> Result<(), String> {
    lab::try_io_uring().map_err(|error| format!("io_uring ({error})"))
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

/// A test with needs, which are tried now. A panic of `test` is its failure.
#[must_use]
pub fn trial(name: &str, needs: &[Need], test: impl FnOnce() + Send + 'static) -> Trial {
    match plan(needs, all_required()) {
        Plan::Run => Trial::test(name, move || {
            test();
            Ok(())
        }),
        Plan::Fail(missing) => {
            Trial::test(name, move || Err(Failed::from(format!("needs {missing}"))))
        }
        Plan::Skip(missing) => {
            eprintln!("skipped: {name}: needs {missing}");
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

/// The `segcast` binary of this build's profile, built first if it is not up to date; or the one
/// that `SEGCAST_BINARY` names, as it is.
///
/// # Panics
/// When cargo cannot build it.
#[must_use]
pub fn segcast_binary() -> PathBuf {
    if let Some(given) = std::env::var_os("SEGCAST_BINARY") {
        return given.into();
    }
    let test = std::env::current_exe().expect("this program has a path");
    // target/<profile>/deps/<test>-<hash>
    let folder = test.parent().and_then(|deps| deps.parent()).expect("built by cargo");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--package", "segcast", "--bin", "segcast"]);
    build.arg("--target-dir").arg(folder.parent().expect("a profile lies in a target folder"));
    if folder.file_name().is_some_and(|profile| profile == "release") {
        build.arg("--release");
    }
    let status = build.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo runs");
    assert!(status.success(), "cargo build --package segcast: {status}");
    folder.join("segcast")
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
