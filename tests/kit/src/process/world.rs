//! A folder with keys, a store and titles, made by the binary as people make them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use super::{Edge, json, segcast, succeed};

/// The least segment, bytes.
pub const SEGMENT: usize = 73_728;

/// A folder with keys, a store and titles.
#[derive(Debug)]
pub struct World {
    folder: TempDir,
    grants: AtomicU32,
}

/// A title in the store of a world.
#[derive(Debug)]
pub struct Title {
    /// Its set, as the command line takes it.
    pub set: String,
    /// What was packed.
    pub bytes: Vec<u8>,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// An empty folder.
    ///
    /// # Panics
    /// When none can be made.
    #[must_use]
    pub fn new() -> Self {
        Self { folder: TempDir::new().expect("a folder"), grants: AtomicU32::new(0) }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file of the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Packs `length` bytes that differ from their neighbours.
    ///
    /// # Panics
    /// When that fails.
    pub fn pack(&self, length: usize) -> Title {
        self.pack_with(length, &[])
    }

    /// [`World::pack`] with further arguments.
    ///
    /// # Panics
    /// When that fails.
    pub fn pack_with(&self, length: usize, more: &[&str]) -> Title {
        self.pack_bytes((0..length).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect(), more)
    }

    /// Packs these bytes, from the file `title` of the folder.
    ///
    /// # Panics
    /// When that fails.
    pub fn pack_bytes(&self, bytes: Vec<u8>, more: &[&str]) -> Title {
        fs::write(self.path("title"), &bytes).expect("a title");
        let smallest = ["--segment-size".to_owned(), format!("{SEGMENT} B")];
        let smallest = smallest.each_ref().map(String::as_str);
        let report = self.pack_file("title", &[&smallest, more].concat());
        assert_eq!(report["bytes"], bytes.len());
        Title { set: report["set"].as_str().expect("a set").to_owned(), bytes }
    }

    /// Packs a file of the folder; gives the report of `segcast pack`.
    ///
    /// # Panics
    /// When that fails.
    pub fn pack_file(&self, name: &str, more: &[&str]) -> serde_json::Value {
        let mut pack = segcast();
        pack.args(["pack", "--json"])
            .arg(self.path(name))
            .args(["--out".as_ref(), self.path("store").as_os_str()])
            .args(["--keys".as_ref(), self.path("keys").as_os_str()])
            .args(more);
        json(&succeed(&mut pack))
    }

    /// Makes a grant; `more` are further arguments of `segcast token`.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn grant(&self, title: &Title, more: &[&str]) -> PathBuf {
        self.grant_of(&title.set, more)
    }

    /// [`World::grant`] by the name of the set.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn grant_of(&self, set: &str, more: &[&str]) -> PathBuf {
        let number = self.grants.fetch_add(1, Ordering::Relaxed);
        let grant = self.path(&format!("{number}.grant"));
        succeed(
            segcast()
                .args(["token", "--set", set])
                .args(["--out".as_ref(), grant.as_os_str()])
                .args(["--keys".as_ref(), self.path("keys").as_os_str()])
                .args(more),
        );
        grant
    }

    /// Starts an edge and waits until it serves.
    ///
    /// # Panics
    /// When it ends before it serves.
    #[must_use]
    pub fn edge(&self, listen: &str, io: &str) -> Edge {
        self.edge_on("store", listen, io).expect("the edge ended")
    }

    /// `segcast edge` on a store of this world.
    #[must_use]
    pub fn edge_command(&self, store: &str, listen: &str, io: &str) -> Command {
        let mut command = segcast();
        command
            .args(["edge", "--listen", listen, "--io", io, "--admin", "off", "--shards", "2"])
            .args(["--pin", "false", "--log-level", "warn"])
            .args(["--store".as_ref(), self.path(store).as_os_str()])
            .args(["--keys".as_ref(), self.path("keys").as_os_str()]);
        command
    }

    /// [`World::edge`] on another store of this world.
    ///
    /// # Errors
    /// When it cannot be started or ends before it serves.
    pub fn edge_on(&self, store: &str, listen: &str, io: &str) -> io::Result<Edge> {
        Edge::serve(&mut self.edge_command(store, listen, io))
    }

    /// An edge on a store of this world, with `more` arguments, and the address of its metrics.
    ///
    /// # Panics
    /// When it ends before it serves.
    #[must_use]
    pub fn edge_with_metrics(&self, store: &str, more: &[&str]) -> (Edge, String) {
        let log = self.path(&format!("{store}.log"));
        let mut command = segcast();
        command
            .args(["edge", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--pin", "false"])
            .args(["--log-level", "info", "--log-format", "json"])
            .args(["--store".as_ref(), self.path(store).as_os_str()])
            .args(["--keys".as_ref(), self.path("keys").as_os_str()])
            .args(more)
            .stderr(File::create(&log).expect("a log"));
        let edge = Edge::serve(&mut command).expect("the edge ended");
        let log = fs::read_to_string(log).expect("a log");
        let admin = log.lines().find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            line["fields"]["admin"].as_str().map(str::to_owned)
        });
        (edge, admin.unwrap_or_else(|| panic!("no admin address: {log}")))
    }

    /// Copies the store of this world, for a second edge that is to have one of its own.
    ///
    /// # Panics
    /// When that fails.
    pub fn copy_store(&self, name: &str) {
        succeed(Command::new("cp").arg("-a").arg(self.path("store")).arg(self.path(name)));
    }

    /// `segcast get` of the title behind `grant` to the file `out` of this world.
    #[must_use]
    pub fn get(&self, edges: &[&Edge], grant: &Path, out: &str) -> Command {
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
    #[must_use]
    pub fn has_progress(&self, out: &str) -> bool {
        const HEADER: u64 = 80;
        let journal = self.path(&format!("{out}.part.journal"));
        fs::metadata(journal).is_ok_and(|found| found.len() > HEADER)
    }

    /// The bytes of a file of the folder.
    ///
    /// # Panics
    /// When it is not there.
    #[must_use]
    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("the file is there")
    }
}
