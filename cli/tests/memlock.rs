//! Little memory that may be locked, as an ordinary user has it: everything starts and works, and what could not be had is said
//! once, with the limit, the need and the remedy. The limits are those of a child process without CAP_IPC_LOCK.

use std::fs::{self, File};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use segcast_kit::needs;
use segcast_kit::process::{Edge, SEGMENT, World, output, segcast_binary, succeed};

const KIB: u64 = 1 << 10;

/// Locked memory is counted by user, not by process: the tests run one after the other.
static ALONE: Mutex<()> = Mutex::new(());

/// `segcast`, with a limit of `bytes` of locked memory that its capabilities do not lift.
fn limited(bytes: u64) -> Command {
    let mut limited = Command::new("prlimit");
    limited.arg(format!("--memlock={bytes}:{bytes}"));
    if rustix::process::geteuid().is_root() {
        limited.args(["setpriv", "--bounding-set", "-ipc_lock", "--inh-caps", "-ipc_lock"]);
    }
    limited.arg(segcast_binary());
    limited
}

/// An edge of so many shards below the limit serves a client; gives its log.
fn serves(bytes: u64, shards: u32) -> String {
    let world = World::new();
    let title = world.pack(6 * SEGMENT);
    let (grant, log) = (world.grant(&title, &[]), world.path("log"));
    let mut command = limited(bytes);
    command.stderr(File::create(&log).expect("a log"));
    let shards = shards.to_string();
    let arguments = ["--pin", "false", "--shards", &shards];
    let edge = Edge::start(command, world.folder(), "127.0.0.1:0", &arguments);
    let log = || fs::read_to_string(&log).expect("a log");
    let edge = edge.unwrap_or_else(|error| panic!("{bytes} bytes: {error}: {}", log()));
    succeed(&mut world.get(&[&edge], &grant, "out"));
    assert!(world.read("out") == title.bytes);
    log()
}

fn missing(name: &str) -> bool {
    needs::missing(name, &[needs::io_uring, needs::limits])
}

#[test]
fn an_edge_serves_whatever_may_be_locked() {
    if missing("an_edge_serves_whatever_may_be_locked") {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for (bytes, shards) in [(0, 1), (32 * KIB, 1), (64 * KIB, 2), (8192 * KIB, 32)] {
        let log = serves(bytes, shards);
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("RLIMIT_MEMLOCK")).collect();
        // Without any the ring is not even tried: the driver that was chosen is told at level info.
        assert_eq!(lines.len(), usize::from(bytes > 0), "{bytes} bytes: {log}");
        let limit = format!("RLIMIT_MEMLOCK is {} KiB", bytes / KIB);
        assert!(lines.iter().all(|line| line.contains(&limit)), "{log}");
        assert!(lines.iter().all(|line| line.contains("ulimit -l")), "{log}");
    }
}

#[test]
fn clients_work_whatever_may_be_locked() {
    if missing("clients_work_whatever_may_be_locked") {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let world = World::new();
    let title = world.pack(6 * SEGMENT);
    let grant = world.grant(&title, &[]);
    let edge = world.edge("127.0.0.1:0", "auto");
    for bytes in [0, 16 * KIB, 32 * KIB, 64 * KIB] {
        let out = format!("out{bytes}");
        let get = world.get(&[&edge], &grant, &out);
        succeed(limited(bytes).args(get.get_args()));
        assert!(world.read(&out) == title.bytes, "{bytes} bytes");
        let mut load = limited(bytes);
        load.args(["load", &edge.address, "--edge-key", &edge.key, "--threads", "2", "--grant"])
            .arg(&grant)
            .args(["--sessions", "4", "--duration", "1s"]);
        let output = output(&mut load);
        // Whether the figures are valid is another matter: 11 says that they are not.
        assert!(matches!(output.status.code(), Some(0 | 11)), "{bytes} bytes: {output:?}");
    }
}
