//! `segcast get`: fetches a title into a file: of a center's, or with a grant from edges that are named.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use segcast_client::access::Access;
use segcast_client::connection::ConnectionConfig;
use segcast_client::fetch::{
    Fetch, FetchConfig, FetchError, Heard, Phase, PlayConfig, PlayReport, Progress, Report,
};
use segcast_client::file::PartFile;
use segcast_config::amount::{self, rounded};
use segcast_config::{ExitCode, Problem};
use segcast_keys::file;
use segcast_keys::keytext::KeyKind;
use segcast_proto::ids::SetId;

use super::account::title::TitleFetch;
use super::edges::edges;
use super::hearing::HearingArgs;
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
    /// A title of the center that was logged in to. With --grant, edges: host, host:port or IPv6 in brackets with a port; a host is tried at all its addresses. With several edges, each segment comes from the one that is fastest
    #[arg(required = true, value_name = "TITLE|ADDR")]
    what: Vec<String>,
    /// Public key of the edge, or the file that holds it; once for all edges, or once for each in order
    #[arg(long, requires = "grant", value_name = "KEY|FILE")]
    edge_key: Vec<String>,
    /// The grant, as `segcast token` writes it
    #[arg(long, requires = "edge_key", requires = "out", value_name = "FILE")]
    grant: Option<PathBuf>,
    /// Spend a title's last play without a question
    #[arg(long, conflicts_with = "grant")]
    yes: bool,
    /// Where to put the title, unless under its name; while it grows it is FILE.part, and a fetch that was ended goes on from there
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Which title, where the grant names several
    #[arg(long, requires = "grant", value_name = "ID")]
    set: Option<SetId>,
    /// The client's secret key, where the grant does not hold it
    #[arg(long, requires = "grant", value_name = "FILE")]
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
    #[command(flatten)]
    hearing: HearingArgs,
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
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(&args.what[0]));
    let mut meter = Meter::new("fetched", args.json);
    let mut progress = |progress: &Progress| show(&mut meter, progress);
    let result = match &args.grant {
        Some(grant) => {
            let edges = edges(&args.what, &args.edge_key)?;
            let access = read_access(grant, args.client_key.as_deref())?;
            let fetch = Fetch::start(&edges, access, args.set, out.clone(), args.config())?;
            fetch.run(&mut progress, interrupt.flag()).map_err(Into::into)
        }
        None => title(args, out.clone())?.run(&mut progress, &interrupt),
    };
    meter.clear();
    match result {
        Ok(report) if args.json => output::result(serde_json::to_string(&report)?)?,
        Ok(report) => output::result(summary(&report, &out).trim_end())?,
        Err(error) => {
            let Some(FetchError::Stopped { have, segments }) = error.downcast_ref() else {
                return Err(error);
            };
            output::note(format_args!(
                "stopped: {have} of {segments} segments are kept in {}; the same command goes on from there",
                PartFile::path_of(&out).display()
            ));
            return Err(Interrupted(interrupt.exit_code()).into());
        }
    }
    Ok(ExitCode::Success)
}

/// What to fetch of a center.
fn title(args: &GetArgs, out: PathBuf) -> anyhow::Result<TitleFetch> {
    let [title] = &args.what[..] else {
        return Err(Problem::new("one TITLE at a time; edges need --grant and --edge-key").into());
    };
    let title = title.parse().map_err(Problem::new)?;
    Ok(TitleFetch { title, out, yes: args.yes, config: args.config() })
}

impl GetArgs {
    fn config(&self) -> FetchConfig {
        let multicast = self.hearing.multicast();
        let connection =
            ConnectionConfig { io: self.io.kind(), multicast, ..ConnectionConfig::default() };
        FetchConfig {
            connection,
            group_rate: self.hearing.rate(),
            window_bytes: self.window,
            patience: self.patience,
            trust_part: self.trust_part,
            replace: self.force,
            play: self.play.then_some(PlayConfig { start_up: self.startup, seed: self.seed }),
            ..FetchConfig::default()
        }
    }
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
