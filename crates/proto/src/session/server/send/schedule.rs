//! Who sends next: messages first, in turn, then DATA by deficit round robin over trains, and a wheel of timers for
//! those that are not due yet.
//!
//! Deficit round robin (Shreedhar and Varghese 1996) over what trains cost: each turn grants a session one full train.
//! Who sends less at once goes on until the grant is used. A train of one byte costs a sixth of a full one, so that
//! who asks for single bytes gets as much of the shard's time as others, and no more. A session whose pacing or window
//! holds it back leaves the round and waits in the wheel. Each step is constant time, a slot stands at most once in each
//! list, and nothing is allocated but when the table of sessions grows.

use std::collections::VecDeque;

use super::overload::TRAIN_COST;
use super::wheel::Wheel;
use crate::limits::TRAIN_MAX;
use crate::time::{Duration, Instant};

/// What a turn grants: at least what the largest train costs, so that every turn sends one.
const QUANTUM: i32 = cost(TRAIN_MAX);

/// What a train of `bytes` costs, in bytes.
const fn cost(bytes: usize) -> i32 {
    let bytes = if bytes < TRAIN_MAX { bytes } else { TRAIN_MAX };
    bytes as i32 + TRAIN_COST as i32
}

/// Whose turn it is, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// A message.
    Notice(u32),
    /// A train. The session is out of the round until it is put back.
    Train(u32),
}

impl Turn {
    /// Whose turn it is.
    pub(super) fn slot(self) -> u32 {
        let (Self::Notice(slot) | Self::Train(slot)) = self;
        slot
    }
}

/// What waits for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session::server) struct Waiting {
    pub(in crate::session::server) notices: bool,
    pub(in crate::session::server) trains: bool,
}

/// What the schedule knows of a slot.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    /// What trains may still cost in this turn. What is left over does not outlive the turn; what was sent too much
    /// does.
    credit: i32,
    /// Since when it has been in the round for the train that comes next, in microseconds that wrap after 71 minutes:
    /// every idle session pays for this, too.
    since: u32,
    in_notices: bool,
    in_round: bool,
}

/// The lists and the wheel, by slot.
#[derive(Debug, Default)]
pub(in crate::session::server) struct Schedule {
    shares: Vec<Share>,
    notices: VecDeque<u32>,
    round: VecDeque<u32>,
    wheel: Wheel,
}

impl Schedule {
    /// A session opens in `slot`.
    pub(in crate::session::server) fn open(&mut self, slot: u32) {
        let slots = slot as usize + 1;
        if slots > self.shares.len() {
            self.shares.resize(slots, Share::default());
            self.notices.reserve(slots - self.notices.len());
            self.round.reserve(slots - self.round.len());
            self.wheel.reserve(slots);
        }
        self.shares[slot as usize].credit = 0;
    }

    /// The session in `slot` is gone. Its places in the lists are skipped when they come up.
    pub(super) fn close(&mut self, slot: u32) {
        self.wheel.clear(slot);
    }

    /// A session has a message to send.
    pub(super) fn notice(&mut self, slot: u32) {
        if let Some(share) = self.shares.get_mut(slot as usize)
            && !core::mem::replace(&mut share.in_notices, true)
        {
            self.notices.push_back(slot);
        }
    }

    /// A session could send a train now: it joins the end of the round, unless it is in it.
    pub(super) fn join(&mut self, slot: u32, now: Instant) {
        if let Some(share) = self.shares.get_mut(slot as usize)
            && !core::mem::replace(&mut share.in_round, true)
        {
            (share.credit, share.since) = (share.credit.min(0) + QUANTUM, wrapping_micros(now));
            self.round.push_back(slot);
        }
    }

    /// Sets the session's timer, or clears it.
    pub(super) fn wait(&mut self, slot: u32, due: Option<Instant>) {
        match due {
            Some(due) => self.wheel.set(slot, due),
            None => self.wheel.clear(slot),
        }
    }

    /// The next turn; `trains`: whether trains may be sent now.
    pub(super) fn next(&mut self, trains: bool) -> Option<Turn> {
        if let Some(slot) = self.notices.pop_front() {
            self.shares[slot as usize].in_notices = false;
            return Some(Turn::Notice(slot));
        }
        if !trains {
            return None;
        }
        let slot = self.round.pop_front()?;
        self.shares[slot as usize].in_round = false;
        Some(Turn::Train(slot))
    }

    /// The session that is to send a train after so many others.
    pub(super) fn upcoming(&self, turns: usize) -> Option<u32> {
        self.round.get(turns).copied()
    }

    /// The session whose turn it was sent a train of `bytes` and could send another one: at once if its grant is
    /// likely to cover that, else after all others.
    pub(super) fn sent(&mut self, slot: u32, bytes: usize, now: Instant) {
        let Some(share) = self.shares.get_mut(slot as usize) else { return };
        share.credit -= cost(bytes);
        (share.since, share.in_round) = (wrapping_micros(now), true);
        if share.credit >= cost(bytes) {
            self.round.push_front(slot);
        } else {
            share.credit += QUANTUM;
            self.round.push_back(slot);
        }
    }

    /// The session whose turn it was sent a train of `bytes` and has to wait.
    pub(super) fn sent_last(&mut self, slot: u32, bytes: usize) {
        if let Some(share) = self.shares.get_mut(slot as usize) {
            share.credit -= cost(bytes);
        }
    }

    /// How long the session whose turn it is was ready and had to wait for the others.
    pub(super) fn waited(&self, slot: u32, now: Instant) -> Duration {
        let since = self.shares.get(slot as usize).map(|share| share.since);
        let waited = since.map_or(0, |since| wrapping_micros(now).wrapping_sub(since));
        Duration::from_micros(waited.into())
    }

    /// What waits for its turn.
    pub(in crate::session::server) fn waiting(&self) -> Waiting {
        Waiting { notices: !self.notices.is_empty(), trains: !self.round.is_empty() }
    }

    /// A slot whose timer is due.
    pub(in crate::session::server) fn pop_due(&mut self, now: Instant) -> Option<u32> {
        self.wheel.pop_due(now)
    }

    /// When a timer may be due.
    pub(in crate::session::server) fn next_due(&self) -> Option<Instant> {
        self.wheel.next_due()
    }
}

fn wrapping_micros(now: Instant) -> u32 {
    (now.as_nanos() / 1000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets `turns` trains be sent by sessions that are always ready; `train` says how large a slot's are. What each
    /// slot's cost and held, and in which order they went.
    fn run(slots: u32, turns: u32, train: impl Fn(u32) -> usize) -> (Vec<u64>, Vec<u64>, Vec<u32>) {
        let mut schedule = Schedule::default();
        (0..slots).for_each(|slot| schedule.open(slot));
        (0..slots).for_each(|slot| schedule.join(slot, Instant::ZERO));
        let (mut costs, mut bytes) = (vec![0; slots as usize], vec![0; slots as usize]);
        let mut order = Vec::new();
        for _ in 0..turns {
            let Some(Turn::Train(slot)) = schedule.next(true) else { panic!("nobody is ready") };
            costs[slot as usize] += train(slot) as u64 + TRAIN_COST;
            bytes[slot as usize] += train(slot) as u64;
            order.push(slot);
            schedule.sent(slot, train(slot), Instant::ZERO);
        }
        (costs, bytes, order)
    }

    /// Jain's index of fairness: 1 when all have the same.
    fn jain(shares: &[u64]) -> f64 {
        let sum: f64 = shares.iter().map(|&s| s as f64).sum();
        let squares: f64 = shares.iter().map(|&s| (s as f64) * (s as f64)).sum();
        sum * sum / (shares.len() as f64 * squares)
    }

    #[test]
    fn a_thousand_sessions_share_equally_and_none_waits_longer_than_two_rounds() {
        let sizes = [54 * 1200, 45 * 1440, 7 * 8952, 16 * 1440];
        let train = |slot: u32| sizes[slot as usize % sizes.len()];
        let (costs, bytes, order) = run(1000, 100_000, train);
        assert!(jain(&costs) >= 0.999, "{}", jain(&costs));
        assert!(jain(&bytes) >= 0.98, "{}: trains a third as long hold less", jain(&bytes));
        // A round is a turn of everyone; the trains of one turn follow each other.
        let mut turns: Vec<u32> = order.clone();
        turns.dedup();
        let mut last = vec![None; 1000];
        for (at, &slot) in turns.iter().enumerate() {
            let gap = last[slot as usize].replace(at).map_or(at, |before| at - before);
            assert!(gap <= 2000, "session {slot} waited for {gap} turns");
        }
    }

    #[test]
    fn full_trains_of_small_and_of_large_datagrams_hold_the_same_bytes() {
        let (_, bytes, _) = run(2, 20_000, |slot| if slot == 0 { 54 * 1200 } else { 7 * 8952 });
        let (small, large) = (bytes[0] as f64, bytes[1] as f64);
        assert!((small / large - 1.0).abs() < 0.01, "{small} to {large}");
    }

    #[test]
    fn trains_of_one_byte_get_no_more_time_than_full_ones() {
        let (costs, _, order) = run(12, 120_000, |slot| if slot < 4 { 1 } else { TRAIN_MAX });
        assert!(jain(&costs) >= 0.99, "{costs:?}");
        let single = order.iter().filter(|&&slot| slot == 0).count() as f64;
        let full = order.iter().filter(|&&slot| slot == 11).count() as f64;
        assert!((6.0..7.0).contains(&(single / full)), "{single} trains to {full}");
    }

    #[test]
    fn a_train_larger_than_the_rest_of_a_grant_is_paid_back() {
        let mut schedule = Schedule::default();
        schedule.open(0);
        schedule.join(0, Instant::ZERO);
        assert_eq!(schedule.next(true), Some(Turn::Train(0)));
        schedule.sent(0, 1000, Instant::ZERO);
        assert_eq!(schedule.next(true), Some(Turn::Train(0)));
        schedule.sent_last(0, TRAIN_MAX);
        schedule.join(0, Instant::ZERO);
        assert_eq!(schedule.shares[0].credit, QUANTUM - cost(1000));
        schedule.next(true);
        schedule.sent_last(0, 10);
        schedule.join(0, Instant::ZERO);
        assert_eq!(schedule.shares[0].credit, QUANTUM, "what is left over is not saved");
    }

    #[test]
    fn a_wait_is_told_across_the_wrap_of_its_clock() {
        let mut schedule = Schedule::default();
        schedule.open(0);
        let joined = Instant::from_nanos(u64::from(u32::MAX) * 1000);
        schedule.join(0, joined);
        let wait = Duration::from_micros(1500);
        assert_eq!(schedule.waited(0, joined + wait), wait);
        assert_eq!(schedule.waited(9, joined), Duration::ZERO, "no such slot");
    }

    #[test]
    fn messages_go_first_and_a_session_stands_once_in_each_list() {
        let mut schedule = Schedule::default();
        (0..2).for_each(|slot| schedule.open(slot));
        for _ in 0..3 {
            schedule.join(1, Instant::ZERO);
            schedule.notice(0);
        }
        assert_eq!(schedule.waiting(), Waiting { notices: true, trains: true });
        assert_eq!(schedule.next(false), Some(Turn::Notice(0)));
        assert_eq!(schedule.next(false), None);
        assert_eq!(schedule.next(true), Some(Turn::Train(1)));
        assert_eq!(schedule.next(true), None);
        schedule.join(9, Instant::ZERO);
        assert_eq!(schedule.next(true), None, "no such slot");
    }
}
