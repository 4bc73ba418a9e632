//! A packed title with its edge and clients at the ends of an emulated link.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::{Edge, Running, World, segcast_binary};
use crate::net::emulator::End;

/// A packed title with keys and a grant, in a temporary folder.
#[derive(Debug)]
pub struct Product {
    world: World,
    grant: PathBuf,
}

impl Product {
    /// Packs a title of `bytes` zeros (encryption makes them random), and issues a grant for it that allows `sessions`
    /// at once.
    ///
    /// # Panics
    /// When a command fails; the message has what it said.
    #[must_use]
    pub fn with_title(bytes: u64, sessions: u16) -> Self {
        let world = World::new();
        // Sparse, and gone again: a title may be larger than the memory of the machine.
        let file = std::fs::File::create(world.path("zeros")).expect("a title");
        file.set_len(bytes).expect("room for the title");
        let report = world.pack_file("zeros", &[]);
        std::fs::remove_file(world.path("zeros")).expect("the title is packed");
        let set = report["set"].as_str().expect("a set");
        let grant = world.grant_of(set, &["--sessions", &sessions.to_string()]);
        Self { world, grant }
    }

    /// A file of the temporary folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.world.path(name)
    }

    /// The grant for the title.
    #[must_use]
    pub fn grant(&self) -> &Path {
        &self.grant
    }

    /// Starts an edge on this end and waits until it serves.
    ///
    /// # Errors
    /// When it cannot be started or ends before it serves.
    pub fn edge(&self, end: &End) -> io::Result<Edge> {
        let listen = SocketAddr::new(end.ipv4(), 4870).to_string();
        // The clients, the relay and other flows have the same few cores.
        let arguments = ["--shards", "1", "--pin", "false"];
        Edge::start(end.command(segcast_binary())?, self.world.folder(), &listen, &arguments)
    }

    /// Starts `segcast get` on this end. What it fetches goes to `name` in the temporary folder.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn get(&self, end: &End, edge: &Edge, name: &str) -> io::Result<Running> {
        let mut command = end.command(segcast_binary())?;
        command.current_dir(self.world.folder());
        command.args(["get", &edge.address, "--edge-key", &edge.key, "--grant"]).arg(&self.grant);
        command.args(["--json", "--force", "--out", name]);
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
