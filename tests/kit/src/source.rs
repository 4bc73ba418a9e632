//! Stored objects in memory: bytes that can be computed anywhere, so that every receiver can check them, each in the
//! state that a test gives it.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use segcast_proto::coalesce::SetFacts;
use segcast_proto::ids::{ObjectNumber, SetId, SetIndex};
use segcast_proto::limits::SYMBOL;
use segcast_proto::segment::geometry::Geometry;
use segcast_proto::segment::parity::ParityEncoder;
use segcast_proto::session::server::{Object, SegmentSource};
use segcast_proto::time::Duration;

/// The bytes of an object of a set.
#[must_use]
pub fn content(set: u32, object: ObjectNumber, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    ChaCha20Rng::seed_from_u64(u64::from(set) << 32 | u64::from(object.0)).fill_bytes(&mut bytes);
    bytes
}

/// What is known of an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::VariantArray)]
pub enum State {
    /// In memory.
    #[default]
    Ready,
    /// On disk: it has to be asked for.
    Cold,
    /// Unreadable.
    Damaged,
    /// The set is no longer served.
    Absent,
}

impl State {
    /// All of them.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;
}

/// Sets in memory. What a set does not hold is past its end.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    sets: Vec<BTreeMap<ObjectNumber, Stored>>,
    /// Of the segments that it was made for.
    parity: BTreeMap<(SetIndex, u32), Vec<u8>>,
    /// How long each segment plays; `None`: no set is to be multicast.
    pub playing: Option<Duration>,
}

#[derive(Clone, Debug)]
struct Stored {
    bytes: Arc<[u8]>,
    state: State,
}

impl MemorySource {
    /// `sets` sets of `segments` segments of `segment_bytes` each, and one manifest page of `page_bytes`.
    #[must_use]
    pub fn new(sets: u32, segments: u32, segment_bytes: usize, page_bytes: usize) -> Self {
        let mut source = Self::default();
        for set in 0..sets {
            let page = (ObjectNumber::page(0), page_bytes);
            let objects = (0..segments).map(|i| (ObjectNumber(i), segment_bytes)).chain([page]);
            source.add(objects.map(|(object, len)| (object, content(set, object, len).into())));
        }
        source
    }

    /// Adds a set of these objects, all of them ready.
    pub fn add(&mut self, objects: impl IntoIterator<Item = (ObjectNumber, Arc<[u8]>)>) {
        let stored = |(object, bytes)| (object, Stored { bytes, state: State::Ready });
        self.sets.push(objects.into_iter().map(stored).collect());
    }

    /// Computes the parity of a segment, for groups.
    ///
    /// # Panics
    /// When there is no such segment, or it has no size of a segment.
    pub fn make_parity(&mut self, set: SetIndex, segment: u32) {
        let stored = &self.sets[set.get() as usize][&ObjectNumber(segment)].bytes;
        let geometry = geometry(stored.len()).expect("a segment's size");
        let mut parity = Vec::new();
        ParityEncoder::new(&geometry).encode(stored, &mut parity);
        self.parity.insert((set, segment), parity);
    }

    /// Puts an object into this state.
    ///
    /// # Panics
    /// When there is none.
    pub fn put(&mut self, set: SetIndex, object: ObjectNumber, state: State) {
        let stored = self.sets[set.get() as usize].get_mut(&object);
        stored.expect("an object that there is").state = state;
    }
}

/// That of sets with segments of so many bytes, if there may be such sets.
fn geometry(segment_bytes: usize) -> Option<Geometry> {
    Geometry::new(0, u32::try_from(segment_bytes).ok()?, true).ok()
}

/// The id of the n-th set.
#[must_use]
pub fn set_id(set: u32) -> SetId {
    SetId::new([set as u8; 12], 1)
}

impl SegmentSource for MemorySource {
    fn find_set(&self, id: &SetId) -> Option<SetIndex> {
        let set = (0..self.sets.len() as u32).find(|&set| set_id(set) == *id)?;
        SetIndex::new(set)
    }

    fn facts(&self, set: SetIndex) -> Option<(SetId, SetFacts)> {
        let objects = self.sets.get(set.get() as usize)?;
        let segment_bytes = objects.get(&ObjectNumber(0))?.bytes.len();
        let segments = objects.keys().filter_map(|object| object.as_segment()).count() as u32;
        let facts = SetFacts {
            segments,
            segment_bytes: segment_bytes as u32,
            symbols: segment_bytes.div_ceil(SYMBOL) as u16,
            parity: geometry(segment_bytes).map_or(0, |g| g.parity_symbols() as u16),
            playing: Some(self.playing?),
        };
        Some((set_id(set.get()), facts))
    }

    fn parity(&self, set: SetIndex, segment: u32) -> Object<'_> {
        self.parity
            .get(&(set, segment))
            .map_or(Object::NotResident { len: 0 }, |p| Object::Ready(p))
    }

    fn object(&self, set: SetIndex, object: ObjectNumber) -> Object<'_> {
        let Some(objects) = self.sets.get(set.get() as usize) else { return Object::Absent };
        let Some(stored) = objects.get(&object) else { return Object::PastEnd };
        match stored.state {
            State::Ready => Object::Ready(&stored.bytes),
            State::Cold => Object::NotResident { len: stored.bytes.len() as u32 },
            State::Damaged => Object::Damaged,
            State::Absent => Object::Absent,
        }
    }
}
