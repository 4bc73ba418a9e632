//! Network namespaces without names: each lives as long as its descriptor or a process in it.
//!
//! A namespace belongs to a thread (network_namespaces(7)), so work in one is done by threads and
//! processes that were started inside.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace, new and empty but for a loopback device that is down.
#[derive(Debug)]
pub struct Namespace {
    fd: OwnedFd,
}

impl Namespace {
    /// Makes a new namespace; the calling thread stays where it is.
    ///
    /// # Errors
    /// EPERM without CAP_SYS_ADMIN; whatever unshare(2) or starting a thread gives.
    pub fn new() -> io::Result<Self> {
        thread::scope(|scope| {
            let maker = thread::Builder::new().spawn_scoped(scope, || {
                unshare_network()?;
                Ok(Namespace { fd: File::open("/proc/thread-self/ns/net")?.into() })
            })?;
            maker.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
        })
    }

    /// Moves the calling thread into the namespace, for the rest of its life.
    ///
    /// # Errors
    /// Those of setns(2).
    pub fn enter(&self) -> io::Result<()> {
        set_network(self.fd.as_fd())
    }

    /// Runs `work` on a thread inside and waits for its result. A panic of `work` goes on here.
    ///
    /// # Errors
    /// When the thread cannot be started or cannot enter.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        thread::scope(|scope| {
            let worker = thread::Builder::new().spawn_scoped(scope, || {
                self.enter()?;
                Ok(work())
            })?;
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Starts `work` on a thread inside.
    ///
    /// # Errors
    /// When the descriptor cannot be duplicated or the thread cannot be started. A thread that
    /// cannot enter gives its error when it is joined.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<thread::JoinHandle<io::Result<T>>> {
        let fd = self.fd.try_clone()?;
        thread::Builder::new().spawn(move || {
            set_network(fd.as_fd())?;
            Ok(work())
        })
    }

    /// A command that will run inside. /sys still shows the namespace of the caller.
    ///
    /// # Errors
    /// When the descriptor cannot be duplicated.
    pub fn command(&self, program: impl AsRef<OsStr>) -> io::Result<Command> {
        let fd = self.fd.try_clone()?;
        let mut command = Command::new(program);
        let enter = move || set_network(fd.as_fd());
        // SAFETY: between fork and exec only async-signal-safe calls are allowed (signal-safety(7)):
        // `enter` makes one system call, allocates nothing and takes no lock. It owns its descriptor.
        unsafe { command.pre_exec(enter) };
        Ok(command)
    }

    /// Runs the commands of `ip -batch` (ip(8), package iproute2) inside, one on each line.
    ///
    /// # Errors
    /// When ip(8) is missing, or refuses one of them: then with what it said.
    pub fn ip_batch(&self, commands: &str) -> io::Result<()> {
        let mut command = self.command("ip")?;
        command.args(["-batch", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            io::Error::new(error.kind(), format!("ip (package iproute2): {error}"))
        })?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(commands.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("ip -batch: {}: {said}", output.status)))
    }

    /// Joins this namespace and `peer` by a pair of veth devices (veth(4)): `device` here and `peer_device` there, both
    /// down and without addresses.
    ///
    /// # Errors
    /// Without CAP_NET_ADMIN, or ip(8) of iproute2; a name that is taken.
    pub fn join(&self, device: &str, peer: &Namespace, peer_device: &str) -> io::Result<()> {
        // The pair is made here; the other half goes to `peer`, which a process inside stands for.
        let mut holder =
            peer.command("cat")?.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let pid = holder.id();
        let pair = format!("link add {device} type veth peer name {peer_device} netns {pid}\n");
        let made = self.ip_batch(&pair);
        // It ends with its input.
        drop(holder.stdin.take());
        holder.wait()?;
        made
    }
}

fn unshare_network() -> io::Result<()> {
    // SAFETY: unshare(2) takes a flag and no pointer; it changes the calling thread alone.
    check(unsafe { libc::unshare(libc::CLONE_NEWNET) })
}

/// Moves the calling thread into the namespace of a descriptor: one system call, no allocation, no lock.
fn set_network(namespace: BorrowedFd<'_>) -> io::Result<()> {
    Ok(move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))?)
}

/// A system call's result as an error: -1 means that errno says why.
pub(crate) fn check(result: libc::c_int) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices() -> String {
        std::fs::read_to_string("/proc/thread-self/net/dev").expect("/proc is mounted")
    }

    #[test]
    fn threads_and_processes_run_inside_and_the_caller_stays_outside() {
        let Ok(namespace) = Namespace::new() else {
            return crate::skip("namespaces (CAP_SYS_ADMIN)");
        };
        let outside = devices();
        let inside = namespace.run(devices).expect("entered");
        // Two header lines and `lo`.
        assert_eq!(inside.lines().count(), 3, "{inside}");
        let spawned = namespace.spawn(devices).expect("started");
        assert_eq!(spawned.join().expect("no panic").expect("entered"), inside);
        let mut command = namespace.command("cat").expect("duplicated");
        let output = command.arg("/proc/self/net/dev").output().expect("cat runs");
        assert_eq!(String::from_utf8_lossy(&output.stdout), inside);
        assert_eq!(devices().lines().count(), outside.lines().count());
    }
}
