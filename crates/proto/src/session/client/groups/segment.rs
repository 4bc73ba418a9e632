//! One segment being heard: its symbols, and what vouches for them.

use core::ops::Range;

use crate::ids::{ChannelId, SetId};
use crate::limits::SYMBOL;
use crate::segment::geometry::{Geometry, LEAF, LEAVES_PER_GROUP};
use crate::segment::leaves::{Leaf, group_digest, group_len, leaf};
use crate::session::ranges::RangeSet;
use crate::time::Instant;

/// A source symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Missing,
    /// It came before its leaf.
    Unverified,
    Verified,
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
    /// When its last packet came.
    pub(super) last: Option<Instant>,
    bytes: Vec<u8>,
    places: Vec<Place>,
    /// The leaves of all its symbols, where their LEAVES payload is known.
    leaves: Vec<u8>,
    known_groups: Vec<bool>,
    verified: u32,
}

impl OpenSegment {
    pub(super) fn new(
        geometry: &Geometry,
        segment: u32,
        channel: ChannelId,
        until: Instant,
    ) -> Self {
        let symbols = geometry.source_symbols();
        let leaves = LEAF * (symbols + geometry.parity_symbols()) as usize;
        Self {
            segment,
            channel,
            stage: Stage::Hearing { until },
            is_promised: false,
            last: None,
            bytes: vec![0; geometry.segment_bytes() as usize],
            places: vec![Place::Missing; symbols as usize],
            leaves: vec![0; leaves],
            known_groups: vec![false; geometry.leaf_groups() as usize],
            verified: 0,
        }
    }

    /// Symbols that came.
    pub(super) fn heard(&self) -> u32 {
        self.places.iter().filter(|place| **place != Place::Missing).count() as u32
    }

    /// Symbols that have their leaf.
    pub(super) const fn verified(&self) -> u32 {
        self.verified
    }

    pub(super) fn is_whole(&self) -> bool {
        self.verified as usize == self.places.len()
    }

    /// Takes in source symbol `index`, 1152 bytes. One whose leaf is not known yet stays until that comes: the first one.
    pub(super) fn place(&mut self, set: SetId, index: u32, symbol: &[u8]) -> Gained {
        let at = index as usize;
        let (Some(&place), Some(room)) =
            (self.places.get(at), self.bytes.get_mut(symbol_range(at)))
        else {
            return Gained::default();
        };
        if place != Place::Missing {
            return Gained { duplicates: 1, ..Gained::default() };
        }
        room.copy_from_slice(symbol);
        self.places[at] = Place::Unverified;
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
        for at in first..(first + LEAVES_PER_GROUP as usize).min(self.places.len()) {
            let one = self.check(set, at);
            gained.verified += one.verified;
            gained.forged += one.forged;
        }
        gained
    }

    /// Compares a symbol with its leaf, if both are there. A wrong one frees its place.
    fn check(&mut self, set: SetId, at: usize) -> Gained {
        let is_known = self.known_groups.get(at / LEAVES_PER_GROUP as usize) == Some(&true);
        if !is_known || self.places.get(at) != Some(&Place::Unverified) {
            return Gained::default();
        }
        let right = self.leaves.get(at * LEAF..(at + 1) * LEAF);
        let symbol = self.bytes.get(symbol_range(at)).unwrap_or_default();
        if right == Some(&leaf(set, self.segment, at as u32, symbol)) {
            self.places[at] = Place::Verified;
            self.verified += 1;
            return Gained { verified: 1, ..Gained::default() };
        }
        self.places[at] = Place::Missing;
        Gained { forged: 1, ..Gained::default() }
    }

    /// The stored segment, once it is whole; before that, its bytes as far as they came.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Which of its bytes have their leaf.
    pub(super) fn verified_ranges(&self) -> RangeSet {
        let mut ranges = RangeSet::default();
        for (at, _) in self.places.iter().enumerate().filter(|(_, p)| **p == Place::Verified) {
            let Range { start, end } = symbol_range(at);
            // Symbols in ascending order: each touches the last range or begins another.
            let _ = ranges.insert(start as u32..end as u32, usize::MAX);
        }
        ranges
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

/// Where symbol `at` lies in its segment.
const fn symbol_range(at: usize) -> Range<usize> {
    at * SYMBOL..(at + 1) * SYMBOL
}
