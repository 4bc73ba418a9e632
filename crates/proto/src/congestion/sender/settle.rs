//! What a report settles: whether it can be true, what arrived, what is missing, what is lost.

use super::Sender;
use crate::congestion::model::{LostTrain, Report};
use crate::congestion::report::{FeedbackView, Lie, ReportOutcome};
use crate::congestion::trains::Train;
use crate::time::Instant;

impl Sender {
    /// A report is false if it says what cannot be. Returns its highest number, and whether its echo is known to be true:
    /// of a number without a record any is let pass, and nothing measured by it.
    pub(super) fn check(&self, report: &FeedbackView<'_>) -> Result<(u64, bool), Lie> {
        let &(_, highest) = report.ranges.first().ok_or(Lie::Malformed)?;
        if highest >= self.next_sequence {
            return Err(Lie::NeverSent(highest));
        }
        let mut above = None;
        for &(low, high) in report.ranges {
            if low > high || above.is_some_and(|above| high >= above) {
                return Err(Lie::Malformed);
            }
            above = Some(low);
        }
        if let Some((low, high)) = self.skips.first_hit(report.ranges) {
            return Err(Lie::Skipped(low, high));
        }
        match self.trains.find(highest) {
            Some(train) if !train.was_sent_at(report.echo) => {
                Err(Lie::BadEcho { number: highest, echo: report.echo })
            }
            found => Ok((highest, found.is_some())),
        }
    }

    /// Settles what the ranges say arrived and notes the gaps. Returns the newest train of it.
    pub(super) fn take_ranges(
        &mut self,
        now: Instant,
        ranges: &[(u64, u64)],
        outcome: &mut ReportOutcome,
    ) -> Option<Train> {
        let Self { trains, delivery, missing, skips, next_unreported, reorder_shift, .. } = self;
        let mut newest: Option<Train> = None;
        let checked_from = skips.checked_from();
        // Ascending, so that gaps are noted in order.
        for &(low, high) in ranges.iter().rev().filter(|(_, high)| *high >= checked_from) {
            let low = low.max(checked_from);
            let mut deliver = |part: (u64, u64)| {
                trains.settle(part, true, |taken| {
                    delivery.on_delivered(taken.bytes, taken.train.at_send.slow);
                    outcome.newly_delivered_bytes += taken.bytes;
                    if taken.bytes > 0 && newest.is_none_or(|n| n.first < taken.train.first) {
                        newest = Some(taken.train);
                    }
                });
            };
            let mut late = None;
            missing.fill(low, high.min(next_unreported.saturating_sub(1)), |low, high, lost| {
                if lost { late = Some([low, high]) } else { deliver((low, high)) }
            });
            if high >= *next_unreported {
                if low > *next_unreported {
                    missing.add(*next_unreported, low - 1, now);
                }
                deliver((low.max(*next_unreported), high));
                *next_unreported = high + 1;
            }
            // Nothing is credited: it was sent long before the data that rates are measured by now, and a client that held
            // it back would raise them.
            let is_data = |number: &u64| trains.find(*number).is_some_and(Train::is_data);
            if late.is_some_and(|ends| ends.iter().any(is_data)) {
                *reorder_shift = (*reorder_shift + 1).min(2);
            }
        }
        newest
    }

    /// A report that brings nothing new, and comes when what was sent last should have been reported long ago: it is
    /// missing. Nothing that was sent after it can show that.
    pub(super) fn note_lost_tail(&mut self, now: Instant) {
        let then = now - self.rtt.smoothed() - self.rtt.variation() * 4 - self.reorder_window();
        let Some(last) = self.trains.last_sent_before(then) else { return };
        if last >= self.next_unreported {
            self.missing.add(self.next_unreported, last, now - self.reorder_window());
            self.next_unreported = last + 1;
        }
    }

    /// Gives up what has been missing too long, and tells the model of each train hit.
    pub(super) fn give_up_lost(&mut self, digest: &mut Report) {
        let window = self.reorder_window();
        let Self { trains, delivery, missing, model, rtt, .. } = self;
        let now = digest.now;
        missing.expire(now, window, |low, high| {
            let before = digest.newly_lost;
            trains.settle((low, high), false, |taken| {
                if taken.bytes == 0 {
                    return;
                }
                delivery.on_lost(taken.bytes, taken.train.at_send.slow);
                digest.newly_lost += taken.bytes;
                let then = &taken.train.at_send;
                let lost = LostTrain {
                    bytes: taken.bytes,
                    lost_since: delivery.lost.saturating_sub(then.lost),
                    in_flight: then.in_flight,
                    app_limited: then.app_limited,
                };
                model.on_lost(now, lost);
            });
            digest.lost_ranges += u32::from(digest.newly_lost > before);
        });
        missing.forget(now - rtt.smoothed() * 2);
        digest.in_flight = delivery.in_flight;
        digest.slow = delivery.take_slow();
    }

    /// Whether the count of marks rose; one that fell (a late report) says nothing.
    pub(super) fn new_marks(&mut self, count: u32) -> bool {
        let more = count.wrapping_sub(self.ce_count);
        let rose = more != 0 && more < 1 << 31;
        if rose {
            self.ce_count = count;
        }
        rose
    }
}
