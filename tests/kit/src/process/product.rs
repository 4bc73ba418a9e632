//! A packed title with its edge and clients at the ends of an emulated link.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

use crate::needs::segcast_binary;
use crate::net::emulator::End;
use crate::process::{self, Edge, Running};

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
        process::run(self.folder.path(), &self.binary, arguments)
    }

    /// Starts an edge on this end and waits until it serves.
    ///
    /// # Errors
    /// When it cannot be started or ends before it serves.
    pub fn edge(&self, end: &End) -> io::Result<Edge> {
        let listen = SocketAddr::new(end.ipv4(), 4870).to_string();
        // The clients, the relay and other flows have the same few cores.
        let arguments = ["--shards", "1", "--pin", "false"];
        Edge::start(end.command(&self.binary)?, self.folder.path(), &listen, &arguments)
    }

    /// Starts `segcast get` on this end. What it fetches goes to `name` in the temporary folder.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn get(&self, end: &End, edge: &Edge, name: &str) -> io::Result<Running> {
        let mut command = end.command(&self.binary)?;
        command.current_dir(self.folder.path());
        command.args(["get", &edge.address.to_string(), "--edge-key", &edge.key]);
        command.args(["--grant", "grant", "--json", "--force", "--out", name]);
        Running::start(command.stdout(Stdio::null()))
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
