//! `scale`: the sink over numbers of sessions, lengths of trains and sizes of titles: nanoseconds per byte, so that its
//! growth is seen.
//!
//! Every number with every length and every size. Short trains are asked for: a REQUEST names ranges of so many full
//! datagrams, and no train goes beyond a range. Any client may ask like that, so the server needs no code for it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context as _;
use procfs::{Current as _, Meminfo};
use serde::Serialize;

use crate::measure::{CoresArgs, OutputArgs, Table, build_binary, digits};
use crate::sink::{self, Run};

/// The longest datagrams of the internet's paths: those of all points.
const DATAGRAM: usize = 1440;
/// Memory that must be left beside a title's, MiB.
const SPARE_MIB: u64 = 4096;

/// Arguments of `scale`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Numbers of sessions
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 100, 1000, 10_000])]
    sessions: Vec<usize>,
    /// Lengths of trains in datagrams, or `full`
    #[arg(long, value_delimiter = ',', default_value = "4,16,full")]
    trains: Vec<Length>,
    /// Sizes of titles, GiB
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4, 16])]
    titles: Vec<u64>,
    /// Seconds of each measured piece
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Seconds of serving before the first piece of each point, and half a millisecond more for each session
    #[arg(long, default_value_t = 1.0)]
    warm: f64,
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

/// How long trains are to be: so many datagrams, or as many as fit.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Length(pub(crate) Option<u32>);

impl FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            _ if text == "full" => Ok(Self(None)),
            Ok(count @ 1..) => Ok(Self(Some(count))),
            _ => Err("give a number of datagrams, 1 or more, or \"full\"".into()),
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("full"),
            Some(count) => count.fmt(f),
        }
    }
}

/// One point.
#[derive(Debug, Serialize)]
struct Point {
    sessions: usize,
    /// Datagrams in a train that were asked for; none: as many as fit.
    train: Length,
    title_mib: u64,
    run: Run,
}

/// Runs `scale`.
///
/// # Errors
/// Those of [`sink::measure`].
pub fn run(args: &Args) -> anyhow::Result<()> {
    let binary = build_binary()?;
    let mut points = Vec::new();
    for title_mib in args.titles.iter().map(|&gib| gib * 1024) {
        let spread = spread(title_mib, available_mib()?)?;
        let packed = sink::pack(&args.sink(1, Length(None), title_mib, spread))?;
        for &sessions in &args.sessions {
            for &train in &args.trains {
                let point = args.sink(sessions, train, title_mib, spread);
                let run = sink::measure_with(&point, &binary, &packed)?;
                // The whole grid takes minutes.
                let ns = run.outcomes.first().map_or(0.0, |outcome| outcome.ns_per_byte.median);
                eprintln!("{sessions} sessions, trains of {train}, {title_mib} MiB: {ns:.3} ns/B");
                points.push(Point { sessions, train, title_mib, run });
            }
        }
    }
    args.output.print(&points, &table(&points))
}

impl Args {
    fn sink(&self, sessions: usize, train: Length, title: u64, spread: u32) -> sink::Args {
        sink::Args {
            sessions,
            datagram: DATAGRAM,
            title,
            seconds: self.seconds,
            // Ten thousand sessions take seconds until each has its share.
            warm: self.warm + sessions as f64 * 0.0005,
            ramp: 0.5,
            repeats: self.repeats,
            // All clients together must not ask for more than can be served between two pieces.
            requests: if sessions > 100 { 2 } else { 4 },
            sample: 1024,
            report_packets: segcast_proto::limits::REPORT_DATA_MAX,
            train: train.0,
            spread,
            rate_cap: None,
            seed: 1,
            server: Vec::new(),
            io: Vec::new(),
            server_flag: Vec::new(),
            folder: self.folder.clone(),
            cores: self.cores,
        }
    }
}

/// Where a title does not fit into memory, every so many segments one is read: the server has the whole title to map and
/// to look through, and the disk takes no part.
fn spread(title_mib: u64, available_mib: u64) -> anyhow::Result<u32> {
    let room = available_mib.saturating_sub(SPARE_MIB);
    anyhow::ensure!(
        room > 0,
        "{available_mib} MiB of memory: more than {SPARE_MIB} must be available"
    );
    Ok(u32::try_from(title_mib.div_ceil(room))?)
}

/// Memory that can be had without swapping, MiB (proc_meminfo(5), MemAvailable).
fn available_mib() -> anyhow::Result<u64> {
    let available = Meminfo::current()?.mem_available;
    Ok(available.context("/proc/meminfo has no MemAvailable")? >> 20)
}

fn table(points: &[Point]) -> Table {
    let header = [
        "title",
        "sessions",
        "train",
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
        let mut title = format!("{} GiB", digits(point.title_mib as f64 / 1024.0));
        if point.run.spread > 1 {
            title = format!("{title}, 1 in {}", point.run.spread);
        }
        for o in &point.run.outcomes {
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
            let (sessions, train) = (point.sessions.to_string(), point.train.to_string());
            table.row([title.clone(), sessions, train, a, b, c, d, e, f, g, h]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_a_number_of_datagrams_or_full() {
        let read = |text: &str| text.parse::<Length>().map(|length| length.0);
        assert_eq!((read("4"), read("full")), (Ok(Some(4)), Ok(None)));
        assert!(read("0").is_err() && read("-1").is_err() && read("all").is_err());
    }

    #[test]
    fn what_is_read_of_a_title_leaves_memory_to_spare() {
        let spread = |title, available| spread(title, available).ok();
        assert_eq!(spread(1024, SPARE_MIB + 1024), Some(1));
        assert_eq!(spread(16 * 1024, SPARE_MIB + 16 * 1024 - 1), Some(2));
        assert_eq!(spread(1024, SPARE_MIB), None);
    }
}
