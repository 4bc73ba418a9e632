//! The start of who writes: reads every slot header and every `.set` file, and finds what was committed.
//!
//! A slot belongs to a set if its header is valid and names the set and the generation that the set's `.set` file
//! names. All other slots are free, once nobody reads from them any more, and their blocks go back to the disk: what an
//! interrupted writer left behind needs no repair.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use segcast_proto::ids::SetId;
use segcast_sysio::mapped::MappedFile;

use crate::catalogue::{FileMap, Place, SetEntry};
use crate::error::{Damage, StoreError, failed};
use crate::files::{self, Found, Opened, SetName, complete};
use crate::format::slot_header::SlotHeader;
use crate::layer::SyncPoint;
use crate::limits::{FILES_MAX, SETS_MAX};
use crate::shared::Held;
use crate::slots::SlotTable;
use crate::space::{SegmentFile, Space};

/// What a start found.
#[derive(Debug)]
pub(crate) struct Scan {
    /// Sets that are whole.
    pub(crate) sets: BTreeMap<SetId, Arc<SetEntry>>,
    /// Sets that have a `.set` file and are not served, and the slots that are theirs.
    pub(crate) broken: BTreeMap<SetId, Vec<Held>>,
    /// Slots that no `.set` file names and that have headers; another process may still read some.
    pub(crate) retired: Vec<Held>,
    pub(crate) damage: Vec<Damage>,
    pub(crate) next_generation: u64,
    pub(crate) page_bytes: u64,
    page_memory: u64,
    found: HashMap<(SetId, u64), Vec<Found>>,
}

/// Fills `space` with the segment files, holds the slots of all sets, and returns the sets.
///
/// # Errors
/// Only if a folder cannot be listed or there are more files than can be mapped: damage is reported, not an error.
pub(crate) fn scan(space: &mut Space, sets: &Path, page_memory: u64) -> Result<Scan, StoreError> {
    let mut scan = Scan {
        sets: BTreeMap::new(),
        broken: BTreeMap::new(),
        retired: Vec::new(),
        damage: Vec::new(),
        next_generation: 1,
        page_bytes: 0,
        page_memory,
        found: HashMap::new(),
    };
    for (number, path) in segment_files(space)? {
        scan.read_segment_file(space, number, path)?;
    }
    let paths = files::list(sets)?;
    for path in &paths {
        scan.read_set(space, path);
    }
    for path in &paths {
        scan.read_leaves(space, sets, path);
    }
    // Generations that no `.set` file names: of removed sets, or of writers that were cut short. Somebody may still read
    // them; the first change of the store frees those that nobody does.
    scan.retired = scan.take_found(space, |_| true);
    if scan.damage.is_empty() {
        space.release_unused();
    }
    Ok(scan)
}

/// The numbers and paths of segment files, ascending; removes unfinished ones.
fn segment_files(space: &mut Space) -> Result<Vec<(u32, PathBuf)>, StoreError> {
    let found = files::segment_files(&space.folder)?;
    for path in found.unfinished {
        space.layer.remove(&path).map_err(failed("removing", &path, 0))?;
    }
    if found.whole.len() > FILES_MAX {
        return Err(StoreError::TooManyFiles);
    }
    space.highest = found.whole.last().map_or(0, |(number, _)| *number);
    Ok(found.whole)
}

impl Scan {
    fn read_segment_file(
        &mut self,
        space: &mut Space,
        number: u32,
        path: PathBuf,
    ) -> Result<(), StoreError> {
        let opened = match Opened::open(&path, number, space.file_bytes) {
            Ok(opened) => opened,
            Err(damage) => {
                self.damage.push(damage);
                return Ok(());
            }
        };
        let mut slots = SlotTable::new(opened.geometry.slots());
        let index = u32::try_from(space.files.len()).expect("at most FILES_MAX files");
        let read = opened.each_header(|slot, bytes| {
            self.read_header(&opened, Place { file: index, slot }, bytes, &mut slots);
        });
        let length = opened.wrong_length(&path);
        // Slots whose headers could not be read look free and may not be.
        let writable = read.is_ok() && length.is_none();
        self.damage.extend(read.err().map(|error| files::unreadable(&path, &error)));
        self.damage.extend(length);
        let map = MappedFile::of(&opened.file, &path, opened.length)
            .map_err(|error| failed("mapping", &path, 0)(error.into()))?;
        let map = Arc::new(FileMap { map, number, geometry: opened.geometry });
        space.files.push(SegmentFile { map, slots, writable, fresh: false });
        Ok(())
    }

    fn read_header(&mut self, file: &Opened, place: Place, bytes: &[u8], slots: &mut SlotTable) {
        let slot = place.slot;
        if bytes.iter().any(|byte| *byte != 0) {
            slots.note_old_header(slot);
        }
        let Ok(header) = SlotHeader::decode(bytes, file.number, slot) else { return };
        self.next_generation = self.next_generation.max(header.generation + 1);
        if file.geometry.data_range(slot).end <= file.end() {
            let SlotHeader { set, segment, length, generation, .. } = header;
            let found = self.found.entry((set, generation)).or_default();
            found.push(Found { segment, length, place });
        }
    }

    fn read_set(&mut self, space: &mut Space, path: &Path) {
        let set = match files::set_name(path) {
            SetName::Set(set) => set,
            SetName::Leaves(_) => return,
            SetName::Unfinished => {
                // What a commit that was cut short left. If it stays, the next commit of the set writes over it.
                let _ = space.layer.remove(path);
                return;
            }
            SetName::Strange => {
                self.damage.push(Damage::StrangeFile { path: path.to_owned() });
                return;
            }
        };
        match self.read_set_file(path, set) {
            Ok(entry) => {
                space.hold(&entry.places);
                self.found.remove(&(set, entry.generation));
                self.page_bytes += entry.page_bytes;
                self.sets.insert(set, Arc::new(entry));
            }
            Err((damage, generation)) => {
                self.damage.push(damage);
                let held = self.hold_broken(space, set, generation);
                self.broken.insert(set, held);
            }
        }
    }

    /// Maps the leaves of a set, and removes those of a set that is not there: it was not committed, or has been removed.
    fn read_leaves(&mut self, space: &Space, sets: &Path, path: &Path) {
        let SetName::Leaves(set) = files::set_name(path) else { return };
        match self.sets.get(&set) {
            Some(entry) => self.damage.extend(entry.map_leaves(sets).err()),
            None if self.broken.contains_key(&set) => {}
            // Durably: whoever writes the set again may write none.
            None => {
                let _ = space.layer.remove(path);
                let _ = space.layer.sync_dir(sets, SyncPoint::SetsFolder);
            }
        }
    }

    /// Keeps the slots of a set that is not served, so that nothing is lost which somebody may want to save.
    fn hold_broken(&mut self, space: &mut Space, set: SetId, generation: Option<u64>) -> Vec<Held> {
        let is_its = |key: &(SetId, u64)| key.0 == set && generation.is_none_or(|g| g == key.1);
        self.take_found(space, is_its)
    }

    fn take_found(
        &mut self,
        space: &mut Space,
        is_meant: impl Fn(&(SetId, u64)) -> bool,
    ) -> Vec<Held> {
        let taken =
            self.found.extract_if(|key, _| is_meant(key)).map(|((_, generation), slots)| {
                let mut places: Vec<Place> = slots.iter().map(|slot| slot.place).collect();
                places.sort_unstable();
                Held { generation, places, entry: None }
            });
        let taken: Vec<Held> = taken.collect();
        taken.iter().for_each(|held| space.hold(&held.places));
        taken
    }

    /// The set, if all of it is there; else what is wrong and, if that is known, its generation.
    fn read_set_file(
        &mut self,
        path: &Path,
        set: SetId,
    ) -> Result<SetEntry, (Damage, Option<u64>)> {
        if self.sets.len() + self.broken.len() >= SETS_MAX {
            let reason = "the store has as many sets as it can hold";
            return Err((Damage::OverLimit { set, reason }, None));
        }
        let left = self.page_memory - self.page_bytes;
        let read = files::read_set_file(path, set, left);
        let generation =
            read.as_ref().map_or_else(|(_, known)| *known, |(f, _)| Some(f.generation));
        self.next_generation = self.next_generation.max(generation.map_or(0, |known| known + 1));
        let (file, page_bytes) = read?;
        let found = self.found.get(&(set, file.generation)).map_or(&[][..], |found| found);
        let places = complete(&file, found).map_err(|damage| (damage, generation))?;
        Ok(SetEntry::new(file, places, page_bytes, None))
    }
}
