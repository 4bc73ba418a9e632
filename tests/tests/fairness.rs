//! A thousand sessions at once, in virtual time: each gets its share of what the shard can send, and none waits long.
//!
//! The server sends at a fixed speed and all that arrives is reported a millisecond later, so that every rate model finds
//! no other limit than the server itself: whose turn it is decides who gets what.
#![forbid(unsafe_code)]

use std::collections::VecDeque;

use segcast_kit::endpoint::rig::{Rig, SEGMENT_BYTES, SEGMENTS, address};
use segcast_kit::progress::Progress;
use segcast_kit::session::raw::RawClient;
use segcast_proto::ids::ObjectNumber;
use segcast_proto::limits::{OVERHEAD, TRAIN_MAX};
use segcast_proto::session::server::Transmit;
use segcast_proto::time::{Duration, Instant};
use segcast_proto::wire::PacketType;

const SESSIONS: u32 = 1000;
/// What the server sends in a second.
const SPEED: u64 = 2_000_000_000;
/// From a datagram to its report.
const ROUND_TRIP: Duration = Duration::from_millis(1);
/// Trains for each session before and while is counted.
const WARM: u64 = 50;
const COUNTED: u64 = 30;

/// A client that reports every train and always wants more.
struct Viewer {
    client: RawClient,
    reports: u32,
    requests: u32,
    wanted: u64,
    got: u64,
}

impl Viewer {
    /// Asks until four segments are on their way.
    fn ask(&mut self, rig: &mut Rig, number: u32) {
        while self.wanted < self.got + 4 * SEGMENT_BYTES as u64 {
            self.requests += 1;
            let object = ObjectNumber(self.requests % SEGMENTS);
            let request = self.client.request(rig.now, self.requests, 0, object);
            rig.hand(address(number), &request);
            self.wanted += SEGMENT_BYTES as u64;
        }
    }
}

/// The numbers of a transmit, and the time that its last datagram carries.
struct Arrival {
    at: Instant,
    number: u32,
    ranges: [(u64, u64); 1],
    echo: u32,
}

struct World {
    rig: Rig,
    viewers: Vec<Viewer>,
    arrivals: VecDeque<Arrival>,
    out: Vec<u8>,
}

impl World {
    fn new() -> Self {
        let mut rig = Rig::new(77, |config| {
            config.handshakes_per_second = u32::MAX;
            // All want all there is, for as long as it takes.
            config.egress_queue = Duration::from_secs(60);
        });
        let viewers = (0..SESSIONS).map(|number| {
            let mut config = rig.config(number);
            config.datagram_max = if number % 2 == 0 { 1200 } else { 8952 };
            let mut client = rig.shake(config, address(number));
            let pulse = client.pulse(rig.now);
            rig.hand(address(number), &pulse);
            rig.hear(&mut client);
            Viewer { client, reports: 0, requests: 0, wanted: 0, got: 0 }
        });
        let viewers = viewers.collect();
        let mut world = Self { rig, viewers, arrivals: VecDeque::new(), out: vec![0; TRAIN_MAX] };
        for number in 0..SESSIONS {
            world.viewers[number as usize].ask(&mut world.rig, number);
        }
        world
    }

    /// Lets the server send once, for as long as that takes, and the clients report what has arrived.
    fn step(&mut self) -> Option<(u32, Transmit)> {
        self.report();
        self.rig.server.handle_timeout(self.rig.now);
        let Rig { server, source, now, .. } = &mut self.rig;
        let Some(sent) = server.poll_transmit(*now, source, &mut self.out) else {
            *now += Duration::from_micros(10);
            return None;
        };
        *now += Duration::from_nanos(sent.len as u64 * 1_000_000_000 / SPEED);
        let number = (0..SESSIONS).find(|&n| address(n) == sent.path.remote).expect("a viewer");
        let first = sequence(&self.out);
        let last = self.out[..sent.len].chunks_mut(sent.datagram_bytes).last().expect("one");
        let high = sequence(last);
        let viewer = &mut self.viewers[number as usize];
        let packet = viewer.client.take(self.rig.now, last).expect("authentic");
        if packet.packet_type == PacketType::Data {
            viewer.got += (sent.len - sent.datagrams * OVERHEAD) as u64;
        }
        let (at, echo) = (self.rig.now + ROUND_TRIP, packet.frame.send_time);
        self.arrivals.push_back(Arrival { at, number, ranges: [(first, high)], echo });
        Some((number, sent))
    }

    fn report(&mut self) {
        while let Some(arrival) = self.arrivals.pop_front_if(|arrival| arrival.at <= self.rig.now) {
            let viewer = &mut self.viewers[arrival.number as usize];
            viewer.reports += 1;
            let now = self.rig.now;
            let report = viewer.client.report(now, viewer.reports, arrival.echo, &arrival.ranges);
            self.rig.hand(address(arrival.number), &report);
            viewer.ask(&mut self.rig, arrival.number);
        }
    }
}

/// The sequence number in a clear header (docs/protocol, section 1).
fn sequence(packet: &[u8]) -> u64 {
    u64::from_be_bytes(packet[8..16].try_into().expect("8 bytes"))
}

#[test]
fn a_thousand_busy_sessions_get_equal_shares_and_none_waits_for_more_than_two_rounds() {
    let name = "a_thousand_busy_sessions_get_equal_shares_and_none_waits_for_more_than_two_rounds";
    let all = (WARM + COUNTED) * u64::from(SESSIONS);
    let progress = Progress::steps(name, "trains", all);
    let mut world = World::new();
    let mut trains = 0;
    while trains < WARM * u64::from(SESSIONS) {
        trains += u64::from(world.step().is_some());
        progress.set(trains);
    }
    let mut bytes = vec![0u64; SESSIONS as usize];
    let mut last = vec![0u64; SESSIONS as usize];
    let (mut all, mut longest, mut trains, mut idle) = (0, 0, 0, 0);
    while trains < COUNTED * u64::from(SESSIONS) {
        let Some((number, sent)) = world.step() else {
            idle += 1;
            continue;
        };
        let at = number as usize;
        if sent.data.is_some() {
            trains += 1;
            progress.set(WARM * u64::from(SESSIONS) + trains);
            longest = longest.max(all - last[at]);
            all += sent.len as u64;
            (bytes[at], last[at]) = (bytes[at] + sent.len as u64, all);
        }
    }
    last.iter().for_each(|&last| longest = longest.max(all - last));
    let jain = jain(&bytes);
    let half = |odd: usize| bytes.iter().skip(odd).step_by(2).sum::<u64>() as f64;
    let (small, large) = (half(0), half(1));
    let round = u64::from(SESSIONS) * TRAIN_MAX as u64;
    println!("{all} bytes, index {jain:.4}, longest wait {longest} bytes of {round} in a round");
    println!("small datagrams {small}, large {large}; idle steps {idle}");
    assert_eq!(world.rig.server.sessions(), SESSIONS as usize);
    assert!(jain >= 0.98, "{jain}");
    assert!(longest <= 2 * round, "{longest} bytes of others between two trains");
    assert!((small / large - 1.0).abs() < 0.05, "{small} to {large}");
}

/// Jain's index of fairness: 1 when all have the same.
fn jain(bytes: &[u64]) -> f64 {
    let sum: f64 = bytes.iter().map(|&b| b as f64).sum();
    let squares: f64 = bytes.iter().map(|&b| (b as f64) * (b as f64)).sum();
    sum * sum / (bytes.len() as f64 * squares)
}
