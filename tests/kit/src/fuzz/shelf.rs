//! One set of small objects, whose state the input changes.

use crate::source::{content, set_id};
use segcast_proto::ids::{ObjectNumber, SetId};
use segcast_proto::session::server::{Object, SegmentSource};
use std::sync::LazyLock;

/// The objects: four segments of odd lengths, and the manifest's root.
pub const OBJECTS: [(ObjectNumber, usize); 5] = [
    (ObjectNumber(0), 20_000),
    (ObjectNumber(1), 5000),
    (ObjectNumber(2), 1),
    (ObjectNumber(3), 1392),
    (ObjectNumber::page(0), 3000),
];

static CONTENT: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| OBJECTS.iter().map(|&(object, len)| content(0, object, len)).collect());

/// What is known of an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// In memory.
    #[default]
    Ready,
    /// On disk.
    Cold,
    /// Unreadable.
    Damaged,
    /// The set is not served.
    Absent,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ready, Self::Cold, Self::Damaged, Self::Absent];
}

/// The objects and their states.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    /// In the order of [`OBJECTS`].
    pub states: [State; OBJECTS.len()],
}

/// The bytes of an object; none past the end.
#[must_use]
pub fn bytes_of(object: ObjectNumber) -> Option<&'static [u8]> {
    let at = OBJECTS.iter().position(|(number, _)| *number == object)?;
    CONTENT.get(at).map(Vec::as_slice)
}

impl SegmentSource for Shelf {
    fn find_set(&self, id: &SetId) -> Option<u32> {
        (*id == set_id(0)).then_some(0)
    }

    fn object(&self, _set: u32, object: ObjectNumber) -> Object<'_> {
        let Some(at) = OBJECTS.iter().position(|(number, _)| *number == object) else {
            return Object::PastEnd;
        };
        match self.states[at] {
            State::Ready => Object::Ready(&CONTENT[at]),
            State::Cold => Object::NotResident { len: OBJECTS[at].1 as u32 },
            State::Damaged => Object::Damaged,
            State::Absent => Object::Absent,
        }
    }
}
