//! `segcast-bench`: one subcommand for each kind of measurement.
#![forbid(unsafe_code)]

use clap::{Parser, Subcommand};
use segcast_bench::{audience, coalesce, drivers, hostile, limits, scale, sink};

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
    /// Segcast beside nginx, quinn and s2n-quic: bytes for each CPU-second of the server
    #[cfg(feature = "peers")]
    Peers(Box<segcast_bench::peers::Args>),
    /// Segcast beside nginx, quinn and s2n-quic. Not built in: add `--features peers`
    #[cfg(not(feature = "peers"))]
    Peers {
        #[arg(hide = true, allow_hyphen_values = true, trailing_var_arg = true)]
        arguments: Vec<std::ffi::OsString>,
    },
    /// All drivers of the edge, on the sink and on loopback: what each costs
    Drivers(drivers::Args),
    /// A transfer beside floods of junk: what each kind costs the edge, and handshakes for each CPU-second
    Hostile(hostile::Args),
    /// Viewers of one title on the loopback, by unicast and by groups: start-up, stalls, gain, and what each byte costs
    Audience(audience::Args),
    /// Many viewers of one title in virtual time: what groups save, beside what theory allows
    Coalesce(coalesce::Args),
    /// The sink over sessions, trains and titles: how the cost of a byte grows
    Scale(scale::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Limits(args) => limits::run(&args),
        Command::Sink(args) => sink::run(&args),
        #[cfg(feature = "peers")]
        Command::Peers(args) => segcast_bench::peers::run(&args),
        #[cfg(not(feature = "peers"))]
        Command::Peers { .. } => anyhow::bail!(
            "built without the other servers: cargo run --release -p segcast-bench --features peers -- peers"
        ),
        Command::Drivers(args) => drivers::run(&args),
        Command::Hostile(args) => hostile::run(&args),
        Command::Audience(args) => audience::run(&args),
        Command::Coalesce(args) => coalesce::run(&args),
        Command::Scale(args) => scale::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_command_of_the_documents_parses() {
        let commands = segcast_kit::documents::arguments_of("segcast-bench");
        assert!(commands.len() > 5, "only {} commands were found", commands.len());
        for shown in commands {
            let words = std::iter::once("segcast-bench").chain(shown.words.iter().map(|w| &**w));
            if let Err(error) = Cli::command().try_get_matches_from(words) {
                panic!("{}: {error}", shown.place);
            }
        }
    }
}
