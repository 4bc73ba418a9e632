//! One segment being heard: its symbols, and what vouches for them.

use core::ops::Range;
use std::collections::BTreeMap;

use crate::faults::{Fault, planted};
use crate::ids::{ChannelId, SetId};
use crate::limits::SYMBOL;
use crate::segment::geometry::{Geometry, LEAF, LEAVES_PER_GROUP};
use crate::segment::leaves::{Leaf, group_digest, group_len, leaf};
use crate::segment::parity;
use crate::session::ranges::RangeSet;
use crate::time::{Duration, Instant};

/// A send has ended when nothing new of it came for this long.
const QUIET: Duration = Duration::from_millis(250);
/// And after twice its time at the channel's pace, and this.
const SLACK: Duration = Duration::from_secs(1);

/// A source symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Missing,
    /// It came before its leaf.
    Unverified,
    Verified,
}

/// A parity symbol.
#[derive(Debug)]
struct Parity {
    symbol: Box<[u8]>,
    is_verified: bool,
}

/// What a packet changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gained {
    pub(super) verified: u32,
    pub(super) forged: u32,
    pub(super) duplicates: u32,
}

/// How far a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is being sent, or about to be; it counts as ended when nothing of it came until then.
    Hearing { until: Instant },
    /// It was sent; what is missing is asked for then.
    Ended { ask_at: Instant },
    /// Its leaves were asked for; without them what they vouch for is asked for then.
    Leaves { until: Instant },
}

impl Stage {
    pub(super) const fn due(self) -> Instant {
        let (Self::Hearing { until: at } | Self::Ended { ask_at: at } | Self::Leaves { until: at }) =
            self;
        at
    }
}

/// One segment being heard.
#[derive(Debug)]
pub(super) struct OpenSegment {
    pub(super) segment: u32,
    pub(super) channel: ChannelId,
    pub(super) stage: Stage,
    /// The server said that the group brings it.
    pub(super) is_promised: bool,
    /// When something new of it came last.
    pub(super) last: Option<Instant>,
    /// How long it is heard at most, and until when: whatever members send, it ends.
    limit: Duration,
    ends_by: Instant,
    bytes: Vec<u8>,
    places: Vec<Place>,
    /// By their indexes, at most m.
    parity: BTreeMap<u32, Parity>,
    /// The leaves of all its symbols, where their LEAVES payload is known.
    leaves: Vec<u8>,
    known_groups: Vec<bool>,
    /// Source and parity symbols.
    verified: u32,
}

impl OpenSegment {
    pub(super) fn new(
        geometry: &Geometry,
        segment: u32,
        channel: ChannelId,
        now: Instant,
        takes: Duration,
    ) -> Self {
        let symbols = geometry.source_symbols();
        let leaves = LEAF * (symbols + geometry.parity_symbols()) as usize;
        Self {
            segment,
            channel,
            stage: Stage::Hearing { until: now + QUIET },
            is_promised: false,
            last: None,
            limit: takes * 2 + SLACK,
            ends_by: now + takes * 2 + SLACK,
            bytes: vec![0; geometry.segment_bytes() as usize],
            places: vec![Place::Missing; symbols as usize],
            parity: BTreeMap::new(),
            leaves: vec![0; leaves],
            known_groups: vec![false; geometry.leaf_groups() as usize],
            verified: 0,
        }
    }

    /// The server says that it is being sent, or about to be.
    pub(super) fn promise(&mut self, now: Instant) {
        self.is_promised = true;
        self.ends_by = now + self.limit;
        // Whatever members made of it before.
        self.stage = Stage::Hearing { until: now + QUIET };
    }

    /// More of it may come.
    fn go_on(&mut self, now: Instant) {
        if let Stage::Hearing { until } = &mut self.stage {
            *until = (*until).max((now + QUIET).min(self.ends_by));
        }
    }

    /// A packet of it changed this. What a member makes up, or repeats, does not prolong it.
    pub(super) fn heard_packet(&mut self, now: Instant, gained: Gained) {
        if gained.verified > 0 || gained == Gained::default() {
            self.last = Some(now);
            self.go_on(now);
        }
    }

    /// Source symbols that came.
    pub(super) fn heard(&self) -> u32 {
        self.places.iter().filter(|place| **place != Place::Missing).count() as u32
    }

    /// Symbols that have their leaf, up to as many as are enough.
    pub(super) fn verified(&self) -> u32 {
        self.verified.min(self.places.len() as u32)
    }

    /// Whether as many symbols have their leaf as there are source symbols, and so give all of these.
    pub(super) fn is_enough(&self) -> bool {
        self.verified as usize >= self.places.len()
    }

    /// Takes in symbol `index`, 1152 bytes. One whose leaf is not known yet stays until that comes: the first one.
    pub(super) fn place(&mut self, set: SetId, index: u32, symbol: &[u8]) -> Gained {
        let at = index as usize;
        let is_new = match self.places.get(at) {
            Some(place) => *place == Place::Missing,
            None => at * LEAF < self.leaves.len() && !self.parity.contains_key(&index),
        };
        if !is_new {
            return Gained { duplicates: 1, ..Gained::default() };
        }
        if let Some(room) = self.bytes.get_mut(symbol_range(at)) {
            room.copy_from_slice(symbol);
            self.places[at] = Place::Unverified;
        } else {
            self.parity.insert(index, Parity { symbol: symbol.into(), is_verified: false });
        }
        self.check(set, at)
    }

    /// Takes in LEAVES payload `group`, with zeros after it. `digest`: what the manifest says of it.
    pub(super) fn take_leaves(
        &mut self,
        geometry: &Geometry,
        set: SetId,
        group: u32,
        payload: &[u8],
        digest: &Leaf,
    ) -> Gained {
        let Some(payload) = group_len(geometry, group).and_then(|len| payload.get(..len)) else {
            return Gained::default();
        };
        if self.known_groups.get(group as usize) == Some(&true) {
            return Gained { duplicates: 1, ..Gained::default() };
        }
        if group_digest(set, self.segment, group, payload) != *digest {
            return Gained { forged: 1, ..Gained::default() };
        }
        let first = (group * LEAVES_PER_GROUP) as usize;
        if let (Some(known), Some(room)) = (
            self.known_groups.get_mut(group as usize),
            self.leaves.get_mut(first * LEAF..first * LEAF + payload.len()),
        ) {
            *known = true;
            room.copy_from_slice(payload);
        }
        let mut gained = Gained::default();
        for at in first..first + payload.len() / LEAF {
            let one = self.check(set, at);
            gained.verified += one.verified;
            gained.forged += one.forged;
        }
        gained
    }

    /// Compares a symbol with its leaf, if both are there. A wrong one frees its place.
    fn check(&mut self, set: SetId, at: usize) -> Gained {
        let is_known = self.known_groups.get(at / LEAVES_PER_GROUP as usize) == Some(&true);
        let Some(symbol) = self.unverified(at).filter(|_| is_known) else {
            return Gained::default();
        };
        let right = self.leaves.get(at * LEAF..(at + 1) * LEAF);
        let is_right = right == Some(&leaf(set, self.segment, at as u32, symbol))
            || planted(Fault::SymbolUnverified);
        match (self.places.get_mut(at), is_right) {
            (Some(place), _) => *place = if is_right { Place::Verified } else { Place::Missing },
            (None, true) => {
                let parity = self.parity.get_mut(&(at as u32));
                parity.into_iter().for_each(|parity| parity.is_verified = true);
            }
            (None, false) => drop(self.parity.remove(&(at as u32))),
        }
        self.verified += u32::from(is_right);
        Gained { verified: is_right.into(), forged: (!is_right).into(), duplicates: 0 }
    }

    /// A symbol that came before its leaf.
    fn unverified(&self, at: usize) -> Option<&[u8]> {
        match self.places.get(at) {
            Some(Place::Unverified) => self.bytes.get(symbol_range(at)),
            Some(_) => None,
            None => {
                let parity = self.parity.get(&(at as u32)).filter(|parity| !parity.is_verified);
                parity.map(|parity| &*parity.symbol)
            }
        }
    }

    /// Its bytes as far as they came, and what makes the segment of them.
    pub(super) fn into_parts(self) -> (Vec<u8>, Incomplete) {
        let lacks = |(_, place): &(u32, &Place)| **place != Place::Verified;
        let missing = (0..).zip(&self.places).filter(lacks).map(|(index, _)| index).collect();
        let parity = self.parity.into_iter().filter(|(_, parity)| parity.is_verified);
        let parity = parity.map(|(index, parity)| (index, parity.symbol)).collect();
        (self.bytes, Incomplete { segment: self.segment, missing, parity })
    }

    /// Whether symbols wait for LEAVES payload `group`.
    pub(super) fn waits_for(&self, group: usize) -> bool {
        let symbols = LEAVES_PER_GROUP as usize;
        let end = ((group + 1) * symbols).min(self.places.len());
        let places = self.places.get(group * symbols..end).unwrap_or_default();
        places.contains(&Place::Unverified)
    }

    /// The leaves object as far as it is known, when symbols wait for what is not: those of symbols that did not come
    /// count as known, as nobody needs them.
    pub(super) fn missing_leaves(&self) -> Option<(Vec<u8>, RangeSet)> {
        let group_bytes = LEAVES_PER_GROUP as usize * LEAF;
        let mut have = RangeSet::default();
        for group in (0..self.known_groups.len()).filter(|group| !self.waits_for(*group)) {
            let end = ((group + 1) * group_bytes).min(self.leaves.len());
            let _ = have.insert((group * group_bytes) as u32..end as u32, usize::MAX);
        }
        (!have.covers(self.leaves.len() as u32)).then(|| (self.leaves.clone(), have))
    }
}

/// A segment of which source symbols are missing, and verified parity symbols.
#[derive(Debug)]
pub(super) struct Incomplete {
    pub(super) segment: u32,
    /// Source symbols, ascending.
    missing: Vec<u32>,
    parity: Vec<(u32, Box<[u8]>)>,
}

impl Incomplete {
    /// Splits off the missing symbols that must be fetched, as parity does not replace them: the first ones. Gives which
    /// bytes of the segment are not among them.
    pub(super) fn split_fetched(&mut self, segment_bytes: u32) -> RangeSet {
        let fetched = self.missing.len().saturating_sub(self.parity.len());
        let mut have = RangeSet::default();
        let mut from = 0;
        for index in self.missing.drain(..fetched) {
            let Range { start, end } = symbol_range(index as usize);
            if from < start as u32 {
                let _ = have.insert(from..start as u32, usize::MAX);
            }
            from = end as u32;
        }
        if from < segment_bytes {
            let _ = have.insert(from..segment_bytes, usize::MAX);
        }
        have
    }

    /// Gives up its parity: everything must be fetched.
    pub(super) fn forget_parity(&mut self) {
        self.parity.clear();
    }

    /// Source symbols that parity replaces.
    pub(super) fn computed(&self) -> u64 {
        self.missing.len() as u64
    }

    /// Computes in `bytes` what is missing of it. What comes out is not checked.
    ///
    /// # Errors
    /// When there is too little parity, or `bytes` are no segment; they are then unchanged.
    pub(super) fn complete(
        &self,
        geometry: &Geometry,
        bytes: &mut [u8],
    ) -> Result<(), parity::RepairError> {
        if self.missing.is_empty() {
            return Ok(());
        }
        let parity = self.parity.iter().take(self.missing.len());
        let parity: Vec<_> = parity.map(|(index, symbol)| (*index, &**symbol)).collect();
        parity::repair(geometry, bytes, &self.missing, &parity)
    }
}

/// Where symbol `at` lies in its segment.
const fn symbol_range(at: usize) -> Range<usize> {
    at * SYMBOL..(at + 1) * SYMBOL
}
