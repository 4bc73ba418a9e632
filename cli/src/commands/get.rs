//! `segcast get`: fetches a title into a file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use segcast_client::access::Access;
use segcast_client::connection::{ConnectionConfig, MulticastConfig};
use segcast_client::fetch::{
    Fetch, FetchConfig, FetchError, Heard, Phase, PlayConfig, PlayReport, Progress, Report,
};
use segcast_config::ExitCode;
use segcast_config::amount::{self, rounded};
use segcast_keys::file;
use segcast_keys::keytext::KeyKind;
use segcast_proto::ids::SetId;
use segcast_proto::rate::Rate;

use super::edges::edges;
use super::io::IoArg;
use crate::failure::Interrupted;
use crate::interrupt::Interrupt;
use crate::logging::{self, LogArgs};
use crate::output;
use crate::terminal::Meter;
use crate::words;

/// Arguments of `segcast get`.
#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    /// Edges: host, host:port or IPv6 in brackets with a port; a host is tried at all its addresses. With several edges, each segment comes from the one that is fastest
    #[arg(required = true, value_name = "ADDR")]
    edges: Vec<String>,
    /// Public key of the edge, or the file that holds it; once for all edges, or once for each in order
    #[arg(long, required = true, value_name = "KEY|FILE")]
    edge_key: Vec<String>,
    /// The grant, as `segcast token` writes it
    #[arg(long, value_name = "FILE")]
    grant: PathBuf,
    /// Where to put the title; while it grows it is FILE.part, and a fetch that was ended goes on from there
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Which title, where the grant names several
    #[arg(long, value_name = "ID")]
    set: Option<SetId>,
    /// The client's secret key, where the grant does not hold it
    #[arg(long, value_name = "FILE")]
    client_key: Option<PathBuf>,
    /// Which driver moves the datagrams
    #[arg(long, value_enum, default_value = "auto")]
    io: IoArg,
    /// Replace FILE, and discard a part file that cannot be continued
    #[arg(long)]
    force: bool,
    /// Do not read back what an earlier fetch left
    #[arg(long)]
    trust_part: bool,
    /// Give up when less than 1 KiB a second has come for this long
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = amount::read_duration)]
    patience: Duration,
    /// Segments in memory at once
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = amount::read_size)]
    window: u64,
    /// Fetch as somebody who watches: each segment by when it plays, not all as fast as they come
    #[arg(long)]
    play: bool,
    /// With --play: from the beginning to the first picture, at the soonest
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = amount::read_duration, requires = "play")]
    startup: Duration,
    /// With --play: of the times at which segments are asked for, so that they can be the same again
    #[arg(long, value_name = "N", requires = "play")]
    seed: Option<u64>,
    /// With --play: hear groups on this interface, where the edge has some; in a network that carries multicast
    #[arg(long, value_name = "INTERFACE", requires = "play")]
    multicast: Option<String>,
    /// With --multicast: the port that the edge sends to
    #[arg(long, value_name = "PORT", default_value_t = 4872, requires = "multicast")]
    multicast_port: u16,
    /// With --multicast: what may come by groups
    #[arg(long, value_name = "RATE", default_value = "100Mbit/s", value_parser = amount::read_bit_rate, requires = "multicast")]
    multicast_rate: u64,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    log: LogArgs,
}

/// Runs the command.
pub(crate) fn run(args: &GetArgs) -> anyhow::Result<ExitCode> {
    logging::start(&args.log, "warn")?;
    let interrupt = Interrupt::install()?;
    let edges = edges(&args.edges, &args.edge_key)?;
    let access = read_access(&args.grant, args.client_key.as_deref())?;
    let multicast = args.multicast.clone();
    let multicast =
        multicast.map(|interface| MulticastConfig { interface, port: args.multicast_port });
    let config = FetchConfig {
        connection: ConnectionConfig {
            io: args.io.kind(),
            multicast,
            ..ConnectionConfig::default()
        },
        group_rate: Rate::new(args.multicast_rate / 8),
        window_bytes: args.window,
        patience: args.patience,
        trust_part: args.trust_part,
        replace: args.force,
        play: args.play.then_some(PlayConfig { start_up: args.startup, seed: args.seed }),
        ..FetchConfig::default()
    };
    let fetch = Fetch::start(&edges, access, args.set, args.out.clone(), config)?;
    let part = fetch.part_path();
    let mut meter = Meter::new("fetched", args.json);
    let result = fetch.run(&mut |progress| show(&mut meter, progress), interrupt.flag());
    meter.clear();
    match result {
        Ok(report) if args.json => output::result(serde_json::to_string(&report)?)?,
        Ok(report) => output::result(summary(&report, &args.out).trim_end())?,
        Err(FetchError::Stopped { have, segments }) => {
            output::note(format_args!(
                "stopped: {have} of {segments} segments are kept in {}; the same command goes on from there",
                part.display()
            ));
            return Err(Interrupted(interrupt.exit_code()).into());
        }
        Err(error) => return Err(error.into()),
    }
    Ok(ExitCode::Success)
}

/// Reads a grant file, and the client's key where it lies elsewhere; either is refused when others can read it.
pub(crate) fn read_access(grant: &Path, client_key: Option<&Path>) -> anyhow::Result<Access> {
    let grant = file::read_grant(grant)?;
    let secret = client_key.map(|path| file::read(path, KeyKind::ClientSecret)).transpose()?;
    Ok(Access::new(grant, secret)?)
}

fn show(meter: &mut Meter, progress: &Progress) {
    let note = match (progress.phase, progress.edges_open, progress.rechecking) {
        (Phase::Connecting, ..) => "connecting".to_owned(),
        (Phase::Finishing, ..) => "finishing".to_owned(),
        (Phase::Fetching, 0, _) => "no edge answers".to_owned(),
        (Phase::Fetching, _, 0) => String::new(),
        (Phase::Fetching, _, left) => format!("{left} segments to read back"),
    };
    meter.show(progress.come, progress.total, &note);
}

fn summary(report: &Report, out: &Path) -> String {
    let us = |us| rounded::duration(Duration::from_micros(us));
    let resumed = match report.resumed_segments {
        0 => String::new(),
        n => format!(" ({n} were there from an earlier fetch)"),
    };
    let mut text = format!(
        "{}: {}, {} segments{resumed} in {}: {}\n\
         first byte after {}; a segment took {} (median), {} (99 %); {:.2} % asked for again\n",
        out.display(),
        rounded::size(report.bytes),
        report.segments,
        rounded::duration(Duration::from_secs_f64(report.seconds)),
        rounded::bit_rate(report.goodput_bytes_per_second * 8.0),
        us(report.start_us),
        us(report.segment_time.p50_us),
        us(report.segment_time.p99_us),
        report.retransmitted_share * 100.0,
    );
    text += &report.play.as_ref().map(watched).unwrap_or_default();
    text += &report.groups.as_ref().map(heard).unwrap_or_default();
    for edge in report.edges.iter().filter(|_| report.edges.len() > 1) {
        text += &format!("  {}: {} segments, {} wrong\n", edge.address, edge.segments, edge.wrong);
    }
    text
}

fn watched(play: &PlayReport) -> String {
    let us = |us| rounded::duration(Duration::from_micros(us));
    let stalls = match play.stalls {
        0 => "and never stood still".to_owned(),
        n => format!(
            "and stood still {}, {} in all",
            words::count(n.into(), "time"),
            us(play.stalled_us)
        ),
    };
    let (start, missed, of) = (us(play.start_up_us), play.missed, play.deadlines);
    format!(
        "watched: the picture came after {start} {stalls}; {missed} of {of} segments missed their deadline\n"
    )
}

fn heard(heard: &Heard) -> String {
    format!(
        "heard: {} by groups, {} of them completed by unicast; {} forged\n",
        words::count(heard.segments + heard.completed, "segment"),
        heard.completed,
        words::count(heard.forged, "symbol"),
    )
}
