//! A set with its channels, as the owner knows it.

use super::breaker::Breaker;
use super::line::Line;
use super::members::Members;
use super::note::{Member, SetFacts};
use super::queue::Job;
use super::train::Channel;
use crate::rate::Rate;
use crate::time::{Duration, Instant};

/// `last_sent` counts in these.
const TICK: Duration = Duration::from_millis(10);
/// The pace of a set's first channel, as long as it is the first, and of the others: times the set's own rate.
const FRONT_PACE: f64 = 8.0;
const PACE: f64 = 4.0;

/// One set that sessions may hear.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) facts: SetFacts,
    pub(super) members: Members,
    /// By their first segments, and in the same order the slots of their lines.
    pub(super) channels: Vec<Channel>,
    pub(super) lines: Vec<u32>,
    /// What goes from one channel to another as soon as its members can hear it there.
    pub(super) moving: Option<Moving>,
    pub(super) breaker: Breaker,
    /// Since when there are too few members for a group.
    pub(super) few_since: Option<Instant>,
    /// When it is looked after next.
    pub(super) chore_at: Instant,
    /// When each segment was sent to the group last: ticks since the origin, rounded down, plus 1; 0 for never.
    last_sent: Vec<u32>,
}

/// Segments that belong to another channel from some moment on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moving {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) first: u32,
    pub(super) end: u32,
    pub(super) at: Instant,
}

impl Set {
    pub(super) fn new(facts: SetFacts, chore_at: Instant) -> Self {
        Self {
            facts,
            members: Members::default(),
            channels: Vec::new(),
            lines: Vec::new(),
            moving: None,
            breaker: Breaker::new(),
            few_since: None,
            chore_at,
            last_sent: Vec::new(),
        }
    }

    /// The set's own rate: what a player takes, and of a set without a running time `bulk`.
    pub(super) fn rate(&self, bulk: Rate) -> Rate {
        self.facts
            .playing
            .map_or(Some(bulk), |time| Rate::of(self.facts.segment_bytes.into(), time))
            .unwrap_or(Rate::ZERO)
    }

    /// What its channels send at: the first one, and all others.
    pub(super) fn paces(&self, bulk: Rate, most: Rate) -> [Rate; 2] {
        let gains = if self.facts.playing.is_some() { [FRONT_PACE, PACE] } else { [1.0, 1.0] };
        gains.map(|gain| self.rate(bulk).scaled(gain).min(most))
    }

    /// The slot of the line that sends `segment` now.
    pub(super) fn line_of(&self, segment: u32) -> Option<u32> {
        if let Some(moving) = self.moving
            && (moving.first..moving.end).contains(&segment)
        {
            return Some(moving.from);
        }
        let at = self.channels.partition_point(|channel| channel.first <= segment);
        let channel = self.channels[..at].last()?;
        (segment < channel.end).then(|| self.lines[at - 1])
    }

    /// The channels are open or closed: what was sent, is forgotten.
    pub(super) fn forget_sends(&mut self, is_open: bool) {
        self.last_sent.clear();
        self.last_sent.shrink_to_fit();
        if is_open {
            self.last_sent.resize(self.facts.segments as usize, 0);
        }
    }

    /// `segment` begins to be sent.
    pub(super) fn on_begun(&mut self, now: Instant, segment: u32) {
        let ticks = now.as_nanos() / TICK.as_nanos() as u64 + 1;
        if let Some(last) = self.last_sent.get_mut(segment as usize) {
            *last = u32::try_from(ticks).unwrap_or(u32::MAX);
        }
    }

    /// When it began to be sent last. Who joined after that lacks it.
    pub(super) fn last_sent(&self, segment: u32) -> Instant {
        let ticks = self.last_sent.get(segment as usize).copied().unwrap_or(0);
        Instant::ZERO + TICK * ticks.saturating_sub(1)
    }

    /// Whether it is worth a group: a send costs little more than a unicast, so that one other who will need it is enough.
    pub(super) fn by_group(&self, line: &Line, job: &Job) -> bool {
        job.has_company() || self.another_lacks(line, job)
    }

    /// Whether somebody who listens lacks it, other than who asked.
    fn another_lacks(&self, line: &Line, job: &Job) -> bool {
        let mut joiners = line.joiners.since(self.last_sent(job.segment));
        joiners
            .any(|member| member != job.member && self.members.needs(member, line.bit, job.segment))
    }

    /// Whether `member` heard what was sent of `segment` since it began.
    pub(super) fn heard_from_start(&self, line: &Line, member: Member, segment: u32) -> bool {
        !line.joiners.has_since(member, self.last_sent(segment))
    }
}
