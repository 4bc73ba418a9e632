//! The ring of trains that were sent: when, how large, and what was delivered and lost by then.
//!
//! It answers three questions of a report: how many bytes do these numbers stand for, when did the newest of
//! them leave (for the rate sample and against false echoes), and did whole trains vanish. When it is full,
//! old records go first, then neighbours are merged: the ring is then a coarser sample of the same time.

use std::collections::VecDeque;

use crate::time::Instant;

/// Records kept: 1 Gbit/s over 250 ms in full trains, or 5 Mbit/s over 1 s in single datagrams; beyond that
/// records are merged. 512 × 112 bytes = 56 KiB for a session that sends.
const KEPT: usize = 512;

/// Consecutive sequence numbers sent at one time, or several merged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Train {
    pub(super) first: u64,
    /// Sequence numbers.
    pub(super) count: u64,
    /// Numbers neither reported nor lost, and the bytes they stand for (0 for control packets).
    outstanding: u64,
    outstanding_bytes: u64,
    /// Size of a datagram of it; the last may be smaller. 0 for control packets.
    datagram: usize,
    /// When it, or the first of those merged into it, was sent.
    sent_first: Instant,
    /// When it, or the last of those merged into it, was sent.
    pub(super) sent: Instant,
    /// The counters as they were when it was sent.
    pub(super) at_send: Snapshot,
    any_delivered: bool,
}

/// The counters of the delivery-rate estimation at the time of sending
/// (draft-cheng-iccrg-delivery-rate-estimation, `P.*`).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Snapshot {
    /// Bytes delivered so far, and when the last of them were reported.
    pub(super) delivered: u64,
    pub(super) delivered_at: Instant,
    /// When the newest train of those delivered had been sent.
    pub(super) first_sent: Instant,
    /// Bytes lost so far.
    pub(super) lost: u64,
    /// Bytes in flight, this train included.
    pub(super) in_flight: u64,
    /// The sender had too little to send, or was held back by something that is not the path.
    pub(super) app_limited: bool,
    /// It was sent slower than the path was found to carry.
    pub(super) slow: bool,
}

/// What was taken out of one record: `numbers` of them, `bytes`, and a copy of the record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) bytes: u64,
    pub(super) train: Train,
}

/// The ring.
#[derive(Debug)]
pub(super) struct Trains {
    ring: VecDeque<Train>,
    /// About where the last settled record is: what comes next is mostly that one or its neighbour, and a search from
    /// here touches two records where one from the middle touches nine that have long left the processor's cache.
    near: usize,
    /// Whole trains of `watched` size that vanished after the last one that did not.
    vanished: u32,
    watched: usize,
    /// The first number after the newest delivered one of a datagram of `watched` bytes.
    seen_below: u64,
}

impl Trains {
    pub(super) fn new(datagram: usize) -> Self {
        let ring = VecDeque::with_capacity(KEPT);
        Self { ring, near: 0, vanished: 0, watched: datagram, seen_below: 0 }
    }

    /// Adds a train; `bytes` and `datagram` are 0 for control packets.
    pub(super) fn push(
        &mut self,
        (first, count): (u64, u64),
        bytes: u64,
        datagram: usize,
        sent: Instant,
        at_send: Snapshot,
    ) {
        if self.ring.len() == KEPT {
            self.make_room();
        }
        self.ring.push_back(Train {
            first,
            count,
            outstanding: count,
            outstanding_bytes: bytes,
            datagram,
            sent_first: sent,
            sent,
            at_send,
            any_delivered: false,
        });
    }

    /// How many records come before the first that is not `below`; all older ones must be below, no newer one may be.
    fn position(&self, below: impl Fn(&Train) -> bool) -> usize {
        let is_below = |at: usize| self.ring.get(at).is_some_and(&below);
        let near = self.near.min(self.ring.len());
        let (mut low, mut high, mut step) = (near, near, 1);
        while is_below(high) {
            (low, high) = (high + 1, high + step);
            step *= 2;
        }
        while low > 0 && !is_below(low - 1) {
            (low, high) = (low.saturating_sub(step), low - 1);
            step *= 2;
        }
        while low < high {
            let middle = low.midpoint(high);
            if is_below(middle) { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// The record that holds `number`.
    pub(super) fn find(&self, number: u64) -> Option<&Train> {
        let at = self.position(|train| train.first <= number).checked_sub(1)?;
        self.ring.get(at).filter(|train| number - train.first < train.count)
    }

    /// The highest number that was sent before `then`.
    pub(super) fn last_sent_before(&self, then: Instant) -> Option<u64> {
        let at = self.position(|train| train.sent < then).checked_sub(1)?;
        self.ring.get(at).map(|train| train.first + (train.count - 1))
    }

    /// `low..=high`, not taken before, are settled: delivered or lost. Calls `each` for every record touched.
    pub(super) fn settle(
        &mut self,
        (low, high): (u64, u64),
        delivered: bool,
        mut each: impl FnMut(Taken),
    ) {
        let from = self.position(|train| train.first + train.count <= low);
        self.near = from;
        for train in self.ring.range_mut(from..).take_while(|train| train.first <= high) {
            let numbers = high.min(train.first + (train.count - 1)) - low.max(train.first) + 1;
            let bytes = train.take(numbers);
            if delivered {
                train.any_delivered = true;
                if train.datagram == self.watched {
                    self.vanished = 0;
                    self.seen_below = self.seen_below.max(train.first + train.count);
                }
            } else if train.outstanding == 0
                && !train.any_delivered
                && train.datagram == self.watched
                && train.first >= self.seen_below
            {
                self.vanished += 1;
            }
            each(Taken { bytes, train: *train });
        }
    }

    /// Whole trains of the current datagram size lost since the last that arrived at least in part. With
    /// `overdue`, those sent up to then and not heard of count too.
    pub(super) fn vanished(&self, overdue: Option<Instant>) -> u32 {
        let unheard = overdue.map_or(0, |then| {
            let unheard = |t: &&Train| {
                t.datagram == self.watched
                    && t.first >= self.seen_below
                    && t.outstanding == t.count
                    && t.sent <= then
            };
            self.ring.iter().filter(unheard).count() as u32
        });
        self.vanished + unheard
    }

    /// From now on trains of this datagram size are watched for vanishing.
    pub(super) fn watch(&mut self, datagram: usize) {
        self.watched = datagram;
        self.vanished = 0;
        self.seen_below = self.ring.back().map_or(self.seen_below, |t| t.first + t.count);
    }

    /// Everything outstanding is given up without a verdict; the send times stay.
    pub(super) fn settle_all(&mut self) {
        for train in &mut self.ring {
            train.outstanding = 0;
            train.outstanding_bytes = 0;
        }
    }

    /// Drops settled records from the old end, down to half; when they do not suffice, merges neighbours.
    fn make_room(&mut self) {
        while self.ring.len() > KEPT / 2 && self.ring.front().is_some_and(|t| t.outstanding == 0) {
            self.ring.pop_front();
        }
        if self.ring.len() <= KEPT * 3 / 4 {
            return;
        }
        let mut kept = 0;
        let mut at = 0;
        while at < self.ring.len() {
            let mut train = self.ring[at];
            at += 1;
            if let Some(next) = self.ring.get(at).filter(|next| train.can_merge(next)) {
                train = train.merge(next);
                at += 1;
            }
            self.ring[kept] = train;
            kept += 1;
        }
        self.ring.truncate(kept);
        // Nothing merged (a gap after every record): the oldest is forgotten, its bytes with it.
        if self.ring.len() == KEPT {
            self.ring.pop_front();
        }
    }
}

impl Train {
    /// Whether `echo` (wire microseconds) is a send time of this record, within a unit of rounding.
    pub(super) fn was_sent_at(&self, echo: u32) -> bool {
        let first = self.sent_first.wire_micros().wrapping_sub(1);
        let span = self.sent.wire_micros().wrapping_sub(first).wrapping_add(1);
        echo.wrapping_sub(first) <= span
    }

    /// Whether it is no control packet.
    pub(super) fn is_data(&self) -> bool {
        self.datagram > 0
    }

    /// Takes `numbers` out of what is outstanding and returns their bytes.
    fn take(&mut self, numbers: u64) -> u64 {
        let numbers = numbers.min(self.outstanding);
        let Some(bytes) = (self.outstanding_bytes * numbers).checked_div(self.outstanding) else {
            return 0;
        };
        self.outstanding -= numbers;
        self.outstanding_bytes -= bytes;
        bytes
    }

    /// Neighbours of one kind without a skipped number between them.
    fn can_merge(&self, next: &Self) -> bool {
        self.first + self.count == next.first && self.datagram == next.datagram
    }

    fn merge(self, next: &Self) -> Self {
        Self {
            count: self.count + next.count,
            outstanding: self.outstanding + next.outstanding,
            outstanding_bytes: self.outstanding_bytes + next.outstanding_bytes,
            sent: next.sent,
            // The older counters with the newer send time: a longer interval, on the safe side.
            at_send: Snapshot {
                app_limited: self.at_send.app_limited || next.at_send.app_limited,
                ..self.at_send
            },
            any_delivered: self.any_delivered || next.any_delivered,
            ..self
        }
    }
}

#[cfg(test)]
mod tests;
