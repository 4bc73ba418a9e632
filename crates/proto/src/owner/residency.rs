//! Segments that will be sent soon are kept in memory: a group's train must not wait for a disk.
//!
//! The caller reads in what is asked for here; what it has read in it trusts for some seconds. A segment waits up to
//! 16 s for its latest start, so each is looked at again every second until it was sent.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{ObjectNumber, SetId, SetIndex};
use crate::session::server::{Object, SegmentSource};
use crate::time::{Duration, Instant};

/// Segments looked after; what is beyond is read in when it is sent, and repaired by unicast.
const SEGMENTS_MAX: usize = 4096;
/// How long a segment is looked after: it waits for 16 s, and is then sent.
const KEPT: Duration = Duration::from_secs(24);

#[derive(Debug, Default)]
pub(super) struct Residency {
    /// And until when.
    segments: BTreeMap<(SetId, u32), Instant>,
    missing: BTreeSet<(SetIndex, ObjectNumber)>,
}

impl Residency {
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// The segment will be sent.
    pub(super) fn keep<S: SegmentSource>(
        &mut self,
        now: Instant,
        set: SetId,
        segment: u32,
        source: &S,
    ) {
        if self.segments.len() < SEGMENTS_MAX || self.segments.contains_key(&(set, segment)) {
            self.segments.insert((set, segment), now + KEPT);
        }
        self.look(set, segment, source);
    }

    /// The segment was sent, or will not be.
    pub(super) fn forget(&mut self, set: SetId, segment: u32) {
        self.segments.remove(&(set, segment));
    }

    /// Looks at all again.
    pub(super) fn look_at_all<S: SegmentSource>(&mut self, now: Instant, source: &S) {
        self.segments.retain(|_, until| now < *until);
        let all: Vec<_> = self.segments.keys().copied().collect();
        all.into_iter().for_each(|(set, segment)| self.look(set, segment, source));
    }

    fn look<S: SegmentSource>(&mut self, set: SetId, segment: u32, source: &S) {
        let Some(set) = source.find_set(&set) else { return };
        for object in [ObjectNumber::leaves_of(segment), ObjectNumber(segment)] {
            if matches!(source.object(set, object), Object::NotResident { .. }) {
                self.missing.insert((set, object));
            }
        }
    }

    /// What is to be read in.
    pub(super) fn next_missing(&mut self) -> Option<(SetIndex, ObjectNumber)> {
        self.missing.pop_first()
    }
}
