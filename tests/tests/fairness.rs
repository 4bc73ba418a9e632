//! Many sessions at once, in virtual time: each gets its share of what the shard can send, and none waits long.
//!
//! The server sends at a fixed speed and all that arrives is reported a millisecond later, so that every rate model finds
//! no other limit than the server itself: whose turn it is decides who gets what.
#![forbid(unsafe_code)]

use std::collections::VecDeque;

use segcast_kit::endpoint::START;
use segcast_kit::endpoint::rig::{Rig, SEGMENT_BYTES, SEGMENTS, address};
use segcast_kit::progress::Progress;
use segcast_kit::session::raw::{EMPTY_FRAME, RawClient};
use segcast_proto::ids::ObjectNumber;
use segcast_proto::limits::{OVERHEAD, QUEUED_RANGES_MAX, RANGES_MAX, TRAIN_MAX};
use segcast_proto::session::server::Transmit;
use segcast_proto::time::{Duration, Instant};
use segcast_proto::wire::request::Request;
use segcast_proto::wire::{FrameHeader, PacketType};

const SESSIONS: u32 = 1000;
/// What the server sends in a second.
const SPEED: u64 = 2_000_000_000;
/// From a datagram to its report.
const ROUND_TRIP: Duration = Duration::from_millis(1);
/// Trains for each session before and while is counted.
const WARM: u64 = 50;
const COUNTED: u64 = 30;

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    Segments,
    /// As many ranges of one byte as a request takes.
    SingleBytes,
}

/// A client that reports every train and always wants more.
struct Viewer {
    client: RawClient,
    asks: Asks,
    reports: u32,
    requests: u32,
    wanted: u64,
    got: u64,
}

impl Viewer {
    /// Asks until four segments are on their way, or as many ranges as a session may have.
    fn ask(&mut self, rig: &mut Rig, number: u32) {
        let (each, ahead) = match self.asks {
            Asks::Segments => (SEGMENT_BYTES as u64, 4 * SEGMENT_BYTES as u64),
            Asks::SingleBytes => (RANGES_MAX as u64, QUEUED_RANGES_MAX as u64),
        };
        while self.wanted + each <= self.got + ahead {
            self.requests += 1;
            let object = ObjectNumber(self.requests % SEGMENTS);
            let mut request = Request { deadline_ms: 1000, ..Request::default() };
            if self.asks == Asks::SingleBytes {
                let bytes = (0..RANGES_MAX as u32).map(|at| 2 * at..2 * at + 1);
                bytes.for_each(|byte| assert!(request.ranges.push(byte)));
            }
            let frame = FrameHeader { object, offset: self.requests, ..EMPTY_FRAME };
            let request = self.client.ask(rig.now, frame, &request);
            rig.hand(address(number), &request);
            self.wanted += each;
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
    /// What a train takes beside the time for its bytes.
    train_time: Duration,
    arrivals: VecDeque<Arrival>,
    out: Vec<u8>,
}

impl World {
    fn new(viewers: &[Asks], train_time: Duration) -> Self {
        let mut rig = Rig::new(77, |config| {
            config.handshakes_per_second = u32::MAX;
            // All want all there is, for as long as it takes.
            config.egress_queue = Duration::from_secs(60);
        });
        let viewers = (0..).zip(viewers).map(|(number, &asks)| {
            let mut config = rig.config(number);
            config.datagram_max = if number % 2 == 0 { 1200 } else { 8952 };
            let mut client = rig.shake(config, address(number));
            let pulse = client.pulse(rig.now);
            rig.hand(address(number), &pulse);
            rig.hear(&mut client);
            Viewer { client, asks, reports: 0, requests: 0, wanted: 0, got: 0 }
        });
        let viewers = viewers.collect();
        let (arrivals, out) = (VecDeque::new(), vec![0; TRAIN_MAX]);
        let mut world = Self { rig, viewers, train_time, arrivals, out };
        for (number, viewer) in (0..).zip(&mut world.viewers) {
            viewer.ask(&mut world.rig, number);
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
        *now += Duration::from_nanos(sent.len as u64 * 1_000_000_000 / SPEED) + self.train_time;
        let mut numbers = 0..self.viewers.len() as u32;
        let number = numbers.find(|&n| address(n) == sent.path.remote).expect("a viewer");
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
    let mut world = World::new(&[Asks::Segments; SESSIONS as usize], Duration::ZERO);
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

/// Bytes that came to the first eight of these sessions in a tenth of a second, from when their rates are known.
fn bytes_of_eight(viewers: &[Asks]) -> u64 {
    let mut world = World::new(viewers, Duration::from_micros(3));
    let mut bytes_at = |end: Duration| {
        while world.rig.now < START + end {
            world.step();
        }
        world.viewers.iter().take(8).map(|viewer| viewer.got).sum::<u64>()
    };
    let before = bytes_at(Duration::from_millis(50));
    bytes_at(Duration::from_millis(150)) - before
}

#[test]
fn sessions_that_ask_for_single_bytes_take_no_more_of_a_shard_than_others() {
    use Asks::{Segments, SingleBytes};
    let all_alike = bytes_of_eight(&[Segments; 12]);
    let mixed = bytes_of_eight(&[[Segments; 4], [Segments; 4], [SingleBytes; 4]].concat());
    let kept = mixed as f64 / all_alike as f64;
    println!("eight sessions keep {kept:.3} of {all_alike} bytes");
    assert!((0.9..1.6).contains(&kept), "{mixed} bytes of {all_alike}");
}

/// Jain's index of fairness: 1 when all have the same.
fn jain(bytes: &[u64]) -> f64 {
    let sum: f64 = bytes.iter().map(|&b| b as f64).sum();
    let squares: f64 = bytes.iter().map(|&b| (b as f64) * (b as f64)).sum();
    sum * sum / (bytes.len() as f64 * squares)
}
