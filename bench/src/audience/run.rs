//! One edge, and so many viewers of its title.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context as _;
use segcast_client::access::EdgeAddress;
use segcast_client::connection::{ConnectionConfig, MulticastConfig};
use segcast_client::fetch;
use segcast_load::plan::{Arrivals, Pace, Phase, PhaseKind, Plan, Target, Title, Workload};
use segcast_load::record::{self, Interval};
use segcast_load::result::Ledger;
use segcast_load::run::{self, Observer, RunConfig, Subject};
use segcast_proto::ids::SetHandle;
use segcast_proto::rate::Rate;
use serde::Serialize;

use super::Args;
use super::title::Watched;
use crate::measure::{Binary, CpuUse, Server, ServerSpec, metrics, on_core};

/// The interface on which groups are sent and heard, and the groups.
const INTERFACE: &str = "lo";
const GROUPS: &str = "232.77.0.0/16";
/// Requests that a viewer may have under way, as a client has.
const WINDOW: u16 = 48;
/// From when it should have come to when a segment is lost.
const TIMEOUT: Duration = Duration::from_secs(10);
/// After the last viewer's title: time for handshakes and the last segments.
const SPARE: Duration = Duration::from_secs(3);

/// How viewers are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mode {
    /// By unicast.
    Off,
    /// By unicast, and the edge says what groups would have saved.
    DryRun,
    /// By groups.
    On,
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::DryRun => "dry-run",
            Self::On => "on",
        })
    }
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) viewers: u32,
    pub(super) multicast: Mode,
    /// From the intention to the first picture, ms: half of the viewers, 99 % of them.
    pub(super) start_up_ms: [f64; 2],
    /// Times that a picture stood still, and for how long in all, s.
    pub(super) stalls: u64,
    pub(super) stalled_s: f64,
    /// Segments that came after their deadline, of how many.
    pub(super) late: u64,
    pub(super) deadlines: u64,
    /// What became of segments that did not come, and of how many.
    pub(super) lost: Vec<(String, u64)>,
    /// UDP payload that the edge sent by the title's length: all, and to groups.
    pub(super) sent: f64,
    pub(super) group: f64,
    /// What would have gone to groups, as a dry run says.
    pub(super) would_group: f64,
    /// Bytes of segments that viewers have by bytes that the edge sent.
    pub(super) gain: f64,
    /// Processor time of the edge's process and of the generator's thread for each byte of segments that viewers have, ns.
    pub(super) edge_ns_per_byte: f64,
    pub(super) load_ns_per_byte: f64,
}

/// Adds all up.
#[derive(Default)]
struct Sum(Interval);

impl Observer for Sum {
    fn interval(&mut self, interval: &Interval) {
        self.0.add(interval);
    }
}

/// Lets `viewers` watch.
pub(super) fn measure(
    args: &Args,
    binary: &Binary,
    title: &Watched,
    viewers: u32,
    mode: Mode,
) -> anyhow::Result<Row> {
    let cores = args.cores.choose()?;
    let admin = free_tcp_port()?;
    let port = free_udp_port()?;
    let server = Server::start(&ServerSpec {
        binary,
        store: &title.store(),
        keys: &title.keys(),
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        core: cores.server,
        namespace: None,
        flags: &flags(args, mode, admin, port),
    })?;
    let clocks = server.clocks();
    let before = clocks.read()?;
    let mut sum = Sum::default();
    on_core(cores.generator, || watch(args, &server, title, viewers, mode, port, &mut sum))?;
    let used = clocks.read()? - before;
    row(title, viewers, mode, admin, &used, &sum.0)
}

fn flags(args: &Args, mode: Mode, admin: SocketAddr, port: u16) -> Vec<String> {
    let mut flags = vec![format!("--admin={admin}"), format!("--multicast={mode}")];
    if mode != Mode::Off {
        flags.push(format!("--multicast-interface={INTERFACE}"));
        flags.push(format!("--multicast-groups={GROUPS}"));
        flags.push(format!("--multicast-port={port}"));
        flags.push(format!("--multicast-rate={}Mbit/s", args.group_rate));
    }
    flags
}

fn watch(
    args: &Args,
    server: &Server,
    title: &Watched,
    viewers: u32,
    mode: Mode,
    port: u16,
    sum: &mut Sum,
) -> anyhow::Result<()> {
    let access = title.access(viewers, args.seed)?;
    let edge = EdgeAddress { address: server.address(), public_key: server.public_key() };
    let (connection, stop) = (ConnectionConfig::default(), AtomicBool::new(false));
    let first = access.first().context("no viewers")?;
    let (manifest, edge) = fetch::manifest(&[edge], first, Some(title.set), connection, &stop)?;
    let known = Title::of(SetHandle::FIRST, manifest.root());
    let plan = Plan::new(workload(args, viewers), vec![known])?;
    let subject = Subject { edge, manifests: std::slice::from_ref(&manifest), access: &access };
    let interface = INTERFACE.to_owned();
    let config = RunConfig {
        play: Some(Duration::from_secs_f64(args.startup)),
        multicast: (mode == Mode::On).then_some(MulticastConfig { interface, port }),
        group_rate: Rate::new(u64::from(args.group_rate) * 125_000),
        ..RunConfig::default()
    };
    run::run(&plan, &subject, &config, sum, &stop)?;
    Ok(())
}

/// Viewers come by chance, and stay until all of them have seen the title.
fn workload(args: &Args, viewers: u32) -> Workload {
    let target = Target::Sessions(viewers);
    let stays = args.playing() + Duration::from_secs_f64(args.startup) + SPARE;
    let come = Phase { kind: PhaseKind::Ramp, duration: args.within(), target };
    let stay = Phase { kind: PhaseKind::Steady, duration: stays, target };
    Workload {
        seed: args.seed,
        arrivals: Arrivals::Poisson,
        pace: Pace::Playing,
        window: WINDOW,
        ..Workload::at_full_speed(vec![come, stay], viewers, TIMEOUT)
    }
}

fn row(
    title: &Watched,
    viewers: u32,
    mode: Mode,
    admin: SocketAddr,
    used: &CpuUse,
    all: &Interval,
) -> anyhow::Result<Row> {
    let counters = metrics::fetch(admin)?;
    let of = |name| metrics::sum(&counters, name).unwrap_or(0) as f64;
    let (ledger, playout) = (&all.ledger, &all.playout);
    let came = ledger.complete + ledger.late;
    let delivered = came as f64 * f64::from(title.segment_bytes);
    let start_up = |part| playout.startup.histogram().value_at_quantile(part) as f64 / 1e3;
    let (sent, length) = (of("sent_bytes_total"), title.length as f64);
    let would = if mode == Mode::DryRun { would_group(admin)? } else { 0 };
    Ok(Row {
        viewers,
        multicast: mode,
        start_up_ms: [start_up(0.5), start_up(0.99)],
        stalls: playout.stalls,
        stalled_s: playout.stalled.as_secs_f64(),
        late: ledger.late,
        deadlines: ledger.intended,
        lost: lost(ledger),
        sent: sent / length,
        group: of("group_bytes_total") / length,
        would_group: would as f64 / length,
        gain: delivered / sent,
        edge_ns_per_byte: used.seconds() * 1e9 / delivered,
        load_ns_per_byte: all.health.cpu.as_secs_f64() * 1e9 / delivered,
    })
}

/// Ends of segments other than that they came, in words.
fn lost(ledger: &record::Ledger) -> Vec<(String, u64)> {
    let rows = Ledger::from(ledger).rows().into_iter();
    let lost = rows.filter(|(what, ..)| !matches!(*what, "complete" | "late"));
    let in_words = |(what, cause, count): (&str, Option<String>, u64)| {
        (cause.map_or_else(|| what.to_owned(), |cause| format!("{what} ({cause})")), count)
    };
    lost.map(in_words).collect()
}

/// What the edge's dry run says of all titles and hours.
fn would_group(admin: SocketAddr) -> anyhow::Result<u64> {
    let url = format!("http://{admin}/multicast");
    let answer =
        minreq::get(url).with_header("Accept", "application/json").with_timeout(5).send()?;
    let page: serde_json::Value = serde_json::from_slice(answer.as_bytes())?;
    let dropped = page["dropped"].as_u64();
    anyhow::ensure!(dropped == Some(0), "the dry run was not told of all requests: {page}");
    let lines = page["titles"].as_array().context("no titles")?;
    Ok(lines.iter().filter_map(|line| line["would_group_bytes"].as_u64()).sum())
}

fn free_tcp_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn free_udp_port() -> anyhow::Result<u16> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
