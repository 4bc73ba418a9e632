//! The shipped binary in processes of its own.
//!
//! [`World`] is a folder with keys, a store and titles, as a person would make them; [`Edge`] serves until it is dropped;
//! [`product::Product`] is both at the ends of an emulated link. [`memory_group`] bounds what a process may use.

mod binary;
mod center;
mod edge;
/// A limit of memory for a process.
pub mod memory_group;
/// A PostgreSQL of its own.
pub mod postgres;
/// A packed title with its edge and clients at the ends of an emulated link.
pub mod product;
/// A systemd of its own.
pub mod systemd;
mod world;

use std::io;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub use binary::{example, segcast, segcast_binary};
pub use center::Center;
pub use edge::Edge;
use rustix::process::{Pid, Signal, kill_process};
pub use world::{SEGMENT, Title, World};

/// The longest wait for something that must happen; only a failing test waits so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a command in `folder`; gives what it printed.
///
/// # Panics
/// When it fails; the message has what it said.
pub fn run(folder: &Path, program: &Path, arguments: &[&str]) -> String {
    succeed(Command::new(program).current_dir(folder).args(arguments).stdin(Stdio::null()))
}

/// Runs to the end.
///
/// # Panics
/// When it cannot be started.
pub fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs to a successful end; gives standard output.
///
/// # Panics
/// When it fails; the message has what it said.
pub fn succeed(command: &mut Command) -> String {
    let output = output(command);
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Runs to a failure with this exit status; gives standard error.
///
/// # Panics
/// When it ends otherwise.
pub fn fail(command: &mut Command, status: i32) -> String {
    let output = output(command);
    assert_eq!(output.status.code(), Some(status), "{command:?}: {output:?}");
    String::from_utf8(output.stderr).expect("UTF-8")
}

/// Waits for `condition`.
///
/// # Panics
/// After [`PATIENCE`], naming `what` was waited for.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Kills without a chance to say anything, and waits for the end.
///
/// # Panics
/// When it is no child any more.
pub fn kill(child: &mut Child) {
    child.kill().expect("it can be killed");
    child.wait().expect("it can be waited for");
}

/// Sends SIGINT, as Ctrl-C does.
///
/// # Panics
/// When it does not run.
pub fn interrupt(child: &Child) {
    signal(child, Signal::INT);
}

/// Sends a signal.
///
/// # Panics
/// When it does not run.
pub fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("it runs");
}

/// The one JSON object that is all of `text`.
///
/// # Panics
/// When it is not one line of JSON.
#[must_use]
pub fn json(text: &str) -> serde_json::Value {
    assert_eq!(text.trim().lines().count(), 1, "{text}");
    serde_json::from_str(text).expect("one JSON object")
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

    /// Whether it still runs.
    ///
    /// # Errors
    /// Those of waitpid(2).
    pub fn is_running(&mut self) -> io::Result<bool> {
        Ok(self.0.try_wait()?.is_none())
    }
}

impl Deref for Running {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
