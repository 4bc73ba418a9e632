//! The event loop: flows, Segcast or CUBIC, over one link.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use segcast_proto::congestion::{FeedbackView, Sender, SenderConfig};
use segcast_proto::rate::Rate;
use segcast_proto::time::{Duration, Instant};

use super::cubic::{Cubic, PACKET};
use super::liar::{Liar, Lie};
use super::link::{Link, LinkConfig, Nanos};
use super::receiver::{Packet, Receiver, Report};

/// IPv4 and UDP headers.
const UDP: usize = 28;
/// A PULSE_REPLY without those, and how many a client asks for with a REPORT, where it wants them.
const PULSE_REPLY: usize = 64;
const PULSES: u64 = 4;

pub struct Segcast {
    pub sender: Sender,
    pub receiver: Receiver,
    pub datagram: usize,
    next: u64,
    wake: Nanos,
    report_timer: Nanos,
    /// A report could not be true: the session is closed.
    pub caught: bool,
    /// Its path is longer than the link by so much.
    farther: Nanos,
}

pub enum Flow {
    Segcast(Box<Segcast>),
    Cubic { cubic: Box<Cubic>, received: u64, wake: Nanos },
}

impl Flow {
    pub fn cubic() -> Self {
        Self::Cubic { cubic: Box::new(Cubic::new()), received: 0, wake: Nanos::MAX }
    }

    pub fn segcast(rtt: Nanos, seed: u8) -> Self {
        Self::with(rtt, seed, 1200, None)
    }

    pub fn with(rtt: Nanos, seed: u8, datagram: usize, rate_cap: Option<u64>) -> Self {
        let config = SenderConfig {
            initial_rtt: Some(Duration::from_nanos(rtt)),
            datagram_bytes: datagram,
            rate_cap: rate_cap.map(Rate::new),
            skip_key: [seed; 16],
        };
        Self::Segcast(Box::new(Segcast {
            sender: Sender::new(Instant::ZERO, config),
            receiver: Receiver::default(),
            datagram,
            next: 0,
            wake: Nanos::MAX,
            report_timer: Nanos::MAX,
            caught: false,
            farther: 0,
        }))
    }

    pub fn lying(rtt: Nanos, seed: u8, lie: Lie) -> Self {
        let mut flow = Self::segcast(rtt, seed);
        if let Self::Segcast(it) = &mut flow {
            it.receiver.liar = Liar::new(lie);
        }
        flow
    }

    /// An honest one whose data comes `farther`.
    pub fn far(rtt: Nanos, seed: u8, farther: Nanos) -> Self {
        let mut flow = Self::segcast(rtt, seed);
        if let Self::Segcast(it) = &mut flow {
            it.farther = farther;
        }
        flow
    }

    pub fn is_caught(&self) -> bool {
        matches!(self, Self::Segcast(it) if it.caught)
    }

    /// Bytes that arrived, with headers.
    pub fn received(&self) -> u64 {
        match self {
            Self::Segcast(flow) => flow.receiver.bytes,
            Self::Cubic { received, .. } => *received,
        }
    }
}

#[derive(Debug)]
enum What {
    Start,
    Wake,
    Data(Packet),
    ReportTimer,
    Report(Report),
    Acks(u64),
}

struct Event {
    at: Nanos,
    order: u64,
    flow: usize,
    what: What,
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for Event {}
impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Event {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

pub struct Sim {
    pub link: Link,
    pub flows: Vec<Flow>,
    pub now: Nanos,
    events: BinaryHeap<Reverse<Event>>,
    order: u64,
    /// Set to lose all packets of a flow, or all its reports.
    pub blackout: bool,
    pub reports_lost: bool,
    /// Reports arrive only at multiples of this: a busy client.
    pub report_batch: Nanos,
    /// Senders wake only at multiples of this.
    pub timer: Nanos,
    /// Sum and count of the queue's length, sampled each millisecond.
    pub queue: (f64, u64),
}

impl Sim {
    /// Flow i starts i × (up to 2 s, by the seed) after the first.
    pub fn new(config: LinkConfig, seed: u64, flows: Vec<Flow>) -> Self {
        let mut sim = Self {
            link: Link::new(config, seed),
            flows,
            now: 0,
            events: BinaryHeap::new(),
            order: 0,
            blackout: false,
            reports_lost: false,
            report_batch: 1,
            timer: 1,
            queue: (0.0, 0),
        };
        for flow in 0..sim.flows.len() {
            sim.at(flow as Nanos * (seed * 617 % 400) * 1_000_000, flow, What::Start);
        }
        sim
    }

    fn at(&mut self, at: Nanos, flow: usize, what: What) {
        self.order += 1;
        self.events.push(Reverse(Event { at, order: self.order, flow, what }));
    }

    /// Runs until `end`.
    pub fn run(&mut self, end: Nanos) {
        let mut sample = self.now;
        while self.events.peek().is_some_and(|Reverse(event)| event.at <= end) {
            let Some(Reverse(event)) = self.events.pop() else { return };
            while sample <= event.at {
                let queued = self.link.queued(sample);
                self.queue = (self.queue.0 + queued, self.queue.1 + 1);
                sample += 1_000_000;
            }
            self.now = event.at;
            self.handle(event.flow, event.what);
        }
        self.now = end;
    }

    pub fn sender(&self, flow: usize) -> &Sender {
        match &self.flows[flow] {
            Flow::Segcast(it) => &it.sender,
            Flow::Cubic { .. } => panic!("flow {flow} is CUBIC"),
        }
    }

    /// Another packet than a report comes from the client.
    pub fn wake_by_peer(&mut self, flow: usize) {
        if let Flow::Segcast(it) = &mut self.flows[flow] {
            it.sender.on_peer_packet(Instant::from_nanos(self.now));
        }
        self.at(self.now, flow, What::Start);
    }

    fn handle(&mut self, flow: usize, what: What) {
        match &mut self.flows[flow] {
            Flow::Segcast(_) => self.segcast(flow, what),
            Flow::Cubic { .. } => self.cubic(flow, what),
        }
    }

    fn segcast(&mut self, flow: usize, what: What) {
        let now = self.now;
        let Flow::Segcast(it) = &mut self.flows[flow] else { return };
        let instant = Instant::from_nanos(now);
        let mut control = 0..0;
        match what {
            What::Data(packet) => {
                it.receiver.on_packet(now, packet);
                self.report_if_due(flow);
                return;
            }
            What::ReportTimer => {
                it.report_timer = Nanos::MAX;
                self.report_if_due(flow);
                return;
            }
            What::Report(report) => {
                let view = FeedbackView {
                    echo: report.echo,
                    echo_delay: Duration::from_nanos(report.delay),
                    room_bytes: 1 << 30,
                    ce_count: report.ce_count,
                    ranges: &report.ranges,
                };
                if let Err(lie) = it.sender.on_report(instant, &view) {
                    assert_ne!(it.receiver.liar.lie, Lie::None, "honest, and yet {lie}");
                    it.caught = true;
                }
                if it.receiver.liar.lie == Lie::LateControl {
                    control = it.next..it.next + PULSES;
                    it.next = control.end;
                    control.clone().for_each(|number| it.sender.on_control_sent(instant, number));
                }
            }
            What::Wake if it.wake != now => return,
            What::Wake => it.wake = Nanos::MAX,
            What::Start | What::Acks(_) => {}
        }
        if it.caught {
            return;
        }
        if it.sender.next_timeout().is_some_and(|at| at <= instant) {
            it.sender.on_timer(instant);
        }
        for number in control {
            self.fly(flow, number, PULSE_REPLY + UDP, false);
        }
        self.send_trains(flow);
    }

    fn send_trains(&mut self, flow: usize) {
        let (now, instant) = (self.now, Instant::from_nanos(self.now));
        loop {
            let Flow::Segcast(it) = &mut self.flows[flow] else { return };
            let Some(budget) = it.sender.train_budget(instant) else { break };
            if it.sender.should_skip(it.next) {
                it.next += 1;
            }
            let count = budget / it.datagram;
            it.sender.on_sent(instant, it.next, count as u32, budget as u64, false);
            let (first, bytes) = (it.next, it.datagram + UDP);
            it.next += count as u64;
            let may_go_on = it.sender.next_send_time().is_some();
            (first..first + count as u64).for_each(|number| self.fly(flow, number, bytes, true));
            if !may_go_on {
                break;
            }
        }
        let Flow::Segcast(it) = &mut self.flows[flow] else { return };
        let times = [it.sender.next_send_time(), it.sender.next_timeout()];
        let next = times.into_iter().flatten().min().map_or(Nanos::MAX, Instant::as_nanos);
        if next < it.wake {
            let next = next.max(now + 1).next_multiple_of(self.timer);
            it.wake = next;
            self.at(next, flow, What::Wake);
        }
    }

    /// A packet of `bytes` with headers enters the link.
    fn fly(&mut self, flow: usize, number: u64, bytes: usize, is_data: bool) {
        let fate = self.link.send(self.now, bytes).filter(|_| !self.blackout);
        if let Some((at, marked)) = fate {
            let sent_micros = Instant::from_nanos(self.now).wire_micros();
            let farther = match &self.flows[flow] {
                Flow::Segcast(it) => it.farther,
                Flow::Cubic { .. } => 0,
            };
            self.at(
                at + farther,
                flow,
                What::Data(Packet { number, sent_micros, marked, bytes, is_data }),
            );
        }
    }

    fn report_if_due(&mut self, flow: usize) {
        let (now, rtt) = (self.now, self.link.config.rtt);
        let Flow::Segcast(it) = &mut self.flows[flow] else { return };
        if it.receiver.due(now, rtt).is_some_and(|due| due <= now) {
            let report = it.receiver.report(now);
            if !self.reports_lost {
                let leaves = now + it.receiver.liar.holds_reports();
                let arrives = (leaves + rtt / 2).next_multiple_of(self.report_batch);
                self.at(arrives, flow, What::Report(report));
            }
        }
        let Flow::Segcast(it) = &mut self.flows[flow] else { return };
        if let Some(due) = it.receiver.due(now, rtt).filter(|_| it.report_timer == Nanos::MAX) {
            it.report_timer = due;
            self.at(due, flow, What::ReportTimer);
        }
    }

    fn cubic(&mut self, flow: usize, what: What) {
        let (now, rtt) = (self.now, self.link.config.rtt);
        let Flow::Cubic { cubic, received, wake } = &mut self.flows[flow] else { return };
        match what {
            What::Data(packet) => {
                *received += packet.bytes as u64;
                self.at(now + rtt / 2, flow, What::Acks(packet.number));
                return;
            }
            What::Acks(number) => cubic.on_ack(now, &[number]),
            What::Wake => {
                *wake = Nanos::MAX;
                cubic.on_timeout(now);
            }
            _ => {}
        }
        let mut out = Vec::new();
        out.extend(std::iter::from_fn(|| cubic.send(now)));
        if *wake == Nanos::MAX {
            *wake = cubic.timeout().max(now + 1);
            let at = *wake;
            self.at(at, flow, What::Wake);
        }
        out.into_iter().for_each(|number| self.fly(flow, number, PACKET, true));
    }
}
