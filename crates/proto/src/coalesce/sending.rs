//! One segment on its way to the group, datagram by datagram.

use super::note::SetFacts;
use super::queue::Job;
use super::train::Part;
use crate::limits::{DATAGRAM_BASE, TRAIN_DATAGRAMS_MAX};
use crate::rate::Rate;
use crate::segment::geometry::LEAVES_PER_GROUP;
use crate::time::Duration;

/// A train is what a channel sends in this time …
pub(super) const TRAIN: Duration = Duration::from_millis(5);
/// … but never more datagrams than this …
const DATAGRAMS_MAX: u64 = 16;
/// … unless its pace is above this one, 100 Mbit/s; then ten less than the kernel takes.
const FAST: Rate = Rate::new(12_500_000);
const FAST_MAX: u64 = TRAIN_DATAGRAMS_MAX as u64 - 10;

/// How many datagrams a train has at most that is sent at `pace`.
pub(super) fn train_datagrams(pace: Rate) -> u16 {
    let most = if pace > FAST { FAST_MAX } else { DATAGRAMS_MAX };
    (pace.bytes_in(TRAIN) / DATAGRAM_BASE as u64).clamp(1, most) as u16
}

/// What is sent of one segment: its leaves and source symbols, then those leaves again and `parity` symbols.
#[derive(Clone, Copy, Debug)]
pub(super) struct Script {
    symbols: u16,
    parity: u16,
}

impl Script {
    pub(super) fn new(facts: &SetFacts, parity: u16) -> Self {
        Self { symbols: facts.symbols, parity: parity.min(facts.parity) }
    }

    /// LEAVES payloads, once.
    fn leaves(&self) -> u16 {
        (u32::from(self.symbols) + u32::from(self.parity)).div_ceil(LEAVES_PER_GROUP) as u16
    }

    /// The parts in their order, by their datagrams.
    fn parts(&self) -> [(Part, u16); 5] {
        let leaves = self.leaves();
        let again = if self.parity > 0 { leaves } else { 0 };
        let symbols = |first, count| (Part::Symbols { first, count }, count);
        [
            (Part::Leaves { first: 0, count: leaves }, leaves),
            symbols(0, self.symbols),
            (Part::Leaves { first: 0, count: again }, again),
            symbols(self.symbols, self.parity),
            (Part::Probe, 1),
        ]
    }

    /// How long it takes at `pace`.
    pub(super) fn takes(&self, pace: Rate) -> Duration {
        let datagrams: u64 = self.parts().iter().map(|(_, count)| u64::from(*count)).sum();
        pace.time_for((datagrams - 1) * DATAGRAM_BASE as u64)
    }

    /// What follows when `done` datagrams have left: at most `most` datagrams of one part. `None`: that was all.
    fn after(&self, done: u32, most: u16) -> Option<Part> {
        let mut before = 0;
        for (part, count) in self.parts() {
            let skipped = done.saturating_sub(before);
            before += u32::from(count);
            if skipped >= u32::from(count) {
                continue;
            }
            let (skipped, count) = (skipped as u16, most.min(count - skipped as u16));
            return Some(match part {
                Part::Leaves { first, .. } => Part::Leaves { first: first + skipped, count },
                Part::Symbols { first, .. } => Part::Symbols { first: first + skipped, count },
                Part::Probe => Part::Probe,
            });
        }
        None
    }
}

impl Part {
    /// Datagrams.
    #[must_use]
    pub const fn datagrams(&self) -> u16 {
        match *self {
            Self::Leaves { count, .. } | Self::Symbols { count, .. } => count,
            Self::Probe => 1,
        }
    }
}

/// A segment that is being sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sending {
    pub(super) job: Job,
    script: Script,
    done: u32,
}

impl Sending {
    pub(super) fn new(job: Job, script: Script) -> Self {
        Self { job, script, done: 0 }
    }

    /// Whether anything of it has left.
    pub(super) fn has_begun(&self) -> bool {
        self.done > 0
    }

    /// What leaves next: at most `most` datagrams, and whether they are the last.
    pub(super) fn next(&mut self, most: u16) -> (Part, bool) {
        let part = self.script.after(self.done, most).unwrap_or(Part::Probe);
        self.done += u32::from(part.datagrams());
        (part, self.script.after(self.done, most).is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(symbols: u16, parity: u16) -> SetFacts {
        let segment_bytes = u32::from(symbols) * 1152;
        SetFacts { segments: 9, segment_bytes, symbols, parity, playing: None }
    }

    fn parts(script: &Script, most: u16) -> Vec<Part> {
        let mut done = 0;
        core::iter::from_fn(|| {
            let part = script.after(done, most)?;
            done += u32::from(part.datagrams());
            Some(part)
        })
        .collect()
    }

    #[test]
    fn leaves_come_before_symbols_and_once_more_before_parity() {
        let plain = Script::new(&facts(100, 25), 0);
        let expected = [
            Part::Leaves { first: 0, count: 2 },
            Part::Symbols { first: 0, count: 60 },
            Part::Symbols { first: 60, count: 40 },
            Part::Probe,
        ];
        assert_eq!(parts(&plain, 60), expected);
        let with_parity = parts(&Script::new(&facts(100, 25), 45), 200);
        let expected = [
            Part::Leaves { first: 0, count: 2 },
            Part::Symbols { first: 0, count: 100 },
            Part::Leaves { first: 0, count: 2 },
            Part::Symbols { first: 100, count: 25 },
            Part::Probe,
        ];
        assert_eq!(with_parity, expected, "parity above what the set has");
    }

    #[test]
    fn every_datagram_leaves_once_whatever_the_size_of_trains() {
        for most in [1, 7, 16, 54, 1000] {
            let all = parts(&Script::new(&facts(1600, 400), 0), most);
            let symbols: Vec<u16> = all
                .iter()
                .filter_map(|part| match *part {
                    Part::Symbols { first, count } => Some(first..first + count),
                    _ => None,
                })
                .flatten()
                .collect();
            assert_eq!(symbols, (0..1600).collect::<Vec<_>>());
            let datagrams: u32 = all.iter().map(|part| u32::from(part.datagrams())).sum();
            assert_eq!(datagrams, 1600 + 23 + 1);
        }
    }

    #[test]
    fn trains_are_five_milliseconds_long_within_bounds() {
        let datagrams = [0, 1, 2_500_000, 12_500_000, 12_500_001, u64::MAX];
        let datagrams = datagrams.map(|rate| train_datagrams(Rate::new(rate)));
        assert_eq!(datagrams, [1, 1, 10, 16, 52, 54]);
    }
}
