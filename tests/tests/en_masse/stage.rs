//! An edge, a title, and viewers who start one after another.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use segcast_kit::metrics::metric;
use segcast_kit::needs;
use segcast_kit::net::lan::{DEVICE, EDGE, Lan};
use segcast_kit::process::{Edge, World, json, segcast_binary};
use segcast_proto::segment::geometry::UNIT;

/// Where the edge says what it counts.
const ADMIN: &str = "127.0.0.1:4871";
/// An address of the edge by which its viewers do not know it.
const ANOTHER: &str = "10.82.0.250";

/// A network with a title.
pub(crate) struct Stage {
    pub(crate) lan: Lan,
    world: World,
    title: Vec<u8>,
    plays: Duration,
    /// One for each viewer.
    grants: Vec<PathBuf>,
    with_groups: bool,
    /// What the edge says is the source of its groups.
    source: Option<&'static str>,
    /// Half way through, this becomes of what comes to viewers.
    cut: Option<&'static str>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Played {
    title_bytes: usize,
    /// UDP payload that the edge sent, and what of it went to groups.
    sent: u64,
    to_groups: u64,
    /// Segments that came whole by groups, and those of which a part did, of all viewers.
    pub(crate) heard: u64,
    completed: u64,
    /// Times that a group was given up.
    pub(crate) deaf: u64,
    /// Deadlines.
    pub(crate) missed: u64,
    pub(crate) stalls: u64,
    /// Warnings of all viewers.
    pub(crate) said: String,
}

impl Played {
    /// What the edge sent, in titles.
    pub(crate) fn titles(&self) -> f64 {
        self.sent as f64 / self.title_bytes as f64
    }
}

impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { heard, completed, deaf, missed, stalls, .. } = self;
        let to_groups = self.to_groups as f64 / self.title_bytes as f64;
        write!(
            f,
            "{:.3} titles sent, {to_groups:.3} of them to groups; {heard} segments heard, {completed} completed, \
             {deaf} times deaf; {missed} deadlines missed, {stalls} stalls",
            self.titles(),
        )
    }
}

impl Stage {
    /// So many viewers on so many hosts.
    pub(crate) fn new(viewers: u8, hosts: u8) -> Self {
        // 256 MiB in 120 s, but for 64 KiB: whole segments of 3 s, as `pack` chooses them.
        let (segments, units) = if needs::full() { (40, 91) } else { (6, 14) };
        let plays = Duration::from_secs(3) * segments;
        let bytes = (segments * units * UNIT) as usize;
        let title: Vec<u8> =
            (0..bytes).map(|i| (i ^ (i >> 8) ^ (i >> 16) ^ (i >> 24)) as u8).collect();
        let world = World::new();
        std::fs::write(world.path("title"), &title).expect("a title");
        let duration = format!("{}s", plays.as_secs());
        let packed = world.pack_file("title", &["--duration", &duration]);
        assert_eq!(packed["segments"], segments);
        let set = packed["set"].as_str().expect("a set");
        let grants = (0..viewers).map(|_| world.grant_of(set, &[])).collect();
        let lan = Lan::new(hosts).expect("a network");
        Self { lan, world, title, plays, grants, with_groups: true, source: None, cut: None }
    }

    /// All goes by unicast.
    pub(crate) fn without_groups(self) -> Self {
        Self { with_groups: false, ..self }
    }

    /// The edge announces groups of another address than that of its sessions.
    pub(crate) fn with_another_source(self) -> Self {
        let address = format!("address add {ANOTHER}/24 dev {DEVICE}\n");
        self.lan.edge.ip_batch(&address);
        Self { source: Some(ANOTHER), ..self }
    }

    /// Half way through, what comes to viewers is met by `rule`.
    pub(crate) fn cut_in_the_middle(self, rule: &'static str) -> Self {
        Self { cut: Some(rule), ..self }
    }

    /// All viewers watch the title.
    pub(crate) fn play(&self) -> Played {
        let edge = self.edge();
        // Within a second; within half of one where several networks are busy at once.
        let start = Duration::from_millis(if needs::full() { 1000 } else { 500 });
        let apart = start / u32::try_from(self.grants.len()).expect("few");
        let start = |(number, grant): (usize, &PathBuf)| {
            let get = self.get(number, grant, &edge).spawn().expect("get");
            thread::sleep(apart);
            get
        };
        let viewers: Vec<Child> = self.grants.iter().enumerate().map(start).collect();
        if let Some(rule) = self.cut {
            thread::sleep(self.plays / 2);
            self.lan.viewers.iter().for_each(|viewer| viewer.filter_incoming(rule));
        }
        let ends = viewers.into_iter().enumerate().map(|(number, get)| self.end(number, get));
        let (reports, said): (Vec<_>, Vec<_>) = ends.unzip();
        let sum = |part: &str, name: &str| {
            reports.iter().map(|report| report[part][name].as_u64().unwrap_or(0)).sum()
        };
        let count = |name: &str| self.lan.edge.run(|| metric(ADMIN, name));
        Played {
            title_bytes: self.title.len(),
            sent: count("segcast_edge_sent_bytes_total"),
            to_groups: count("segcast_edge_group_bytes_total"),
            heard: sum("groups", "segments"),
            completed: sum("groups", "completed"),
            deaf: sum("groups", "deaf"),
            missed: sum("play", "missed"),
            stalls: sum("play", "stalls"),
            said: said.concat(),
        }
    }

    fn edge(&self) -> Edge {
        let interface = format!("--multicast-interface={DEVICE}");
        let source = format!("--multicast-source={}", self.source.unwrap_or("auto"));
        let mut arguments = vec!["--admin", ADMIN, "--pin", "false"];
        if self.with_groups {
            arguments.extend(["--multicast=on", &interface, &source]);
            arguments.extend(["--multicast-groups=232.82.0.0/16", "--multicast-rate=1Gbit/s"]);
        }
        let segcast = self.lan.edge.command(segcast_binary());
        let listen = format!("{EDGE}:4870");
        Edge::start(segcast, self.world.folder(), &listen, &arguments).expect("the edge ended")
    }

    fn get(&self, number: usize, grant: &Path, edge: &Edge) -> Command {
        let host = &self.lan.viewers[number % self.lan.viewers.len()];
        let mut get = host.command(segcast_binary());
        get.args(["get", &edge.address, "--edge-key", &edge.key, "--play", "--json", "--grant"]);
        get.arg(grant).arg("--out").arg(self.copy(number));
        if self.with_groups {
            get.args(["--multicast", DEVICE, "--multicast-rate", "400Mbit/s"]);
        }
        get.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        get
    }

    /// What a viewer says at its end, when the title is the same byte for byte.
    fn end(&self, number: usize, viewer: Child) -> (serde_json::Value, String) {
        let output = viewer.wait_with_output().expect("get");
        assert!(output.status.success(), "viewer {number}: {output:?}");
        let copy = self.copy(number);
        assert!(std::fs::read(&copy).expect("a copy") == self.title, "viewer {number}");
        std::fs::remove_file(copy).expect("it is there");
        let [report, said] =
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("UTF-8"));
        (json(&report), said)
    }

    fn copy(&self, number: usize) -> PathBuf {
        self.world.path(&format!("copy{number}"))
    }
}
