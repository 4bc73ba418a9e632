//! The systemd unit that an operator installs beside the binary (tuning/systemd/segcast-edge.service): the unit
//! explains each of its settings, and here they are held to what the edge needs.

/// systemd.service(5), systemd.exec(5).
const EDGE_UNIT: &str = include_str!("../../tuning/systemd/segcast-edge.service");

fn values(key: &str) -> Vec<&'static str> {
    EDGE_UNIT.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

#[test]
fn the_supervisor_is_told_when_the_edge_serves() {
    assert_eq!(values("Type"), ["notify"]);
    assert_eq!(values("ExecStart"), ["/usr/bin/segcast edge --config /etc/segcast/edge.toml"]);
    let check = "/usr/bin/segcast edge --config /etc/segcast/edge.toml --check-reload";
    assert_eq!(
        values("ExecReload"),
        [check, "/bin/kill -HUP $MAINPID"],
        "a mistake is an exit status"
    );
}

#[test]
fn mistakes_that_a_restart_cannot_mend_are_not_restarted() {
    assert_eq!(values("Restart"), ["on-failure"]);
    assert_eq!(values("RestartPreventExitStatus"), ["2 5"]);
}

#[test]
fn the_ring_its_memory_and_pinning_are_allowed() {
    assert_eq!(values("LimitMEMLOCK"), ["infinity"]);
    let filter = values("SystemCallFilter");
    assert!(filter.contains(&"io_uring_setup io_uring_enter io_uring_register"));
    assert!(filter.contains(&"mincore epoll_pwait2"));
    let position = |needle: &str| filter.iter().position(|line| line.contains(needle));
    assert!(position("sched_setaffinity") > position("@resources"), "the later line wins");
    assert_eq!(values("RestrictAddressFamilies"), ["AF_INET AF_INET6 AF_UNIX AF_NETLINK"]);
}

/// What these keys name is writable though the file system is not (systemd.exec(5)).
#[test]
fn the_store_and_the_session_log_are_all_that_can_be_written() {
    assert_eq!(values("StateDirectory"), ["segcast"]);
    assert_eq!(values("LogsDirectory"), ["segcast"]);
    for key in [
        "ConfigurationDirectory",
        "CacheDirectory",
        "RuntimeDirectory",
        "ReadWritePaths",
        "BindPaths",
    ] {
        assert_eq!(values(key), [""; 0], "{key}");
    }
}

#[test]
fn nothing_else_is_allowed() {
    for (key, value) in [
        ("ProtectSystem", "strict"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("MemoryDenyWriteExecute", "yes"),
        ("PrivateDevices", "yes"),
        ("RestrictNamespaces", "yes"),
    ] {
        assert_eq!(values(key), [value], "{key}");
    }
}

/// `systemd-analyze verify` names every key it does not know. Without the program there is nothing to run.
#[test]
fn systemd_knows_every_key() {
    let directory = std::env::temp_dir().join(format!("segcast-unit-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("directory");
    let path = directory.join("segcast-edge.service");
    // The binary is not installed where tests run; everything else stays as shipped.
    let unit = EDGE_UNIT.replace("/usr/bin/segcast", "/bin/true");
    std::fs::write(&path, unit).expect("unit");
    let output = std::process::Command::new("systemd-analyze").arg("verify").arg(&path).output();
    let _ = std::fs::remove_dir_all(&directory);
    let Ok(output) = output else {
        eprintln!("systemd-analyze is not installed: not checked");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    let complaints: Vec<_> =
        said.lines().filter(|line| line.contains("segcast-edge.service")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
}
