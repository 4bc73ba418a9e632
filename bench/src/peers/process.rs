//! A peer's server: a child process on the server's core, in the server's namespace.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::link::Link;
use crate::measure::{Cores, CpuClocks, on_core};

/// Time for a server to begin to serve.
const START: Duration = Duration::from_secs(10);

/// A running server; killed when dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    core: usize,
}

impl Process {
    /// Starts `program`. Its standard input is a pipe that ends when this is dropped, its errors go to ours.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start<A: AsRef<OsStr>>(
        link: &Link,
        cores: Cores,
        program: &OsStr,
        arguments: impl IntoIterator<Item = A>,
    ) -> anyhow::Result<Self> {
        let mut command = match link.server_namespace() {
            Some(namespace) => namespace.command(program)?,
            None => Command::new(program),
        };
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        // A child has the cores of the thread that starts it.
        let child = on_core(cores.server, || {
            command.spawn().with_context(|| format!("could not start {}", program.display()))
        })?;
        Ok(Self { child, core: cores.server })
    }

    /// Waits for the line `listening on <address>`.
    ///
    /// # Errors
    /// When the server ends before.
    pub(super) fn announced(&mut self) -> anyhow::Result<SocketAddr> {
        let output = self.child.stdout.take().context("the server's output is taken")?;
        for line in BufReader::new(output).lines() {
            if let Some(address) = line?.strip_prefix("listening on ") {
                return address.parse().context("the server named no address");
            }
        }
        anyhow::bail!("the server ended before it served")
    }

    /// Waits until `address` takes TCP connections.
    ///
    /// # Errors
    /// When the server ends before, or takes none in time.
    pub(super) fn accepting(&mut self, link: &Link, address: SocketAddr) -> anyhow::Result<()> {
        let end = Instant::now() + START;
        let connect = || Ok(TcpStream::connect(address).is_ok());
        while !link.at_server(connect)? {
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("the server ended before it served: {status}");
            }
            anyhow::ensure!(Instant::now() < end, "the server does not begin to serve");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Its clocks.
    pub(super) fn clocks(&self) -> CpuClocks {
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

/// An address at the server's end with a TCP port that is free now.
///
/// # Errors
/// When there is none.
pub(super) fn free_tcp_address(link: &Link) -> anyhow::Result<SocketAddr> {
    let address = SocketAddr::new(link.server_address(), 0);
    link.at_server(|| Ok(TcpListener::bind(address)?.local_addr()?))
}
