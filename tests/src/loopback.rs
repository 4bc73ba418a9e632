//! The shipped binary on loopback: commands in a folder, and an edge that serves until it is dropped.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Runs a command in `folder`; gives what it printed.
///
/// # Panics
/// When it fails; the message has what it said.
pub fn run(folder: &Path, program: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    let output = command.current_dir(folder).args(arguments).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {arguments:?}: {said}", program.display());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A serving edge, killed when dropped.
pub struct Edge {
    process: Child,
    /// Its public key, as `get --edge-key` takes it.
    pub key: String,
}

impl Edge {
    /// Starts an edge on `store` and `keys` of `folder`, and waits until it serves.
    ///
    /// # Panics
    /// When it cannot be started or ends before it serves.
    #[must_use]
    pub fn start(folder: &Path, binary: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(binary);
        command.current_dir(folder).args(["edge", "--store", "store", "--keys", "keys"]);
        command.args(["--admin", "off", "--log-level", "warn"]).args(arguments);
        let mut process = command.stdout(Stdio::piped()).spawn().expect("an edge");
        let output = process.stdout.take().expect("piped");
        // Made before reading, so that an edge that says nothing is ended too.
        let mut edge = Self { process, key: String::new() };
        for line in BufReader::new(output).lines() {
            if let Some(key) = line.expect("text").strip_prefix("edge key ") {
                edge.key = key.to_owned();
                return edge;
            }
        }
        panic!("the edge ended before it served");
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is waited for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
