//! `segcast demo --multicast`: viewers of one title who start one after another, and an edge that sends once to a group what
//! several of them will need.
//!
//! Every viewer is the shipped client in a process of its own, which knows the edge and has a grant; its copy is compared with the
//! title at the end.

mod figures;
mod network;
mod viewer;

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
pub(super) use figures::Figures;
use network::Network;
use segcast_center::grant::{Client, Limits, issue_grant};
use segcast_center::ingest::PackReport;
use segcast_center::keys::KeyDir;
use segcast_client::access::EdgeAddress;
use segcast_config::amount::{self, rounded};
use segcast_keys::file;
use segcast_keys::keytext::{self, KeyKind};
use segcast_load::server::metrics;
use segcast_sysio::clock::unix_seconds;
use viewer::{Viewer, Watched};

use super::Demo;
use super::edge_process::EdgeProcess;
use super::media::Media;
use crate::terminal::Meter;

/// Length of the title that is made when none is given: 8 Mbit/s.
const MADE_LENGTH: u64 = 48 << 20;
/// What a viewer takes from groups, many times the rate of any title.
const GROUP_RATE: &str = "1Gbit/s";
/// For the edge to say what it counted, seconds.
const METRICS_TIMEOUT: u64 = 10;
/// How often it is looked whether viewers have ended, and what the edge has sent.
const LOOK: Duration = Duration::from_millis(100);

/// Arguments of `--multicast`.
#[derive(Args, Debug)]
pub(super) struct EnMasseArgs {
    /// Instead: viewers of one title who start one after another, served by groups; what the edge sent beside what they got
    #[arg(long)]
    pub(super) multicast: bool,
    /// With --multicast: viewers
    #[arg(long, value_name = "N", default_value_t = 8, requires = "multicast", value_parser = clap::value_parser!(u8).range(2..=32))]
    viewers: u8,
    /// With --multicast: from one's start to the next one's
    #[arg(long, value_name = "TIME", default_value = "1.5s", requires = "multicast", value_parser = amount::read_duration)]
    apart: Duration,
    /// With --multicast: running time of the title
    #[arg(long, value_name = "TIME", default_value = "48s", requires = "multicast", value_parser = amount::read_duration)]
    plays: Duration,
    /// It was started again in namespaces
    #[arg(long, hide = true, requires = "multicast")]
    inside: bool,
}

impl EnMasseArgs {
    /// Goes into namespaces, by starting this program again, where they are wanted and can be made. Why they cannot be.
    pub(super) fn enter_namespaces(&self) -> anyhow::Result<Option<String>> {
        (self.multicast && !self.inside).then(|| network::enter("--inside")).transpose()
    }
}

/// What viewers need to know to find the edge and its groups.
struct Stage {
    network: Network,
    edge: EdgeAddress,
    group_port: u16,
    /// `http://…/metrics`.
    metrics: String,
}

impl Stage {
    /// What the edge has counted so far.
    fn count(&self, name: &str) -> anyhow::Result<u64> {
        let counters =
            metrics::fetch(&self.metrics, METRICS_TIMEOUT).map_err(anyhow::Error::msg)?;
        let counted = metrics::sum(&counters, &format!("segcast_edge_{name}_total"));
        counted.map(|value| value as u64).with_context(|| format!("the edge does not count {name}"))
    }
}

impl Demo<'_> {
    /// All of it.
    pub(super) fn en_masse(&self, no_namespaces: Option<String>) -> anyhow::Result<Figures> {
        let args = &self.args.en_masse;
        let keys = KeyDir::open(&self.folder.join("keys"))?;
        let media = Media::open(self.args.media.as_deref(), MADE_LENGTH)?;
        let packed = self.pack(&media, &keys, Some(args.plays))?;
        self.check()?;
        let network = match no_namespaces {
            Some(reason) => Network::Loopback(reason),
            None => Network::of_namespaces(args.viewers)?,
        };
        self.say(&format!("3  a network: {network}"));
        let (mut edge, stage) = self.start_group_edge(network)?;
        let watched = self.watch(&media, &packed, &keys, &stage);
        let watched = watched.map_err(|error| edge.explain(error))?;
        let figures = figures(&stage, &packed, args.plays, watched)?;
        edge.stop()?;
        Ok(figures)
    }

    fn start_group_edge(&self, network: Network) -> anyhow::Result<(EdgeProcess, Stage)> {
        let [admin, group_port] = free_ports().context("no free port")?;
        let more = [
            format!("--admin=127.0.0.1:{admin}"),
            "--multicast=on".to_owned(),
            format!("--multicast-interface={}", network.interface()),
            format!("--multicast-port={group_port}"),
            "--multicast-groups=232.83.0.0/16".to_owned(),
            format!("--multicast-rate={GROUP_RATE}"),
        ];
        let (process, edge) = EdgeProcess::start(self.folder, self.args.io, network.edge(), &more)?;
        self.say(&format!(
            "4  an edge: process {} serves the store on {}, and may send to groups in 232.83.0.0/16",
            process.id(),
            edge.address
        ));
        let metrics = format!("http://127.0.0.1:{admin}/metrics");
        Ok((process, Stage { network, edge, group_port, metrics }))
    }

    /// All viewers, from the start of the first to the end of the last.
    fn watch(
        &self,
        media: &Media,
        packed: &PackReport,
        keys: &KeyDir,
        stage: &Stage,
    ) -> anyhow::Result<Vec<Watched>> {
        let args = &self.args.en_masse;
        self.say(&format!(
            "5  {} viewers watch it for {}, one starts every {}",
            args.viewers,
            rounded::duration(args.plays),
            rounded::duration(args.apart)
        ));
        let begun = Instant::now();
        // Of what it would send by unicast.
        let total = media.length() * u64::from(args.viewers);
        let mut meter = Meter::new("   sent", self.args.json);
        let mut wait_until = |end: Instant| -> anyhow::Result<()> {
            while let Some(left) = end.checked_duration_since(Instant::now()) {
                self.check()?;
                std::thread::sleep(left.min(LOOK));
                meter.show(stage.count("sent_bytes")?, total, "");
            }
            self.check()
        };
        let mut viewers = Vec::new();
        for number in 0..usize::from(args.viewers) {
            wait_until(begun + args.apart * number as u32)?;
            let client = Client::fresh()?;
            let grant =
                issue_grant(keys, &client, &[packed.set], &Limits::default(), unix_seconds())?;
            let path = self.folder.join(format!("viewer{number}.grant"));
            file::create_grant(&path, &grant)?;
            let get = self.get(stage, number, &path)?;
            viewers.push(Viewer::start(get, self.folder, number, begun.elapsed())?);
        }
        let mut watched = Vec::new();
        for mut viewer in viewers {
            while !viewer.has_ended()? {
                wait_until(Instant::now() + LOOK)?;
            }
            let copy = viewer.copy.clone();
            watched.push(viewer.watched()?);
            media.compare(&copy, self.interrupt)?;
            std::fs::remove_file(&copy).context("could not remove a viewer's copy")?;
        }
        meter.clear();
        self.say("6  each copy is the title, byte for byte");
        Ok(watched)
    }

    fn get(
        &self,
        stage: &Stage,
        number: usize,
        grant: &Path,
    ) -> anyhow::Result<std::process::Command> {
        let program = std::env::current_exe().context("could not find this program's file")?;
        let key = keytext::format(KeyKind::EdgePublic, &stage.edge.public_key);
        let mut get = stage.network.viewer(number, program);
        get.args(["get", &stage.edge.address.to_string(), "--edge-key", key.trim_end()])
            .arg("--grant")
            .arg(grant)
            .args(["--play", "--json", "--io", self.args.io.word()])
            .args(["--multicast", stage.network.interface(), "--multicast-rate", GROUP_RATE])
            .args(["--multicast-port", &stage.group_port.to_string()]);
        Ok(get)
    }
}

/// A free port of TCP, for metrics, and one of UDP, for groups.
fn free_ports() -> std::io::Result<[u16; 2]> {
    let admin = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    Ok([admin, UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port()])
}

fn figures(
    stage: &Stage,
    packed: &PackReport,
    plays: Duration,
    viewers: Vec<Watched>,
) -> anyhow::Result<Figures> {
    let sent_bytes = stage.count("sent_bytes")?;
    let delivered_bytes: u64 = viewers.iter().map(|viewer| viewer.bytes).sum();
    Ok(Figures {
        network: match stage.network {
            Network::Namespaces(_) => "namespaces",
            Network::Loopback(_) => "loopback",
        },
        set: packed.set.to_string(),
        bytes: packed.geometry.true_length(),
        running_time_s: plays.as_secs_f64(),
        viewers,
        sent_bytes,
        group_bytes: stage.count("group_bytes")?,
        group_sends: stage.count("group_sends")?,
        delivered_bytes,
        gain: delivered_bytes as f64 / sent_bytes.max(1) as f64,
    })
}
