//! What can be said about a load on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use segcast_config::amount;
use segcast_load::plan::{Arrivals, Pace, Phase, PhaseKind, Target, Workload};
use segcast_load::run::RunConfig;
use segcast_proto::ids::SetId;

use super::again::AgainArgs;
use super::calibrate::CalibrateArgs;
use super::reporting::ReportArgs;
use crate::commands::hearing::HearingArgs;
use crate::commands::io::IoArg;
use crate::logging::LogArgs;

/// Requests under way in a session, unless told otherwise: at full speed one at a time, so that times hold no waiting
/// behind a session's own requests.
const WINDOW_FULL: u16 = 1;
const WINDOW_PACED: u16 = 8;
/// Who watches asks up to 16 s ahead, and a group's edge holds what was asked.
const WINDOW_WATCHED: u16 = 48;

/// Arguments of `segcast load`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct LoadArgs {
    #[command(subcommand)]
    pub(super) command: Option<LoadCommand>,
    /// The edge: host, host:port or IPv6 in brackets with a port
    #[arg(required = true, value_name = "ADDR")]
    pub(super) edge: Option<String>,
    /// Public key of the edge, or the file that holds it
    #[arg(long, required = true, value_name = "KEY|FILE")]
    pub(super) edge_key: Option<String>,
    #[command(flatten)]
    pub(super) rights: RightsArgs,
    #[command(flatten)]
    pub(super) amount: AmountArgs,
    #[command(flatten)]
    pub(super) manner: MannerArgs,
    #[command(flatten)]
    pub(super) generator: GeneratorArgs,
    #[command(flatten)]
    pub(super) report: ReportArgs,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

/// What else can be done with the generator.
#[derive(Debug, Subcommand)]
pub(super) enum LoadCommand {
    /// Prove that the generator counts right on this machine, and find its own limits
    Calibrate(CalibrateArgs),
    /// Make reports again from a stored result
    Report(AgainArgs),
}

/// What may be fetched, and by whom.
#[derive(Args, Debug)]
#[command(next_help_heading = "What is fetched, and with what right")]
pub(super) struct RightsArgs {
    /// A set to fetch, the most popular first; up to 16. With --grant: all that it names, unless given
    #[arg(long, value_name = "ID")]
    pub(super) set: Vec<SetId>,
    /// Directory of the center's keys: a key pair and a token are made for each session, in memory
    #[arg(long, env = "SEGCAST_KEYS", value_name = "DIR", default_value = "keys")]
    pub(super) keys: PathBuf,
    /// Instead: a grant that all sessions share. An edge limits the sessions of one client
    #[arg(long, value_name = "FILE")]
    pub(super) grant: Option<PathBuf>,
    /// The client's secret key, where the grant does not hold it
    #[arg(long, value_name = "FILE", requires = "grant")]
    pub(super) client_key: Option<PathBuf>,
}

/// How much load, for how long.
#[derive(Args, Debug)]
#[command(next_help_heading = "How much, and how long")]
pub(super) struct AmountArgs {
    /// Sessions at once; with requests a second, the sessions that make them
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(super) sessions: u32,
    /// How long, where no phases are given
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = amount::read_duration)]
    pub(super) duration: Duration,
    /// A phase, in order: ramp, steady, overload or recovery, its length, and sessions at once or requests a second: ramp=10s@100 or steady=30s@500/s. A ramp goes evenly to its target from the one before
    #[arg(long, value_name = "KIND=TIME@N", value_parser = parse_phase, conflicts_with = "duration")]
    pub(super) phase: Vec<Phase>,
    /// How fast each session asks: full (for the next segment when one has come), playing (as the title plays), or a bit rate such as 5Mbit/s
    #[arg(long, value_name = "RATE", default_value = "full", value_parser = parse_pace)]
    pub(super) rate: Pace,
    /// Each viewer watches the title from its beginning, as `get --play` does: asks by when it plays
    #[arg(long, conflicts_with = "rate")]
    pub(super) play: bool,
    /// How long a viewer watches in the mean; another one, with a session of his own, then takes his place. Without: to the end
    #[arg(long, value_name = "TIME", value_parser = amount::read_duration)]
    pub(super) watch: Option<Duration>,
}

/// When, what, and how it is judged.
#[derive(Args, Debug)]
#[command(next_help_heading = "In what manner")]
pub(super) struct MannerArgs {
    /// How viewers and requests arrive
    #[arg(long, value_enum, default_value = "poisson")]
    arrivals: ArrivalsArg,
    /// With aligned arrivals: how long after a boundary requests come at the latest
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = amount::read_duration)]
    jitter: Duration,
    /// Popularity of titles: the one of rank r is chosen in proportion to 1/r^S; 0: all alike
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    zipf: f64,
    /// When a segment is late, from when it should have been asked for; two segments' playing time, or the timeout at full speed, unless given
    #[arg(long, value_name = "TIME", value_parser = amount::read_duration)]
    deadline: Option<Duration>,
    /// When a segment is lost, from when it should have been asked for
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = amount::read_duration)]
    timeout: Duration,
    /// Requests that a session may have under way: 1 at full speed, 48 with --play and 8 else, unless given
    #[arg(long, value_name = "N")]
    window: Option<u16>,
    /// Compare one segment in N with the signed manifest, 1/N; every one is authentic
    #[arg(long, value_name = "1/N", default_value = "1/1", value_parser = parse_one_in)]
    verify: u32,
    /// All randomness of the plan; drawn and printed unless given
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
}

/// How the generator works.
#[derive(Args, Debug)]
#[command(next_help_heading = "The generator itself")]
pub(super) struct GeneratorArgs {
    /// Threads that drive sessions
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// Sessions that share a socket
    #[arg(long, value_name = "N", default_value_t = 32)]
    sessions_per_socket: u32,
    /// Which driver moves the datagrams
    #[arg(long, value_enum, default_value = "auto")]
    io: IoArg,
    /// Let the kernel hand over trains of datagrams as one (UDP_GRO)
    #[arg(long, value_enum, default_value = "on")]
    gro: Switch,
    /// The largest datagram to receive, bytes
    #[arg(long, value_name = "BYTES", default_value_t = 8952, value_parser = clap::value_parser!(u16).range(1200..=8952))]
    datagram: u16,
    /// Segments that a player has before it begins
    #[arg(long, value_name = "N", default_value_t = 2)]
    start_segments: u32,
    /// With --play: from when a viewer comes to the first picture, at the soonest
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = amount::read_duration, requires = "play")]
    startup: Duration,
    #[command(flatten)]
    hearing: HearingArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ArrivalsArg {
    /// Independently of each other
    Poisson,
    /// Evenly
    Fixed,
    /// Just after segment boundaries that all share, as viewers of live video
    Aligned,
}

impl LoadArgs {
    /// What is asked for.
    pub(super) fn workload(&self, seed: u64) -> Workload {
        let AmountArgs { sessions, duration, phase, play, watch, .. } = &self.amount;
        let rate = if *play { Pace::Playing } else { self.amount.rate };
        let phases = if phase.is_empty() {
            let target = Target::Sessions(*sessions);
            vec![Phase { kind: PhaseKind::Steady, duration: *duration, target }]
        } else {
            phase.clone()
        };
        let by_requests = matches!(phases[0].target, Target::RequestsPerSecond(_));
        let window = match rate {
            _ if *play => WINDOW_WATCHED,
            Pace::Full if !by_requests => WINDOW_FULL,
            _ => WINDOW_PACED,
        };
        let manner = &self.manner;
        Workload {
            seed,
            phases,
            sessions: *sessions,
            arrivals: match manner.arrivals {
                ArrivalsArg::Poisson => Arrivals::Poisson,
                ArrivalsArg::Fixed => Arrivals::Fixed,
                ArrivalsArg::Aligned => Arrivals::Aligned { jitter: manner.jitter },
            },
            pace: rate,
            watch: *watch,
            zipf: manner.zipf,
            deadline: manner.deadline,
            timeout: manner.timeout,
            window: manner.window.unwrap_or(window),
            verify_one_in: manner.verify,
        }
    }

    /// How it is made.
    pub(super) fn run_config(&self) -> RunConfig {
        let generator = &self.generator;
        RunConfig {
            threads: generator.threads,
            io: generator.io.kind(),
            gro: generator.gro == Switch::On,
            sessions_per_socket: generator.sessions_per_socket,
            datagram_max: generator.datagram.into(),
            start_segments: generator.start_segments,
            play: self.amount.play.then_some(generator.startup),
            multicast: generator.hearing.multicast(),
            group_rate: generator.hearing.rate(),
            ..RunConfig::default()
        }
    }
}

fn parse_phase(text: &str) -> Result<Phase, String> {
    let bad = |what: String| format!("{what}: write for example ramp=10s@100 or steady=30s@500/s");
    let (kind, rest) = text.split_once('=').ok_or_else(|| bad(format!("{text:?} has no '='")))?;
    let (time, target) = rest.split_once('@').ok_or_else(|| bad(format!("{text:?} has no '@'")))?;
    let kind = match kind.trim() {
        "ramp" => PhaseKind::Ramp,
        "steady" => PhaseKind::Steady,
        "overload" => PhaseKind::Overload,
        "recovery" => PhaseKind::Recovery,
        other => {
            return Err(bad(format!("{other:?} is no phase (ramp, steady, overload, recovery)")));
        }
    };
    let target = match target.trim().strip_suffix("/s") {
        Some(rate) => rate.trim().parse().map(Target::RequestsPerSecond).ok(),
        None => target.trim().parse().map(Target::Sessions).ok(),
    };
    let target = target.ok_or_else(|| bad(format!("{text:?} has no number after '@'")))?;
    let duration = amount::read_duration(time).map_err(|problem| problem.to_string())?;
    Ok(Phase { kind, duration, target })
}

/// Bits per second that a session can ask for.
const PACES: std::ops::RangeInclusive<u64> = 1..=1_000_000_000_000_000;

fn parse_pace(text: &str) -> Result<Pace, String> {
    match text.trim() {
        "full" => Ok(Pace::Full),
        "playing" => Ok(Pace::Playing),
        rate => match amount::read_bit_rate(rate) {
            Ok(bits) if PACES.contains(&bits) => Ok(Pace::Bits(bits)),
            Ok(_) => Err("from 1 bit/s to 1000 Tbit/s is possible".to_owned()),
            Err(problem) => Err(format!("{problem}; \"full\" and \"playing\" are no numbers")),
        },
    }
}

fn parse_one_in(text: &str) -> Result<u32, String> {
    let of = text.trim().strip_prefix("1/").and_then(|n| n.parse().ok()).filter(|n| *n > 0);
    of.ok_or_else(|| {
        format!("{text:?} is no share: write 1/1 for every segment, or for example 1/16")
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        load: LoadArgs,
    }

    fn parse(more: &str) -> Result<LoadArgs, String> {
        let line = format!("load 127.0.0.1 --edge-key key {more}");
        let line = Line::try_parse_from(line.split_whitespace());
        line.map(|line| line.load).map_err(|error| error.to_string())
    }

    #[test]
    fn a_plain_line_is_one_steady_phase_at_full_speed() {
        let workload = parse("--sessions 3 --duration 2s").unwrap().workload(1);
        let duration = Duration::from_secs(2);
        let target = Target::Sessions(3);
        assert_eq!(workload.phases, [Phase { kind: PhaseKind::Steady, duration, target }]);
        assert_eq!((workload.pace, workload.window), (Pace::Full, 1));
        assert_eq!(workload.check(), Ok(()));
    }

    #[test]
    fn phases_and_rates_are_read_as_written() {
        let args = parse("--phase ramp=1m@10 --phase overload=500ms@15 --rate 5Mbit/s").unwrap();
        let workload = args.workload(1);
        assert_eq!(workload.phases[0].duration, Duration::from_secs(60));
        assert_eq!(workload.phases[1].target, Target::Sessions(15));
        assert_eq!((workload.pace, workload.window), (Pace::Bits(5_000_000), 8));
        let requests = parse("--phase steady=1s@2.5/s --verify 1/16").unwrap().workload(1);
        assert_eq!(requests.phases[0].target, Target::RequestsPerSecond(2.5));
        assert_eq!((requests.verify_one_in, requests.window), (16, 8));
    }

    #[test]
    fn what_is_wrong_is_said_with_what_would_be_right() {
        for (line, said) in [
            ("--phase steady", "has no '='"),
            ("--phase calm=1s@1", "\"calm\" is no phase"),
            ("--phase steady=1s@x", "no number after '@'"),
            ("--phase steady=1s@1 --duration 3s", "cannot be used with"),
            ("--rate fast", "such as \"10 Gbit/s\""),
            ("--rate 0", "from 1 bit/s"),
            ("--duration 90", "such as \"90 s\""),
            ("--verify 3", "1/16"),
            ("--multicast lo", "--play"),
            ("--play --rate full", "cannot be used with"),
            ("--datagram 100", "1200"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains(said), "{line}: {error}");
        }
    }
}
