//! A peer's server: a child process on the server's core, in the server's namespace.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::link::Link;
use crate::measure::Cores;
use crate::measure::process::{self, Process};

/// Time for a server to begin to serve.
const START: Duration = Duration::from_secs(10);

/// Starts `program` on the server's core. Its standard input is a pipe that ends when this is dropped, its errors go to ours.
///
/// # Errors
/// When it cannot be started.
pub(super) fn start(
    link: &Link,
    cores: Cores,
    program: &Path,
    arguments: Vec<OsString>,
) -> anyhow::Result<Process> {
    let mut command = process::command(link.server_namespace(), program)?;
    Process::start(command.args(arguments).stdin(Stdio::piped()), cores.server)
}

/// Waits for the line `listening on <address>`.
///
/// # Errors
/// When the server ends before.
pub(super) fn announced(server: &mut Process) -> anyhow::Result<SocketAddr> {
    let output = server.child.stdout.take().context("the server's output is taken")?;
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
pub(super) fn accepting(
    server: &mut Process,
    link: &Link,
    address: SocketAddr,
) -> anyhow::Result<()> {
    let end = Instant::now() + START;
    let connect = || Ok(TcpStream::connect(address).is_ok());
    while !link.at_server(connect)? {
        if let Some(status) = server.child.try_wait()? {
            anyhow::bail!("the server ended before it served: {status}");
        }
        anyhow::ensure!(Instant::now() < end, "the server does not begin to serve");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// An address at the server's end with a TCP port that is free now.
///
/// # Errors
/// When there is none.
pub(super) fn free_tcp_address(link: &Link) -> anyhow::Result<SocketAddr> {
    let address = SocketAddr::new(link.server_address(), 0);
    link.at_server(|| Ok(TcpListener::bind(address)?.local_addr()?))
}
