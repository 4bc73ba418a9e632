//! How the edge shares a link: alone, beside TCP CUBIC, beside another session, and under loss.
//!
//! 100 Mbit/s, a drop-tail queue of one bandwidth-delay product, real processes in two namespaces.
//! By default one short run of each case at one round trip, with bounds that only catch a
//! controller that is broken: it runs beside other work. `SEGCAST_FULL=1`: round trips of 10, 40 and 100 ms, 60 s of which the
//! first 10 are left out, the median of five (or of `SEGCAST_RUNS`), with the bounds of a
//! product that is right (`SEGCAST_RTT=100`: only that round trip); all cases take well over an hour, one can be named: `cargo test -p segcast-tests --test congestion -- beside_cubic`.
#![forbid(unsafe_code)]

use std::sync::OnceLock;
use std::time::Duration;

use segcast_kit::needs::{self, Need, trial};
use segcast_kit::net::emulator::{DirectionConfig, Flow, Link, LinkConfig, Loss, Statistics, Wire};
use segcast_kit::net::flows::TcpFlow;
use segcast_kit::process::product::Product;
use segcast_kit::process::{Edge, Running};

const NEEDS: [Need; 3] = [needs::tap, needs::iproute2, needs::cubic];
const SEED: u64 = 20_261_121;
/// Bits per second of the link.
const RATE: u64 = 100_000_000;
const TCP_PORT: u16 = 5001;

fn main() {
    println!("seed {SEED}");
    needs::main(vec![
        trial("alone_the_link_is_used", &NEEDS, alone),
        trial("beside_cubic_both_get_a_share", &NEEDS, beside_cubic),
        trial("two_sessions_share_evenly", &NEEDS, two_sessions),
        trial("random_loss_is_borne", &NEEDS, random_loss),
        trial("reference_cubic_alone", &NEEDS, cubic_alone),
    ]);
}

/// What is run on the link.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    sessions: usize,
    is_cubic_there: bool,
    loss: Loss,
}

const ALONE: Case = Case { name: "alone", sessions: 1, is_cubic_there: false, loss: Loss::None };

fn alone() {
    let (used, queue) = by_plan((0.6, 1.0), (0.8, 0.5));
    for (round_trip, row) in measure(ALONE) {
        assert!(row.used >= used, "{row:?}");
        // The buffer holds a round trip.
        assert!(row.queue_p50 <= queue * round_trip as f64, "{row:?}");
    }
}

fn beside_cubic() {
    let (least, most) = by_plan((0.05, 0.95), (0.25, 0.75));
    for (_, row) in measure(Case { name: "beside CUBIC", is_cubic_there: true, ..ALONE }) {
        assert!((least..=most).contains(&row.share), "{row:?}");
        assert!(row.used >= 0.7, "{row:?}");
    }
}

fn two_sessions() {
    // Jain's index of two that share 40:60 is 1 / (2 (0.4² + 0.6²)).
    let evenness = by_plan(0.7, 0.9615);
    for (_, row) in measure(Case { name: "two sessions", sessions: 2, ..ALONE }) {
        assert!(row.evenness >= evenness, "{row:?}");
        assert!(row.used >= 0.6, "{row:?}");
    }
}

fn random_loss() {
    let used = by_plan(0.4, 0.8);
    for (_, row) in measure(Case { name: "1 % loss", loss: Loss::Random(0.01), ..ALONE }) {
        assert!(row.used >= used, "{row:?}");
    }
}

fn cubic_alone() {
    let case = Case { name: "CUBIC alone", sessions: 0, is_cubic_there: true, ..ALONE };
    for (_, row) in measure(case) {
        assert!(row.used >= 0.7, "the yardstick itself is broken: {row:?}");
    }
}

/// The bound for a short run, or that for full ones.
fn by_plan<T>(short: T, full: T) -> T {
    if needs::full() { full } else { short }
}

/// How long and how often is measured.
struct Plan {
    round_trips: Vec<u64>,
    runs: usize,
    warm_up: Duration,
    measured: Duration,
}

fn plan() -> Plan {
    let seconds = Duration::from_secs;
    let runs = std::env::var("SEGCAST_RUNS").ok();
    let runs = runs.map(|text| text.parse().expect("SEGCAST_RUNS: a number of runs, at least 1"));
    if needs::full() {
        let round_trips = round_trips(&[10, 40, 100]);
        Plan { round_trips, runs: runs.unwrap_or(5), warm_up: seconds(10), measured: seconds(50) }
    } else {
        Plan {
            round_trips: vec![40],
            runs: runs.unwrap_or(1),
            warm_up: seconds(4),
            measured: seconds(8),
        }
    }
}

/// Those of `all` that are asked for.
fn round_trips(all: &[u64]) -> Vec<u64> {
    let Ok(text) = std::env::var("SEGCAST_RTT") else { return all.to_vec() };
    vec![text.parse().expect("SEGCAST_RTT: a round trip in ms")]
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// Part of the link's rate that was used by all flows together.
    used: f64,
    /// The sessions' part of what was used.
    share: f64,
    /// Jain's index over the sessions: 1 is even, 1/n is one for all.
    evenness: f64,
    /// Queueing delay, ms.
    queue_p50: f64,
    queue_p95: f64,
    /// Frames that found the queue full, of all.
    dropped: f64,
}

/// The median of each figure over the plan's runs, for each round trip (ms); printed as a table.
fn measure(case: Case) -> Vec<(u64, Row)> {
    let plan = plan();
    println!("\n    {:<14} RTT  used  share  even  queue p50/p95 ms  dropped", case.name);
    let rows = plan.round_trips.iter().map(|&round_trip| {
        let runs: Vec<Row> =
            (0..plan.runs).map(|run| one_run(case, &plan, round_trip, run)).collect();
        let row = median(&runs);
        println!(
            "    {:<14} {round_trip:>3} {:>5.3} {:>6.3} {:>5.3} {:>8.1} / {:<7.1} {:>7.5}",
            "median", row.used, row.share, row.evenness, row.queue_p50, row.queue_p95, row.dropped
        );
        (round_trip, row)
    });
    rows.collect()
}

fn one_run(case: Case, plan: &Plan, round_trip: u64, run: usize) -> Row {
    let link = link(case, round_trip, run);
    let mut sessions = (case.sessions > 0).then(|| Sessions::start(case.sessions, &link, plan));
    // Longer than is measured: its end is not seen.
    let lasting = plan.warm_up + plan.measured + Duration::from_secs(1);
    let tcp = case
        .is_cubic_there
        .then(|| TcpFlow::start(&link.left, &link.right, TCP_PORT, lasting).expect("a TCP flow"));
    std::thread::sleep(plan.warm_up);
    link.take_statistics_to_right();
    std::thread::sleep(plan.measured);
    let statistics = link.take_statistics_to_right();
    if let Some(sessions) = &mut sessions {
        sessions.assert_running();
    }
    drop(sessions);
    if let Some(flow) = tcp {
        assert!(flow.is_running(), "the TCP flow ended too early");
        flow.finish().expect("no socket error");
    }
    let health = link.health().expect("counters can be read");
    let row = row(&statistics, case.sessions, plan.measured);
    println!("    run {run}: {row:.3?} {health:?}");
    assert_eq!(health.dropped, 0, "the relay did not keep up");
    row
}

/// An edge and its clients, each in a process of its own; ended when dropped.
struct Sessions {
    product: &'static Product,
    clients: Vec<(String, Running)>,
    edge: Edge,
}

impl Sessions {
    fn start(count: usize, link: &Link, plan: &Plan) -> Self {
        let product = product(plan);
        let edge = product.edge(&link.left).expect("an edge");
        let mut sessions = Sessions { product, clients: Vec::new(), edge };
        for number in 0..count {
            let name = format!("copy{number}");
            product.forget(&name);
            let client = product.get(&link.right, &sessions.edge, &name).expect("a client");
            sessions.clients.push((name, client));
        }
        sessions
    }

    fn assert_running(&mut self) {
        assert!(self.edge.child.is_running().expect("a child"), "the edge ended");
        for (name, client) in &mut self.clients {
            assert!(client.is_running().expect("a child"), "the client of {name} ended too early");
        }
    }
}

impl Drop for Sessions {
    fn drop(&mut self) {
        for (name, client) in self.clients.drain(..) {
            drop(client);
            self.product.forget(&name);
        }
    }
}

fn link(case: Case, round_trip: u64, run: usize) -> Link {
    let delay = Duration::from_millis(round_trip) / 2;
    // One bandwidth-delay product.
    let queue = RATE / 8 * round_trip / 1000;
    let back = DirectionConfig { rate: RATE, delay, queue, wire: Wire::PERFECT };
    let wire = Wire { loss: case.loss, ..Wire::PERFECT };
    let to_right = DirectionConfig { wire, ..back };
    let seed = SEED + run as u64;
    let config = LinkConfig { to_right, ..LinkConfig::symmetric(back, seed) };
    Link::new(config).expect("a link")
}

/// The title is larger than what the link carries in a run, so that no client ends early.
fn product(plan: &Plan) -> &'static Product {
    static PRODUCT: OnceLock<Product> = OnceLock::new();
    PRODUCT.get_or_init(|| {
        let seconds = (plan.warm_up + plan.measured).as_secs() + 3;
        Product::with_title(RATE / 8 * seconds, 4)
    })
}

fn row(statistics: &Statistics, sessions: usize, measured: Duration) -> Row {
    let bytes_of = |protocol| {
        let flows = statistics.delivered_bytes.iter();
        flows.filter(move |(flow, _)| flow.protocol == protocol).map(|(_, bytes)| *bytes as f64)
    };
    let all: f64 = statistics.delivered_bytes.values().map(|bytes| *bytes as f64).sum();
    let ours = bytes_of(Flow::UDP).sum::<f64>() + 0.0;
    let squares: f64 = bytes_of(Flow::UDP).map(|bytes| bytes * bytes).sum();
    let milliseconds = |bytes: f64| bytes * 8.0 * 1000.0 / RATE as f64;
    Row {
        used: all * 8.0 / measured.as_secs_f64() / RATE as f64,
        share: ours / all,
        evenness: if sessions > 0 { ours * ours / (sessions as f64 * squares) } else { 1.0 },
        queue_p50: milliseconds(statistics.queue_p50 as f64),
        queue_p95: milliseconds(statistics.queue_p95 as f64),
        dropped: statistics.dropped as f64 / statistics.offered as f64,
    }
}

fn median(runs: &[Row]) -> Row {
    let of = |figure: fn(&Row) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Row {
        used: of(|row| row.used),
        share: of(|row| row.share),
        evenness: of(|row| row.evenness),
        queue_p50: of(|row| row.queue_p50),
        queue_p95: of(|row| row.queue_p95),
        dropped: of(|row| row.dropped),
    }
}
