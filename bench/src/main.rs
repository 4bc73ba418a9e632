//! `segcast-bench`: one subcommand for each kind of measurement.
#![forbid(unsafe_code)]

use clap::{Parser, Subcommand};
use segcast_bench::{limits, sink};

/// Measures Segcast. Figures are per CPU-second, medians of interleaved repeats. Build with --release.
#[derive(Debug, Parser)]
#[command(name = "segcast-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What one core can do at most: copying, sealing, sealing and sending without a protocol
    Limits(limits::Args),
    /// The shipped edge alone, at the point where a network card would take over
    Sink(sink::CommandArgs),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Limits(args) => limits::run(&args),
        Command::Sink(args) => sink::run(&args),
    }
}
