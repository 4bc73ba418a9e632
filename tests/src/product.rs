//! The product as its users run it: the `segcast` binary, its keys, store, edge and clients.

use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::emulator::End;
use crate::needs::segcast_binary;

/// A packed title with keys and a grant, in a temporary folder.
#[derive(Debug)]
pub struct Product {
    folder: TempDir,
    binary: PathBuf,
}

impl Product {
    /// Builds the binary, packs a title of `bytes` zeros (encryption makes them random), and
    /// issues a grant for it that allows `sessions` at once.
    ///
    /// # Panics
    /// When a command fails; the message has what it said.
    #[must_use]
    pub fn with_title(bytes: u64, sessions: u16) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let product = Product { folder, binary: segcast_binary() };
        let title = product.path("title");
        let file = std::fs::File::create(&title).expect("a title");
        file.set_len(bytes).expect("room for the title");
        let packed = product.run(&["pack", "title", "--out", "store", "--keys", "keys", "--json"]);
        let packed: Value = serde_json::from_str(&packed).expect("pack prints JSON");
        let set = packed["set"].as_str().expect("pack names the set");
        let sessions = sessions.to_string();
        let token = ["token", "--set", set, "--out", "grant", "--keys", "keys"];
        product.run(&[&token[..], &["--sessions", &sessions]].concat());
        std::fs::remove_file(title).expect("the title is packed");
        product
    }

    /// A file of the temporary folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `segcast` here, outside of any link, and gives what it printed.
    fn run(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(&self.binary);
        let output = command.args(arguments).current_dir(self.folder.path()).output();
        let output = output.expect("segcast can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "segcast {arguments:?}: {}: {said}", output.status);
        String::from_utf8(output.stdout).expect("segcast prints UTF-8")
    }

    fn command(&self, end: &End) -> io::Result<Command> {
        let mut command = end.command(&self.binary)?;
        command.current_dir(self.folder.path());
        Ok(command)
    }

    /// Starts an edge on this end and waits until it serves.
    ///
    /// # Errors
    /// When it cannot be started or ends before it serves.
    pub fn edge(&self, end: &End) -> io::Result<Edge> {
        let address = SocketAddr::new(end.ipv4(), 4870);
        let mut command = self.command(end)?;
        command.args(["edge", "--store", "store", "--keys", "keys", "--admin", "off"]);
        // The clients, the relay and other flows have the same few cores.
        command.args(["--shards", "1", "--pin", "false", "--log-level", "warn"]);
        command.args(["--listen", &address.to_string()]).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let output = child.stdout.take().expect("piped");
        // Made before reading, so that an edge that says nothing is ended too.
        let mut edge = Edge { process: Running(child), address, key: String::new() };
        for line in BufReader::new(output).lines() {
            if let Some(key) = line?.strip_prefix("edge key ") {
                edge.key = key.to_owned();
                return Ok(edge);
            }
        }
        Err(io::Error::other("the edge ended before it served"))
    }

    /// Starts `segcast get` on this end. What it fetches goes to `name` in the temporary folder.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn get(&self, end: &End, edge: &Edge, name: &str) -> io::Result<Running> {
        let mut command = self.command(end)?;
        command.args(["get", &edge.address.to_string(), "--edge-key", &edge.key]);
        command.args(["--grant", "grant", "--json", "--force", "--out", name]);
        command.stdout(Stdio::null()).spawn().map(Running)
    }

    /// Removes what a fetch to `name` left.
    pub fn forget(&self, name: &str) {
        for path in [self.path(name), self.path(&format!("{name}.part"))] {
            remove_if_there(&path);
        }
    }
}

fn remove_if_there(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        assert_eq!(error.kind(), io::ErrorKind::NotFound, "{}: {error}", path.display());
    }
}

/// A serving edge, killed when dropped.
#[derive(Debug)]
pub struct Edge {
    /// Its process.
    pub process: Running,
    address: SocketAddr,
    key: String,
}

/// A process that is killed when dropped.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Whether it still runs.
    ///
    /// # Errors
    /// Those of waitpid(2).
    pub fn is_running(&mut self) -> io::Result<bool> {
        Ok(self.0.try_wait()?.is_none())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
