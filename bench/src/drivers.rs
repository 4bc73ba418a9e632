//! `drivers`: the shipped edge on each of its drivers, turn by turn: on the device that drops and on loopback, with full
//! trains and with short ones.
//!
//! The edge has to be built with the features of the drivers that are off by default. Under `cargo run` that is done here.

use std::path::PathBuf;

use serde::Serialize;

use crate::measure::{Binary, CoresArgs, OutputArgs, Table, build_binary_with, digits};
use crate::scale::Length;
use crate::sink::{self, Run};

/// Drivers that are behind features of the same names.
const FEATURES: [&str; 2] = ["tokio-uring", "glommio"];

/// Arguments of `drivers`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Drivers
    #[arg(long, value_delimiter = ',', default_value = "ring,mmsg,tokio-uring,glommio")]
    io: Vec<String>,
    /// Where the trains go
    #[arg(long, value_enum, value_delimiter = ',', default_value = "sink,loopback")]
    links: Vec<Link>,
    /// Lengths of trains in datagrams, or `full`
    #[arg(long, value_delimiter = ',', default_value = "full,16,4")]
    trains: Vec<Length>,
    /// Sessions, each of a client of its own with its own keys
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=64))]
    sessions: u16,
    /// UDP payload of a full datagram, bytes
    #[arg(long, default_value_t = 1440)]
    datagram: usize,
    /// Size of the title, MiB; each driver has one of its own
    #[arg(long, default_value_t = 512)]
    title: u64,
    /// Seconds of each measured piece
    #[arg(long, default_value_t = 1.5)]
    seconds: f64,
    /// Seconds of serving before the first piece of each driver
    #[arg(long, default_value_t = 1.0)]
    warm: f64,
    /// Repeats; in each, every driver has its turn
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Directory for the packed titles [default: the system's temporary one]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    cores: CoresArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Where trains go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Link {
    /// A device that drops them where a network card would take over
    Sink,
    /// The loopback of a namespace, where they are copied in and out
    Loopback,
}

/// One place and one length, with all drivers.
#[derive(Debug, Serialize)]
pub struct Point {
    link: Link,
    /// Datagrams in a train that were asked for; none: as many as fit.
    train: Length,
    /// The drivers in their order.
    pub run: Run,
}

/// Runs `drivers`.
///
/// # Errors
/// Those of the sink, and when the edge was built without one of the drivers.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let wanted = |feature: &&str| args.io.iter().any(|io| io == feature);
    let features: Vec<&str> = FEATURES.into_iter().filter(wanted).collect();
    let points = measure(args, &build_binary_with(&features)?)?;
    args.output.print(&points, &args.table(&points))
}

/// Measures every place and length with `binary`.
///
/// # Errors
/// Those of [`run`].
pub fn measure(args: &Args, binary: &Binary) -> anyhow::Result<Vec<Point>> {
    let mut points = Vec::new();
    for &link in &args.links {
        for &train in &args.trains {
            eprintln!("{link:?}, trains of {train}");
            let sink = args.sink(train);
            let run = match link {
                Link::Sink => sink::measure(&sink, std::slice::from_ref(binary))?,
                Link::Loopback => sink::measure_on_loopback(&sink, binary)?,
            };
            points.push(Point { link, train, run });
        }
    }
    Ok(points)
}

impl Args {
    fn sink(&self, train: Length) -> sink::Args {
        sink::Args {
            sessions: self.sessions.into(),
            datagram: self.datagram,
            title: self.title,
            seconds: self.seconds,
            warm: self.warm,
            ramp: 0.3,
            repeats: self.repeats,
            requests: 4,
            sample: 1024,
            report_packets: segcast_proto::limits::REPORT_DATA_MAX,
            train: train.0,
            spread: 1,
            rate_cap: None,
            seed: 1,
            server: Vec::new(),
            io: self.io.clone(),
            server_flag: Vec::new(),
            folder: self.folder.clone(),
            cores: self.cores,
        }
    }

    fn table(&self, points: &[Point]) -> Table {
        let mut table = Table::new([
            "where",
            "train",
            "driver",
            "GB per CPU-second",
            "of the first",
            "ns per datagram",
            "datagrams in a train",
            "server busy",
            "clients busy",
        ]);
        for Point { link, train, run } in points {
            let first = run.outcomes.first().map(|o| o.served_gb_per_cpu_s.median);
            for (io, o) in self.io.iter().zip(&run.outcomes) {
                let share = o.served_gb_per_cpu_s.median / first.unwrap_or(f64::NAN);
                table.row([
                    format!("{link:?}").to_lowercase(),
                    train.to_string(),
                    io.clone(),
                    o.served_gb_per_cpu_s.to_string(),
                    digits(share),
                    o.ns_per_datagram.to_string(),
                    digits(o.train_datagrams_mean.median),
                    digits(o.server_busy.median),
                    digits(o.generator_busy.median),
                ]);
            }
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use segcast_sysio::probe::IoKind;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn all_drivers_that_there_are_take_part() {
        let args = Line::parse_from(["drivers"]).args;
        assert_eq!(args.io, IoKind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>());
        assert!(FEATURES.iter().all(|feature| args.io.iter().any(|io| io == feature)));
        assert_eq!(
            args.trains.iter().map(|train| train.0).collect::<Vec<_>>(),
            [None, Some(16), Some(4)]
        );
        assert_eq!(args.links, [Link::Sink, Link::Loopback]);
    }
}
