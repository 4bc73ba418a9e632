//! The start: reads every slot header and every `.set` file, and finds what was committed.
//!
//! A slot belongs to a set if its header is valid and names the set and the generation that the set's `.set` file
//! names. All other slots are free: what an interrupted writer left behind needs no repair.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use segcast_proto::ids::SetId;
use segcast_sysio::mapped::MappedFile;

use crate::catalogue::{FileMap, Place, SetEntry};
use crate::error::{Damage, StoreError, failed};
use crate::format::FormatError;
use crate::format::segment_file::Geometry;
use crate::format::set_file::{SetFile, check_pages};
use crate::format::slot_header::{SLOT_HEADER_BYTES, SlotHeader};
use crate::limits::{FILES_MAX, PAGE, PAGES_MAX, SCAN_CHUNK, SET_FILE_MAX, SETS_MAX};
use crate::slots::SlotTable;
use crate::space::{SegmentFile, Space, file_name};

/// A slot with a valid header.
#[derive(Clone, Copy, Debug)]
struct Found {
    segment: u32,
    length: u32,
    place: Place,
}

/// What a start found.
#[derive(Debug)]
pub(crate) struct Scan {
    /// Sets that are whole.
    pub(crate) sets: BTreeMap<SetId, Arc<SetEntry>>,
    /// Sets that have a `.set` file and are not served, and the slots that are theirs.
    pub(crate) broken: BTreeMap<SetId, Vec<Place>>,
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
        damage: Vec::new(),
        next_generation: 1,
        page_bytes: 0,
        page_memory,
        found: HashMap::new(),
    };
    for (number, path) in segment_files(space)? {
        scan.read_segment_file(space, number, path)?;
    }
    for path in list(sets)? {
        scan.read_set(space, path);
    }
    // Slots of sets that no `.set` file names stay free: this list is not needed any more.
    scan.found = HashMap::new();
    Ok(scan)
}

/// The paths in a folder, ascending.
fn list(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = std::fs::read_dir(folder).map_err(failed("listing", folder, 0))?;
    let paths: io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(failed("listing", folder, 0))?;
    paths.sort();
    Ok(paths)
}

/// The numbers and paths of segment files, ascending; removes unfinished ones.
fn segment_files(space: &mut Space) -> Result<Vec<(u32, PathBuf)>, StoreError> {
    let mut files = Vec::new();
    for path in list(&space.folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let digits = name.split('.').next().unwrap_or_default();
        let Ok(number) = digits.parse::<u32>() else { continue };
        if name == file_name(number) {
            files.push((number, path));
        } else if name == format!("{}.tmp", file_name(number)) {
            space.layer.remove(&path).map_err(failed("removing", &path, 0))?;
        }
    }
    files.sort_unstable();
    if files.len() > FILES_MAX {
        return Err(StoreError::TooManyFiles);
    }
    space.highest = files.last().map_or(0, |(number, _)| *number);
    Ok(files)
}

impl Scan {
    fn read_segment_file(
        &mut self,
        space: &mut Space,
        number: u32,
        path: PathBuf,
    ) -> Result<(), StoreError> {
        let (file, length) = match open(&path) {
            Ok(opened) => opened,
            Err(reason) => {
                self.damage.push(Damage::Unreadable { path, reason: reason.to_string() });
                return Ok(());
            }
        };
        let geometry = match read_header(&file, length, number, space.file_bytes) {
            Ok(geometry) => geometry,
            Err(reason) => {
                self.damage.push(Damage::SegmentFile { path, reason });
                return Ok(());
            }
        };
        let mut slots = SlotTable::new(geometry.slots());
        let index = u32::try_from(space.files.len()).expect("at most FILES_MAX files");
        let end = length.min(space.file_bytes);
        let read = self.read_slots(&file, number, index, geometry, end, &mut slots);
        // Slots whose headers could not be read look free and may not be.
        let writable = read.is_ok() && length == space.file_bytes;
        if let Err(error) = read {
            self.damage.push(Damage::Unreadable { path: path.clone(), reason: error.to_string() });
        }
        if length != space.file_bytes {
            let (found, wanted) = (length, space.file_bytes);
            self.damage.push(Damage::FileLength { path: path.clone(), found, wanted });
        }
        let map = MappedFile::open(&path, length)
            .map_err(|error| failed("mapping", &path, 0)(error.into()))?;
        space.files.push(SegmentFile {
            map: Arc::new(FileMap { map, number, geometry }),
            slots,
            writable,
            fresh: false,
        });
        Ok(())
    }

    /// Reads the slot headers of one file, of which `end` bytes are there.
    fn read_slots(
        &mut self,
        file: &File,
        number: u32,
        index: u32,
        geometry: Geometry,
        end: u64,
        slots: &mut SlotTable,
    ) -> io::Result<()> {
        const AT_ONCE: u32 = (SCAN_CHUNK / SLOT_HEADER_BYTES) as u32;
        let mut first = 0;
        while first < geometry.slots() {
            let count = AT_ONCE.min(geometry.slots() - first);
            let start = geometry.header_range(first).start;
            let there = end.saturating_sub(start).min(u64::from(count) * SLOT_HEADER_BYTES as u64);
            let mut bytes = vec![0; usize::try_from(there).expect("at most SCAN_CHUNK")];
            file.read_exact_at(&mut bytes, start)?;
            for (slot, bytes) in (first..).zip(bytes.chunks_exact(SLOT_HEADER_BYTES)) {
                if bytes.iter().any(|byte| *byte != 0) {
                    slots.note_old_header(slot);
                }
                let Ok(header) = SlotHeader::decode(bytes, number, slot) else { continue };
                self.next_generation = self.next_generation.max(header.generation + 1);
                if geometry.data_range(slot).end <= end {
                    let SlotHeader { set, segment, length, generation, .. } = header;
                    let place = Place { file: index, slot };
                    let found = self.found.entry((set, generation)).or_default();
                    found.push(Found { segment, length, place });
                }
            }
            first += count;
        }
        Ok(())
    }

    fn read_set(&mut self, space: &mut Space, path: PathBuf) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".set.tmp") {
            // What a commit that was cut short left. If it stays, the next commit of the set writes over it.
            let _ = space.layer.remove(&path);
            return;
        }
        let set = name.strip_suffix(".set").and_then(|id| id.parse::<SetId>().ok());
        // Only the one spelling counts: two files must not name one set.
        let Some(set) = set.filter(|set| name == set_file_name(*set)) else {
            self.damage.push(Damage::StrangeFile { path });
            return;
        };
        match self.read_set_file(&path, set) {
            Ok(entry) => {
                for place in &entry.places {
                    space.files[place.file as usize].slots.hold(place.slot);
                }
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

    /// Keeps the slots of a set that is not served, so that nothing is lost which somebody may want to save.
    fn hold_broken(
        &mut self,
        space: &mut Space,
        set: SetId,
        generation: Option<u64>,
    ) -> Vec<Place> {
        let is_its = |key: &(SetId, u64)| key.0 == set && generation.is_none_or(|g| g == key.1);
        let found = self.found.iter().filter(|(key, _)| is_its(key));
        let mut held: Vec<Place> =
            found.flat_map(|(_, slots)| slots.iter().map(|slot| slot.place)).collect();
        held.sort_unstable();
        for place in &held {
            space.files[place.file as usize].slots.hold(place.slot);
        }
        held
    }

    /// The set, if all of it is there; else what is wrong and, if that is known, its generation.
    fn read_set_file(
        &mut self,
        path: &Path,
        set: SetId,
    ) -> Result<SetEntry, (Damage, Option<u64>)> {
        let over = |reason| (Damage::OverLimit { set, reason }, None);
        let unreadable = |error: io::Error| {
            (Damage::Unreadable { path: path.to_owned(), reason: error.to_string() }, None)
        };
        if self.sets.len() + self.broken.len() >= SETS_MAX {
            return Err(over("the store has as many sets as it can hold"));
        }
        let left = self.page_memory - self.page_bytes;
        let memory = "its manifest pages would take more memory than the store may use for them";
        let length = std::fs::metadata(path).map_err(unreadable)?.len();
        let headers = SET_FILE_MAX.min(left + 4 * PAGES_MAX as u64 + 52);
        if length > headers {
            return Err(over(memory));
        }
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let file = SetFile::decode(&bytes, set)
            .map_err(|reason| (Damage::SetFile { set, reason }, None))?;
        let generation = file.generation;
        self.next_generation = self.next_generation.max(generation + 1);
        let known = |damage| (damage, Some(generation));
        let page_bytes = check_pages(&file.pages).unwrap_or(u64::MAX);
        if page_bytes > left {
            return Err(known(over(memory).0));
        }
        let found = self.found.get(&(set, generation)).map_or(&[][..], |found| found);
        let places = complete(&file, found).map_err(known)?;
        let SetFile { segment_bytes, pages, .. } = file;
        Ok(SetEntry { set, generation, segment_bytes, places, pages, page_bytes })
    }
}

/// The places of all segments in order, if there is one for each.
fn complete(file: &SetFile, found: &[Found]) -> Result<Box<[Place]>, Damage> {
    let mut usable: Vec<&Found> = found
        .iter()
        .filter(|slot| slot.length == file.segment_bytes && slot.segment < file.segments)
        .collect();
    usable.sort_unstable_by_key(|slot| slot.segment);
    usable.dedup_by_key(|slot| slot.segment);
    if usable.len() == file.segments as usize {
        return Ok(usable.iter().map(|slot| slot.place).collect());
    }
    let first = (0..).zip(&usable).find(|(number, slot)| *number != slot.segment);
    let there = u32::try_from(usable.len()).expect("fewer than the set's segments");
    Err(Damage::Missing {
        set: file.set,
        segments: file.segments,
        missing: file.segments - there,
        first: first.map_or(there, |(number, _)| number),
    })
}

/// The name of a set's file.
pub(crate) fn set_file_name(set: SetId) -> String {
    format!("{set}.set")
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

fn read_header(
    file: &File,
    length: u64,
    number: u32,
    file_bytes: u64,
) -> Result<Geometry, FormatError> {
    let mut page = [0; PAGE as usize];
    if file.read_exact_at(&mut page, 0).is_err() {
        return Err(FormatError::Length { found: length, wanted: file_bytes });
    }
    Geometry::decode_header(&page, number, file_bytes)
}
