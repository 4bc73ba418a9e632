//! The server under test: a process of its own, on a core of its own, maybe in a network namespace.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use segcast_edge::Announcement;
use segcast_lab::netns::Namespace;

use super::cpu::CpuClocks;
use super::process::{self, Process};

/// Time for an edge to begin to serve.
const START: Duration = Duration::from_secs(30);

/// A `segcast` to measure.
#[derive(Clone, Debug)]
pub struct Binary {
    /// What it is called in the output.
    pub label: String,
    /// Its file.
    pub path: PathBuf,
}

/// The `segcast` of this tree, in the profile that the bench itself was built in. Under `cargo run` it is brought up to
/// date first; a bench that is started as a program takes the file beside its own as it is.
///
/// # Errors
/// When cargo fails, or there is no such file.
pub fn build_binary() -> anyhow::Result<Binary> {
    build_binary_with(&[])
}

/// The same with features of `segcast` that are off by default.
///
/// # Errors
/// Those of [`build_binary`].
pub fn build_binary_with(features: &[&str]) -> anyhow::Result<Binary> {
    let features = features.join(",");
    let own = std::env::current_exe().context("the bench's own file")?;
    let is_folder_of_tests = |folder: &&Path| !folder.ends_with("deps");
    let folder = own.ancestors().skip(1).find(is_folder_of_tests).context("built by cargo")?;
    let path = folder.join("segcast");
    if let Some(cargo) = std::env::var_os("CARGO") {
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--package", "segcast", "--bin", "segcast"]);
        build.args(["--features", &features]);
        build.arg("--target-dir").arg(folder.parent().context("a profile has a parent")?);
        if folder.ends_with("release") {
            build.arg("--release");
        }
        let status = build.current_dir(env!("CARGO_MANIFEST_DIR")).status().context("cargo")?;
        anyhow::ensure!(status.success(), "cargo build --package segcast: {status}");
    }
    anyhow::ensure!(
        path.is_file(),
        "{}: not there; build it: cargo build --release --package segcast --features \"{features}\"",
        path.display()
    );
    Ok(Binary { label: "this tree".into(), path })
}

/// How to start an edge. What is not here is the edge's default.
#[derive(Clone, Copy, Debug)]
pub struct ServerSpec<'a> {
    /// The program.
    pub binary: &'a Binary,
    /// The segment store.
    pub store: &'a Path,
    /// The directory of keys.
    pub keys: &'a Path,
    /// Where to listen; port 0: any.
    pub listen: SocketAddr,
    /// The one core it may use: it then has one shard, pinned there.
    pub core: usize,
    /// The namespace to run in; none: this one's.
    pub namespace: Option<&'a Namespace>,
    /// More flags of `segcast edge`: what a measurement varies.
    pub flags: &'a [String],
}

/// A running edge; killed when dropped.
#[derive(Debug)]
pub struct Server {
    process: Process,
    announcement: Announcement,
}

impl Server {
    /// Starts an edge and waits until it serves. Its log goes to standard error.
    ///
    /// # Errors
    /// When it cannot be started, ends, or does not serve in time.
    pub fn start(spec: &ServerSpec<'_>) -> anyhow::Result<Self> {
        let mut command = process::command(spec.namespace, &spec.binary.path)?;
        command.arg("edge").arg("--store").arg(spec.store).arg("--keys").arg(spec.keys);
        command.args(["--listen", &spec.listen.to_string(), "--log-level", "warn"]);
        command.args(spec.flags).env_clear().stdin(Stdio::null());
        // It makes a shard for each core that it has.
        let mut process = Process::start(&mut command, spec.core)?;
        let output = process.child.stdout.take().context("the edge has no standard output")?;
        Ok(Self { process, announcement: Announcement::read_within(output, START)? })
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.child.id()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.announcement.address()
    }

    /// Its public key.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.announcement.public_key
    }

    /// Its clocks.
    #[must_use]
    pub fn clocks(&self) -> CpuClocks {
        self.process.clocks()
    }
}
