//! A serving edge in a process of its own.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use segcast_edge::Announcement;
use segcast_keys::keytext::{self, KeyKind};

use super::Running;

/// A serving edge, killed when dropped.
#[derive(Debug)]
pub struct Edge {
    /// Its process.
    pub child: Running,
    /// Where it serves, as it says it.
    pub address: String,
    /// Its public key, as `get --edge-key` takes it.
    pub key: String,
}

impl Edge {
    /// Starts `command` and waits until it serves: any program that says where it listens and what its key is, as
    /// `segcast edge` does.
    ///
    /// # Errors
    /// When it cannot be started or ends before it serves.
    pub fn serve(command: &mut Command) -> io::Result<Self> {
        let mut child = Running::start(command.stdout(Stdio::piped()))?;
        let output = child.stdout.take().expect("piped");
        let announcement = Announcement::read(output).map_err(io::Error::other)?;
        let key = keytext::format(KeyKind::EdgePublic, &announcement.public_key);
        let address = announcement.address().to_string();
        Ok(Self { child, address, key: key.trim_end().to_owned() })
    }

    /// Starts an edge on `store` and `keys` of `folder` at `listen` (port 0: the kernel chooses), and waits until
    /// it serves. `segcast` names the binary, and a namespace if it is to run in one.
    ///
    /// # Errors
    /// When it cannot be started or ends before it serves.
    pub fn start(
        mut segcast: Command,
        folder: &Path,
        listen: &str,
        arguments: &[&str],
    ) -> io::Result<Self> {
        segcast.current_dir(folder).args(["edge", "--store", "store", "--keys", "keys"]);
        if !arguments.contains(&"--admin") {
            segcast.args(["--admin", "off"]);
        }
        Self::serve(segcast.args(["--log-level", "warn", "--listen", listen]).args(arguments))
    }

    /// Where it serves.
    ///
    /// # Panics
    /// When what it said is no address.
    #[must_use]
    pub fn socket_address(&self) -> SocketAddr {
        self.address.parse().expect("an address with a port")
    }
}
