//! `hostile`: a transfer by real clients, paced at a share of what they reach, beside floods of junk; and handshakes.
//!
//! The edge is `segcast edge` as it is shipped, a process of its own with one core; clients and attacker share the other.
//! Each kind of junk has its turn in every round, right after a piece of the same length without junk: goodput is a ratio
//! of the two, and the price of a junk datagram what the edge's processor time grew by. Where every datagram went is in
//! the books.

mod attacker;
mod cold;
mod greedy;
mod junk;
mod ledger;
mod newcomers;
mod place;
mod record;
mod report;
mod shares;
mod stage;
mod viewer;

use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use attacker::Attacker;
use clap::ValueEnum as _;
use junk::Kind;
use place::{Link, Side};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use record::Recording;
use report::{Collected, Report, Who};
use segcast_client::access::Access;
use stage::Stage;
use viewer::Progress;

use crate::measure::{Binary, CoresArgs, OutputArgs, build_binary};

/// Floods beside which handshakes are counted.
const HELLO_FLOODS: [Kind; 4] =
    [Kind::ReplayedHello, Kind::SpoofedHello, Kind::JunkCookie, Kind::ProvenHello];

/// Arguments of `hostile`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Only these kinds of junk
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND")]
    only: Vec<Kind>,
    /// Where [default: veth, or loopback where no namespaces can be made]
    #[arg(long, value_enum, value_name = "LINK")]
    link: Option<Link>,
    /// No junk: eight sessions at full speed beside four that ask for single bytes
    #[arg(long)]
    shares: bool,
    /// No junk: segments that no memory holds, one after another, beside sessions that give up what they ask for; `--title` of
    /// several GiB, as each segment is cold but once
    #[arg(long, conflicts_with = "shares")]
    cold: bool,
    /// Junk datagrams a second
    #[arg(long, value_name = "N", default_value_t = 100_000.0)]
    rate: f64,
    /// Share of full speed that the transfer is paced at
    #[arg(long, value_name = "SHARE", default_value_t = 0.25)]
    share: f64,
    /// Sessions of the transfer
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=16))]
    sessions: u16,
    /// New clients a second, for handshakes; 0: leaves them out
    #[arg(long, value_name = "N", default_value_t = 1500.0)]
    handshakes: f64,
    /// Seconds of each measured piece
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    seconds: f64,
    /// Seconds of the transfer before anything is measured
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    warm: f64,
    /// Rounds; in each, every kind has its turn
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    repeats: u16,
    /// Size of the title, MiB
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    title: u64,
    /// Of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A `segcast` to measure instead of this tree's
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    #[command(flatten)]
    cores: CoresArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs `hostile`.
///
/// # Errors
/// When nothing can be measured.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let binary = match &args.server {
        Some(path) => Binary { label: path.display().to_string(), path: path.clone() },
        None => build_binary()?,
    };
    args.check()?;
    let mut rng = ChaCha20Rng::seed_from_u64(args.seed);
    let stage = Stage::new(args, &binary)?;
    if args.shares {
        let shares = shares::measure(args, &stage, &mut rng)?;
        return args.output.print(&shares, &shares.table());
    }
    if args.cold {
        let cold = cold::measure(args, &stage, &mut rng)?;
        return args.output.print(&cold, &cold.table());
    }
    let report = measure(args, &stage, &mut rng)?;
    args.output.print(&report, &report.table())?;
    if !args.output.json {
        println!("{}", report.notes());
    }
    Ok(())
}

/// Measures a running edge beside junk.
///
/// # Errors
/// When the transfer fails.
fn measure(args: &Args, stage: &Stage, rng: &mut ChaCha20Rng) -> anyhow::Result<Report> {
    let sessions = usize::from(args.sessions);
    let attacker = stage.attacker()?;
    let mut collected = Collected::default();
    let access = stage.access(None, rng)?;
    let full = transfer(args, stage, &access, sessions, |progress| {
        Ok(stage.piece(progress, || args.pause())?.0.goodput())
    })?;
    let cap_kbits = (full * args.share * 8.0 / 1000.0).max(1.0) as u32;
    let access = stage.access(Some(cap_kbits), rng)?;
    transfer(args, stage, &access, sessions, |progress| {
        for round in 1..=args.repeats {
            for kind in args.kinds() {
                eprintln!("round {round} of {}: {}", args.repeats, kind.name());
                beside_a_kind(args, stage, &attacker, kind, progress, rng, &mut collected)?;
            }
        }
        anyhow::ensure!(progress.verified() > 0, "no segment came whole");
        Ok(())
    })?;
    if args.handshakes > 0.0 {
        for round in 1..=args.repeats {
            eprintln!("round {round} of {}: handshakes", args.repeats);
            handshakes(args, stage, &attacker, rng, &mut collected)?;
        }
    }
    Ok(Report::new(args, stage.place.link, full, &collected))
}

impl Args {
    fn check(&self) -> anyhow::Result<()> {
        let within = |name: &str, value: f64, low: f64, high: f64| {
            anyhow::ensure!(
                (low..=high).contains(&value),
                "--{name} {value}: from {low} to {high}"
            );
            Ok(())
        };
        within("rate", self.rate, 1.0, 10e6)?;
        within("share", self.share, 0.01, 1.0)?;
        within("handshakes", self.handshakes, 0.0, 10_000.0)?;
        within("seconds", self.seconds, 0.05, 4.0)?;
        within("warm", self.warm, 0.0, 60.0)
    }

    fn kinds(&self) -> impl Iterator<Item = Kind> {
        Kind::value_variants()
            .iter()
            .copied()
            .filter(|kind| self.only.is_empty() || self.only.contains(kind))
    }

    fn pause(&self) -> anyhow::Result<()> {
        sleep(Duration::from_secs_f64(self.seconds));
        Ok(())
    }
}

/// Runs `work` while a transfer over `sessions` sessions runs, from when it is warm.
fn transfer<T>(
    args: &Args,
    stage: &Stage,
    access: &Access,
    sessions: usize,
    work: impl FnOnce(&Progress) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let progress = Progress::default();
    std::thread::scope(|scope| {
        let fetching = scope.spawn(|| {
            stage.place.go(Side::Client)?;
            viewer::run(stage.edge, access, sessions, &progress);
            anyhow::Ok(())
        });
        let done = progress.wait(sessions).and_then(|()| {
            sleep(Duration::from_secs_f64(args.warm));
            work(&progress)
        });
        progress.stop();
        fetching.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        done
    })
}

/// One piece without junk, and one beside it.
fn beside_a_kind(
    args: &Args,
    stage: &Stage,
    attacker: &Attacker,
    kind: Kind,
    progress: &Progress,
    rng: &mut ChaCha20Rng,
    collected: &mut Collected,
) -> anyhow::Result<()> {
    let recorded = match kind {
        Kind::Mutated | Kind::ReplayedHello | Kind::ReplayedData => Some(stage.record(rng)?),
        _ => None,
    };
    let nothing = Recording::default();
    let recording = recorded.as_ref().map_or(&nothing, |(_, recording)| recording);
    let datagrams = stage.junk(kind, recording, attacker)?;
    let (quiet, ()) = stage.piece(progress, || args.pause())?;
    let piece = || stage.piece(progress, || args.pause());
    let ((junk, ()), sent, fates) = stage.beside(attacker, (kind, &datagrams), args.rate, piece)?;
    collected.junk(kind, quiet, junk, sent, &fates);
    Ok(())
}

/// New clients without a flood, the same ones once more, and new ones beside floods that ask for handshakes.
fn handshakes(
    args: &Args,
    stage: &Stage,
    attacker: &Attacker,
    rng: &mut ChaCha20Rng,
    collected: &mut Collected,
) -> anyhow::Result<()> {
    let (idle, count) = (Progress::default(), (args.handshakes * args.seconds) as usize);
    let come = |newcomers: &mut _| stage.piece(&idle, || stage.welcome(newcomers, args.handshakes));
    let keys = stage.keys(count, rng)?;
    for who in [Who::New, Who::Again] {
        let (piece, tally) = come(&mut stage.newcomers(&keys, rng)?)?;
        collected.handshakes((who, None), args.handshakes, piece, tally);
    }
    for kind in args.kinds().filter(|kind| HELLO_FLOODS.contains(kind)) {
        let (recorder, recording) = stage.record(rng)?;
        let datagrams = stage.junk(kind, &recording, attacker)?;
        let mut newcomers = stage.newcomers(&stage.keys(count, rng)?, rng)?;
        let come = || come(&mut newcomers);
        let ((piece, tally), ..) = stage.beside(attacker, (kind, &datagrams), args.rate, come)?;
        collected.handshakes((Who::New, Some(kind)), args.handshakes, piece, tally);
        drop(recorder);
    }
    Ok(())
}
