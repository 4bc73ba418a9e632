//! One viewer of the demo: `segcast get --play` in a process of its own.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

/// What the demo needs to know of what `get --json` says.
#[derive(Debug, Deserialize)]
struct Report {
    bytes: u64,
    segments: u32,
    play: Play,
    groups: Heard,
}

#[derive(Debug, Deserialize)]
struct Play {
    start_up_us: u64,
    stalls: u32,
    missed: u32,
    deadlines: u32,
}

#[derive(Debug, Deserialize)]
struct Heard {
    segments: u64,
    completed: u64,
}

/// How one viewer fared.
#[derive(Debug, Serialize)]
pub(super) struct Watched {
    /// After the first one's start.
    pub(super) started_s: f64,
    /// From its start to the first picture.
    pub(super) picture_s: f64,
    /// Bytes of the title, compared with it.
    pub(super) bytes: u64,
    pub(super) segments: u32,
    /// Of these, those that came whole by groups, and those that lacked something that came by unicast.
    pub(super) by_group: u64,
    pub(super) completed: u64,
    /// Segments that came after their deadline, of those that had one.
    pub(super) missed: u32,
    pub(super) deadlines: u32,
    /// Times that the picture stood still.
    pub(super) stalls: u32,
}

/// A running viewer; killed when dropped.
pub(super) struct Viewer {
    child: Child,
    started: Duration,
    log: PathBuf,
    pub(super) copy: PathBuf,
}

impl Viewer {
    /// Starts `get`, which names all but the output. `started`: after the first one.
    pub(super) fn start(
        mut get: Command,
        folder: &Path,
        number: usize,
        started: Duration,
    ) -> anyhow::Result<Self> {
        let log = folder.join(format!("viewer{number}.log"));
        let copy = folder.join(format!("viewer{number}"));
        let child = get
            .arg("--out")
            .arg(&copy)
            // Ctrl-C in the terminal is for this process, which then ends the viewers.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).context("could not make a viewer's log")?)
            .spawn()
            .context("could not start a viewer")?;
        Ok(Self { child, started, log, copy })
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait().context("could not wait for a viewer")?.is_some())
    }

    /// What it says at its end, for which this waits.
    pub(super) fn watched(mut self) -> anyhow::Result<Watched> {
        let status = self.child.wait().context("could not wait for a viewer")?;
        if !status.success() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            bail!("a viewer has failed ({status}): {}", log.trim());
        }
        let output = self.child.stdout.take().context("a viewer has no output")?;
        let report: Report = serde_json::from_reader(output).context("a viewer says nothing")?;
        let Report { bytes, segments, play, groups } = report;
        Ok(Watched {
            started_s: self.started.as_secs_f64(),
            picture_s: Duration::from_micros(play.start_up_us).as_secs_f64(),
            bytes,
            segments,
            by_group: groups.segments,
            completed: groups.completed,
            missed: play.missed,
            deadlines: play.deadlines,
            stalls: play.stalls,
        })
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
