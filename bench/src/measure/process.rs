//! A server's process on a core of its own.

use std::ffi::OsStr;
use std::io;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use segcast_lab::netns::Namespace;

use super::cpu::CpuClocks;
use super::pinned::on_core;

/// A running process; killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) child: Child,
    core: usize,
}

impl Process {
    /// Starts `command` with a pipe for its standard output. All its threads have `core` alone.
    ///
    /// # Errors
    /// When it cannot be started, or not on this core.
    pub(crate) fn start(command: &mut Command, core: usize) -> anyhow::Result<Self> {
        // A child has the cores of the thread that starts it.
        let child = on_core(core, || {
            let child = command.stdout(Stdio::piped()).spawn();
            child.with_context(|| format!("could not start {}", command.get_program().display()))
        })?;
        Ok(Self { child, core })
    }

    /// Its clocks.
    pub(crate) fn clocks(&self) -> CpuClocks {
        CpuClocks::of(self.child.id(), self.core)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that will run in `namespace`; none: in this one.
///
/// # Errors
/// When a descriptor cannot be duplicated.
pub(crate) fn command(
    namespace: Option<&Namespace>,
    program: impl AsRef<OsStr>,
) -> io::Result<Command> {
    namespace.map_or_else(|| Ok(Command::new(&program)), |namespace| namespace.command(&program))
}
