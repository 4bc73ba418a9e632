//! Checking what lies on the disk against its checksums. Reads everything: for an operator or a test, not for serving.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use segcast_proto::ids::SetId;

use crate::catalogue::{Catalogue, FileMap, SetEntry};
use crate::error::{Damage, StoreError, failed};
use crate::format::slot_header::{SLOT_HEADER_BYTES, SlotHeader};
use crate::store::Store;

impl Catalogue {
    /// Reads all segments of a set from the disk, not through the mapping, and returns the numbers of those whose
    /// header or data is not what was written, ascending.
    ///
    /// # Errors
    /// If the set is not in the catalogue, or a segment file cannot be opened.
    pub fn verify_set(&self, set: &SetId) -> Result<Vec<u32>, StoreError> {
        let entry = self.find_set(set).and_then(|index| self.entry(index));
        let entry = entry.ok_or(StoreError::NoSuchSet { set: *set })?;
        let mut bad = Vec::new();
        let mut open: Option<(u32, File)> = None;
        let mut data = Vec::new();
        for (segment, place) in (0_u32..).zip(&entry.places) {
            let map = &self.files()[place.file as usize];
            if open.as_ref().is_none_or(|(index, _)| *index != place.file) {
                open = Some((place.file, open_file(map)?));
            }
            let Some((_, file)) = &open else { continue };
            let header = read_slot(file, map, place.slot, &mut data);
            if !header
                .is_ok_and(|header| header.is_some_and(|header| names(&header, entry, segment)))
            {
                bad.push(segment);
            }
        }
        Ok(bad)
    }
}

impl Catalogue {
    /// Reads the leaves of all segments of a set from the disk, not through the mapping, and returns the numbers of the
    /// segments whose leaves are not what was written, ascending; none for a set without leaves.
    ///
    /// # Errors
    /// If the set is not in the catalogue, or its `.leaves` file cannot be read.
    pub fn verify_leaves(&self, set: &SetId) -> Result<Vec<u32>, StoreError> {
        let entry = self.find_set(set).and_then(|index| self.entry(index));
        let entry = entry.ok_or(StoreError::NoSuchSet { set: *set })?;
        let Some(leaves) = entry.leaves.get() else { return Ok(Vec::new()) };
        leaves.verify().map_err(failed("reading", leaves.map().path(), 0))
    }
}

impl Store {
    /// Reads every slot that has a valid header, also free ones, and returns those whose data is not what the header
    /// says. The order of a commit promises that there are none, whenever a crash came.
    ///
    /// # Errors
    /// If a segment file cannot be read.
    pub fn verify_slots(&self) -> Result<Vec<Damage>, StoreError> {
        let state = self.shared().state();
        let mut damage = Vec::new();
        let mut data = Vec::new();
        for file in &state.space.files {
            let map = &file.map;
            let path = map.map.path();
            let open = open_file(map)?;
            for slot in 0..map.geometry.slots() {
                if map.geometry.data_range(slot).end > map.map.len() as u64 {
                    break;
                }
                let header = read_header(&open, map, slot).map_err(failed("reading", path, 0))?;
                let Some(header) = header else { continue };
                let read = read_slot(&open, map, slot, &mut data);
                if read.map_err(failed("reading", path, 0))?.is_none() {
                    let SlotHeader { set, segment, .. } = header;
                    damage.push(Damage::Data { set, segment, path: path.to_owned(), slot });
                }
            }
        }
        Ok(damage)
    }
}

fn open_file(map: &FileMap) -> Result<File, StoreError> {
    let path = map.map.path();
    File::open(path).map_err(failed("opening", path, 0))
}

fn names(header: &SlotHeader, entry: &SetEntry, segment: u32) -> bool {
    header.set == entry.set
        && header.generation == entry.generation
        && header.segment == segment
        && header.length == entry.segment_bytes
}

/// The header of a slot, if it is valid.
fn read_header(file: &File, map: &FileMap, slot: u32) -> io::Result<Option<SlotHeader>> {
    let mut bytes = [0; SLOT_HEADER_BYTES];
    file.read_exact_at(&mut bytes, map.geometry.header_range(slot).start)?;
    Ok(SlotHeader::decode(&bytes, map.number, slot).ok())
}

/// The header of a slot, if it is valid and describes the data, which is left in `data`.
fn read_slot(
    file: &File,
    map: &FileMap,
    slot: u32,
    data: &mut Vec<u8>,
) -> io::Result<Option<SlotHeader>> {
    let Some(header) = read_header(file, map, slot)? else { return Ok(None) };
    data.resize(map.geometry.segment_bytes() as usize, 0);
    file.read_exact_at(data, map.geometry.data_range(slot).start)?;
    Ok((crc32c::crc32c(data) == header.data_checksum).then_some(header))
}
