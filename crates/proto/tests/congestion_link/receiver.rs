//! A client as docs/protocol, sections 7.2 and 10 want it: what it received, and when it reports; or one that lies.

use super::liar::{Liar, Lie};
use super::link::Nanos;

/// A REPORT on its way.
#[derive(Clone, Debug)]
pub struct Report {
    pub echo: u32,
    pub delay: Nanos,
    pub ce_count: u32,
    pub ranges: Vec<(u64, u64)>,
}

#[derive(Default)]
pub struct Receiver {
    /// Newest first, inclusive.
    ranges: Vec<(u64, u64)>,
    highest_arrival: Nanos,
    echo: u32,
    ce_count: u32,
    unreported: u32,
    first_unreported: Nanos,
    pub bytes: u64,
    pub liar: Liar,
}

/// One that arrived.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    pub number: u64,
    pub sent_micros: u32,
    pub marked: bool,
    /// With headers.
    pub bytes: usize,
    pub is_data: bool,
}

impl Receiver {
    pub fn on_packet(&mut self, now: Nanos, packet: Packet) {
        self.bytes += packet.bytes as u64;
        for packet in self.liar.hear(now, packet) {
            self.take(now, packet);
        }
        self.release(now);
    }

    fn release(&mut self, now: Nanos) {
        while let Some(packet) = self.liar.release(now) {
            self.take(now, packet);
        }
    }

    fn take(&mut self, now: Nanos, packet: Packet) {
        self.ce_count += u32::from(packet.marked);
        if self.ranges.first().is_none_or(|&(_, high)| packet.number > high) {
            self.highest_arrival = now;
            self.echo = packet.sent_micros;
        }
        if packet.is_data {
            if self.unreported == 0 {
                self.first_unreported = now;
            }
            self.unreported += 1;
        }
        self.insert(packet.number);
    }

    fn insert(&mut self, number: u64) {
        let at =
            self.ranges.iter().position(|&(low, _)| low <= number + 1).unwrap_or(self.ranges.len());
        match self.ranges.get_mut(at) {
            Some((low, _)) if *low == number + 1 => {
                *low = number;
                if let Some(&(below_low, below_high)) = self.ranges.get(at + 1)
                    && below_high + 1 == number
                {
                    self.ranges[at].0 = below_low;
                    self.ranges.remove(at + 1);
                }
            }
            Some((_, high)) if *high + 1 == number => *high = number,
            Some((_, high)) if *high >= number => {}
            _ => self.ranges.insert(at, (number, number)),
        }
        self.ranges.truncate(64);
    }

    /// When a report is due: at once after 32 packets, else a quarter of the round trip after the first; or when what a
    /// liar held back is told.
    pub fn due(&self, now: Nanos, rtt: Nanos) -> Option<Nanos> {
        let honest = match self.unreported {
            0 => None,
            _ if self.liar.lie == Lie::Often => Some(now),
            1..32 => Some(self.first_unreported + (rtt / 4).clamp(1_000_000, 5_000_000)),
            _ => Some(now),
        };
        self.liar.next().into_iter().chain(honest).min()
    }

    pub fn report(&mut self, now: Nanos) -> Report {
        self.release(now);
        self.unreported = 0;
        let honest = Report {
            echo: self.echo,
            delay: now - self.highest_arrival,
            ce_count: self.ce_count,
            ranges: self.ranges.iter().take(16).copied().collect(),
        };
        self.liar.twist(honest)
    }
}
