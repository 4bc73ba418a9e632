//! `peers`: Segcast beside other servers on one machine, each with its tuned settings, the same objects, the same cipher.
//!
//! Server and client have a core each. The figure is bytes of objects for each CPU-second of the server; the client's cost
//! is not in it, but its core's busy share is shown. Every server also runs against the bare seal-and-send loop of the
//! same round.

mod bare;
mod cell;
mod job;
mod link;
mod nginx;
mod objects;
mod process;
mod quinn;
mod report;
mod s2n_quic;
mod segcast;
mod serve;
mod settings;
mod tls;

use std::path::PathBuf;
use std::time::Duration;

use cell::{Sender, Stage};
use clap::{Subcommand, ValueEnum};
use link::{Link, LinkKind};
use objects::Objects;
use report::{Cell, Report};
use segcast::Product;
use settings::Settings;
use tempfile::TempDir;
use tls::Identity;

use crate::measure::{Binary, CoresArgs, OutputArgs, build_binary};

/// Arguments of `peers`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(flatten)]
    run: RunArgs,
    #[command(subcommand)]
    helper: Option<Helper>,
}

#[derive(Debug, clap::Args)]
struct RunArgs {
    /// Only these servers
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SERVER")]
    only: Vec<Name>,
    /// Only this link
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LINK")]
    link: Vec<LinkKind>,
    /// Concurrent requests, each over a connection of its own
    #[arg(long, value_delimiter = ',', value_name = "N", default_value = "1,16,64",
          value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrent: Vec<u16>,
    /// Rounds; in each, every server has its turn
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Time that counts in each turn
    #[arg(long, value_name = "S", default_value_t = 3.0, value_parser = seconds)]
    seconds: f64,
    /// Time before it, with all connections open
    #[arg(long, value_name = "S", default_value_t = 1.0, value_parser = seconds)]
    warm_up: f64,
    /// A `segcast` to measure instead of this tree's; several are measured in turn
    #[arg(long, value_name = "PATH")]
    server: Vec<PathBuf>,
    /// Folder of settings to use instead of those in bench/peers: quic.toml, nginx.conf, edge.toml
    #[arg(long, value_name = "DIR")]
    settings: Option<PathBuf>,
    #[command(flatten)]
    cores: CoresArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// A server that can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    Segcast,
    Nginx,
    Quinn,
    S2nQuic,
}

/// The processes that `peers` starts for itself.
#[derive(Debug, Subcommand)]
enum Helper {
    #[command(hide = true)]
    ServeQuinn(serve::ServeArgs),
    #[command(hide = true)]
    ServeS2nQuic(serve::ServeArgs),
    #[command(hide = true)]
    ServeBare(serve::BareArgs),
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=600.0).contains(&seconds) => Ok(seconds),
        _ => Err(format!("{text:?}: from 0.1 to 600 seconds")),
    }
}

/// Runs the command.
///
/// # Errors
/// When nothing can be measured. A server or a link that is missing here is named in the result instead.
pub fn run(args: &Args) -> anyhow::Result<()> {
    match &args.helper {
        Some(Helper::ServeQuinn(args)) => serve::quinn(args),
        Some(Helper::ServeS2nQuic(args)) => serve::s2n_quic(args),
        Some(Helper::ServeBare(args)) => serve::bare(args),
        None => compare(&args.run),
    }
}

fn compare(args: &RunArgs) -> anyhow::Result<()> {
    let folder = TempDir::with_prefix("segcast-peers-")?;
    settings::put(folder.path(), args.settings.as_deref())?;
    let settings = Settings::read(folder.path())?;
    let binaries = binaries(args)?;
    let stage = stage(args, &folder, settings, &binaries[0])?;
    let mut report = Report::new(settings.datagram_max, args.runs, args.seconds, args.warm_up);
    let senders = senders(args, &binaries, &mut report);
    let mut links = Vec::new();
    for kind in [LinkKind::Loopback, LinkKind::Veth] {
        if !args.link.is_empty() && !args.link.contains(&kind) {
            continue;
        }
        match Link::new(kind, stage.cores) {
            Ok(link) => links.push(link),
            Err(error) => report.missing(kind.name(), &error),
        }
    }
    for round in 1..=args.runs {
        for link in &links {
            eprintln!("round {round} of {}: {}", args.runs, link.kind().name());
            let bare = match stage.run(&Sender::Bare, link, 1) {
                Ok(outcome) => {
                    report.bare(link.kind(), &outcome);
                    Some(outcome.gb_per_cpu_s())
                }
                Err(error) => {
                    report.missing(&format!("bare loop, {}", link.kind().name()), &error);
                    None
                }
            };
            for &concurrent in &args.concurrent {
                for (label, sender) in &senders {
                    let cell = Cell { link: link.kind(), concurrent, server: label.clone() };
                    let outcome = stage.run(sender, link, concurrent.into());
                    report.add(cell, bare, outcome);
                }
            }
        }
    }
    args.output.print(&report.figures(), &report.table())?;
    report.verdict()
}

/// The binaries to measure: those named, or this tree's.
fn binaries(args: &RunArgs) -> anyhow::Result<Vec<Binary>> {
    if args.server.is_empty() {
        return Ok(vec![build_binary()?]);
    }
    let binary = |path: &PathBuf| {
        anyhow::ensure!(path.is_file(), "--server {}: no such file", path.display());
        Ok(Binary { label: path.display().to_string(), path: path.clone() })
    };
    args.server.iter().map(binary).collect()
}

/// Who takes part, by name. What is not installed is named in the report.
fn senders(args: &RunArgs, binaries: &[Binary], report: &mut Report) -> Vec<(String, Sender)> {
    let wanted = |name| args.only.is_empty() || args.only.contains(&name);
    let mut senders = Vec::new();
    if wanted(Name::Segcast) {
        for binary in binaries {
            let label = match args.server.len() {
                0 => "segcast".to_owned(),
                _ => format!("segcast {}", binary.label),
            };
            senders.push((label, Sender::Segcast(binary.clone())));
        }
    }
    if wanted(Name::Nginx) {
        match nginx::version() {
            Ok(version) => senders.push((format!("nginx {version}, TLS 1.3"), Sender::Nginx)),
            Err(error) => report.missing("nginx", &error),
        }
    }
    if wanted(Name::Quinn) {
        senders.push((report::with_version("quinn"), Sender::Quinn));
    }
    if wanted(Name::S2nQuic) {
        senders.push((report::with_version("s2n-quic"), Sender::S2nQuic));
    }
    senders
}

fn stage(
    args: &RunArgs,
    folder: &TempDir,
    settings: Settings,
    packer: &Binary,
) -> anyhow::Result<Stage> {
    let cores = args.cores.choose()?;
    let (objects, title) = (folder.path().join("objects"), folder.path().join("title"));
    objects::make(&objects, &title)?;
    let product = Product::pack(&packer.path, &title, folder.path())?;
    std::fs::remove_file(&title)?;
    // What packing wrote must not be written back while others measure.
    rustix::fs::sync();
    Ok(Stage {
        cores,
        warm_up: Duration::from_secs_f64(args.warm_up),
        duration: Duration::from_secs_f64(args.seconds),
        folder: folder.path().to_owned(),
        source: Objects::open(&objects)?,
        identity: Identity::make(folder.path())?,
        settings,
        objects,
        product,
    })
}
