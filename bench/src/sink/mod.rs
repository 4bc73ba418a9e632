//! `sink`: the shipped edge, measured alone, at the point where a network card would take over.
//!
//! The server is `segcast edge` as it is shipped, a process of its own in a network namespace whose device is a TAP with
//! offloads. A filter on that device writes down each train's head and drops the train before its pages are copied; one in
//! so many passes whole and is decrypted and compared. The generator speaks the real protocol from the cable's other end:
//! for the server this is a network of endless speed.

mod accounts;
mod frames;
mod generator;
mod head;
mod loopback;
mod outcome;
mod seal_only;
mod seen;
mod session;
mod subject;
mod title;
pub(crate) mod world;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use loopback::Loopback;
use outcome::Window;
pub use outcome::{Outcome, Run};
use seal_only::SealOnly;
pub use subject::{Sabotage, Setup, Subject};
pub use title::{Title, TitleReader};
use world::Packed;

use crate::measure::{Binary, Cores, CoresArgs, OutputArgs, build_binary, on_core};

/// What a measurement of the sink is made of.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Sessions, each of a client of its own with its own keys
    #[arg(long, default_value_t = 64)]
    pub sessions: usize,
    /// UDP payload of a full datagram, bytes: 1200, 1440 or 8952
    #[arg(long, default_value_t = 1440)]
    pub datagram: usize,
    /// Size of the title, MiB
    #[arg(long, default_value_t = 1024)]
    pub title: u64,
    /// Seconds of each measured piece: sealing alone, and serving
    #[arg(long, default_value_t = 2.0)]
    pub seconds: f64,
    /// Seconds of serving before the first piece is measured
    #[arg(long, default_value_t = 3.0)]
    pub warm: f64,
    /// Seconds of serving before each measured piece
    #[arg(long, default_value_t = 0.5)]
    pub ramp: f64,
    /// Repeats of all pieces
    #[arg(long, default_value_t = 5)]
    pub repeats: usize,
    /// Segments that each session asks for at once
    #[arg(long, default_value_t = 4)]
    pub requests: usize,
    /// One train in so many passes whole and is compared; a power of two. The server pays for the copy
    #[arg(long, default_value_t = 1024)]
    pub sample: u32,
    /// DATA packets after which a client reports (docs/protocol, section 10)
    #[arg(long, default_value_t = segcast_proto::limits::REPORT_DATA_MAX)]
    pub report_packets: u32,
    /// Ask for ranges of so many full datagrams, which no train goes beyond [default: for whole segments]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub train: Option<u32>,
    /// Read one segment in so many: of a title that is larger than memory
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub spread: u32,
    /// Cap on each client's rate in its token, kbit/s
    #[arg(long)]
    pub rate_cap: Option<u32>,
    /// Seed of the title and of every session
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Another `segcast` to measure beside this tree's, turn by turn; may be given more than once
    #[arg(long, value_name = "PATH")]
    pub server: Vec<PathBuf>,
    /// Measure with this driver of the edge (ring, mmsg, ...), turn by turn with the others given
    #[arg(long, value_name = "DRIVER")]
    pub io: Vec<String>,
    /// A flag for every server, such as --server-flag=--io=mmsg; without any the configuration is the default, but for an
    /// --egress-queue of 60 s, with which nothing is refused
    #[arg(long, value_name = "FLAG", allow_hyphen_values = true)]
    pub server_flag: Vec<String>,
    /// Directory for the packed titles [default: the system's temporary one]
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Which cores to use
    #[command(flatten)]
    pub cores: CoresArgs,
}

/// The command line of `sink`.
#[derive(Clone, Debug, clap::Args)]
pub struct CommandArgs {
    #[command(flatten)]
    args: Args,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs `sink`.
///
/// # Errors
/// When something is missing on this machine, the server ends, or a check fails: a figure without its checks is none.
pub fn run(command: &CommandArgs) -> anyhow::Result<()> {
    let args = &command.args;
    let binaries = binaries(args)?;
    let run = measure(args, &binaries)?;
    command.output.print(&run, &run.table())
}

/// This tree's binary, and those that were named.
fn binaries(args: &Args) -> anyhow::Result<Vec<Binary>> {
    let mut binaries = vec![build_binary()?];
    for path in &args.server {
        // The server is started from elsewhere: a relative path would change its meaning.
        let path = path.canonicalize().with_context(|| path.display().to_string())?;
        binaries.push(Binary { label: path.display().to_string(), path });
    }
    Ok(binaries)
}

/// Measures each binary, turn by turn, on the cores chosen.
///
/// # Errors
/// As [`run`].
pub fn measure(args: &Args, binaries: &[Binary]) -> anyhow::Result<Run> {
    let cores = args.cores.choose()?;
    on_core(cores.generator, || {
        let mut subjects = Vec::new();
        for binary in binaries {
            for (binary, flags) in variants(args, binary) {
                let sabotage = Sabotage::default();
                let setup = Setup { args, binary: &binary, flags: &flags, cores, sabotage };
                subjects.push(Subject::start(&setup)?);
            }
        }
        measure_all(args, cores, subjects)
    })
}

/// The same over loopback: each of the drivers named, turn by turn.
///
/// # Errors
/// As [`run`].
pub(crate) fn measure_on_loopback(args: &Args, binary: &Binary) -> anyhow::Result<Run> {
    let cores = args.cores.choose()?;
    on_core(cores.generator, || {
        let mut subjects = Vec::new();
        for (binary, flags) in variants(args, binary) {
            let sabotage = Sabotage::default();
            let setup = Setup { args, binary: &binary, flags: &flags, cores, sabotage };
            subjects.push(Loopback::serve(&setup, pack(args)?)?);
        }
        measure_all(args, cores, subjects)
    })
}

/// A title for several measurements, one after the other.
///
/// # Errors
/// When it cannot be packed.
pub(crate) fn pack(args: &Args) -> anyhow::Result<Arc<Packed>> {
    subject::pack(args, None).map(Arc::new)
}

/// Measures one binary with a title that is packed.
///
/// # Errors
/// As [`run`].
pub(crate) fn measure_with(
    args: &Args,
    binary: &Binary,
    packed: &Arc<Packed>,
) -> anyhow::Result<Run> {
    let cores = args.cores.choose()?;
    on_core(cores.generator, || {
        let (flags, sabotage) = (&args.server_flag, Sabotage::default());
        let setup = Setup { args, binary, flags, cores, sabotage };
        let subject = Subject::serve(&setup, Arc::clone(packed))?;
        measure_all(args, cores, vec![subject])
    })
}

/// A server with its clients, wherever they are.
trait Measured {
    /// Serves for `time` without measuring, and pauses.
    fn warm(&mut self, time: Duration) -> anyhow::Result<()>;
    /// Serves for `ramp`, then for `time`, which is measured; and pauses.
    fn measure(&mut self, ramp: Duration, time: Duration) -> anyhow::Result<Window>;
    /// Keeps what a repeat gave.
    fn note(&mut self, window: Window, seal_only: f64);
    /// Closes the books.
    fn finish(self) -> anyhow::Result<Outcome>;
}

impl Measured for Subject {
    fn warm(&mut self, time: Duration) -> anyhow::Result<()> {
        Subject::warm(self, time)
    }

    fn measure(&mut self, ramp: Duration, time: Duration) -> anyhow::Result<Window> {
        Subject::measure(self, ramp, time)
    }

    fn note(&mut self, window: Window, seal_only: f64) {
        Subject::note(self, window, seal_only);
    }

    fn finish(self) -> anyhow::Result<Outcome> {
        Subject::finish(self)
    }
}

fn measure_all(args: &Args, cores: Cores, mut subjects: Vec<impl Measured>) -> anyhow::Result<Run> {
    let mut run = Run::new(args, cores);
    all_repeats(args, cores, &mut subjects)?;
    for subject in subjects {
        run.outcomes.push(subject.finish()?);
    }
    Ok(run)
}

/// The binary with the flags for every server, once for each driver asked for.
fn variants(args: &Args, binary: &Binary) -> Vec<(Binary, Vec<String>)> {
    if args.io.is_empty() {
        return vec![(binary.clone(), args.server_flag.clone())];
    }
    let with = |io: &String| {
        let label = format!("{}, {io}", binary.label);
        let more = ["--io".to_owned(), io.clone()];
        let flags = args.server_flag.iter().cloned().chain(more).collect();
        (Binary { label, path: binary.path.clone() }, flags)
    };
    args.io.iter().map(with).collect()
}

/// Each repeat: sealing alone, then every subject, in turn.
fn all_repeats(args: &Args, cores: Cores, subjects: &mut [impl Measured]) -> anyhow::Result<()> {
    let time = Duration::from_secs_f64(args.seconds);
    let pool = usize::try_from(args.title << 20)?.min(POOL_MAX);
    let mut seal_only = SealOnly::new(args.sessions, args.datagram, pool, args.seed);
    for subject in subjects.iter_mut() {
        subject.warm(Duration::from_secs_f64(args.warm))?;
    }
    for _ in 0..args.repeats {
        let sealed = on_core(cores.server, || seal_only.measure(time, cores.server))?;
        for subject in subjects.iter_mut() {
            let window: Window = subject.measure(Duration::from_secs_f64(args.ramp), time)?;
            subject.note(window, sealed);
        }
    }
    Ok(())
}

/// Memory for sealing alone: more than any cache.
const POOL_MAX: usize = 1 << 30;
