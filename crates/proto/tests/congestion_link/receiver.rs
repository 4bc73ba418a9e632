//! A client as docs/protocol, sections 7.2 and 10 want it: what it received, and when it reports.

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
}

impl Receiver {
    pub fn on_packet(
        &mut self,
        now: Nanos,
        number: u64,
        sent_micros: u32,
        marked: bool,
        bytes: usize,
    ) {
        self.bytes += bytes as u64;
        self.ce_count += u32::from(marked);
        if self.ranges.first().is_none_or(|&(_, high)| number > high) {
            self.highest_arrival = now;
            self.echo = sent_micros;
        }
        if self.unreported == 0 {
            self.first_unreported = now;
        }
        self.unreported += 1;
        self.insert(number);
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

    /// When a report is due: at once after 32 packets, else a quarter of the round trip after the first.
    pub fn due(&self, now: Nanos, rtt: Nanos) -> Option<Nanos> {
        match self.unreported {
            0 => None,
            1..32 => Some(self.first_unreported + (rtt / 4).clamp(1_000_000, 5_000_000)),
            _ => Some(now),
        }
    }

    pub fn report(&mut self, now: Nanos) -> Report {
        self.unreported = 0;
        Report {
            echo: self.echo,
            delay: now - self.highest_arrival,
            ce_count: self.ce_count,
            ranges: self.ranges.iter().take(16).copied().collect(),
        }
    }
}
