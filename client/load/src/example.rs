//! Runs for tests: intervals as threads would record them, from a seed, and the results of them.

use std::time::{Duration, SystemTime};

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use segcast_proto::wire::code::Code;

use crate::collector::Collector;
use crate::record::{Class, Failure, Interval, Unoffered};
use crate::result::{About, Clock, End, Extent, LoadResult, Others, PhaseAbout};
use crate::server::{Sampler, ServerTarget};
use crate::slo::Slo;
use crate::view::Snapshot;

const SEED: u64 = 0x5eed;
const PHASES: [(&str, u32); 4] = [("ramp", 4), ("steady", 12), ("overload", 5), ("recovery", 6)];

pub(crate) fn about() -> About {
    let phase = |(name, seconds): (&str, u32)| PhaseAbout {
        name: name.to_owned(),
        duration: Duration::from_secs(seconds.into()),
    };
    About {
        command: ["segcast", "load", "--seed", "24301", "--slo", "ttfb.p99<=20ms"]
            .map(str::to_owned)
            .to_vec(),
        seed: SEED,
        plan: serde_json::json!({"seed": SEED, "phases": PHASES, "arrivals": "poisson"}),
        plan_sha256: "c0ffee".repeat(10) + "c0de",
        phases: PHASES.map(phase).to_vec(),
        threads: 2,
        servers: vec![([127, 0, 0, 1], 4870).into()],
        offloads: "receive GRO, send GSO".to_owned(),
        started: SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000),
        patience: Duration::from_secs(2),
        lag_limit: Duration::from_millis(10),
    }
}

pub(crate) fn collector() -> Collector {
    Collector::new(about())
}

/// What a view sees of the example run.
pub(crate) fn snapshots() -> Vec<Snapshot> {
    let mut collector = collector();
    let mut snapshots = Vec::new();
    for interval in intervals(4) {
        collector.add(&interval);
        while let Some(second) = collector.next_closed() {
            snapshots.push(Snapshot::new(&collector, &second));
            collector.recycle(second);
        }
    }
    snapshots
}

/// A time from `least` on, with a long tail.
fn time(rng: &mut ChaCha8Rng, least: u64, mean: f64) -> Duration {
    let unit = (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    Duration::from_micros(least + (-(1.0 - unit).ln() * mean) as u64)
}

/// The intervals of the example run in an order in which threads may give them; `busy` threads in ten tenths.
pub(crate) fn intervals(busy: u32) -> Vec<Interval> {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut all = Vec::new();
    let mut under_way = [0_u64; 2];
    let seconds: u32 = PHASES.iter().map(|(_, seconds)| seconds).sum();
    for second in 0..=seconds {
        let mut end = 0;
        let phase = PHASES.iter().position(|(_, length)| {
            end += length;
            second < end
        });
        for (thread, under_way) in under_way.iter_mut().enumerate() {
            let mut interval = Interval { thread, second, ..Interval::default() };
            interval.phase = phase.unwrap_or(PHASES.len() - 1);
            let rate = match phase {
                Some(0) => 150 * u64::from(second + 1),
                Some(1) => 700,
                Some(2) => 1100,
                Some(_) => 700,
                None => 0,
            };
            fill(&mut interval, &mut rng, rate, under_way);
            interval.health.cpu = Duration::from_millis((100 * busy).into());
            interval.health.wall = Duration::from_secs(1);
            interval.health.sessions_open = if phase.is_some() { 100 } else { 0 };
            all.push(interval);
        }
    }
    all
}

/// Part of a second's segments end in the next one; in overload some are refused or late.
fn fill(interval: &mut Interval, rng: &mut ChaCha8Rng, rate: u64, under_way: &mut u64) {
    let overload = interval.phase == 2;
    let ended = if rate == 0 { *under_way } else { *under_way + rate - 3 };
    *under_way = *under_way + rate - ended;
    let (refused, late) = if overload { (ended / 6, ended / 12) } else { (0, 0) };
    let failed = u64::from(interval.second == 18);
    let ledger = &mut interval.ledger;
    ledger.intended = rate;
    ledger.late = late;
    ledger.complete = ended - refused - late - failed;
    if refused > 0 {
        ledger.refused.insert(Code::TooManyRequests, refused - 2);
        ledger.never_offered.insert(Unoffered::SessionFull, 2);
    }
    if failed > 0 {
        ledger.failed.insert(Failure::SessionClosed, failed);
    }
    let load = if overload { 9000.0 } else { 2500.0 };
    for number in 0..ended - refused - failed {
        let class = if number % 10 == 0 { Class::Start } else { Class::Next };
        let times = interval.times.class_mut(class);
        let lag = time(rng, 2, 90.0);
        let (first, last) = (time(rng, 180, load / 5.0), time(rng, 400, load));
        times.send_lag.record(lag);
        times.ttfb.service.record(first);
        times.ttfb.response.record(first + lag);
        times.ttlb.service.record(first + last);
        times.ttlb.response.record(first + last + lag);
        interval.health.flight.seconds += (first + last).as_secs_f64();
        if class == Class::Start {
            interval.playout.started += 1;
            interval.playout.startup.record(first + last + lag);
            interval.playout.played += Duration::from_secs(3);
        }
    }
    if overload {
        interval.playout.stalls += 3;
        interval.playout.stalled += Duration::from_millis(700);
    }
    for _ in 0..if interval.second < 4 { 25 } else { 0 } {
        let open = time(rng, 300, 200.0);
        interval.times.open.service.record(open);
        interval.times.open.response.record(open);
    }
    let came = interval.ledger.complete + late;
    interval.wire.data_bytes = came * 294_912;
    interval.wire.bytes_in = came * 304_000;
    interval.wire.datagrams_in = came * 256;
    interval.wire.datagrams_out = came * 12;
}

fn clock() -> Clock {
    Clock {
        source: Some("tsc".to_owned()),
        resolution_ns: 1,
        read_cost_ns: 25.0,
        least_step_ns: 19,
        backward_steps: 0,
        readings: 1000,
    }
}

fn run(intervals: &[Interval], slos: &[&str], extent: Extent, wall: Duration) -> LoadResult {
    run_beside(0.0, intervals, slos, extent, wall)
}

/// With other programs that take this share of the box.
fn run_beside(
    share: f64,
    intervals: &[Interval],
    slos: &[&str],
    extent: Extent,
    mut wall: Duration,
) -> LoadResult {
    let others = Others { cpu_s: share * 100.0, share, waited: Some(0.998 * share), limit: 0.03 };
    let mut collector = collector();
    let target = ServerTarget { pid: Some(std::process::id()), metrics_url: None };
    let mut sampler = Sampler::new(target, "ramp").expect("this process can be read");
    let mut phase = 0;
    for interval in intervals {
        if interval.phase > phase {
            phase = interval.phase;
            sampler.sample(PHASES[phase].0, collector.data_bytes());
        }
        collector.add(interval);
        while let Some(second) = collector.next_closed() {
            collector.recycle(second);
        }
    }
    if extent == Extent::Complete {
        wall = about().requested();
    }
    let slos: Vec<Slo> = slos.iter().map(|slo| slo.parse().expect("an objective")).collect();
    let server = sampler.finish(collector.data_bytes());
    let end = End { wall, extent };
    let mut result = collector.finish(&end, &slos, clock(), Some(server), Some(others));
    // Tests compare results of two machines and builds no more than of two runs.
    result.fingerprint.cpu = Some("an example".to_owned());
    result
}

const SLOS: [&str; 5] = [
    "steady:ttfb.p99<=20ms",
    "steady:loss<=0.1%",
    "goodput>=3Gbit/s",
    "rebuffer<=0.5%",
    "overload:refused<=20%",
];

/// All objectives met.
pub(crate) fn good() -> LoadResult {
    run(&intervals(4), &SLOS, Extent::Complete, Duration::ZERO)
}

const MISSED: [&str; 3] = ["ttlb.p99<=2ms", "steady:loss<=0.1%", "startup.p99.99<=1s"];

/// The server missed objectives.
pub(crate) fn missed() -> LoadResult {
    run(&intervals(4), &MISSED, Extent::Complete, Duration::ZERO)
}

/// The same beside compilers.
pub(crate) fn busy() -> LoadResult {
    run_beside(0.45, &intervals(4), &MISSED, Extent::Complete, Duration::ZERO)
}

/// All objectives met, even so.
pub(crate) fn busy_and_good() -> LoadResult {
    run_beside(0.45, &intervals(4), &SLOS, Extent::Complete, Duration::ZERO)
}

/// One objective has too few samples.
pub(crate) fn few() -> LoadResult {
    let slos = ["steady:ttfb.p99.99<=1s", "steady:loss<=0.1%"];
    run(&intervals(4), &slos, Extent::Complete, Duration::ZERO)
}

/// The generator was the bottleneck.
pub(crate) fn void() -> LoadResult {
    run(&intervals(10), &SLOS, Extent::Complete, Duration::ZERO)
}

/// Interrupted: what was under way is closed as a stopped run does.
pub(crate) fn partial() -> LoadResult {
    let mut intervals = intervals(4);
    intervals.truncate(20);
    let intended: i64 = intervals.iter().map(|interval| interval.ledger.in_flight()).sum();
    let last = intervals.last_mut().expect("there are 20");
    last.ledger.lost += intended.unsigned_abs();
    let why = "interrupted after 10.0 s".to_owned();
    run(&intervals, &SLOS, Extent::Partial { why }, Duration::from_secs(10))
}

/// Nothing happened at all.
pub(crate) fn empty() -> LoadResult {
    let why = "interrupted before anything".to_owned();
    run(&[], &[], Extent::Partial { why }, Duration::ZERO)
}
