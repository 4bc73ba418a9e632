//! Channels of sets: opened, split, merged, closed.

use super::line::{Line, Place};
use super::queue::Job;
use super::set::{Moving, Set};
use super::train::Channel;
use super::{Coalescer, Event};
use crate::ids::SetId;
use crate::limits::GROUP_CHANNELS_MAX;
use crate::rate::Rate;
use crate::time::{Duration, Instant};

/// How often each set is looked after.
pub(super) const LOOK: Duration = Duration::from_secs(10);
/// So many sessions make a group; a set that has fewer for so long has none.
const SESSIONS_MIN: usize = 2;
const FEW: Duration = Duration::from_secs(60);
/// The first channel is split after the segments that play in this time: who begins needs them fast.
const FRONT: Duration = Duration::from_secs(16);
/// A channel that carries more than so much, times the set's own rate, is split …
const FULL: f64 = 2.0;
/// … and two neighbours that carry less together are merged.
const EMPTY: f64 = 1.0;
/// How long members have to hear a segment on another channel.
const MOVES_AFTER: Duration = Duration::from_secs(3);

impl Coalescer {
    /// Opens the set's first channel if it has sessions enough, and a channel and bytes are left.
    pub(super) fn open(&mut self, now: Instant, id: SetId) {
        let Some(set) = self.sets.get(&id) else { return };
        let is_closed = set.channels.is_empty() && !set.breaker.is_open(now);
        if !is_closed || set.members.len() < SESSIONS_MIN {
            return;
        }
        let [pace, _] = self.paces(set);
        let is_room = self.lines.open() < self.config.channels;
        if !is_room || pace < set.rate(self.config.bulk_rate) || pace == Rate::ZERO {
            self.counters.channels_refused += 1;
            return;
        }
        let place = Place { set: id, channel: self.new_channel(), bit: 1 };
        let Some(set) = self.sets.get_mut(&id) else { return };
        let slot = self.lines.insert(Line::new(place, &set.facts, pace, now));
        let end = set.facts.segments;
        set.channels.push(Channel { id: place.channel, first: 0, end, pace });
        set.lines.push(slot);
        set.forget_sends(true);
        self.counters.opened += 1;
        self.events.push_back((id, Event::Channels));
    }

    /// What is due for a set: who is silent is forgotten, segments move, channels are split, merged or closed.
    pub(super) fn look_after(&mut self, now: Instant, id: SetId) {
        let Some(set) = self.sets.get_mut(&id) else { return };
        if let Some(moving) = set.moving
            && moving.at <= now
        {
            set.moving = None;
            self.move_jobs(id, &moving);
        } else {
            let before = set.members.len();
            set.members.forget_silent(now);
            self.members -= before - set.members.len();
            self.close_if_few(now, id);
            self.break_circuit(now, id);
            self.drop_empty(id);
            self.open(now, id);
            self.fit_to_load(now, id);
        }
        let Some(set) = self.sets.get_mut(&id) else { return };
        self.chores.remove(&(set.chore_at, id));
        set.chore_at = set.moving.map_or(now + LOOK, |moving| moving.at);
        self.chores.insert((set.chore_at, id));
    }

    /// Forgets a set that has neither sessions nor channels.
    pub(super) fn drop_empty(&mut self, id: SetId) {
        if let Some(set) = self.sets.get(&id)
            && set.members.len() == 0
            && set.channels.is_empty()
        {
            self.chores.remove(&(set.chore_at, id));
            self.sets.remove(&id);
        }
    }

    /// Closes the channels of a set that has had too few sessions for long.
    fn close_if_few(&mut self, now: Instant, id: SetId) {
        let Some(set) = self.sets.get_mut(&id) else { return };
        if set.channels.is_empty() || set.members.len() >= SESSIONS_MIN {
            set.few_since = None;
            return;
        }
        if now.saturating_since(*set.few_since.get_or_insert(now)) < FEW {
            return;
        }
        self.close(id);
    }

    /// Closes the channels of a set most of whose members lose much, time after time: for a while, and the next time for
    /// longer (RFC 8084).
    fn break_circuit(&mut self, now: Instant, id: SetId) {
        let Some(set) = self.sets.get_mut(&id) else { return };
        let is_lossy = !set.channels.is_empty() && set.members.is_lossy();
        if set.breaker.is_tripped(now, is_lossy) {
            self.counters.broken += 1;
            self.close(id);
        }
    }

    /// Closes all channels of a set.
    fn close(&mut self, id: SetId) {
        let Some(set) = self.sets.get_mut(&id) else { return };
        set.few_since = None;
        set.channels.clear();
        set.forget_sends(false);
        set.members.hear_nothing();
        set.moving = None;
        for slot in set.lines.drain(..) {
            self.lines.remove(slot);
        }
        self.events.push_back((id, Event::Channels));
    }

    /// Splits one channel that carries too much, or merges two that carry too little.
    fn fit_to_load(&mut self, now: Instant, id: SetId) {
        let Some(set) = self.sets.get(&id) else { return };
        if set.facts.playing.is_none() || set.moving.is_some() {
            return;
        }
        let own = set.rate(self.config.bulk_rate);
        let mut loads = [(0, false); GROUP_CHANNELS_MAX];
        for (load, slot) in loads.iter_mut().zip(&set.lines) {
            if let Some(line) = self.lines.get_mut(*slot) {
                *load = (line.sent.rate(now).bytes_per_second(), line.sent.is_old(now));
            }
        }
        let (full, empty) = (own.scaled(FULL), own.scaled(EMPTY));
        let loads = &loads[..set.lines.len()];
        let is_empty = |pair: &[(u64, bool)]| {
            pair.iter().all(|(_, is_old)| *is_old)
                && pair[0].0 + pair[1].0 < empty.bytes_per_second()
        };
        let idle = loads.windows(2).skip(1).position(is_empty);
        let is_full = |at: &usize| loads[*at].0 > full.bytes_per_second();
        let split = |at| self.where_to_split(set, at).map(|first| (at, first));
        if let Some(at) = idle {
            self.merge(now, id, at + 1);
        } else if let Some((at, first)) = (0..loads.len()).filter(is_full).find_map(split) {
            self.split(now, id, at, first);
        }
    }

    /// Gives the segments of the set's channel `at` from `first` on to a new one.
    fn split(&mut self, now: Instant, id: SetId, at: usize, first: u32) {
        let Some(set) = self.sets.get(&id) else { return };
        let Some(from) = set.lines.get(at).copied() else { return };
        if set.lines.len() >= GROUP_CHANNELS_MAX {
            return;
        }
        if self.lines.open() >= self.config.channels {
            self.counters.channels_refused += 1;
            return;
        }
        let pace = self.paces(set)[1];
        let channel = self.new_channel();
        let Some(set) = self.sets.get_mut(&id) else { return };
        let used = set.lines.iter().filter_map(|slot| self.lines.get(*slot));
        let bit = 1 << used.fold(0, |bits: u32, line| bits | line.bit).trailing_ones();
        let Some(lower) = self.lines.get_mut(from) else { return };
        let upper = lower.split(Place { set: id, channel, bit }, &set.facts, (pace, first), now);
        let to = self.lines.insert(upper);
        let end = core::mem::replace(&mut set.channels[at].end, first);
        set.channels.insert(at + 1, Channel { id: channel, first, end, pace });
        set.lines.insert(at + 1, to);
        set.moving = Some(Moving { from, to, first, end, at: now + MOVES_AFTER });
        self.counters.splits += 1;
        self.events.push_back((id, Event::Channels));
    }

    /// The first segment of the upper part; none where there is nothing to split.
    fn where_to_split(&self, set: &Set, at: usize) -> Option<u32> {
        let channel = set.channels.get(at)?;
        let playing = set.facts.playing?.as_nanos().max(1);
        let front = u32::try_from(FRONT.as_nanos().div_ceil(playing)).unwrap_or(u32::MAX);
        let first = match at {
            0 => front,
            _ => self.lines.get(set.lines[at])?.sent.median()?,
        };
        (channel.first < first && first < channel.end).then_some(first)
    }

    /// Closes the set's channel after `at` into that one, at once: what is held for members who do not hear that one yet
    /// is served by unicast, and as both are idle that is little.
    fn merge(&mut self, now: Instant, id: SetId, at: usize) {
        let Some(set) = self.sets.get_mut(&id) else { return };
        let (Some(&to), Some(&from)) = (set.lines.get(at), set.lines.get(at + 1)) else { return };
        // What is being sent there is sent to its end: the next look closes the channel.
        if self.lines.get_mut(from).is_none_or(|line| line.sending().is_some()) {
            return;
        }
        let Some(mut closed) = self.lines.remove(from) else { return };
        set.lines.remove(at + 1);
        let upper = set.channels.remove(at + 1);
        set.channels[at].end = upper.end;
        set.members.clear(closed.bit);
        if let Some(line) = self.lines.get_mut(to) {
            line.sent.restart(now);
            line.joiners.absorb(&closed.joiners);
        }
        self.put_jobs(id, to, closed.queue.take(upper.first, upper.end));
        self.counters.merges += 1;
        self.events.push_back((id, Event::Channels));
    }

    /// The jobs of the segments that move go over.
    fn move_jobs(&mut self, id: SetId, moving: &Moving) {
        let Some(from) = self.lines.get_mut(moving.from) else { return };
        let jobs = from.queue.take(moving.first, moving.end);
        self.lines.plan(moving.from);
        self.put_jobs(id, moving.to, jobs);
    }

    fn put_jobs(&mut self, id: SetId, to: u32, jobs: Vec<Job>) {
        let Some(line) = self.lines.get_mut(to) else { return };
        for job in jobs {
            if !line.queue.put(job) {
                self.counters.jobs_refused += 1;
                self.events.push_back((id, Event::Alone { segment: job.segment }));
            }
        }
        self.lines.plan(to);
    }
}
