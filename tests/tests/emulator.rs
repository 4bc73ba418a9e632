//! The link emulator is what it says: round trip, rate, queue, loss, bursts, reordering, MTU.
//!
//! These measure time, unlike all other tests: bounds are narrow enough that a wrong unit or a wrong
//! place for a delay is caught, and who is held up by a busy machine may try again. What is wrong is
//! wrong each time.
#![forbid(unsafe_code)]

use std::time::Duration;

use libtest_mimic::Trial;
use segcast_kit::needs::{self, Need, trial};
use segcast_kit::net::emulator::{DirectionConfig, Link, LinkConfig, Loss, Wire};
use segcast_kit::net::flows::{TcpFlow, round_trips, udp_flow};

const NEEDS: [Need; 2] = [needs::tap, needs::iproute2];
const SEED: u64 = 20_261_121;
/// How often a measurement is tried.
const TRIES: u32 = 5;
/// UDP payload that fills a 1500-byte IPv4 packet.
const PAYLOAD: usize = 1472;
/// Bytes of a whole frame for each such payload: UDP, IPv4 and Ethernet headers.
const FRAME: f64 = PAYLOAD as f64 + 8.0 + 20.0 + 14.0;

fn main() {
    println!("seed {SEED}");
    needs::main(vec![
        measured("round_trip_is_both_delays", &NEEDS, round_trip_is_both_delays),
        measured("udp_gets_the_rate_and_fills_the_queue", &NEEDS, udp_gets_the_rate),
        measured(
            "tcp_gets_the_rate",
            &[needs::tap, needs::iproute2, needs::cubic],
            tcp_gets_the_rate,
        ),
        measured("random_loss_is_the_share_asked_for", &NEEDS, random_loss),
        measured("bursts_doubles_and_late_frames_arrive_as_such", &NEEDS, unruly_wire),
        trial("packets_over_the_mtu_are_fragmented", &NEEDS, mtu_is_kept),
        measured("two_hundred_megabits_are_sustained", &NEEDS, two_hundred_megabits),
    ]);
}

/// A test that passes as soon as one of [`TRIES`] does.
fn measured(name: &str, needs: &[Need], test: fn()) -> Trial {
    trial(name, needs, move || {
        for left in (0..TRIES).rev() {
            match std::panic::catch_unwind(test) {
                Ok(()) => return,
                Err(panic) if left == 0 => std::panic::resume_unwind(panic),
                Err(_) => println!("    once more"),
            }
        }
    })
}

fn direction(megabits: u64, delay_ms: u64, queue: u64) -> DirectionConfig {
    let delay = Duration::from_millis(delay_ms);
    DirectionConfig { rate: megabits * 1_000_000, delay, queue, wire: Wire::PERFECT }
}

fn link(direction: DirectionConfig) -> Link {
    Link::new(LinkConfig::symmetric(direction, SEED)).expect("a link")
}

#[track_caller]
fn assert_sound(link: &Link) {
    let health = link.health().expect("counters can be read");
    println!("    {health:?}");
    assert_eq!(health.dropped, 0, "the relay did not keep up: {health:?}");
}

#[track_caller]
fn assert_near(what: &str, value: f64, expected: f64, tolerance: f64) {
    println!("    {what}: {value:.4}, expected {expected:.4} ± {tolerance:.4}");
    assert!((value - expected).abs() <= tolerance, "{what}: {value}, expected {expected}");
}

fn round_trip_is_both_delays() {
    let slow_back = LinkConfig {
        to_left: direction(100, 25, 100_000),
        ..LinkConfig::symmetric(direction(100, 5, 100_000), SEED)
    };
    let link = Link::new(slow_back).expect("a link");
    for address in [link.right.ipv4(), link.right.ipv6()] {
        let times = round_trips(&link.left, address, &link.right, 40).expect("echoes");
        assert_eq!(times.len(), 40, "none is lost");
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        assert!(times[0] >= Duration::from_millis(30), "faster than the wire: {:?}", times[0]);
        assert_near("median round trip, ms", milliseconds(times[20]), 30.2, 1.0);
    }
    assert_sound(&link);
}

fn udp_gets_the_rate() {
    // 40 Mbit/s into a link of 20, with a queue of 50 ms.
    let link = link(direction(20, 10, 125_000));
    link.take_statistics_to_right();
    let outcome = send(&link, 40e6, Duration::from_secs(3));
    assert_near("rate", outcome.rate * FRAME / PAYLOAD as f64, 20e6, 0.4e6);
    assert_near("share received", outcome.share(), 0.5, 0.03);
    let statistics = link.take_statistics_to_right();
    // What else there was: a few frames of neighbour discovery's multicast reports.
    assert!(statistics.dropped.abs_diff(outcome.sent - outcome.received) <= 5, "{statistics:?}");
    assert_eq!(statistics.lost, 0);
    assert_near("queue, 95th percentile", statistics.queue_p95 as f64, 125_000.0, 3000.0);
    assert_sound(&link);
}

fn tcp_gets_the_rate() {
    let link = link(direction(50, 10, 125_000));
    let flow = TcpFlow::start(&link.left, &link.right, 5001, Duration::from_secs(4));
    let received = flow.expect("a flow").finish().expect("no socket error");
    // Headers are 5 %; slow start and the first losses cost some more.
    assert_near("rate", received as f64 * 8.0 / 4.0, 46e6, 4e6);
    assert_sound(&link);
}

fn random_loss() {
    let wire = Wire { loss: Loss::Random(0.05), ..Wire::PERFECT };
    let link = link(DirectionConfig { wire, ..direction(100, 5, 1_000_000) });
    let outcome = send(&link, 30e6, Duration::from_secs(3));
    assert_eq!(outcome.overtaken, 0);
    // About 7600 datagrams: four standard deviations are one in a hundred.
    assert_near("share received", outcome.share(), 0.95, 0.01);
    assert_sound(&link);
}

fn unruly_wire() {
    let loss = Loss::Bursts { to_bad: 0.01, to_good: 0.2, loss_good: 0.0, loss_bad: 1.0 };
    let reorder = Some((0.1, Duration::from_millis(8)));
    let wire = Wire { loss, duplicate: 0.05, reorder };
    let link = link(DirectionConfig { wire, ..direction(100, 5, 1_000_000) });
    link.take_statistics_to_right();
    let outcome = send(&link, 30e6, Duration::from_secs(3));
    let statistics = link.take_statistics_to_right();
    assert_near("lost", statistics.lost as f64 / statistics.offered as f64, 0.0476, 0.02);
    assert_near("received", outcome.share(), 0.9524 * 1.05, 0.03);
    // Late ones of those that arrived; a doubled frame is late with its double.
    assert_near("late", outcome.overtaken as f64 / outcome.received as f64, 0.1, 0.02);
    assert_sound(&link);
}

fn mtu_is_kept() {
    let config =
        LinkConfig { mtu: 1280, ..LinkConfig::symmetric(direction(100, 1, 100_000), SEED) };
    let link = Link::new(config).expect("a link");
    for (end, header) in [(link.right.ipv4(), 28), (link.right.ipv6(), 48)] {
        let fits = 1280 - header;
        let outcome = udp_flow(&link.left, end, &link.right, (10, fits), Duration::from_millis(50));
        assert_eq!(outcome.expect("a flow").received, 10);
        // An ordinary socket fragments what is larger: then two frames each are on the wire.
        link.take_statistics_to_right();
        let larger = fits + 100;
        let outcome =
            udp_flow(&link.left, end, &link.right, (10, larger), Duration::from_millis(50));
        assert_eq!(outcome.expect("a flow").received, 10);
        let statistics = link.take_statistics_to_right();
        assert!(statistics.delivered >= 20, "{statistics:?}");
    }
    assert_sound(&link);
}

fn two_hundred_megabits() {
    // Room for 200 ms: a sender that a busy machine held up sends the rest at once.
    let link = link(direction(200, 20, 5_000_000));
    link.take_statistics_to_right();
    let outcome = send(&link, 190e6, Duration::from_secs(3));
    let statistics = link.take_statistics_to_right();
    assert_eq!((statistics.dropped, statistics.lost), (0, 0), "{statistics:?}");
    assert!(statistics.delivered >= outcome.sent, "{statistics:?}");
    // The receiving socket has room for 5 ms: a busy machine makes it lose some.
    assert!(outcome.share() > 0.85, "{}", outcome.share());
    assert_near("rate", outcome.rate * FRAME / PAYLOAD as f64, 190e6, 30e6);
    assert_sound(&link);
}

/// A UDP flow from left to right at `rate` bits per second of whole frames.
fn send(link: &Link, rate: f64, duration: Duration) -> Outcome {
    let count = (rate * duration.as_secs_f64() / (FRAME * 8.0)) as u64;
    let flow = udp_flow(&link.left, link.right.ipv4(), &link.right, (count, PAYLOAD), duration);
    let flow = flow.expect("a flow");
    println!("    {flow:?}");
    Outcome { sent: flow.sent, received: flow.received, overtaken: flow.overtaken, rate: flow.rate }
}

struct Outcome {
    sent: u64,
    received: u64,
    overtaken: u64,
    rate: f64,
}

impl Outcome {
    fn share(&self) -> f64 {
        self.received as f64 / self.sent as f64
    }
}
