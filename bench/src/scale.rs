//! `scale`: the sink over numbers of sessions, lengths of trains and sizes of titles: nanoseconds per byte, so that its
//! growth is seen.
//!
//! A train's length follows from the rate of its session: the only honest way to shorten it is a cap on the rate in the
//! clients' tokens. Such a server is not always busy; its figure is per CPU-second all the same.

use std::path::PathBuf;

use anyhow::Context as _;
use serde::Serialize;

use crate::measure::{CoresArgs, OutputArgs, Table, build_binary, digits};
use crate::sink::{self, Run};

/// What each point has unless it is the thing that varies.
const SESSIONS: usize = 64;
const TITLE_MIB: u64 = 1024;
const DATAGRAM: usize = 1440;
/// Memory that must be left beside a title's, MiB.
const SPARE_MIB: u64 = 4096;
/// The least time of the rate that a train carries, µs (ARCHITECTURE.md, rate model): a cap divided into trains.
const TRAIN_MICROS: u64 = 250;

/// Arguments of `scale`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Numbers of sessions
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 100, 1000, 10_000])]
    sessions: Vec<usize>,
    /// Lengths of trains, in datagrams, made by capping each client's rate
    #[arg(long, value_delimiter = ',', default_values_t = [4, 16])]
    trains: Vec<u64>,
    /// Sizes of titles, GiB
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4, 16])]
    titles: Vec<u64>,
    /// Seconds of each measured piece
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Repeats of each point
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Directory for the packed titles [default: the system's temporary one]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    cores: CoresArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// One point.
#[derive(Debug, Serialize)]
struct Point {
    sessions: usize,
    /// Datagrams in a train that the cap was made for; none: no cap.
    train: Option<u64>,
    title_mib: u64,
    /// Why there is no figure.
    not_measured: Option<String>,
    run: Option<Run>,
}

/// Runs `scale`.
///
/// # Errors
/// Those of [`sink::measure`] but a title that does not fit into memory: that point is left out and says so.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let mut points = Vec::new();
    let point = |sessions, train, title_mib| Point {
        sessions,
        train,
        title_mib,
        not_measured: None,
        run: None,
    };
    points.extend(args.sessions.iter().map(|&sessions| point(sessions, None, TITLE_MIB)));
    points.extend(args.trains.iter().map(|&train| point(SESSIONS, Some(train), TITLE_MIB)));
    points.extend(args.titles.iter().map(|&title| point(SESSIONS, None, title * 1024)));
    let binaries = [build_binary()?];
    for point in &mut points {
        let free = available_mib()?;
        if point.title_mib + SPARE_MIB > free {
            let needed = point.title_mib + SPARE_MIB;
            point.not_measured = Some(format!("{needed} MiB of memory needed, {free} there"));
            continue;
        }
        point.run = Some(sink::measure(&point.arguments(args), &binaries)?);
    }
    args.output.print(&points, &table(&points))
}

impl Point {
    fn arguments(&self, args: &Args) -> sink::Args {
        let cap = self.train.map(|train| {
            let bytes_per_second = train * DATAGRAM as u64 * 1_000_000 / TRAIN_MICROS;
            // A little more, so that the length asked for is reached and not just missed.
            u32::try_from(bytes_per_second * 8 / 1000 * 21 / 20).unwrap_or(u32::MAX)
        });
        sink::Args {
            sessions: self.sessions,
            datagram: DATAGRAM,
            title: self.title_mib,
            seconds: args.seconds,
            warm: 2.0,
            ramp: 0.5,
            repeats: args.repeats,
            // All clients together must not ask for more than can be served between two pieces.
            requests: if self.sessions > 100 { 2 } else { 4 },
            sample: 256,
            report_packets: segcast_proto::limits::REPORT_DATA_MAX,
            rate_cap: cap,
            seed: 1,
            server: Vec::new(),
            io: Vec::new(),
            server_flag: Vec::new(),
            folder: args.folder.clone(),
            cores: args.cores,
        }
    }
}

/// Memory that can be had without swapping, MiB (proc_meminfo(5), MemAvailable).
fn available_mib() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").context("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.context("/proc/meminfo has no MemAvailable")? / 1024)
}

fn table(points: &[Point]) -> Table {
    let header = [
        "sessions",
        "train",
        "title",
        "ns per byte",
        "datagrams in a train",
        "GB per CPU-second",
        "ratio",
        "core busy",
        "generator",
        "Jain",
        "longest wait, ms",
    ];
    let mut table = Table::new(header);
    for point in points {
        let train = point.train.map_or_else(|| "full".to_owned(), |train| train.to_string());
        let names = [
            point.sessions.to_string(),
            train,
            format!("{} GiB", digits(point.title_mib as f64 / 1024.0)),
        ];
        let [sessions, train, title] = names;
        match point.run.as_ref().and_then(|run| run.outcomes.first()) {
            None => {
                let why = point.not_measured.clone().unwrap_or_default();
                table.row([sessions, train, title, why]);
            }
            Some(o) => {
                let figures = [
                    o.ns_per_byte,
                    o.train_datagrams_mean,
                    o.served_gb_per_cpu_s,
                    o.ratio,
                    o.server_busy,
                    o.generator_busy,
                    o.jain,
                    o.longest_wait_ms,
                ];
                let [a, b, c, d, e, f, g, h] = figures.map(|band| digits(band.median));
                table.row([sessions, train, title, a, b, c, d, e, f, g, h]);
            }
        }
    }
    table
}
