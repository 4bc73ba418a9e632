//! The process of an edge: its signals, of which only one test sends any, and its exit statuses.

use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use segcast_config::{Configuration, ExitCode, Source};
use segcast_edge::config::{Config, Io, LogLevel, SessionLog};
use segcast_edge::{Server, Supervisor, check, reloadable, run};
use segcast_kit::process::PATIENCE;
use segcast_kit::server::{World, metric};

#[derive(Debug, PartialEq, Eq)]
enum Told {
    /// With so many failed reloads by then.
    Ready(u64),
    Reloading,
    Status(String),
    LogLevel(LogLevel),
    Stopping,
}

struct Listener(Sender<Told>);

impl Listener {
    fn told(&self, told: Told) {
        self.0.send(told).expect("the test listens");
    }
}

impl Supervisor for Listener {
    fn ready(&self, server: &Server) {
        assert_eq!(server.local_addresses().len(), 2);
        self.told(Told::Ready(metric(server, "segcast_edge_reloads_failed_total")));
    }

    fn reloading(&self) {
        self.told(Told::Reloading);
    }

    fn status(&self, status: &str) {
        self.told(Told::Status(status.to_owned()));
    }

    fn stopping(&self, within: Duration) {
        assert!(within > Duration::from_secs(20), "drain_timeout, and the time to cut");
        self.told(Told::Stopping);
    }

    fn log_level(&self, level: LogLevel) {
        self.told(Told::LogLevel(level));
    }
}

fn source_of(path: &Path) -> Source {
    Source { file: Some(path.to_owned()), ..Source::default() }
}

#[test]
fn hup_reloads_or_keeps_what_there_was_and_term_drains() {
    let world = World::new();
    let path = world.path("edge.toml");
    let text = world.config(Io::Auto).to_toml();
    std::fs::write(&path, &text).expect("write");
    let source = source_of(&path);
    let (sender, told) = channel();
    let running = std::thread::spawn(move || run(&source, &Listener(sender)));
    let next = || told.recv_timeout(PATIENCE).expect("the edge says something");
    let signal = |signal| kill_process(getpid(), signal).expect("our own process");
    assert_eq!(next(), Told::Ready(0));

    std::fs::write(&path, text.replace("\"info\"", "\"debug\"")).expect("write");
    signal(Signal::HUP);
    assert_eq!((next(), next()), (Told::Reloading, Told::LogLevel(LogLevel::Debug)));
    assert_eq!((next(), next()), (Told::Status("reloaded".to_owned()), Told::Ready(0)));

    // What would kill it, and means nothing to it.
    for harmless in [Signal::USR1, Signal::USR2, Signal::ALARM, Signal::VTALARM, Signal::PROF] {
        signal(harmless);
    }
    std::fs::write(&path, "log_level = \"loud\"\n").expect("write");
    signal(Signal::HUP);
    assert_eq!(next(), Told::Reloading);
    let Told::Status(status) = next() else { panic!("no outcome of the reload") };
    assert!(status.contains("the old configuration stays") && status.contains("loud"), "{status}");
    assert_eq!(next(), Told::Ready(1));

    // The log of sessions is as much a part of it as keys are.
    let elsewhere = text.replace("session_log = \"off\"", "session_log = \"/no/such/folder/log\"");
    std::fs::write(&path, elsewhere).expect("write");
    signal(Signal::HUP);
    assert_eq!(next(), Told::Reloading);
    let refused = reloadable(&source_of(&path).load().expect("well-formed"));
    assert_eq!(refused.map_err(|error| error.exit()), Err(ExitCode::Usage));
    let Told::Status(status) = next() else { panic!("no outcome of the reload") };
    assert!(status.contains("stays") && status.contains("/no/such/folder/log"), "{status}");
    assert_eq!(next(), Told::Ready(2));

    signal(Signal::TERM);
    assert_eq!(next(), Told::Stopping);
    assert_eq!(running.join().expect("no panic"), ExitCode::Success);
}

#[test]
fn a_start_that_fails_has_its_own_exit_status() {
    let world = World::new();
    let path = world.path("edge.toml");
    let start = |text: String| {
        std::fs::write(&path, text).expect("write");
        run(&source_of(&path), &segcast_edge::Alone)
    };
    let good = world.config(Io::Auto).to_toml();
    assert_eq!(start(good.replace("shards = 2", "shards = two")), ExitCode::Usage);
    assert_eq!(start(good.replace("edge.key", "no.key")), ExitCode::NotAllowed);
    assert_eq!(start(good.replace("/store\"", "/no-store\"")), ExitCode::LocalFile);
    assert_eq!(
        start(good.replace("127.0.0.1:0\", \"[::1]", "192.0.2.1:0\", \"[::1]")),
        ExitCode::Network
    );
}

#[test]
fn a_check_finds_what_is_missing_and_disturbs_nobody() {
    let world = World::new();
    let config = world.config(Io::Auto);
    let server = Server::start(config.clone()).expect("start");
    let found = check(&config);
    assert!(found.problems.is_empty() && found.damage.is_empty(), "{found:?}");
    assert_eq!(found.addresses, config.listen);
    // An address that comes later is waited for by the start too, but not for a port of it.
    let served_at = |address: &str| {
        let listen = vec![address.parse().expect("an address")];
        check(&Config { listen, ..config.clone() })
    };
    let late = served_at("192.0.2.1:4870");
    assert!(late.problems.is_empty() && late.late == late.addresses, "{late:?}");
    assert_eq!(served_at("192.0.2.1:0").problems[0].exit(), ExitCode::Network);
    let logged_to = |path: &str| {
        let session_log = SessionLog::File(world.path(path));
        check(&Config { session_log, ..config.clone() })
    };
    assert!(logged_to("sessions.jsonl").problems.is_empty(), "a start makes it");
    assert!(!world.path("sessions.jsonl").exists(), "and a check does not");
    for wrong in ["no-folder/sessions.jsonl", "store"] {
        assert_eq!(logged_to(wrong).problems[0].exit(), ExitCode::Usage, "{wrong}");
    }
    std::fs::remove_file(world.path("edge.key")).expect("remove");
    assert_eq!(check(&config).problems[0].exit(), ExitCode::NotAllowed);
    server.drain();
    assert_eq!(server.join(), ExitCode::Success);
}
