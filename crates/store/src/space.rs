//! The segment files of a store and the slots in them: taking some for a set, and giving them back.

use core::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use segcast_sysio::mapped::MappedFile;

use crate::catalogue::{FileMap, Place};
use crate::error::{StoreError, failed};
use crate::format::segment_file::Geometry;
use crate::format::slot_header::SLOT_HEADER_BYTES;
use crate::layer::{SyncPoint, WriteFile, WriteLayer};
use crate::limits::FILES_MAX;
use crate::slots::{SlotTable, Taken, runs};

/// A segment file and which of its slots are free.
pub(crate) struct SegmentFile {
    pub(crate) map: Arc<FileMap>,
    pub(crate) slots: SlotTable,
    /// False for a damaged file: what is whole in it is read, and nothing is written to it.
    pub(crate) writable: bool,
    /// Made in this run, and no set was ever committed in it.
    pub(crate) fresh: bool,
}

impl SegmentFile {
    fn path(&self) -> &Path {
        self.map.map.path()
    }
}

/// All segment files of a store.
pub(crate) struct Space {
    pub(crate) layer: Arc<dyn WriteLayer>,
    pub(crate) folder: PathBuf,
    pub(crate) file_bytes: u64,
    pub(crate) files: Vec<SegmentFile>,
    /// The highest number that a file has, or had in this run.
    pub(crate) highest: u32,
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Space").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// The name of segment file `number`.
pub(crate) fn file_name(number: u32) -> String {
    format!("{number:08}.seg")
}

impl Space {
    /// Takes `count` slots, whose old headers are gone and whose blocks are reserved. Makes files as needed.
    ///
    /// # Errors
    /// If the disk is full, the store has too many files, or the system refuses something. Nothing is taken then.
    pub(crate) fn take(
        &mut self,
        geometry: Geometry,
        count: u32,
    ) -> Result<Vec<Place>, StoreError> {
        let mut places = Vec::new();
        match self.take_into(&mut places, geometry, count) {
            Ok(()) => Ok(places),
            Err(error) => {
                self.give_back(&places, true);
                self.drop_unused_files();
                Err(error)
            }
        }
    }

    /// Holds free slots (the scan of a start).
    pub(crate) fn hold(&mut self, places: &[Place]) {
        for place in places {
            self.files[place.file as usize].slots.hold(place.slot);
        }
    }

    /// Returns the blocks of free slots without a header: a writer that was cut short had reserved them.
    pub(crate) fn release_unused(&self) {
        for file in self.files.iter().filter(|file| file.writable && file.slots.free() > 0) {
            let Ok(open) = self.open(file.path()) else { continue };
            self.release(&open, file.map.geometry, file.slots.without_header());
        }
    }

    /// The files of these slots are there to stay: a set is committed in them.
    pub(crate) fn keep(&mut self, places: &[Place]) {
        for place in places {
            self.files[place.file as usize].fresh = false;
        }
    }

    /// Takes back the newest files, as far as they were made for sets that were not committed. No catalogue shows a slot of
    /// theirs, in any process. One that cannot be removed costs only disk space, and is used later.
    pub(crate) fn drop_unused_files(&mut self) {
        while let Some(file) = self.files.pop_if(|file| file.fresh && file.slots.is_unused()) {
            let _ = self.layer.remove(file.path());
        }
    }

    fn take_into(
        &mut self,
        places: &mut Vec<Place>,
        geometry: Geometry,
        count: u32,
    ) -> Result<(), StoreError> {
        let mut left = count;
        let mut index = 0;
        while left > 0 {
            if index == self.files.len() {
                self.add_file(geometry)?;
            }
            let file = &mut self.files[index];
            if file.writable && file.map.geometry == geometry && file.slots.free() > 0 {
                let taken = file.slots.take(left);
                let number = u32::try_from(index).expect("at most FILES_MAX files");
                places.extend(taken.iter().map(|taken| Place { file: number, slot: taken.slot }));
                left -= u32::try_from(taken.len()).expect("no more than was wanted");
                self.prepare(index, &taken)?;
            }
            index += 1;
        }
        Ok(())
    }

    /// Removes old headers of slots just taken, durably, and then reserves their blocks.
    fn prepare(&self, index: usize, taken: &[Taken]) -> Result<(), StoreError> {
        let file = &self.files[index];
        let open = self.open(file.path())?;
        let old = taken.iter().filter(|taken| taken.old_header).map(|taken| taken.slot);
        self.clear_headers(&open, file.map.geometry, old)?;
        for run in runs(taken.iter().map(|taken| taken.slot)) {
            let range = file.map.geometry.blocks(run.start, run.end - run.start);
            let bytes = range.end - range.start;
            self.layer.allocate(&open, range).map_err(failed(
                "reserving room in",
                file.path(),
                bytes,
            ))?;
        }
        Ok(())
    }

    fn open(&self, path: &Path) -> Result<WriteFile, StoreError> {
        self.layer.open(path).map_err(failed("opening", path, 0))
    }

    /// Overwrites the headers of these slots with zeros, durably.
    fn clear_headers(
        &self,
        open: &WriteFile,
        geometry: Geometry,
        slots: impl Iterator<Item = u32>,
    ) -> Result<(), StoreError> {
        let runs = runs(slots);
        for run in &runs {
            let start = geometry.header_range(run.start).start;
            let zeros = vec![0; (run.end - run.start) as usize * SLOT_HEADER_BYTES];
            self.layer.write_at(open, start, &zeros).map_err(failed(
                "clearing slots of",
                &open.path,
                0,
            ))?;
        }
        if !runs.is_empty() {
            self.layer.sync_data(open, SyncPoint::OldHeaders).map_err(failed(
                "clearing slots of",
                &open.path,
                0,
            ))?;
        }
        Ok(())
    }

    /// Frees slots, which are ascending in each file, and returns their blocks to the disk. `headers`: valid headers
    /// may be on the disk. What fails here costs only disk space or is done when the slots are taken again.
    pub(crate) fn give_back(&mut self, places: &[Place], headers: bool) {
        for group in places.chunk_by(|a, b| a.file == b.file) {
            let Some(first) = group.first() else { continue };
            let index = first.file as usize;
            let slots = || group.iter().map(|place| place.slot);
            let cleared = self.clear_and_release(index, slots, headers);
            for slot in slots() {
                self.files[index].slots.give_back(slot, headers && !cleared);
            }
        }
    }

    /// Whether no header is left on the disk.
    fn clear_and_release<I: Iterator<Item = u32>>(
        &self,
        index: usize,
        slots: impl Fn() -> I,
        headers: bool,
    ) -> bool {
        let file = &self.files[index];
        if !file.writable {
            return false;
        }
        let Ok(open) = self.open(file.path()) else { return !headers };
        if headers && self.clear_headers(&open, file.map.geometry, slots()).is_err() {
            return false;
        }
        self.release(&open, file.map.geometry, slots());
        true
    }

    fn release(&self, open: &WriteFile, geometry: Geometry, slots: impl Iterator<Item = u32>) {
        for run in runs(slots) {
            let range = geometry.blocks(run.start, run.end - run.start);
            // Without this the blocks stay with the free slots; the next set uses them.
            let _ = self.layer.release(open, range);
        }
    }

    /// Makes one more segment file: complete under another name first, so that a file with its name is whole.
    fn add_file(&mut self, geometry: Geometry) -> Result<(), StoreError> {
        if self.files.len() >= FILES_MAX || self.highest == u32::MAX {
            return Err(StoreError::TooManyFiles);
        }
        self.highest += 1;
        let number = self.highest;
        let path = self.folder.join(file_name(number));
        let unfinished = path.with_extension("seg.tmp");
        if let Err(error) = self.write_file(&unfinished, geometry, number) {
            // It is removed at the next start too.
            let _ = self.layer.remove(&unfinished);
            return Err(error);
        }
        self.layer.rename(&unfinished, &path).map_err(failed("naming", &path, 0))?;
        self.layer.sync_dir(&self.folder, SyncPoint::SegmentsFolder).map_err(failed(
            "making durable",
            &self.folder,
            0,
        ))?;
        let map = MappedFile::open(&path, self.file_bytes)
            .map_err(|error| failed("mapping", &path, 0)(error.into()))?;
        self.files.push(SegmentFile {
            map: Arc::new(FileMap { map, number, geometry }),
            slots: SlotTable::new(geometry.slots()),
            writable: true,
            fresh: true,
        });
        Ok(())
    }

    fn write_file(&self, path: &Path, geometry: Geometry, number: u32) -> Result<(), StoreError> {
        // The headers' blocks are reserved at once, so that clearing a slot never finds the disk full.
        let headers = 0..geometry.data_range(0).start;
        let bytes = headers.end;
        let file = self.layer.create(path).map_err(failed("creating", path, bytes))?;
        self.layer
            .set_len(&file, self.file_bytes)
            .and_then(|()| self.layer.allocate(&file, headers))
            .and_then(|()| self.layer.write_at(&file, 0, &geometry.encode_header(number)))
            .and_then(|()| self.layer.sync_data(&file, SyncPoint::SegmentFile))
            .map_err(failed("writing", path, bytes))
    }
}
