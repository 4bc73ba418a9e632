//! Small stores that tests make, and what is in them.

use segcast_proto::ids::{ObjectNumber, SetId};
use segcast_store::{Catalogue, Options, Store, Stored};

pub(crate) const FILE_BYTES: u64 = 64 << 10;
/// Slots of 5000 bytes take two pages each; a file of 16 pages has two pages of headers and 7 slots.
pub(crate) const SEGMENT_BYTES: u32 = 5000;

pub(crate) fn options() -> Options {
    Options { create: true, file_bytes: Some(FILE_BYTES), ..Options::default() }
}

pub(crate) fn set(number: u32) -> SetId {
    SetId::new([1; 12], number)
}

pub(crate) fn segment(set: SetId, number: u32) -> Vec<u8> {
    let first = set.0[15] ^ u8::try_from(number).unwrap();
    (0..SEGMENT_BYTES).map(|i| first.wrapping_add((i % 251) as u8)).collect()
}

pub(crate) fn write(store: &Store, set: SetId, segments: u32) {
    let mut writer = store.begin_set(set, SEGMENT_BYTES, segments).unwrap();
    for number in 0..segments {
        writer.write_segment(number, &segment(set, number)).unwrap();
    }
    writer.commit(&[b"root".to_vec(), b"page 1".to_vec()]).unwrap();
}

pub(crate) fn served(catalogue: &Catalogue, set: SetId, segments: u32) -> bool {
    let Some(index) = catalogue.find_set(&set) else { return false };
    (0..segments).all(|number| {
        catalogue.object(index, ObjectNumber(number)) == Stored::Mapped(&segment(set, number))
    })
}
