//! Stored objects of the simulation: bytes that can be computed anywhere, so that every receiver can check
//! them, and residency that has to be asked for.

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use segcast_proto::ids::{ObjectNumber, SetId};
use segcast_proto::session::server::{Object, SegmentSource};
use std::collections::BTreeSet;

/// The bytes of an object of a set.
#[must_use]
pub fn content(set: u32, object: ObjectNumber, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    ChaCha20Rng::seed_from_u64(u64::from(set) << 32 | u64::from(object.0)).fill_bytes(&mut bytes);
    bytes
}

/// Sets in memory.
pub struct MemorySource {
    sets: Vec<StoredSet>,
}

struct StoredSet {
    id: SetId,
    page: Vec<u8>,
    segments: Vec<Vec<u8>>,
    cold: BTreeSet<u32>,
}

impl MemorySource {
    /// `sets` sets of `segments` segments of `segment_bytes` each, and one manifest page of `page_bytes`.
    #[must_use]
    pub fn new(sets: u32, segments: u32, segment_bytes: usize, page_bytes: usize) -> Self {
        let stored = |set| StoredSet {
            id: set_id(set),
            page: content(set, ObjectNumber::page(0), page_bytes),
            segments: (0..segments).map(|i| content(set, ObjectNumber(i), segment_bytes)).collect(),
            cold: BTreeSet::new(),
        };
        Self { sets: (0..sets).map(stored).collect() }
    }

    /// Makes a segment non-resident until [`Self::populate`].
    pub fn chill(&mut self, set: u32, segment: u32) {
        self.sets[set as usize].cold.insert(segment);
    }

    /// Makes an object resident.
    pub fn populate(&mut self, set: u32, object: ObjectNumber) {
        self.sets[set as usize].cold.remove(&object.0);
    }
}

/// The id of the n-th set.
#[must_use]
pub fn set_id(set: u32) -> SetId {
    SetId::new([set as u8; 12], 1)
}

impl SegmentSource for MemorySource {
    fn find_set(&self, id: &SetId) -> Option<u32> {
        self.sets.iter().position(|set| set.id == *id).map(|at| at as u32)
    }

    fn object(&self, set: u32, object: ObjectNumber) -> Object<'_> {
        let Some(stored) = self.sets.get(set as usize) else { return Object::Absent };
        match object.as_segment() {
            None if object == ObjectNumber::page(0) => Object::Ready(&stored.page),
            None => Object::PastEnd,
            Some(segment) => match stored.segments.get(segment as usize) {
                None => Object::PastEnd,
                Some(bytes) if stored.cold.contains(&segment) => {
                    Object::NotResident { len: bytes.len() as u32 }
                }
                Some(bytes) => Object::Ready(bytes),
            },
        }
    }
}
