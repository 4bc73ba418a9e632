//! The demo's edge: this very program as `segcast edge`, in a process of its own, so that its processor
//! time can be told from the clients'.

use std::fs::{self, File};
use std::net::IpAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use segcast_client::access::EdgeAddress;
use segcast_edge::Announcement;

use crate::commands::io::IoArg;

/// Time for the edge to say where it listens.
const START: Duration = Duration::from_secs(20);
/// Time for it to end when asked to, before it is killed.
const END: Duration = Duration::from_secs(3);
/// Lines of its log that are shown when something failed.
const LOG_LINES: usize = 5;

/// A running edge; killed when dropped.
pub(super) struct EdgeProcess {
    child: Child,
    log: PathBuf,
}

impl EdgeProcess {
    /// Starts an edge on the store and keys in `folder`, on a free port of `address`, and waits until it serves. `more`:
    /// arguments that are not the same for every demo.
    pub(super) fn start(
        folder: &Path,
        io: IoArg,
        address: IpAddr,
        more: &[String],
    ) -> anyhow::Result<(Self, EdgeAddress)> {
        let log = folder.join("edge.log");
        let program = std::env::current_exe().context("could not find this program's file")?;
        let mut child = Command::new(program)
            .arg("edge")
            .args(["--listen", &format!("{address}:0"), "--drain-timeout", "5s"])
            .args(more)
            .args(["--io", io.word(), "--log-level", "info", "--until-stdin-closes"])
            .arg("--store")
            .arg(folder.join("store"))
            .arg("--keys")
            .arg(folder.join("keys"))
            .env_clear()
            // Ctrl-C in the terminal is for this process, which then ends the edge.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).context("could not make the edge's log")?)
            .spawn()
            .context("could not start the edge")?;
        let output = child.stdout.take().context("the edge has no standard output")?;
        let mut edge = Self { child, log };
        let announcement =
            Announcement::read_within(output, START).map_err(|error| edge.explain(error.into()))?;
        let (address, public_key) = (announcement.address(), announcement.public_key);
        Ok((edge, EdgeAddress { address, public_key }))
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Adds the end of the edge's log to an error, if the edge is to blame.
    pub(super) fn explain(&mut self, error: anyhow::Error) -> anyhow::Error {
        let ended = self.child.try_wait().ok().flatten();
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n  ");
        match ended {
            Some(status) => error.context(format!("the edge has ended ({status}):\n  {last}\n")),
            None => error,
        }
    }

    /// Ends the edge as an operator would, and waits for it.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        // It was told to end with its standard input.
        drop(self.child.stdin.take());
        let end = Instant::now() + END;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().context("could not wait for the edge")? {
                if status.success() {
                    return Ok(());
                }
                return Err(self.explain(anyhow::anyhow!("it had been asked to end")));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        anyhow::bail!("the edge did not end within {} s of being asked to", END.as_secs())
    }
}

impl Drop for EdgeProcess {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
