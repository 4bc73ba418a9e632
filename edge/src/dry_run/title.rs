//! A title, as a dry run knows it: who views it, what they heard, and who waits.

use std::collections::{BTreeMap, HashMap};

use segcast_proto::coalesce::{Member, SetFacts};
use segcast_proto::time::Instant;

/// A session that asks for a title.
#[derive(Clone, Copy, Debug)]
pub(super) struct Viewer {
    /// Its last request.
    pub(super) asked: Instant,
    /// Since when it could listen; none yet.
    pub(super) joined: Option<Instant>,
    /// The segment of its last request.
    pub(super) position: u32,
    /// When that was told.
    pub(super) told: Instant,
}

/// A request that waits for a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    pub(super) member: Member,
    pub(super) deadline: Instant,
    /// When it would be served by unicast.
    pub(super) until: Instant,
    pub(super) bytes: u64,
}

/// What is known of a title with viewers.
#[derive(Debug)]
pub(super) struct Title {
    pub(super) facts: SetFacts,
    pub(super) viewers: BTreeMap<Member, Viewer>,
    pub(super) waiting: BTreeMap<u32, Vec<Waiter>>,
    /// Since when it has a group.
    opened: Option<Instant>,
    /// When each segment would have been sent last.
    sent: HashMap<u32, Instant>,
}

impl Title {
    pub(super) fn new(facts: SetFacts) -> Self {
        let (viewers, waiting, sent) = (BTreeMap::new(), BTreeMap::new(), HashMap::new());
        Self { facts, viewers, waiting, opened: None, sent }
    }

    /// The title has a group, or none any more.
    pub(super) fn set_open(&mut self, now: Instant, is_open: bool) {
        if is_open {
            self.opened.get_or_insert(now);
        } else {
            self.opened = None;
            self.sent.clear();
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.opened.is_some()
    }

    /// Since when a member hears the group.
    pub(super) fn listens_since(&self, member: Member) -> Option<Instant> {
        let joined = self.viewers.get(&member)?.joined?;
        Some(joined.max(self.opened?))
    }

    /// Whether a member would have the segment, as it was sent while it listened.
    pub(super) fn has_overheard(&self, member: Member, segment: u32) -> bool {
        let sent = self.sent.get(&segment).copied();
        sent.zip(self.listens_since(member)).is_some_and(|(sent, since)| sent > since)
    }

    /// A segment is being sent: those who waited and hear it are served, and counted.
    pub(super) fn on_sent(&mut self, now: Instant, segment: u32) -> u64 {
        self.sent.insert(segment, now);
        let Some(waiters) = self.waiting.remove(&segment) else { return 0 };
        let all = waiters.len();
        let left: Vec<Waiter> = waiters
            .into_iter()
            .filter(|waiter| self.listens_since(waiter.member).is_none_or(|since| since >= now))
            .collect();
        let served = all - left.len();
        if !left.is_empty() {
            self.waiting.insert(segment, left);
        }
        served as u64
    }

    /// Of those who wait for a segment and listen, who needs it first, and how many they are.
    pub(super) fn first_waiter(&self, segment: u32) -> Option<(Waiter, u16)> {
        let waiters = self.waiting.get(&segment)?.iter();
        let listening: Vec<&Waiter> =
            waiters.filter(|waiter| self.listens_since(waiter.member).is_some()).collect();
        let first = listening.iter().min_by_key(|waiter| waiter.deadline)?;
        Some((**first, u16::try_from(listening.len()).unwrap_or(u16::MAX)))
    }
}
