//! A TCP CUBIC sender (RFC 9438) with HyStart's delay rule and selective acknowledgements: the competitor.
//!
//! Every transmission has its own number, and its data is endless, so nothing is repeated: what matters here is
//! the window. A packet is lost when three sent after it were acknowledged.

use std::collections::VecDeque;

use super::link::Nanos;

const C: f64 = 0.4;
const BETA: f64 = 0.7;
/// On the wire: 1448 bytes of data and 52 of headers.
pub const PACKET: usize = 1500;

pub struct Cubic {
    window: f64,
    threshold: f64,
    max: f64,
    /// The window that Reno would have.
    reno: f64,
    epoch: Option<Nanos>,
    k: f64,
    next: u64,
    first: u64,
    /// Send time of each packet from `first` on; `None` once acknowledged or lost.
    sent: VecDeque<Option<Nanos>>,
    in_flight: usize,
    highest_acked: u64,
    recovery_until: u64,
    min_rtt: Nanos,
    smoothed: Nanos,
    round_end: u64,
    round_min: Nanos,
    round_samples: u32,
    pub last_ack: Nanos,
}

impl Cubic {
    pub fn new() -> Self {
        Self {
            window: 10.0,
            threshold: f64::INFINITY,
            max: 0.0,
            reno: 0.0,
            epoch: None,
            k: 0.0,
            next: 0,
            first: 0,
            sent: VecDeque::new(),
            in_flight: 0,
            highest_acked: 0,
            recovery_until: 0,
            min_rtt: Nanos::MAX,
            smoothed: 0,
            round_end: 0,
            round_min: Nanos::MAX,
            round_samples: 0,
            last_ack: 0,
        }
    }

    /// The number of a packet that may be sent now.
    pub fn send(&mut self, now: Nanos) -> Option<u64> {
        if self.in_flight as f64 + 1.0 > self.window {
            return None;
        }
        if self.in_flight == 0 {
            self.last_ack = now;
        }
        self.sent.push_back(Some(now));
        self.in_flight += 1;
        self.next += 1;
        Some(self.next - 1)
    }

    /// These packets arrived.
    pub fn on_ack(&mut self, now: Nanos, numbers: &[u64]) {
        self.last_ack = now;
        for &number in numbers {
            let Some(sent) = number
                .checked_sub(self.first)
                .and_then(|at| self.sent.get_mut(at as usize))
                .and_then(Option::take)
            else {
                continue;
            };
            self.in_flight -= 1;
            self.highest_acked = self.highest_acked.max(number);
            self.on_rtt(now - sent, number);
            if number >= self.recovery_until {
                self.grow(now);
            }
        }
        self.find_lost(now);
    }

    /// Nothing was heard for a retransmission timeout.
    pub fn on_timeout(&mut self, now: Nanos) {
        if now < self.timeout() || self.in_flight == 0 {
            return;
        }
        self.first = self.next;
        self.sent.clear();
        self.in_flight = 0;
        self.reduce(now);
        self.window = 1.0;
    }

    pub fn timeout(&self) -> Nanos {
        self.last_ack + (self.smoothed * 2).max(200_000_000)
    }

    fn on_rtt(&mut self, rtt: Nanos, number: u64) {
        self.min_rtt = self.min_rtt.min(rtt);
        self.smoothed = if self.smoothed == 0 { rtt } else { (self.smoothed * 7 + rtt) / 8 };
        if number >= self.round_end {
            self.round_end = self.next;
            self.round_min = Nanos::MAX;
            self.round_samples = 0;
        }
        self.round_min = self.round_min.min(rtt);
        self.round_samples += 1;
        let slack = (self.min_rtt / 8).clamp(4_000_000, 16_000_000);
        let slow_start = self.window < self.threshold;
        if slow_start && self.round_samples == 8 && self.round_min >= self.min_rtt + slack {
            self.threshold = self.window;
        }
    }

    fn grow(&mut self, now: Nanos) {
        if self.window < self.threshold {
            self.window += 1.0;
            return;
        }
        let epoch = *self.epoch.get_or_insert_with(|| {
            self.reno = self.window;
            if self.max <= self.window {
                self.max = self.window;
                self.k = 0.0;
            } else {
                self.k = ((self.max - self.window) / C).cbrt();
            }
            now
        });
        let t = (now - epoch + self.min_rtt) as f64 / 1e9;
        let target = C * (t - self.k).powi(3) + self.max;
        let target = target.clamp(self.window, 1.5 * self.window);
        let alpha = if self.reno >= self.max { 1.0 } else { 3.0 * (1.0 - BETA) / (1.0 + BETA) };
        self.reno += alpha / self.window;
        self.window += ((target - self.window) / self.window).max(0.01 / self.window);
        self.window = self.window.max(self.reno);
    }

    fn find_lost(&mut self, now: Nanos) {
        while let Some(head) = self.sent.front() {
            match head {
                None => {}
                Some(_) if self.first + 3 <= self.highest_acked => {
                    self.in_flight -= 1;
                    if self.first >= self.recovery_until {
                        self.recovery_until = self.next;
                        self.reduce(now);
                    }
                }
                Some(_) => break,
            }
            self.sent.pop_front();
            self.first += 1;
        }
    }

    fn reduce(&mut self, _now: Nanos) {
        self.epoch = None;
        self.max =
            if self.window < self.max { self.window * (1.0 + BETA) / 2.0 } else { self.window };
        self.window = (self.window * BETA).max(2.0);
        self.threshold = self.window;
    }
}
