//! Where the bytes come from: the caller's store, seen as objects of sets.

use crate::coalesce::SetFacts;
use crate::ids::{ObjectNumber, SetId, SetIndex};

/// Stored segments and manifest pages. Asked on the data path: an answer must not block, allocate or fault.
pub trait SegmentSource {
    /// The caller's index for a set; stable as long as the source lives.
    fn find_set(&self, id: &SetId) -> Option<SetIndex>;

    /// One object of a set found before.
    fn object(&self, set: SetIndex, object: ObjectNumber) -> Object<'_>;

    /// The name of a set found before, and what its groups must know of it. `None`: it is not to be multicast, as it is not
    /// sealed, or has no parity or no leaves. Asked for each REQUEST with HEARS.
    fn facts(&self, set: SetIndex) -> Option<(SetId, SetFacts)> {
        let _ = set;
        None
    }

    /// The parity symbols of a segment of a set that has facts, one after another; `NotResident` until who asked for them
    /// by [`crate::owner::Owner::next_parity`] was given them.
    fn parity(&self, set: SetIndex, segment: u32) -> Object<'_> {
        let _ = (set, segment);
        Object::Absent
    }

    /// `bytes`, a part of an object that was `Ready`, will be read in about half a microsecond: a source whose bytes
    /// lie in memory may ask the processor to fetch them. It must not wait for that.
    fn prefetch(&self, bytes: &[u8]) {
        let _ = bytes;
    }

    /// The same for `value`, which will be read in some microseconds.
    fn prefetch_value<T>(&self, value: &T) {
        let _ = value;
    }
}

/// What a source knows of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object<'a> {
    /// Its bytes, resident in memory.
    Ready(&'a [u8]),
    /// It exists, but reading it now would wait for a disk. The endpoint asks for it by `next_object`.
    NotResident {
        /// Its length, bytes.
        len: u32,
    },
    /// Its storage is damaged or unreadable.
    Damaged,
    /// The set has no object with this number.
    PastEnd,
    /// The set is no longer served.
    Absent,
}
