//! The real binary, run as people run it: a world of its own in a temporary folder for each test.
#![allow(dead_code, reason = "each test file uses its part of this")]

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for something that must happen; only a failing test waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The least segment.
pub(crate) const SEGMENT: usize = 73_728;

/// The program under test, without what the environment of the test may say.
pub(crate) fn segcast() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_segcast"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SEGCAST_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Runs to the end.
pub(crate) fn output(command: &mut Command) -> Output {
    command.output().expect("the program starts")
}

/// Runs to a successful end; gives standard output.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = output(command);
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Runs to a failure with this exit code; gives standard error.
pub(crate) fn fail(command: &mut Command, code: i32) -> String {
    let output = output(command);
    assert_eq!(output.status.code(), Some(code), "{command:?}: {output:?}");
    String::from_utf8(output.stderr).expect("UTF-8")
}

/// Waits for `condition`.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Kills without a chance to say anything.
pub(crate) fn kill(child: &mut Child) {
    child.kill().expect("it can be killed");
    child.wait().expect("it can be waited for");
}

/// Sends SIGINT, as Ctrl-C does.
pub(crate) fn interrupt(child: &Child) {
    signal(child, rustix::process::Signal::INT);
}

/// Sends a signal.
pub(crate) fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).expect("it runs");
}

/// A folder with keys, a store and titles.
pub(crate) struct World {
    folder: TempDir,
    grants: Cell<u32>,
}

/// A title in the store of a world.
pub(crate) struct Title {
    pub(crate) set: String,
    pub(crate) bytes: Vec<u8>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().expect("a folder"), grants: Cell::new(0) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Packs `length` bytes that differ from their neighbours.
    pub(crate) fn pack(&self, length: usize) -> Title {
        self.pack_with(length, &[])
    }

    /// [`World::pack`] with further arguments.
    pub(crate) fn pack_with(&self, length: usize, more: &[&str]) -> Title {
        let bytes: Vec<u8> = (0..length).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect();
        let file = self.path("title");
        fs::write(&file, &bytes).expect("a title");
        let json = succeed(
            segcast()
                .args(["pack", "--json", "--segment-size", &SEGMENT.to_string()])
                .arg(&file)
                .args(["--out".as_ref(), self.path("store").as_os_str()])
                .args(["--keys".as_ref(), self.path("keys").as_os_str()])
                .args(more),
        );
        let json: serde_json::Value = serde_json::from_str(&json).expect("one JSON object");
        assert_eq!(json["bytes"], length);
        Title { set: json["set"].as_str().expect("a set").to_owned(), bytes }
    }

    /// Makes a grant; `more` are further arguments of `segcast token`.
    pub(crate) fn grant(&self, title: &Title, more: &[&str]) -> PathBuf {
        let number = self.grants.get();
        self.grants.set(number + 1);
        let grant = self.path(&format!("{number}.grant"));
        succeed(
            segcast()
                .args(["token", "--set", &title.set])
                .args(["--out".as_ref(), grant.as_os_str()])
                .args(["--keys".as_ref(), self.path("keys").as_os_str()])
                .args(more),
        );
        grant
    }

    /// Starts an edge and waits until it serves.
    pub(crate) fn edge(&self, listen: &str, io: &str) -> Edge {
        self.edge_on("store", listen, io).expect("the edge ended")
    }

    /// `segcast edge` on a store of this world.
    pub(crate) fn edge_command(&self, store: &str, listen: &str, io: &str) -> Command {
        let mut command = segcast();
        command
            .args(["edge", "--listen", listen, "--io", io, "--admin", "off", "--shards", "2"])
            .args(["--pin", "false", "--log-level", "warn"])
            .args(["--store".as_ref(), self.path(store).as_os_str()])
            .args(["--keys".as_ref(), self.path("keys").as_os_str()]);
        command
    }

    /// [`World::edge`] on another store of this world; none when it ends before it serves.
    pub(crate) fn edge_on(&self, store: &str, listen: &str, io: &str) -> Option<Edge> {
        self.serve(self.edge_command(store, listen, io))
    }

    /// Starts this edge and waits until it serves; none when it ends before.
    pub(crate) fn serve(&self, mut command: Command) -> Option<Edge> {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("an edge");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut edge = Edge { child, address: String::new(), key: String::new() };
        for line in lines.map_while(Result::ok) {
            if let Some(address) = line.strip_prefix("listening on ") {
                edge.address = address.to_owned();
            } else if let Some(key) = line.strip_prefix("edge key ") {
                edge.key = key.to_owned();
                return Some(edge);
            }
        }
        None
    }

    /// An edge on a store of this world, with `more` arguments, and the address of its metrics.
    pub(crate) fn edge_with_metrics(&self, store: &str, more: &[&str]) -> (Edge, String) {
        let log = self.path(&format!("{store}.log"));
        let mut command = segcast();
        command
            .args(["edge", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--pin", "false"])
            .args(["--log-level", "info", "--log-format", "json"])
            .args(["--store".as_ref(), self.path(store).as_os_str()])
            .args(["--keys".as_ref(), self.path("keys").as_os_str()])
            .args(more)
            .stderr(File::create(&log).expect("a log"));
        let edge = self.serve(command).expect("the edge ended");
        let log = fs::read_to_string(log).expect("a log");
        let admin = log.lines().find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            line["fields"]["admin"].as_str().map(str::to_owned)
        });
        (edge, admin.unwrap_or_else(|| panic!("no admin address: {log}")))
    }

    /// Copies the store of this world: one process owns a store, so a second edge needs another.
    pub(crate) fn copy_store(&self, name: &str) {
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(self.path("store")).arg(self.path(name));
        assert!(copy.status().expect("cp starts").success(), "{copy:?}");
    }

    /// `segcast get` of the title behind `grant` to the file `out` of this world.
    pub(crate) fn get(&self, edges: &[&Edge], grant: &Path, out: &str) -> Command {
        let mut command = segcast();
        command.arg("get");
        for edge in edges {
            command.args([&edge.address, "--edge-key", &edge.key]);
        }
        command
            .args(["--grant".as_ref(), grant.as_os_str()])
            .args(["--out".as_ref(), self.path(out).as_os_str()]);
        command
    }

    /// Whether the journal of `out` names any segment.
    pub(crate) fn has_progress(&self, out: &str) -> bool {
        const HEADER: u64 = 80;
        let journal = self.path(&format!("{out}.part.journal"));
        fs::metadata(journal).is_ok_and(|found| found.len() > HEADER)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let file = File::open(self.path(name));
        file.and_then(|mut file| file.read_to_end(&mut bytes)).expect("the file is there");
        bytes
    }
}

/// A running edge, killed when dropped.
pub(crate) struct Edge {
    pub(crate) child: Child,
    pub(crate) address: String,
    pub(crate) key: String,
}

impl Drop for Edge {
    fn drop(&mut self) {
        // It may have been killed already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The sum of the metrics at `admin` whose lines begin with `name`.
pub(crate) fn metric(admin: &str, name: &str) -> u64 {
    let mut stream = TcpStream::connect(admin).expect("it listens");
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it answers");
    let values = text.lines().filter(|line| line.starts_with(name));
    let values: Vec<u64> =
        values.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
    assert!(!values.is_empty(), "{name} is not in {text}");
    values.iter().sum()
}

/// The one JSON object that is all of `text`.
pub(crate) fn json(text: &str) -> serde_json::Value {
    assert_eq!(text.trim().lines().count(), 1, "{text}");
    serde_json::from_str(text).expect("one JSON object")
}
