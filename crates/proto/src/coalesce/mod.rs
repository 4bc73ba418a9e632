//! En masse: which segments of a set are sent once to a group instead of to each who asks, and when.
//!
//! A request that may be served by a group is held by its session's shard. The shard that owns the set is told by a
//! [`Note`]; it knows who listens, lets the segment wait until its latest start, and sends it to all of them or says
//! that the one who asked stays alone. What it decides goes back to the shards as an [`Event`], and leaves as [`Train`]s.
//!
//! Nothing here knows keys, addresses, sockets or payloads: one budget of channels and one of bytes are given.
//!
//! **Life of a segment.** A Want makes a job in the queue of the segment's channel (`notes.rs`, `queue.rs`). The
//! channel's line wakes at the latest start of its backlog (`line.rs`); then the set says whether the first job is worth
//! a group (`set.rs`, `members.rs`, `joiners.rs`). If so it leaves train by train (`sending.rs`), at the channel's pace.
//!
//! **Life of a channel.** A set with two sessions gets one. Every ten seconds it is looked after (`chores.rs`): split
//! where half of its sends are (`sent.rs`), merged, closed when fewer than two are left.

mod breaker;
mod chores;
mod config;
mod counters;
mod event;
mod first_parity;
mod joiners;
mod line;
mod lines;
mod members;
mod note;
mod notes;
mod queue;
mod sending;
mod sent;
mod set;
mod shards;
mod train;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use config::CoalescerConfig;
pub use counters::Counters;
pub use event::Event;
use lines::Lines;
pub use note::{Member, Note, SetFacts, UNICAST_MARGIN, UNICAST_MAX, UNICAST_MIN, UNKNOWN_PATH};
use set::Set;
pub use train::{Channel, Part, Train};

use crate::ids::{ChannelId, SetId};
use crate::pacer::Pacer;
use crate::rate::Rate;
use crate::time::{Duration, Instant};

/// How late a shard may be with what the budget of bytes allows, and makes it good.
const BUDGET_MADE_GOOD: Duration = Duration::from_millis(5);

/// Decides for all sets of one shard. In every turn: notes, [`Self::handle_timeout`], [`Self::next_train`] until there
/// is none, and after each of these [`Self::poll_event`] until there is none.
#[derive(Debug)]
pub struct Coalescer {
    config: CoalescerConfig,
    sets: BTreeMap<SetId, Set>,
    /// When each set is looked after next.
    chores: BTreeSet<(Instant, SetId)>,
    lines: Lines,
    /// Members of all sets.
    members: usize,
    /// The number of the last channel that was opened.
    channel: u32,
    /// Spaces the trains of all channels.
    budget: Pacer,
    events: VecDeque<(SetId, Event)>,
    counters: Counters,
}

impl Coalescer {
    /// None of the shard's sets has a channel. `seed` says where the names of channels begin, so that those of a server
    /// that was started again are others.
    #[must_use]
    pub fn new(config: CoalescerConfig, seed: [u8; 32], now: Instant) -> Self {
        let [a, b, c, ..] = seed;
        Self {
            config,
            sets: BTreeMap::new(),
            chores: BTreeSet::new(),
            lines: Lines::default(),
            members: 0,
            channel: u32::from_le_bytes([a, b, c, 0]),
            budget: Pacer::new(now),
            events: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// When [`Self::handle_timeout`] or [`Self::next_train`] has something to do next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let line = self.lines.next().max(self.budget.next());
        let chore = self.chores.first().map_or(Instant::FAR_FUTURE, |(at, _)| *at);
        Some(line.min(chore)).filter(|at| *at != Instant::FAR_FUTURE)
    }

    /// Looks after the sets: who is silent is forgotten, channels are opened, split, merged and closed.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, id)) = self.chores.first().copied()
            && at <= now
        {
            self.look_after(now, id);
        }
    }

    /// What shards must be told.
    pub fn poll_event(&mut self) -> Option<(SetId, Event)> {
        self.events.pop_front()
    }

    /// What may leave now: at most as many datagrams of one channel as it sends in 5 ms.
    pub fn next_train(&mut self, now: Instant) -> Option<Train> {
        while self.budget.next() <= now
            && let Some(slot) = self.lines.due(now)
        {
            self.decide(now, slot);
            if let Some(train) = self.train_of(now, slot) {
                return Some(train);
            }
        }
        None
    }

    /// The set's channels by their first segments; none while it has no group.
    #[must_use]
    pub fn channels(&self, set: &SetId) -> &[Channel] {
        self.sets.get(set).map_or(&[], |set| &set.channels)
    }

    /// How many listen to the set.
    #[must_use]
    pub fn members(&self, set: &SetId) -> u32 {
        self.sets.get(set).map_or(0, |set| set.members.listening())
    }

    /// Whether parity follows a segment that begins to be sent.
    #[must_use]
    pub fn sends_parity(&self, set: &SetId, segment: u32) -> bool {
        let line = self.sets.get(set).and_then(|set| self.lines.get(set.line_of(segment)?));
        line.is_some_and(|line| line.first_parity.symbols() > 0)
    }

    /// Channels that are open, of all sets.
    #[must_use]
    pub fn open_channels(&self) -> usize {
        self.lines.open()
    }

    /// What it did and refused.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Decides about the jobs of an idle line that can wait no longer, up to the first one that is to be sent.
    fn decide(&mut self, now: Instant, slot: u32) {
        let Some(line) = self.lines.get_mut(slot) else { return };
        let Some(set) = self.sets.get(&line.set) else { return };
        while let Some(job) = line.take_due(now) {
            if set.by_group(line, &job) {
                line.send(job);
            } else {
                self.counters.alone += 1;
                self.events.push_back((line.set, Event::Alone { segment: job.segment }));
            }
        }
        self.lines.plan(slot);
    }

    /// The next train of a line that sends.
    fn train_of(&mut self, now: Instant, slot: u32) -> Option<Train> {
        let line = self.lines.get_mut(slot)?;
        let leaving = line.next(now)?;
        let (id, channel, segment) = (line.set, line.channel, leaving.segment);
        let set = self.sets.get_mut(&id)?;
        if leaving.is_last {
            line.on_sent(&set.facts, set.members.listening());
        }
        self.lines.plan(slot);
        self.budget.on_sent(now, self.config.rate.time_for(leaving.bytes), BUDGET_MADE_GOOD);
        self.counters.bytes += leaving.bytes;
        if leaving.is_first {
            self.counters.sends += 1;
            self.events.push_back((id, Event::Begun { segment }));
            set.on_begun(now, segment);
        }
        Some(Train { set: id, channel, segment, part: leaving.part })
    }

    /// A name for a channel.
    fn new_channel(&mut self) -> ChannelId {
        self.channel = (self.channel + 1) % ChannelId::NUMBERS;
        ChannelId::new(self.channel, self.config.shard)
    }

    /// The paces of a set's channels: the first one's, and that of all others.
    fn paces(&self, set: &Set) -> [Rate; 2] {
        set.paces(self.config.bulk_rate, self.config.channel_rate.min(self.config.rate))
    }
}
