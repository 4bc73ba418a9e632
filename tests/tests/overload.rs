//! Beyond its limits an edge goes on serving as much as at them, says so to those it cannot serve, and is back at once.
//!
//! Virtual time, production code of both ends; `SEGCAST_CROWD_SEED=s` runs another seed than 1.

use segcast_kit::progress::Progress;
use segcast_kit::sim::crowd::{Crowd, CrowdConfig, CrowdReport, Limit};
use segcast_proto::time::Duration;
use segcast_proto::wire::Code;

const SECOND: Duration = Duration::from_secs(1);
/// The measured time begins when the queues have their length, and ends with the overload.
const WARM: Duration = Duration::from_secs(2);
const OVER: Duration = Duration::from_secs(7);
/// The end, after a time of half the load.
const END: Duration = Duration::from_secs(10);
/// What is asked for so long after the overload is served as if there had been none.
const RECOVERY: Duration = SECOND;

fn config(limit: Limit, load: f64) -> CrowdConfig {
    let seed = std::env::var("SEGCAST_CROWD_SEED");
    CrowdConfig {
        seed: seed.map_or(1, |text| text.parse().expect("a number")),
        viewers: 100,
        segment_bytes: 73_728,
        capacity: 10_000_000,
        limit,
        apart: Duration::from_millis(1),
        visit: false,
        delay: Duration::from_millis(5),
        patience: 2 * SECOND,
        phases: vec![(OVER, load), (END, 0.5)],
        egress_queue: Duration::from_millis(500),
        sessions_max: 1000,
        handshakes_per_second: 100_000,
    }
}

/// Runs a crowd, checks the books of both ends, and gives its goodput while the load lasted, bytes per second.
fn run(config: CrowdConfig) -> (CrowdReport, f64) {
    let what = format!("SEGCAST_CROWD_SEED={} {:?} {:?}", config.seed, config.limit, config.phases);
    let segment_bytes = config.segment_bytes;
    let report = Crowd::new(config).run();
    let goodput = report.goodput(WARM, OVER, segment_bytes);
    let served = report.asked.iter().filter(|asked| asked.done.is_some()).count();
    println!(
        "{what}: {:.2} MB/s, {served} of {} in time; {} requests in {} packets, {} of them refused",
        goodput / 1e6,
        report.asked.len(),
        report.fetches,
        report.request_packets,
        report.refusals,
    );
    let (server, busy) = (&report.server, Code::Busy);
    assert_eq!(server.requests_refused.of(Code::Overloaded), report.refusals, "requests refused");
    assert_eq!(
        server.requests_refused.counts().iter().sum::<u64>(),
        report.refusals,
        "no other code"
    );
    assert_eq!(server.refusals.of(busy), report.sessions_refused, "sessions refused");
    assert_eq!(server.deferred.of(busy), report.deferred, "handshakes put off");
    if report.sessions_refused == 0 {
        assert_eq!(server.requests, report.fetches, "no request is worked on twice");
    }
    assert_eq!(report.owed, (0, 0), "nothing is left");
    (report, goodput)
}

/// 150 % of what the shard can serve, and then half of it.
fn overload(limit: Limit) {
    let _progress = Progress::start(&format!("overload by {limit:?}"), "20 s of virtual time");
    let (_, at_full) = run(config(limit, 1.0));
    let (report, at_over) = run(config(limit, 1.5));
    assert!(report.refusals > 0);
    assert!(at_over >= 0.95 * at_full, "{at_over} of {at_full} bytes/s");
    let late = report.asked.iter().filter(|asked| asked.at >= OVER + RECOVERY);
    let failed: Vec<_> = late.filter(|asked| asked.done.is_none()).collect();
    assert!(failed.is_empty(), "after the overload: {failed:?}");
    let last = report.asked.iter().filter(|asked| asked.refused > 0).map(|asked| asked.at).max();
    println!(
        "the last that was refused was asked for {:?} after the overload",
        last.map(|at| at.saturating_sub(OVER))
    );
    // Repeats while they wait: some for each, not a flood of them.
    assert!(report.request_packets < 4 * report.fetches);
}

#[test]
fn beyond_its_egress_cap_an_edge_serves_as_much_as_at_it() {
    overload(Limit::Cap);
}

#[test]
fn a_shard_that_can_do_no_more_finds_out_by_itself() {
    overload(Limit::Work);
}

#[test]
fn a_shard_whose_thread_has_no_time_to_spare_is_told() {
    overload(Limit::Pressure);
}

#[test]
fn without_the_bound_goodput_would_collapse() {
    let mut unbounded = config(Limit::Cap, 1.5);
    unbounded.egress_queue = 60 * SECOND;
    let (_, goodput) = run(unbounded);
    assert!(goodput < 0.8 * 10e6, "{goodput} bytes/s");
}

/// Many viewers come at once, each for one segment; gives the report when all have got theirs.
fn crowd_at_the_door(sessions_max: u32, handshakes_per_second: u32) -> CrowdReport {
    let (report, _) = run(CrowdConfig {
        viewers: 600,
        sessions_max,
        handshakes_per_second,
        apart: Duration::from_micros(100),
        visit: true,
        patience: 30 * SECOND,
        phases: Vec::new(),
        ..config(Limit::Cap, 1.0)
    });
    let left_out = report.asked.iter().filter(|asked| asked.done.is_none()).count();
    let slowest = report.asked.iter().filter_map(|asked| Some(asked.done? - asked.at)).max();
    println!(
        "{left_out} left out, the slowest took {slowest:?}; {} sessions refused, {} handshakes put off, {} done",
        report.sessions_refused, report.deferred, report.server.handshakes
    );
    assert_eq!(left_out, 0);
    assert!(report.sessions_most <= sessions_max as usize, "{} at once", report.sessions_most);
    report
}

#[test]
fn more_handshakes_than_a_second_allows_are_put_off_and_none_is_done_for_nothing() {
    let report = crowd_at_the_door(1000, 200);
    assert!(report.deferred > 0);
    assert_eq!((report.sessions_refused, report.server.handshakes), (0, 600));
    assert!(report.deferred < 4 * 600, "they come when they were told to");
}

#[test]
fn more_sessions_than_there_are_places_are_refused_and_come_back() {
    let report = crowd_at_the_door(20, 100_000);
    assert!(report.sessions_refused > 0);
    assert_eq!(report.server.sessions_opened, 600, "nobody was let in for nothing");
    assert!(report.sessions_refused < 6 * 600, "they come no sooner than they were told to");
}
