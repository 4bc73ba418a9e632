//! The server under test: a process of its own, on a core of its own, maybe in a network namespace.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use segcast_keys::keytext::{self, KeyKind};
use segcast_lab::netns::Namespace;

use super::cpu::CpuClocks;
use super::pinned::on_core;

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
    child: Child,
    core: usize,
    address: SocketAddr,
    public_key: [u8; 32],
}

impl Server {
    /// Starts an edge and waits until it serves. Its log goes to standard error.
    ///
    /// # Errors
    /// When it cannot be started, ends, or does not serve in time.
    pub fn start(spec: &ServerSpec<'_>) -> anyhow::Result<Self> {
        let program = &spec.binary.path;
        let mut command = match spec.namespace {
            Some(namespace) => namespace.command(program)?,
            None => Command::new(program),
        };
        command.arg("edge").arg("--store").arg(spec.store).arg("--keys").arg(spec.keys);
        command.args(["--listen", &spec.listen.to_string(), "--log-level", "warn"]);
        command.args(spec.flags).env_clear().stdin(Stdio::null()).stdout(Stdio::piped());
        // A child has the cores of the thread that starts it; the edge makes a shard for each.
        let child = on_core(spec.core, || {
            command.spawn().with_context(|| format!("could not start {}", program.display()))
        })?;
        let mut server = Self { child, core: spec.core, address: spec.listen, public_key: [0; 32] };
        server.read_announcement()?;
        Ok(server)
    }

    /// Reads what `segcast edge` prints once it serves.
    fn read_announcement(&mut self) -> anyhow::Result<()> {
        let stdout = self.child.stdout.take().context("the edge has no standard output")?;
        let (sender, lines) = mpsc::channel();
        // A thread, since a pipe has no timeout; it ends with the edge.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let end = Instant::now() + START;
        loop {
            let line = lines.recv_timeout(end.saturating_duration_since(Instant::now()));
            let line = line.map_err(|error| match error {
                RecvTimeoutError::Timeout => anyhow::anyhow!("the edge does not begin to serve"),
                RecvTimeoutError::Disconnected => anyhow::anyhow!("the edge did not start"),
            })?;
            if let Some(address) = line.strip_prefix("listening on ") {
                self.address = address.parse().context("the edge named no address")?;
            } else if let Some(key) = line.strip_prefix("edge key ") {
                self.public_key = *keytext::parse(KeyKind::EdgePublic, key)?;
                return Ok(());
            }
        }
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its public key.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.public_key
    }

    /// Its clocks.
    #[must_use]
    pub fn clocks(&self) -> CpuClocks {
        CpuClocks::of(self.child.id(), self.core)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
