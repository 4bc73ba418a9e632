//! What a store serves: an immutable snapshot of its sets, looked up without a lock and without allocating.

use core::ops::Range;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use segcast_proto::ids::{ObjectNumber, SetId};
use segcast_sysio::SysError;
use segcast_sysio::mapped::MappedFile;

use crate::announced::ShownBy;
use crate::error::Damage;
use crate::format::segment_file::Geometry;
use crate::format::set_file::SetFile;
use crate::leaves::MappedLeaves;

/// Where a segment lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Index in the list of files, not the file's number.
    pub(crate) file: u32,
    pub(crate) slot: u32,
}

/// A committed set.
#[derive(Debug)]
pub(crate) struct SetEntry {
    pub(crate) set: SetId,
    pub(crate) generation: u64,
    pub(crate) segment_bytes: u32,
    pub(crate) places: Box<[Place]>,
    pub(crate) pages: Vec<Box<[u8]>>,
    /// Sum of the pages' sizes.
    pub(crate) page_bytes: u64,
    /// Set once, when a `.leaves` file was found: later than the rest for a set that was packed without.
    pub(crate) leaves: OnceLock<MappedLeaves>,
    /// Where a reader says that it shows the set: stays open as long as anything shows it.
    _shown_by: Option<Arc<ShownBy>>,
}

impl SetEntry {
    pub(crate) fn new(
        file: SetFile,
        places: Box<[Place]>,
        page_bytes: u64,
        shown_by: Option<Arc<ShownBy>>,
    ) -> Self {
        let SetFile { set, generation, segment_bytes, pages, .. } = file;
        let leaves = OnceLock::new();
        Self {
            set,
            generation,
            segment_bytes,
            places,
            pages,
            page_bytes,
            leaves,
            _shown_by: shown_by,
        }
    }

    /// Maps the set's leaves, unless that is done. Says whether there are any.
    pub(crate) fn map_leaves(&self, sets_folder: &Path) -> Result<bool, Damage> {
        if self.leaves.get().is_none() {
            let segments = info(self).segments;
            let found = MappedLeaves::open(sets_folder, self.set, self.generation, segments)?;
            let Some(leaves) = found else { return Ok(false) };
            let _ = self.leaves.set(leaves);
        }
        Ok(true)
    }
}

/// A segment file, mapped once.
#[derive(Debug)]
pub(crate) struct FileMap {
    pub(crate) map: MappedFile,
    pub(crate) number: u32,
    pub(crate) geometry: Geometry,
}

#[derive(Debug, Default)]
struct Snapshot {
    /// Ascending by name; the index is what callers hold.
    sets: Vec<Arc<SetEntry>>,
    files: Vec<Arc<FileMap>>,
}

/// The sets of a store at one time. A clone is a counted reference; the snapshot never changes. The slots of a set
/// that was removed are not used again while a catalogue that shows it lives.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    snapshot: Arc<Snapshot>,
}

/// A set, as the catalogue lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetInfo {
    /// Its name.
    pub set: SetId,
    /// How many segments it has.
    pub segments: u32,
    /// The size of each, bytes.
    pub segment_bytes: u32,
    /// How many manifest pages it has.
    pub pages: u32,
    /// Bytes of the manifest pages, which are kept in memory.
    pub page_bytes: u64,
    /// The leaves of each segment, bytes; 0: the set has none that can be used.
    pub leaves_bytes: u32,
}

/// What the store has for an object (docs/protocol, section 14 names the codes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored<'a> {
    /// A segment, or the leaves of one, in a mapped file. Reading it may fault: see [`Catalogue::mark`].
    Mapped(&'a [u8]),
    /// A manifest page, in memory.
    Page(&'a [u8]),
    /// The set has no such segment, leaves or page: PAST_END.
    PastEnd,
    /// There is no such set: UNKNOWN_SET.
    Absent,
    /// The segment could not be read from the disk: SEGMENT_UNAVAILABLE.
    Damaged,
}

impl Catalogue {
    pub(crate) fn new(mut sets: Vec<Arc<SetEntry>>, files: Vec<Arc<FileMap>>) -> Self {
        sets.sort_unstable_by_key(|entry| entry.set);
        Self { snapshot: Arc::new(Snapshot { sets, files }) }
    }

    /// Whether this is the same snapshot as `other`, so that indexes mean the same in both.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.snapshot, &other.snapshot)
    }

    /// The index of a set in this snapshot; other snapshots have others.
    #[must_use]
    pub fn find_set(&self, set: &SetId) -> Option<u32> {
        let found = self.snapshot.sets.binary_search_by(|entry| entry.set.cmp(set)).ok()?;
        u32::try_from(found).ok()
    }

    /// The index in `other` of the set with this index: the same attempt to write it, not one of the same name.
    #[must_use]
    pub fn index_in(&self, set: u32, other: &Self) -> Option<u32> {
        if self.is_same(other) {
            return Some(set);
        }
        let entry = self.entry(set)?;
        let index = other.find_set(&entry.set)?;
        other.entry(index).filter(|found| Arc::ptr_eq(found, entry)).map(|_| index)
    }

    /// All sets, in the order of their indexes.
    pub fn sets(&self) -> impl ExactSizeIterator<Item = SetInfo> {
        self.snapshot.sets.iter().map(|entry| info(entry))
    }

    /// The set with this index.
    #[must_use]
    pub fn set(&self, set: u32) -> Option<SetInfo> {
        self.entry(set).map(|entry| info(entry))
    }

    /// Bytes of all manifest pages, which are kept in memory.
    #[must_use]
    pub fn page_bytes(&self) -> u64 {
        self.snapshot.sets.iter().map(|entry| entry.page_bytes).sum()
    }

    /// The object `object` of the set with index `set`. Reads nothing from the disk itself; who reads the bytes of a
    /// segment that is not resident waits for the disk, see [`is_resident`](Self::is_resident).
    #[must_use]
    pub fn object(&self, set: u32, object: ObjectNumber) -> Stored<'_> {
        let Some(entry) = self.entry(set) else { return Stored::Absent };
        if let Some(page) = object.as_page() {
            let page = entry.pages.get(usize::from(page));
            return page.map_or(Stored::PastEnd, |page| Stored::Page(page));
        }
        let Some((map, range)) = self.locate(entry, object) else { return Stored::PastEnd };
        if map.faulted_in(range.clone()) {
            return Stored::Damaged;
        }
        Stored::Mapped(map.bytes(range))
    }

    /// Whether all bytes of the object are in memory now. Manifest pages always are; so are, in the sense that nobody
    /// has to wait for the disk, objects that do not exist.
    #[must_use]
    pub fn is_resident(&self, set: u32, object: ObjectNumber) -> bool {
        self.mapped(set, object).is_none_or(|(map, range)| map.is_resident(range))
    }

    /// Reads the object from the disk into memory, waiting for it: never on a hot thread.
    ///
    /// # Errors
    /// If the disk cannot be read, or leaves are not what was written: nobody else would notice before all members did.
    pub fn populate(&self, set: u32, object: ObjectNumber) -> Result<(), SysError> {
        let Some((map, range)) = self.mapped(set, object) else { return Ok(()) };
        map.populate(range)?;
        let (Some(entry), Some(segment)) = (self.entry(set), object.as_leaves()) else {
            return Ok(());
        };
        if entry.leaves.get().is_some_and(|leaves| !leaves.is_as_written(segment)) {
            let what = format!("the leaves of segment {segment} in {}", map.path().display());
            let error = io::Error::new(io::ErrorKind::InvalidData, "their checksum is wrong");
            return Err(SysError::new(what, error));
        }
        Ok(())
    }

    /// Keeps the object in memory until [`unlock`](Self::unlock).
    ///
    /// # Errors
    /// If the limit of locked memory is reached; the object can be read all the same.
    pub fn lock(&self, set: u32, object: ObjectNumber) -> Result<(), SysError> {
        self.mapped(set, object).map_or(Ok(()), |(map, range)| map.lock(range))
    }

    /// Lets the object be dropped from memory again.
    ///
    /// # Errors
    /// As munlock(2) reports.
    pub fn unlock(&self, set: u32, object: ObjectNumber) -> Result<(), SysError> {
        self.mapped(set, object).map_or(Ok(()), |(map, range)| map.unlock(range))
    }

    /// How many faults the object's file has had. It is cheap: a shard compares it before and after it reads, and
    /// asks [`faulted`](Self::faulted) only if it has grown. 0 for what is not in a file.
    #[must_use]
    pub fn mark(&self, set: u32, object: ObjectNumber) -> u64 {
        self.mapped(set, object).map_or(0, |(map, _)| map.fault_mark())
    }

    /// Whether a page of the object could not be read and was replaced by zeros. What was read of it must not be
    /// sent, and [`object`](Self::object) says [`Stored::Damaged`] from now on.
    #[must_use]
    pub fn faulted(&self, set: u32, object: ObjectNumber) -> bool {
        self.mapped(set, object).is_some_and(|(map, range)| map.faulted_in(range))
    }

    /// Faults of all files since they were mapped, for the metrics.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.snapshot.files.iter().map(|file| file.map.fault_mark()).sum()
    }

    /// A manifest page of the set with index `set`, if it is there; page 0 is the root.
    #[must_use]
    pub fn page(&self, set: u32, page: u16) -> Option<&[u8]> {
        self.entry(set)?.pages.get(usize::from(page)).map(|page| &**page)
    }

    pub(crate) fn entry(&self, set: u32) -> Option<&Arc<SetEntry>> {
        self.snapshot.sets.get(set as usize)
    }

    pub(crate) fn files(&self) -> &[Arc<FileMap>] {
        &self.snapshot.files
    }

    fn mapped(&self, set: u32, object: ObjectNumber) -> Option<(&MappedFile, Range<usize>)> {
        self.locate(self.entry(set)?, object)
    }

    /// The file and the bytes of a segment, or of its leaves; `None` if the set has no such segment, or no leaves.
    fn locate<'a>(
        &'a self,
        entry: &'a SetEntry,
        object: ObjectNumber,
    ) -> Option<(&'a MappedFile, Range<usize>)> {
        let Some(segment) = object.as_segment() else {
            let leaves = entry.leaves.get()?;
            return Some((leaves.map(), leaves.range(object.as_leaves()?)?));
        };
        let place = entry.places.get(segment as usize)?;
        let file = &self.snapshot.files[place.file as usize];
        let range = file.geometry.data_range(place.slot);
        let start = usize::try_from(range.start).ok()?;
        Some((&file.map, start..start + entry.segment_bytes as usize))
    }
}

fn info(entry: &SetEntry) -> SetInfo {
    let count = |n: usize| u32::try_from(n).expect("sets have fewer than 2^32 of anything");
    SetInfo {
        set: entry.set,
        segments: count(entry.places.len()),
        segment_bytes: entry.segment_bytes,
        pages: count(entry.pages.len()),
        page_bytes: entry.page_bytes,
        leaves_bytes: entry.leaves.get().map_or(0, MappedLeaves::leaves_bytes),
    }
}
