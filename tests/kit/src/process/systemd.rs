//! A systemd that is booted for a test: process 1 of namespaces of its own, with no units but the test's.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::{Running, output, wait_until};

const SYSTEMD: &str = "/usr/lib/systemd/systemd";
/// What becomes process 1: its own /run, and control groups (the second version) below the caller's.
const BOOT: &str = "mount -t tmpfs tmpfs /run && { umount -R /sys/fs/cgroup; \
    mount -t cgroup2 none /sys/fs/cgroup; } && exec \"$@\"";

/// A running systemd; it ends, with all that it started, when dropped.
pub struct Booted {
    /// unshare(1), whose only child is systemd.
    unshare: Running,
}

fn boot(program: &[&str]) -> Command {
    let mut unshare = Command::new("unshare");
    unshare
        .args(["--pid", "--mount", "--uts", "--ipc", "--cgroup", "--fork", "--mount-proc"])
        .args(["--kill-child", "sh", "-c", BOOT, "sh"])
        .args(program);
    unshare
}

/// Whether one can be booted here.
///
/// # Errors
/// What is missing.
pub fn need() -> Result<(), String> {
    let output = boot(&["test", "-x", SYSTEMD]).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("systemd, and root to boot it in namespaces ({})", said.trim()))
        }
        Err(error) => Err(format!("systemd, and root to boot it in namespaces ({error})")),
    }
}

impl Booted {
    /// Boots with the units in the folder `units`; nothing is started.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn new(units: &Path) -> Self {
        fs::write(units.join("test.target"), "[Unit]\nDescription=Test\n").expect("a unit");
        let mut command = boot(&[SYSTEMD, "--system", "--unit=test.target", "--show-status=no"]);
        command.env("container", "test").env("SYSTEMD_UNIT_PATH", units);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let this = Self { unshare: Running::start(&mut command).expect("unshare") };
        wait_until("systemd", || {
            let said = this.try_systemctl(&["is-system-running"]);
            said.is_some_and(|said| String::from_utf8_lossy(&said.stdout).contains("running"))
        });
        this
    }

    /// Runs systemctl(1) inside.
    ///
    /// # Panics
    /// When systemd has gone.
    #[must_use]
    pub fn systemctl(&self, arguments: &[&str]) -> Output {
        self.try_systemctl(arguments).expect("systemd runs")
    }

    fn try_systemctl(&self, arguments: &[&str]) -> Option<Output> {
        let unshare = self.unshare.id();
        let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children"));
        let systemd = children.ok()?.split_whitespace().next()?.to_owned();
        let mut nsenter = Command::new("nsenter");
        nsenter.args(["--target", &systemd, "--mount", "--pid", "systemctl"]).args(arguments);
        Some(output(&mut nsenter))
    }
}
