//! One channel with what waits for it and what it sends.

use super::first_parity::FirstParity;
use super::joiners::Joiners;
use super::note::SetFacts;
use super::queue::{Job, Queue};
use super::sending::{Script, Sending, TRAIN, train_datagrams};
use super::sent::Sent;
use super::train::Part;
use crate::ids::{ChannelId, SetId};
use crate::limits::DATAGRAM_BASE;
use crate::pacer::Pacer;
use crate::rate::Rate;
use crate::time::{Duration, Instant};

/// Who hears the channel that another was split from hears the new one within this time.
const HANDED_OVER: Duration = Duration::from_secs(10);

/// What is where a channel is opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) set: SetId,
    pub(super) channel: ChannelId,
    pub(super) bit: u32,
}

/// A channel of a set.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) set: SetId,
    pub(super) channel: ChannelId,
    /// Its bit in what a member hears: no other channel of the set has it.
    pub(super) bit: u32,
    pub(super) queue: Queue,
    pub(super) joiners: Joiners,
    pub(super) sent: Sent,
    pub(super) first_parity: FirstParity,
    sending: Option<Sending>,
    pace: Rate,
    script: Script,
    /// What a segment takes by these two.
    takes: Duration,
    pacer: Pacer,
    /// The bit of the channel that it was split from, and until when its members only come over.
    parent: Option<(u32, Instant)>,
}

impl Line {
    pub(super) fn new(at: Place, facts: &SetFacts, pace: Rate, now: Instant) -> Self {
        let script = Script::new(facts, 0);
        Self {
            set: at.set,
            channel: at.channel,
            bit: at.bit,
            queue: Queue::new(),
            joiners: Joiners::default(),
            sent: Sent::new(now),
            first_parity: FirstParity::default(),
            sending: None,
            pace,
            script,
            takes: script.takes(pace),
            pacer: Pacer::new(now),
            parent: None,
        }
    }

    /// A channel for this one's segments from `first` on.
    pub(super) fn split(
        &mut self,
        at: Place,
        facts: &SetFacts,
        (pace, first): (Rate, u32),
        now: Instant,
    ) -> Self {
        let mut upper = Self::new(at, facts, pace, now);
        upper.sent = self.sent.split(first);
        upper.joiners = self.joiners.clone();
        upper.parent = Some((self.bit, now + HANDED_OVER));
        upper
    }

    /// A segment of a set with `members` that listen has been sent: the next ones have the parity that it showed.
    pub(super) fn on_sent(&mut self, facts: &SetFacts, members: u32) {
        self.first_parity.on_sent(facts, members);
        self.script = Script::new(facts, self.first_parity.symbols());
        self.takes = self.script.takes(self.pace);
    }

    /// Whether a member who heard channels `before` joins anew, by listening here from `now` on.
    pub(super) fn is_joined_anew(&self, before: u32, now: Instant) -> bool {
        let comes_over =
            self.parent.is_some_and(|(parent, until)| now < until && before & parent != 0);
        before & self.bit == 0 && !comes_over
    }

    /// How long one segment takes: τ.
    pub(super) fn takes(&self) -> Duration {
        self.takes
    }

    /// When it has something to do: the next train, or to decide about the first of its jobs.
    pub(super) fn wakes(&self) -> Instant {
        match self.sending {
            Some(_) => self.pacer.next(),
            None => self.queue.latest_start(self.takes).max(self.pacer.next()),
        }
    }

    /// When what it does should have ended; [`Instant::FAR_FUTURE`] for nothing.
    pub(super) fn ends_by(&self) -> Instant {
        self.sending.map_or(Instant::FAR_FUTURE, |sending| sending.job.end_by)
    }

    /// The job that must be decided about now.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Job> {
        (self.sending.is_none() && self.wakes() <= now).then(|| self.queue.pop())?
    }

    /// Begins to send it.
    pub(super) fn send(&mut self, job: Job) {
        self.sending = Some(Sending::new(job, self.script));
    }

    /// What is being sent.
    pub(super) fn sending(&mut self) -> Option<&mut Sending> {
        self.sending.as_mut()
    }

    /// Stops what has not begun yet, since nobody wants it.
    pub(super) fn stop(&mut self) {
        self.sending = None;
    }

    /// What leaves now, for which segment, and whether it is the first and the last of it.
    pub(super) fn next(&mut self, now: Instant) -> Option<Leaving> {
        let sending = self.sending.as_mut()?;
        let segment = sending.job.segment;
        let is_first = !sending.has_begun();
        let (part, is_last) = sending.next(train_datagrams(self.pace));
        if is_last {
            self.sending = None;
        }
        let bytes = u64::from(part.datagrams()) * DATAGRAM_BASE as u64;
        // A probe tells of a send and is none: it leaves with the last train.
        if part != Part::Probe {
            self.pacer.on_sent(now, self.pace.time_for(bytes), TRAIN);
            self.sent.add(now, bytes);
        }
        if is_first {
            self.sent.remember(segment);
        }
        Some(Leaving { segment, part, bytes, is_first, is_last })
    }
}

/// A train of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving {
    pub(super) segment: u32,
    pub(super) part: Part,
    pub(super) bytes: u64,
    pub(super) is_first: bool,
    pub(super) is_last: bool,
}
