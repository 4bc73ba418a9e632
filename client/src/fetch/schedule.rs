//! Which segment is asked of which edge, and what follows from each answer. No sockets, no clock.
//!
//! Segments go out in order, each to the edge that is expected to have it here soonest. An answer
//! that fails (refused, wrong bytes, overdue) sends the segment to another edge; when no edge is left
//! to ask, the fetch ends with the last reason. Who watches asks for each when it is its time, with a deadline.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use segcast_proto::time::{Duration, Instant};

use super::meter::{Meter, RATE_UNKNOWN};
use crate::file::Bitmap;

/// Edges in one fetch: the width of a segment's exclusion mask.
pub const EDGES_MAX: usize = 64;
/// An edge is kept busy this far ahead.
const HORIZON: Duration = Duration::from_millis(50);
/// A segment is asked of another edge after this many times the time it was expected to take…
const OVERDUE_FACTOR: u32 = 4;
/// …or when another would have it here so many times sooner than this one, but never before this.
const OVERDUE_FLOOR: Duration = Duration::from_secs(1);
/// Wrong segments after which an edge is asked for nothing more, as long as another answers. One may be a bit that its disk
/// lost; several are a store that is no good, or an edge that lies.
const WRONG_MAX: u32 = 3;
/// Segments to be asked for again that are looked at for each request.
const CANDIDATES: usize = 64;
/// Requests outstanding at an edge by who watches: some of the 64 that a session may have are left for repairs.
const AHEAD_REQUESTS: u32 = 48;
/// Segments in memory at once, whatever the window in bytes: enough for every edge's 64 requests.
const WINDOW_MAX: usize = 64 * EDGES_MAX;

/// One segment asked of one edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The segment.
    pub segment: u32,
    /// The edge, by its place in the list.
    pub edge: usize,
    /// When it is expected to be here, from now.
    pub expected: Duration,
    /// When it should be here, from now.
    pub deadline: Duration,
}

fn patience(expected: Duration) -> Duration {
    (expected * OVERDUE_FACTOR).max(OVERDUE_FLOOR)
}

#[derive(Clone, Debug, Default)]
struct Edge {
    meter: Meter,
    open: bool,
    /// Never asked again.
    banned: bool,
    /// Segments that it sent and that were wrong.
    wrong: u32,
    outstanding: u32,
    requests_max: u32,
    hold_until: Instant,
    /// All addresses of the same edge, its own among them: a bit for each.
    addresses: u64,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    ask: Ask,
    /// From when on it is waited for: when it was asked for, or had to be for its deadline.
    since: Instant,
}

/// The state of a fetch, segment by segment.
#[derive(Clone, Debug)]
pub struct Schedule {
    have: Bitmap,
    /// Numbers below this were asked for at least once, or were there from the start.
    next: u32,
    again: BTreeSet<u32>,
    flying: BTreeMap<u32, Flight>,
    /// Handed over for verification, by the edge that sent it.
    checking: HashMap<u32, usize>,
    /// Edges that cannot serve a segment: never asked for it again.
    excluded: HashMap<u32, u64>,
    /// Edges that let a segment wait: asked for it again only when no other can be.
    avoided: HashMap<u32, u64>,
    /// Nothing is asked for that nobody wants yet.
    by_deadline: bool,
    /// When what is wanted and not there yet should be here.
    deadlines: HashMap<u32, Instant>,
    edges: Vec<Edge>,
    segment_bytes: u64,
    /// Segments that may be flying or being checked at once.
    window: usize,
}

impl Schedule {
    /// A fetch of `segments` segments, holding at most `window_bytes` in memory (two segments at least). `firsts`: for each
    /// address, the first one of the same edge. What one address of an edge cannot deliver is asked of none of them.
    #[must_use]
    pub fn new(segments: u32, segment_bytes: u32, firsts: &[usize], window_bytes: u64) -> Self {
        assert!((1..=EDGES_MAX).contains(&firsts.len()), "1 to {EDGES_MAX} addresses");
        let of = |first| (0..).zip(firsts).filter(move |(_, other)| **other == first);
        let addresses = |first: &usize| of(*first).fold(0, |mask, (bit, _)| mask | 1 << bit);
        let edge = |first| Edge { addresses: addresses(first), ..Edge::default() };
        let segment_bytes = u64::from(segment_bytes);
        let window = usize::try_from(window_bytes / segment_bytes.max(1)).unwrap_or(usize::MAX);
        Self {
            have: Bitmap::new(segments),
            next: 0,
            again: BTreeSet::new(),
            flying: BTreeMap::new(),
            checking: HashMap::new(),
            excluded: HashMap::new(),
            avoided: HashMap::new(),
            by_deadline: false,
            deadlines: HashMap::new(),
            edges: firsts.iter().map(edge).collect(),
            segment_bytes,
            window: window.clamp(2, WINDOW_MAX),
        }
    }

    /// Instead of everything in order: asks for nothing before [`Schedule::want`] says so.
    #[must_use]
    pub fn by_deadline(mut self) -> Self {
        (self.next, self.by_deadline) = (self.have.bound(), true);
        self
    }

    /// `segment` is to be asked for from now on, and should be here by `deadline`.
    pub fn want(&mut self, segment: u32, deadline: Instant) {
        if !self.have.contains(segment) && !self.checking.contains_key(&segment) {
            self.deadlines.insert(segment, deadline);
            self.again.insert(segment);
        }
    }

    /// `segment` came whole to a group that the session with `edge` hears, and is now being checked. False: it is there, or
    /// there is no room for it.
    pub fn overheard(&mut self, segment: u32, edge: usize) -> bool {
        let is_there = self.has(segment) || self.checking.contains_key(&segment);
        if is_there || self.checking.len() >= self.window {
            return false;
        }
        self.land(segment);
        self.again.remove(&segment);
        self.checking.insert(segment, edge);
        true
    }

    /// What a group left out of `segment` is now asked of `edge`. False: it is there, or being checked.
    pub fn completing(&mut self, segment: u32, edge: usize, now: Instant) -> bool {
        if self.has(segment) || self.checking.contains_key(&segment) {
            return false;
        }
        self.land(segment);
        self.again.remove(&segment);
        self.edges[edge].outstanding += 1;
        let (expected, deadline) = (Duration::ZERO, self.time_left(segment, now));
        self.flying
            .insert(segment, Flight { ask: Ask { segment, edge, expected, deadline }, since: now });
        true
    }

    /// Until `segment` should be here; a second, where nobody has said so. Never zero, which would be none.
    #[must_use]
    pub fn time_left(&self, segment: u32, now: Instant) -> Duration {
        let deadline = self.deadlines.get(&segment);
        let left = deadline.map_or(Duration::from_secs(1), |at| at.saturating_since(now));
        left.max(Duration::from_millis(1))
    }

    /// Whether `segment` is there and checked.
    #[must_use]
    pub fn has(&self, segment: u32) -> bool {
        self.have.contains(segment)
    }

    /// Whether nothing should have come by now: all that is wanted has been asked for, and there is time for it.
    #[must_use]
    pub fn is_ahead(&self, now: Instant) -> bool {
        let waits = |flight: &Flight| flight.since <= now;
        self.by_deadline && self.again.is_empty() && !self.flying.values().any(waits)
    }

    /// The part file is said to hold `segment`: it is not asked for unless [`Schedule::recheck_failed`].
    pub fn assume(&mut self, segment: u32) {
        self.have.insert(segment);
    }

    /// What the part file was said to hold is not that segment.
    pub fn recheck_failed(&mut self, segment: u32) {
        if self.have.remove(segment) {
            self.again.insert(segment);
        }
    }

    /// A session with `edge` is open, with `requests_max` requests allowed at once.
    pub fn opened(&mut self, edge: usize, requests_max: u32) {
        self.edges[edge].open = true;
        self.edges[edge].requests_max = requests_max;
    }

    /// The session with `edge` is gone: what it owed is asked for again.
    pub fn lost(&mut self, edge: usize) {
        self.edges[edge].open = false;
        self.edges[edge].outstanding = 0;
        for segment in self.owed_by(edge) {
            self.flying.remove(&segment);
            self.again.insert(segment);
        }
    }

    /// What is asked of `edge` and has not come.
    #[must_use]
    pub fn owed_by(&self, edge: usize) -> Vec<u32> {
        self.flying.iter().filter(|(_, f)| f.ask.edge == edge).map(|(s, _)| *s).collect()
    }

    /// `edge` is not to be asked for anything again, at none of its addresses.
    pub fn ban(&mut self, edge: usize) {
        let addresses = self.edges[edge].addresses;
        for address in (0..self.edges.len()).filter(|address| addresses >> address & 1 == 1) {
            self.lost(address);
            self.edges[address].banned = true;
        }
    }

    /// Asks nothing of `edge` until `until`.
    pub fn hold(&mut self, edge: usize, until: Instant) {
        self.edges[edge].hold_until = until;
    }

    /// The speed of `edge`, to be kept up to date.
    pub fn meter(&mut self, edge: usize) -> &mut Meter {
        &mut self.edges[edge].meter
    }

    /// Bytes that `edge` sent and that were wrong: they say nothing about its speed.
    #[must_use]
    pub fn wrong_bytes(&self, edge: usize) -> u64 {
        u64::from(self.edges[edge].wrong) * self.segment_bytes
    }

    /// Whether `edge` is not asked for anything again.
    #[must_use]
    pub fn is_banned(&self, edge: usize) -> bool {
        self.edges[edge].banned
    }

    /// Requests outstanding at `edge`.
    #[must_use]
    pub fn outstanding(&self, edge: usize) -> u32 {
        self.edges[edge].outstanding
    }

    /// The next request to make, if there is one and an edge has room for it.
    pub fn ask(&mut self, now: Instant) -> Option<Ask> {
        if self.flying.len() + self.checking.len() >= self.window {
            return None;
        }
        while self.next < self.have.bound() && self.have.contains(self.next) {
            self.next += 1;
        }
        let fresh = (self.next < self.have.bound()).then_some(self.next);
        let mut candidates = self.again.iter().copied().take(CANDIDATES).chain(fresh);
        let (segment, expected, edge) = candidates.find_map(|segment| {
            let excluded = self.excluded.get(&segment).copied().unwrap_or(0);
            let avoided = self.avoided.get(&segment).copied().unwrap_or(0);
            let best = self.best_edge(excluded | avoided, now);
            let (expected, edge) = best.or_else(|| self.best_edge(excluded, now))?;
            Some((segment, expected, edge))
        })?;
        if !self.again.remove(&segment) {
            self.next = segment + 1;
        }
        self.edges[edge].outstanding += 1;
        let wanted = self.deadlines.get(&segment);
        let deadline = wanted.map_or(patience(expected), |at| at.saturating_since(now));
        let since = wanted.map_or(now, |at| now.max(*at - expected));
        // Zero would be none.
        let deadline = deadline.max(Duration::from_millis(1));
        let ask = Ask { segment, edge, expected, deadline };
        self.flying.insert(segment, Flight { ask, since });
        Some(ask)
    }

    /// The edge that would have a segment here soonest, if it has room for one more request. When the soonest is
    /// one that is busy, waiting for it is better than asking a slower one: none.
    fn best_edge(&self, excluded: u64, now: Instant) -> Option<(Duration, usize)> {
        let unknown = self.edges.iter().filter_map(|e| e.meter.rate()).max();
        let unknown = unknown.unwrap_or(RATE_UNKNOWN);
        let waiting = |edge: &Edge| u64::from(edge.outstanding) * self.segment_bytes;
        let able = self.edges.iter().enumerate().filter(|(index, edge)| {
            edge.open && !edge.banned && excluded >> index & 1 == 0 && edge.hold_until <= now
        });
        let expected = able.map(|(index, edge)| {
            (edge.meter.expected(waiting(edge), self.segment_bytes, unknown), index)
        });
        expected.min().filter(|(_, index)| {
            let edge = &self.edges[*index];
            if self.by_deadline {
                return edge.outstanding < edge.requests_max.min(AHEAD_REQUESTS);
            }
            let pipeline = edge.meter.pipeline(HORIZON, unknown).max(2 * self.segment_bytes);
            edge.outstanding < edge.requests_max && waiting(edge) < pipeline
        })
    }

    /// `edge` has delivered `segment`, which is now being checked. False: it is not wanted (any more).
    pub fn arrived(&mut self, segment: u32, edge: usize) -> bool {
        if self.flying.get(&segment).is_none_or(|flight| flight.ask.edge != edge) {
            return false;
        }
        self.land(segment);
        self.checking.insert(segment, edge);
        true
    }

    /// The bytes of `segment` were right and are written.
    pub fn verified(&mut self, segment: u32) {
        self.checking.remove(&segment);
        self.excluded.remove(&segment);
        self.avoided.remove(&segment);
        self.deadlines.remove(&segment);
        self.have.insert(segment);
    }

    /// The bytes of `segment` were not what the manifest says: which edge sent them, and whether
    /// another one is left to ask. Who sends wrong ones again and again is banned, if another can be asked now: one that
    /// does not answer may never.
    pub fn wrong(&mut self, segment: u32) -> (Option<usize>, bool) {
        let edge = self.checking.remove(&segment);
        if let Some(edge) = edge {
            self.edges[edge].wrong += 1;
            let addresses = self.edges[edge].addresses;
            let is_another = |other: &Edge| other.addresses != addresses;
            let (others, own): (Vec<_>, Vec<_>) = self.edges.iter().partition(|e| is_another(e));
            let wrong: u32 = own.iter().map(|edge| edge.wrong).sum();
            if wrong >= WRONG_MAX && others.iter().any(|other| other.open && !other.banned) {
                self.ban(edge);
            }
        }
        (edge, self.exclude(segment, edge))
    }

    /// `edge` cannot deliver `segment`. False: no other edge is left to ask.
    pub fn refused(&mut self, segment: u32, edge: usize) -> bool {
        if self.flying.get(&segment).is_some_and(|flight| flight.ask.edge == edge) {
            self.land(segment);
        }
        self.exclude(segment, Some(edge))
    }

    /// `edge` cannot deliver `segment` now, but may later.
    pub fn postponed(&mut self, segment: u32, edge: usize, until: Instant) {
        if self.flying.get(&segment).is_some_and(|flight| flight.ask.edge == edge) {
            self.land(segment);
            self.again.insert(segment);
        }
        self.hold(edge, until);
    }

    /// Takes back requests that have taken far longer than expected, or would, where another edge could serve them.
    pub fn take_overdue(&mut self, now: Instant) -> Vec<Ask> {
        let overdue: Vec<Ask> = self
            .flying
            .iter()
            .filter(|(_, f)| now.saturating_since(f.since) > OVERDUE_FLOOR)
            .filter(|(segment, flight)| self.is_overdue(**segment, flight, now))
            .map(|(_, f)| f.ask)
            .collect();
        for ask in &overdue {
            self.land(ask.segment);
            self.again.insert(ask.segment);
            *self.avoided.entry(ask.segment).or_insert(0) |= 1 << ask.edge;
        }
        overdue
    }

    /// Whether `segment` is better asked of another edge, if there is one: it should have been here long ago, or that one
    /// would have it far sooner. It may have been away when this one was asked.
    fn is_overdue(&self, segment: u32, flight: &Flight, now: Instant) -> bool {
        let mask = self.excluded.get(&segment).copied().unwrap_or(0);
        let best = self.best_edge(mask | 1 << flight.ask.edge, now);
        let passed = now.saturating_since(flight.since);
        let left = flight.ask.expected.saturating_sub(passed);
        best.is_some_and(|(elsewhere, _)| {
            passed > patience(flight.ask.expected) || left > elsewhere * OVERDUE_FACTOR
        })
    }

    fn land(&mut self, segment: u32) {
        if let Some(flight) = self.flying.remove(&segment) {
            let outstanding = &mut self.edges[flight.ask.edge].outstanding;
            *outstanding = outstanding.saturating_sub(1);
        }
    }

    fn exclude(&mut self, segment: u32, edge: Option<usize>) -> bool {
        let mask = self.excluded.entry(segment).or_insert(0);
        *mask |= edge.map_or(0, |edge| self.edges[edge].addresses);
        let mask = *mask;
        self.again.insert(segment);
        self.edges.iter().enumerate().any(|(i, edge)| !edge.banned && mask >> i & 1 == 0)
    }

    /// Whether every segment is there and checked.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.have.is_full()
    }

    /// Segments that are there.
    #[must_use]
    pub fn have(&self) -> u32 {
        self.have.count()
    }

    /// Segments in memory at once, at most.
    #[must_use]
    pub fn window(&self) -> usize {
        self.window
    }

    /// Segments handed over and not yet judged.
    #[must_use]
    pub fn checking(&self) -> usize {
        self.checking.len()
    }
}

#[cfg(test)]
mod tests;
