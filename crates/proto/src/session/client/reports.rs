//! What has arrived, and when the server should hear of it (sections 7.2 and 10).

use crate::faults::{Fault, planted};
use crate::limits::{REPORT_DATA_MAX, REPORT_RANGES_MAX};
use crate::time::{Duration, Instant};
use crate::wire::ranges::SequenceRanges;
use crate::wire::report::Report;

/// Ranges kept; a REPORT carries the newest [`REPORT_RANGES_MAX`] of them.
const RANGES_KEPT: usize = REPORT_RANGES_MAX * 2;
/// A REPORT tells again what came since this many REPORTs before it, should those be lost. The rest is known: each range
/// costs the server, and the numbers that it skips leave a gap every 256.
const TOLD_AGAIN: usize = 8;

/// The received sequence numbers and the report timer. [`super::ClientSession`] has its own; a load generator that sees
/// packets in another way makes its REPORTs by the same rules with this.
#[derive(Debug)]
pub struct Reports {
    /// Inclusive, newest first, disjoint and not adjacent.
    ranges: Vec<(u64, u64)>,
    /// The lowest number that came before each of the last REPORTs and after the one before it, in turn; the entry at
    /// `number % TOLD_AGAIN` is that of the REPORT to come.
    lowest: [u64; TOLD_AGAIN],
    newest_send_time: u32,
    newest_at: Instant,
    received: u32,
    ce: u32,
    data_unreported: u32,
    due: Option<Instant>,
    number: u32,
}

impl Default for Reports {
    fn default() -> Self {
        Self {
            ranges: Vec::new(),
            lowest: [u64::MAX; TOLD_AGAIN],
            newest_send_time: 0,
            newest_at: Instant::ZERO,
            received: 0,
            ce: 0,
            data_unreported: 0,
            due: None,
            number: 0,
        }
    }
}

impl Reports {
    /// Notes an authentic packet, with the send time in its frame header and whether it came with ECN CE.
    pub fn received(&mut self, now: Instant, sequence: u64, send_time: u32, ce: bool) {
        self.received = self.received.wrapping_add(1);
        self.ce = self.ce.wrapping_add(u32::from(ce));
        if self.ranges.first().is_none_or(|&(_, high)| sequence > high) {
            (self.newest_send_time, self.newest_at) = (send_time, now);
        }
        let lowest = self.lowest_now();
        *lowest = sequence.min(*lowest);
        self.insert(sequence);
    }

    /// Notes that the packet was DATA: a report is due after `delay`, or at once after enough of them.
    pub fn data(&mut self, now: Instant, delay: Duration) {
        self.data_unreported += 1;
        let at = if self.data_unreported >= REPORT_DATA_MAX { now } else { now + delay };
        self.by(at);
    }

    /// A report is due by `at`.
    pub fn by(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// When the next report is due.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The report to send now, and its number: the frame header's offset. `None` before the first packet.
    pub fn take(&mut self, now: Instant, room_bytes: u64) -> Option<(u32, Report)> {
        (self.due, self.data_unreported) = (None, 0);
        let mut ranges = SequenceRanges::new();
        let from = self.lowest.iter().copied().min().unwrap_or(0);
        for (at, &(low, high)) in self.ranges.iter().take(REPORT_RANGES_MAX).enumerate() {
            // The newest one is always told: a REPORT that brings nothing new says that the rest is missing.
            if (high < from && at > 0) || !ranges.push(low, high) {
                break;
            }
        }
        if ranges.is_empty() {
            return None;
        }
        self.number = self.number.wrapping_add(1);
        *self.lowest_now() = u64::MAX;
        let held = now.saturating_since(self.newest_at).as_micros();
        let report = Report {
            echo: self.newest_send_time,
            echo_delay_us: u32::try_from(held).unwrap_or(u32::MAX),
            room_kib: u32::try_from(room_bytes / 1024).unwrap_or(u32::MAX),
            ce_count: self.ce,
            received_count: self.received,
            ranges,
        };
        Some((self.number, report))
    }

    /// The lowest number that came since the last REPORT.
    fn lowest_now(&mut self) -> &mut u64 {
        &mut self.lowest[self.number as usize % TOLD_AGAIN]
    }

    fn insert(&mut self, sequence: u64) {
        // The first range that does not lie wholly above the number (and not next to it).
        let at = self.ranges.partition_point(|&(low, _)| low > sequence.saturating_add(1));
        match self.ranges.get_mut(at) {
            Some((low, high)) if (*low..=*high).contains(&sequence) => return,
            Some((low, _)) if *low == sequence + 1 => *low = sequence,
            Some((_, high)) if *high + 1 == sequence => *high = sequence,
            _ => self.ranges.insert(at, (sequence, sequence)),
        }
        if let (Some(&(low, _)), Some(&(_, high))) = (self.ranges.get(at), self.ranges.get(at + 1))
            && (high + 1 == low || (high + 2 == low && planted(Fault::ReportGapsClosed)))
        {
            self.ranges[at].0 = self.ranges[at + 1].0;
            self.ranges.remove(at + 1);
        }
        self.ranges.truncate(RANGES_KEPT);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ranges_after(sequences: &[u64]) -> Vec<(u64, u64)> {
        let mut reports = Reports::default();
        sequences.iter().for_each(|&s| reports.received(Instant::ZERO, s, 0, false));
        reports.ranges
    }

    #[test]
    fn ranges_merge_in_any_order() {
        assert_eq!(ranges_after(&[0, 2, 1]), [(0, 2)]);
        assert_eq!(ranges_after(&[5, 1, 3, 4, 9]), [(9, 9), (3, 5), (1, 1)]);
    }

    #[test]
    fn the_echo_is_that_of_the_highest_packet() {
        let mut reports = Reports::default();
        reports.received(Instant::from_nanos(1_000_000), 7, 70, false);
        reports.received(Instant::from_nanos(2_000_000), 6, 60, true);
        let (number, report) = reports.take(Instant::from_nanos(3_000_000), 4096).expect("some");
        assert_eq!((number, report.echo, report.echo_delay_us), (1, 70, 2000));
        assert_eq!((report.room_kib, report.ce_count, report.received_count), (4, 1, 2));
    }

    #[test]
    fn what_came_is_told_in_eight_reports_and_what_came_late_too() {
        let mut reports = Reports::default();
        let came = |reports: &mut Reports, sequence| {
            reports.received(Instant::ZERO, sequence, 0, false);
            let (_, report) = reports.take(Instant::ZERO, 0).expect("something came");
            report.ranges.iter().collect::<Vec<_>>()
        };
        // Every second number is missing.
        for n in 0..8 {
            let all: Vec<_> = (0..=n).rev().map(|n| (2 * n, 2 * n)).collect();
            assert_eq!(came(&mut reports, 2 * n), all);
        }
        assert_eq!(came(&mut reports, 16).last(), Some(&(2, 2)), "0 was told eight times");
        assert_eq!(came(&mut reports, 5).last(), Some(&(4, 6)));
        for n in 0..7 {
            assert_eq!(came(&mut reports, 20 + 2 * n).last(), Some(&(4, 6)));
        }
        assert_eq!(came(&mut reports, 40).last(), Some(&(20, 20)));
        let (_, again) =
            (0..9).filter_map(|_| reports.take(Instant::ZERO, 0)).last().expect("told");
        assert_eq!(
            again.ranges.iter().collect::<Vec<_>>(),
            [(40, 40)],
            "the newest, if nothing came"
        );
    }

    #[test]
    fn a_report_is_due_after_its_delay_or_enough_packets() {
        let mut reports = Reports::default();
        let delay = Duration::from_millis(5);
        (1..REPORT_DATA_MAX).for_each(|_| reports.data(Instant::ZERO, delay));
        assert_eq!(reports.due(), Some(Instant::ZERO + delay));
        reports.data(Instant::ZERO, delay);
        assert_eq!(reports.due(), Some(Instant::ZERO));
    }

    proptest! {
        #[test]
        fn agrees_with_a_set(sequences in prop::collection::vec(0u64..40, 0..80)) {
            let ranges = ranges_after(&sequences);
            let listed: Vec<u64> = ranges.iter().rev().flat_map(|&(low, high)| low..=high).collect();
            let mut expected = sequences.clone();
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(listed, expected);
            prop_assert!(ranges.windows(2).all(|pair| pair[1].1 + 1 < pair[0].0));
        }
    }
}
