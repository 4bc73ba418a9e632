//! Senders over a simulated bottleneck, in virtual time: shares, use of the link, queue, silence, caps.
//!
//! The figures asserted are those of the product's acceptance, with a margin where the simulation has one: a real
//! link is noisier. `cargo test -p segcast-proto --test congestion_link -- --nocapture` prints what was found.
#![allow(missing_docs, unreachable_pub, reason = "a test program")]
#![expect(
    clippy::disallowed_macros,
    reason = "it prints what it found; proto itself has no output"
)]

mod cubic;
mod liar;
mod liars;
mod link;
mod receiver;
mod sim;

use link::{LinkConfig, Nanos};
use sim::{Flow, Sim};

const MS: Nanos = 1_000_000;
const SECOND: Nanos = 1000 * MS;
const SEEDS: std::ops::RangeInclusive<u64> = 1..=3;

#[derive(Debug)]
struct Outcome {
    /// Of what arrived, the first flow's part.
    share: f64,
    /// Of the link's rate.
    used: f64,
    /// Mean queue, of the buffer.
    queue: f64,
}

/// Runs for `seconds`; the first 10 s do not count.
fn run(config: LinkConfig, seed: u64, flows: Vec<Flow>, seconds: Nanos) -> Outcome {
    let mut sim = Sim::new(config, seed, flows);
    sim.run(10 * SECOND);
    let before: Vec<u64> = sim.flows.iter().map(Flow::received).collect();
    sim.queue = (0.0, 0);
    sim.run(seconds * SECOND);
    let got = |(flow, before): (&Flow, u64)| (flow.received() - before) as f64;
    let got: Vec<f64> = sim.flows.iter().zip(before).map(got).collect();
    let total: f64 = got.iter().sum();
    Outcome {
        share: got[0] / total,
        used: total / (config.rate * (seconds - 10) as f64),
        queue: sim.queue.0 / sim.queue.1 as f64 / config.buffer,
    }
}

/// Runs the three paths of the acceptance with each seed and hands over the outcomes.
fn on_each_path(
    loss: f64,
    flows: impl Fn(Nanos, u8) -> Vec<Flow>,
    check: impl Fn(&Outcome) -> bool,
) {
    for rtt in [10.0, 40.0, 100.0] {
        let config = LinkConfig { loss, ..LinkConfig::new(100.0, rtt) };
        for seed in SEEDS {
            let outcome = run(config, seed, flows(config.rtt, seed as u8 * 20), 60);
            println!("{rtt} ms, seed {seed}: {outcome:.3?}");
            assert!(check(&outcome), "{rtt} ms, seed {seed}: {outcome:?}");
        }
    }
}

#[test]
fn alone_a_session_fills_the_link_and_not_the_queue() {
    on_each_path(
        0.0,
        |rtt, seed| vec![Flow::segcast(rtt, seed)],
        |outcome| outcome.used > 0.95 && outcome.queue < 0.35,
    );
}

#[test]
fn one_percent_random_loss_leaves_most_of_the_rate() {
    on_each_path(0.01, |rtt, seed| vec![Flow::segcast(rtt, seed)], |outcome| outcome.used > 0.9);
}

#[test]
fn two_sessions_share_evenly() {
    on_each_path(
        0.0,
        |rtt, seed| vec![Flow::segcast(rtt, seed), Flow::segcast(rtt, seed + 1)],
        |outcome| (0.4..=0.6).contains(&outcome.share) && outcome.used > 0.95,
    );
}

#[test]
fn a_session_and_a_cubic_flow_leave_each_other_room() {
    on_each_path(
        0.0,
        |rtt, seed| vec![Flow::segcast(rtt, seed), Flow::cubic()],
        |outcome| (0.25..=0.75).contains(&outcome.share),
    );
}

#[test]
fn a_session_that_comes_after_a_cubic_flow_gets_its_share() {
    on_each_path(
        0.0,
        |rtt, seed| vec![Flow::cubic(), Flow::segcast(rtt, seed)],
        |outcome| (0.25..=0.75).contains(&outcome.share),
    );
}

#[test]
fn two_cubic_flows_share_as_they_are_known_to() {
    for rtt in [10.0, 40.0] {
        let config = LinkConfig::new(100.0, rtt);
        let outcome = run(config, 1, vec![Flow::cubic(), Flow::cubic()], 60);
        assert!((0.25..0.75).contains(&outcome.share) && outcome.used > 0.98, "{outcome:?}");
    }
}

#[test]
fn slow_fast_short_and_long_paths_are_used() {
    for (mbit, rtt, least) in [
        (1000.0, 40.0, 0.93),
        (1000.0, 1.0, 0.93),
        (5.0, 40.0, 0.93),
        (5.0, 1.0, 0.93),
        (5.0, 300.0, 0.85),
        (100.0, 300.0, 0.85),
        // The queue is 10 packets here, and reports are a round trip apart.
        (100.0, 1.0, 0.5),
    ] {
        let config = LinkConfig::new(mbit, rtt);
        let seconds = if mbit > 500.0 { 20 } else { 40 };
        let outcome = run(config, 1, vec![Flow::segcast(config.rtt, 1)], seconds);
        println!("{mbit} Mbit/s, {rtt} ms: {outcome:.3?}");
        assert!(outcome.used > least, "{mbit} Mbit/s, {rtt} ms: {outcome:?}");
    }
}

#[test]
fn marks_are_heeded_before_the_queue_overflows() {
    let plain = LinkConfig::new(100.0, 40.0);
    let marking = LinkConfig { mark_above: plain.buffer / 10.0, ..plain };
    let flows = || vec![Flow::segcast(plain.rtt, 1), Flow::segcast(plain.rtt, 2)];
    let (without, with) = (run(plain, 1, flows(), 40), run(marking, 1, flows(), 40));
    println!("without marks {without:.3?}, with {with:.3?}");
    assert!(with.queue < without.queue / 2.0 && with.used > 0.75, "{without:?} {with:?}");
}

#[test]
fn a_rate_cap_holds_and_large_datagrams_work() {
    let config = LinkConfig::new(100.0, 40.0);
    let cap = 3_000_000;
    let outcome = run(config, 1, vec![Flow::with(config.rtt, 1, 1440, Some(cap))], 30);
    let rate = outcome.used * config.rate * 1440.0 / 1468.0;
    assert!((0.95..=1.001).contains(&(rate / cap as f64)), "{rate}");
    let outcome = run(config, 1, vec![Flow::with(config.rtt, 1, 8952, None)], 30);
    assert!(outcome.used > 0.9, "{outcome:?}");
}

#[test]
fn without_reports_sending_fades_and_stops_and_the_peer_can_wake_it() {
    let config = LinkConfig::new(100.0, 40.0);
    let mut sim = Sim::new(config, 1, vec![Flow::segcast(config.rtt, 1)]);
    sim.run(10 * SECOND);
    sim.reports_lost = true;
    let before = sim.flows[0].received();
    sim.run(12 * SECOND);
    let after = sim.flows[0].received() - before;
    let window = config.rate * 0.04;
    assert!((after as f64) < 4.0 * window, "{after} bytes were sent into silence");
    assert!(sim.sender(0).is_stopped());
    let stopped = sim.flows[0].received();
    sim.run(13 * SECOND);
    assert_eq!(sim.flows[0].received(), stopped, "stopped is stopped");

    sim.reports_lost = false;
    sim.wake_by_peer(0);
    let woken = sim.flows[0].received();
    sim.run(15 * SECOND);
    let rate = (sim.flows[0].received() - woken) as f64 / 2.0;
    assert!(rate > 0.8 * config.rate, "{rate} bytes/s after waking");
}

#[test]
fn an_outage_shorter_than_a_second_is_survived_without_help() {
    let config = LinkConfig::new(100.0, 40.0);
    let mut sim = Sim::new(config, 1, vec![Flow::segcast(config.rtt, 1)]);
    sim.run(10 * SECOND);
    sim.blackout = true;
    sim.run(10 * SECOND + 300_000_000);
    assert!(sim.sender(0).lost_trains_in_a_row() >= 3, "whole trains vanished");
    sim.blackout = false;
    sim.run(12 * SECOND);
    let before = sim.flows[0].received();
    sim.run(14 * SECOND);
    let rate = (sim.flows[0].received() - before) as f64 / 2.0;
    assert!(rate > 0.8 * config.rate, "{rate} bytes/s after the outage");
    assert_eq!(sim.sender(0).lost_trains_in_a_row(), 0);
}

#[test]
fn a_fast_short_path_with_a_busy_client_is_used() {
    // Ten gigabits, 50 µs, reports held back for up to 400 µs: a loopback.
    let config = LinkConfig { buffer: 4e6, ..LinkConfig::new(10_000.0, 0.05) };
    let mut sim = Sim::new(config, 1, vec![Flow::segcast(config.rtt, 1)]);
    sim.report_batch = 400_000;
    sim.run(SECOND / 4);
    let before = sim.flows[0].received();
    sim.run(SECOND * 3 / 4);
    let used = (sim.flows[0].received() - before) as f64 * 2.0 / config.rate;
    println!("10 Gbit/s: {used:.3}");
    assert!(used > 0.8, "{used}");
}

#[test]
fn coarse_timers_and_batched_reports_leave_no_standing_queue() {
    for rtt in [10.0, 40.0, 100.0] {
        let config = LinkConfig::new(100.0, rtt);
        let mut sim = Sim::new(config, 1, vec![Flow::segcast(config.rtt, 1)]);
        (sim.report_batch, sim.timer) = (2_000_000, 1_000_000);
        sim.run(10 * SECOND);
        sim.queue = (0.0, 0);
        let before = sim.flows[0].received();
        sim.run(40 * SECOND);
        let used = (sim.flows[0].received() - before) as f64 / (30.0 * config.rate);
        let queue = sim.queue.0 / sim.queue.1 as f64 / config.buffer;
        println!("{rtt} ms, coarse: used {used:.3}, queue {queue:.3}");
        assert!(used > 0.93 && queue < 0.35, "{rtt} ms: used {used}, queue {queue}");
    }
}
