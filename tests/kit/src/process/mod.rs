//! The shipped binary in processes of its own: commands that end, and edges that serve until they are dropped.
//!
//! `cli/tests` has a likeness of this: it gets its binary from cargo and may not depend on this package.

/// A limit of memory for a process.
pub mod memory_group;
/// A packed title with its edge and clients at the ends of an emulated link.
pub mod product;

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
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

/// A process that is killed when dropped.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts it.
    ///
    /// # Errors
    /// Those of fork(2) and execve(2).
    pub fn start(command: &mut Command) -> io::Result<Self> {
        command.spawn().map(Self)
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

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

/// A serving edge, killed when dropped.
#[derive(Debug)]
pub struct Edge {
    /// Its process.
    pub process: Running,
    /// Where it serves.
    pub address: SocketAddr,
    /// Its public key, as `get --edge-key` takes it.
    pub key: String,
}

impl Edge {
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
        segcast.args(["--log-level", "warn", "--listen", listen]).args(arguments);
        let mut process = Running::start(segcast.stdout(Stdio::piped()))?;
        let output = process.0.stdout.take().expect("piped");
        let mut address = None;
        for line in BufReader::new(output).lines() {
            let line = line?;
            if let Some(said) = line.strip_prefix("listening on ") {
                address = said.parse().ok();
            } else if let (Some(key), Some(address)) = (line.strip_prefix("edge key "), address) {
                return Ok(Self { process, address, key: key.to_owned() });
            }
        }
        Err(io::Error::other("the edge ended before it served"))
    }
}
