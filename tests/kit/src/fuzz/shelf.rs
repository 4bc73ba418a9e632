//! One set of small objects, whose states the input changes.

use std::sync::{Arc, LazyLock};

use segcast_proto::ids::ObjectNumber;

use crate::source::{MemorySource, content};

/// The objects: four segments of odd lengths, and the manifest's root.
pub const OBJECTS: [(ObjectNumber, usize); 5] = [
    (ObjectNumber(0), 20_000),
    (ObjectNumber(1), 5000),
    (ObjectNumber(2), 1),
    (ObjectNumber(3), 1392),
    (ObjectNumber::page(0), 3000),
];

/// Made once: a fuzzer begins thousands of runs a second.
static CONTENT: LazyLock<Vec<(ObjectNumber, Arc<[u8]>)>> = LazyLock::new(|| {
    OBJECTS.iter().map(|&(object, len)| (object, content(0, object, len).into())).collect()
});

/// The objects, all of them ready.
#[must_use]
pub fn shelf() -> MemorySource {
    let mut source = MemorySource::default();
    source.add(CONTENT.iter().cloned());
    source
}

/// The bytes of an object; none past the end.
#[must_use]
pub fn bytes_of(object: ObjectNumber) -> Option<&'static [u8]> {
    let (_, bytes) = CONTENT.iter().find(|(number, _)| *number == object)?;
    Some(bytes)
}
