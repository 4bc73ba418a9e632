//! `segcast edge` as a supervisor sees it: readiness, exit codes, drain; and grants of every kind.

use std::ffi::OsStr;
use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Stdio;

use segcast_kit::process::{
    Edge, PATIENCE, Running, SEGMENT, World, fail, interrupt, json, kill, output, segcast, succeed,
};

#[test]
fn systemd_is_told_of_readiness_and_of_the_end() {
    let world = World::new();
    world.pack(SEGMENT);
    let by_path = UnixDatagram::bind(world.path("notify")).unwrap();
    told_of_readiness_and_of_the_end(&world, world.path("notify").as_os_str(), &by_path);
    // unix(7): no file, but a name in a space of its own.
    let name = format!("segcast-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let by_name = UnixDatagram::bind_addr(&address).unwrap();
    told_of_readiness_and_of_the_end(&world, format!("@{name}").as_ref(), &by_name);
}

#[test]
fn an_empty_name_of_a_supervisor_is_none() {
    let world = World::new();
    world.pack(SEGMENT);
    let mut command = world.edge_command("store", "127.0.0.1:0", "auto");
    let log = world.path("log");
    command.env("NOTIFY_SOCKET", "").stderr(fs::File::create(&log).unwrap());
    let mut edge = Edge::serve(&mut command).unwrap();
    interrupt(&edge.child);
    assert_eq!(edge.child.wait().unwrap().code(), Some(0));
    // Other tests may hold the memory that this user may lock; there is nothing else to warn of.
    let log = fs::read_to_string(&log).unwrap();
    assert!(log.lines().all(|line| line.contains("RLIMIT_MEMLOCK")), "{log}");
}

fn told_of_readiness_and_of_the_end(world: &World, name: &OsStr, socket: &UnixDatagram) {
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut command = world.edge_command("store", "127.0.0.1:0", "auto");
    command.args(["--drain-timeout", "100s"]).env("NOTIFY_SOCKET", name).stdout(Stdio::null());
    let mut edge = Running::start(&mut command).expect("it starts");
    let next = || {
        let mut told = [0; 256];
        let len = socket.recv(&mut told).expect("systemd is told");
        String::from_utf8_lossy(&told[..len]).into_owned()
    };
    assert!(next().contains("READY=1"));
    interrupt(&edge);
    let stopping = next();
    assert!(stopping.contains("STOPPING=1"));
    let extended = stopping.lines().find_map(|line| line.strip_prefix("EXTEND_TIMEOUT_USEC="));
    let extended: u64 = extended.expect("longer than the unit says").parse().expect("a number");
    assert!(extended > 100_000_000, "{extended} µs");
    assert_eq!(edge.wait().expect("it ends").code(), Some(0));
}

/// The kernel gives the port of a killed edge back a moment after the process is gone.
#[test]
fn a_killed_edge_is_restarted_at_once_on_its_port() {
    let world = World::new();
    let title = world.pack(2 * SEGMENT);
    let grant = world.grant(&title, &[]);
    for io in ["auto", "mmsg"] {
        let mut edge = world.edge("127.0.0.1:0", io);
        for restart in 0..8 {
            kill(&mut edge.child);
            let again = world.edge(&edge.address, io);
            assert_eq!(again.address, edge.address, "restart {restart}");
            edge = again;
        }
        succeed(&mut world.get(&[&edge], &grant, io));
        assert!(world.read(io) == title.bytes);
    }
}

#[test]
fn failures_have_their_exit_codes_and_say_what_is_wrong() {
    let world = World::new();
    world.pack(SEGMENT);
    let running = world.edge("127.0.0.1:0", "auto");
    let mut taken = world.edge_command("store", &running.address, "auto");
    assert!(fail(&mut taken, 4).contains(&running.address));
    let mut nowhere = world.edge_command("no-store", "127.0.0.1:0", "auto");
    assert!(fail(&mut nowhere, 3).contains("no-store"));
    let mut odd = world.edge_command("store", "127.0.0.1:0", "auto");
    let said = fail(odd.args(["--idle-timeout", "soon"]), 2);
    assert!(said.contains("--idle-timeout") && said.contains("soon"), "{said}");
    let mut keyless = world.edge_command("store", "127.0.0.1:0", "auto");
    let said = fail(keyless.args(["--key-file", "/no/such/key"]), 5);
    assert!(said.contains("/no/such/key"), "{said}");
}

#[test]
fn a_check_prints_the_whole_configuration_and_starts_nothing() {
    let world = World::new();
    world.pack(SEGMENT);
    // Makes the edge's key.
    drop(world.edge("127.0.0.1:0", "auto"));
    let mut check = world.edge_command("store", "127.0.0.1:4999", "mmsg");
    let printed = succeed(check.arg("--check"));
    assert!(printed.contains("io = \"mmsg\""), "{printed}");
    assert!(printed.contains("# would listen on 127.0.0.1:4999"), "{printed}");
    let mut check = world.edge_command("store", "127.0.0.1:4999", "mmsg");
    fail(check.args(["--check", "--key-file", "/no/such/key"]), 5);
}

#[test]
fn a_check_tells_all_that_is_wrong_and_ends_as_the_start_would() {
    let world = World::new();
    world.pack(SEGMENT);
    let running = world.edge("127.0.0.1:0", "auto");
    let key = world.path("keys/edge.key");
    let check = |store: &str, listen: &str, more: &[&str]| {
        let mut check = world.edge_command(store, listen, "auto");
        check.arg("--check").args(more);
        check
    };
    // One mistake at a time, with what a start would end with.
    let said = fail(&mut check("no-store", "127.0.0.1:0", &[]), 3);
    assert!(said.contains("no-store"), "{said}");
    assert!(fail(&mut check("store", &running.address, &[]), 4).contains(&running.address));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(fail(&mut check("store", "127.0.0.1:0", &[]), 5).contains("chmod 600"));
    // All at once: each is told, and the first decides.
    let wrong = ["--center-keys", "/no/such/center"];
    let said = fail(&mut check("no-store", &running.address, &wrong), 5);
    for wanted in ["chmod 600", "/no/such/center", "no-store", &running.address] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    // A part of the store that is damaged is told and keeps no edge from starting.
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(world.path("store/sets/notes.txt"), "").unwrap();
    let told = output(&mut check("store", "127.0.0.1:0", &[]));
    assert_eq!(told.status.code(), Some(0), "{told:?}");
    assert!(String::from_utf8_lossy(&told.stderr).contains("notes.txt"), "{told:?}");
}

#[test]
fn the_configuration_the_unit_and_a_key_come_from_the_binary() {
    let world = World::new();
    world.pack(SEGMENT);
    let config = succeed(segcast().args(["edge", "--print-config"]));
    assert_eq!(config, include_str!("../../edge/default.toml"));
    let unit = succeed(segcast().args(["edge", "--print-unit"]));
    assert_eq!(unit, include_str!("../../tuning/systemd/segcast-edge.service"));
    let (file, key) = (world.path("edge.toml"), world.path("own.key"));
    fs::write(&file, config).unwrap();
    let public = succeed(segcast().args(["key", "--edge"]).arg(&key));
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let mut command = world.edge_command("store", "127.0.0.1:0", "auto");
    command.arg("--config").arg(&file).arg("--key-file").arg(&key);
    let edge = Edge::serve(&mut command).expect("it serves with all three");
    assert_eq!(edge.key, public.trim_end());
    assert_eq!(fs::read_to_string(world.path("own.pub")).unwrap(), public);
}

#[test]
fn a_client_with_a_key_of_its_own_needs_no_secret_in_its_grant() {
    let world = World::new();
    let title = world.pack(2 * SEGMENT);
    let edge = world.edge("127.0.0.1:0", "auto");
    let secret = world.path("client.key");
    let public = succeed(segcast().arg("key").arg(&secret));
    assert!(public.starts_with("segcast-client-public:"), "{public}");
    assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
    let public_file = world.path("client.pub");
    let grant = world.grant(&title, &["--client-key", public_file.to_str().unwrap()]);
    assert!(!fs::read_to_string(&grant).unwrap().contains("client_secret"));
    let said = fail(&mut world.get(&[&edge], &grant, "out"), 5);
    assert!(said.contains("--client-key"), "{said}");
    let mut get = world.get(&[&edge], &grant, "out");
    succeed(get.args(["--client-key".as_ref(), secret.as_os_str()]));
    assert!(world.read("out") == title.bytes);
}

#[test]
fn a_closed_session_is_a_line_of_the_session_log_and_none_of_the_log() {
    let world = World::new();
    let title = world.pack(2 * SEGMENT);
    let grant = world.grant(&title, &[]);
    let records = world.path("sessions.jsonl");
    let flags = ["--session-log", records.to_str().unwrap()];
    let (mut edge, _) = world.edge_with_metrics("store", &flags);
    for name in ["one", "two", "three"] {
        succeed(&mut world.get(&[&edge], &grant, name));
    }
    interrupt(&edge.child);
    assert_eq!(edge.child.wait().unwrap().code(), Some(0));
    let log = String::from_utf8(world.read("store.log")).unwrap();
    assert!(log.contains("serving") && !log.contains("session closed"), "{log}");
    let records = String::from_utf8(world.read("sessions.jsonl")).unwrap();
    let records: Vec<_> = records.lines().map(json).collect();
    assert_eq!(records.len(), 3, "{records:?}");
    for record in records {
        assert_eq!(record["reason"], "CLIENT_DONE");
        assert!(record["bytes"].as_u64() >= Some(2 * SEGMENT as u64), "{record}");
        assert!(record.get("client").is_none(), "{record}");
    }
}

#[test]
fn a_session_log_that_cannot_be_opened_is_a_mistake_in_the_configuration() {
    let world = World::new();
    world.pack(SEGMENT);
    let mut edge = world.edge_command("store", "127.0.0.1:0", "auto");
    let said = fail(edge.args(["--session-log", "/no/such/folder/log"]), 2);
    assert!(said.contains("session_log = \"/no/such/folder/log\""), "{said}");
}

#[test]
fn clear_sets_are_served_and_fetched_alike() {
    let world = World::new();
    let title = world.pack_with(3 * SEGMENT + 5, &["--clear", "--name", "a clear one"]);
    let edge = world.edge("127.0.0.1:0", "auto");
    let grant = world.grant(&title, &[]);
    let report = succeed(world.get(&[&edge], &grant, "out").arg("--json"));
    assert_eq!(json(&report)["name"], "a clear one");
    assert!(world.read("out") == title.bytes);
}
