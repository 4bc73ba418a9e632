//! The event loop: flows, Segcast or CUBIC, over one link.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use segcast_proto::congestion::{FeedbackView, Sender, SenderConfig};
use segcast_proto::rate::Rate;
use segcast_proto::time::{Duration, Instant};

use super::cubic::{Cubic, PACKET};
use super::link::{Link, LinkConfig, Nanos};
use super::receiver::{Receiver, Report};

/// IPv4 and UDP headers.
const UDP: usize = 28;

pub struct Segcast {
    pub sender: Sender,
    pub receiver: Receiver,
    pub datagram: usize,
    next: u64,
    wake: Nanos,
    report_timer: Nanos,
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
        }))
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
    Data { number: u64, micros: u32, marked: bool, bytes: usize },
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
        match what {
            What::Data { number, micros, marked, bytes } => {
                it.receiver.on_packet(now, number, micros, marked, bytes);
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
                it.sender.on_report(instant, &view).expect("an honest report");
            }
            What::Wake if it.wake != now => return,
            What::Wake => it.wake = Nanos::MAX,
            What::Start | What::Acks(_) => {}
        }
        if it.sender.next_timeout().is_some_and(|at| at <= instant) {
            it.sender.on_timer(instant);
        }
        while let Some(budget) = it.sender.train_budget(instant) {
            if it.sender.should_skip(it.next) {
                it.next += 1;
            }
            let count = budget / it.datagram;
            it.sender.on_sent(instant, it.next, count as u32, budget as u64, false);
            let (first, bytes) = (it.next, it.datagram + UDP);
            it.next += count as u64;
            let wake = it.sender.next_send_time();
            for number in first..first + count as u64 {
                let fate = self.link.send(now, bytes).filter(|_| !self.blackout);
                if let Some((at, marked)) = fate {
                    let micros = instant.wire_micros();
                    self.order += 1;
                    let what = What::Data { number, micros, marked, bytes };
                    self.events.push(Reverse(Event { at, order: self.order, flow, what }));
                }
            }
            if wake.is_none() {
                break;
            }
        }
        let times = [it.sender.next_send_time(), it.sender.next_timeout()];
        let next = times.into_iter().flatten().min().map_or(Nanos::MAX, Instant::as_nanos);
        if next < it.wake {
            let next = next.max(now + 1).next_multiple_of(self.timer);
            it.wake = next;
            self.at(next, flow, What::Wake);
        }
    }

    fn report_if_due(&mut self, flow: usize) {
        let (now, rtt) = (self.now, self.link.config.rtt);
        let Flow::Segcast(it) = &mut self.flows[flow] else { return };
        let Some(due) = it.receiver.due(now, rtt) else { return };
        if due <= now {
            let report = it.receiver.report(now);
            if !self.reports_lost {
                let arrives = (now + rtt / 2).next_multiple_of(self.report_batch);
                self.at(arrives, flow, What::Report(report));
            }
        } else if it.report_timer == Nanos::MAX {
            it.report_timer = due;
            self.at(due, flow, What::ReportTimer);
        }
    }

    fn cubic(&mut self, flow: usize, what: What) {
        let (now, rtt) = (self.now, self.link.config.rtt);
        let Flow::Cubic { cubic, received, wake } = &mut self.flows[flow] else { return };
        match what {
            What::Data { number, bytes, .. } => {
                *received += bytes as u64;
                self.at(now + rtt / 2, flow, What::Acks(number));
                return;
            }
            What::Acks(number) => cubic.on_ack(now, &[number]),
            What::Wake => {
                *wake = Nanos::MAX;
                cubic.on_timeout(now);
            }
            _ => {}
        }
        while let Some(number) = cubic.send(now) {
            if let Some((at, marked)) = self.link.send(now, PACKET) {
                self.order += 1;
                let what = What::Data { number, micros: 0, marked, bytes: PACKET };
                self.events.push(Reverse(Event { at, order: self.order, flow, what }));
            }
        }
        if *wake == Nanos::MAX {
            let at = cubic.timeout().max(now + 1);
            *wake = at;
            self.at(at, flow, What::Wake);
        }
    }
}
