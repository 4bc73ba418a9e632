//! Writing a set: data, then headers, then the `.set` file, with a barrier between any two of them.

use core::fmt;
use std::collections::BTreeMap;
use std::sync::Arc;

use segcast_proto::ids::SetId;

use crate::catalogue::{FileMap, Place, SetEntry};
use crate::error::{BadSegment, StoreError, failed};
use crate::files::set_file_name;
use crate::format::leaves_file::LeavesHeader;
use crate::format::set_file::{SetFile, check_pages};
use crate::format::slot_header::SlotHeader;
use crate::layer::{SyncPoint, WriteFile};
use crate::leaves::LeavesWriter;
use crate::limits::SEGMENT_LEAVES_MAX;
use crate::shared::{Held, Shared};

/// A set that is being written. Nobody sees it before [`commit`](Self::commit) has returned; dropped before that,
/// its slots are free again. It keeps one file descriptor open for each segment file it writes to.
pub struct SetWriter {
    shared: Arc<Shared>,
    set: SetId,
    generation: u64,
    segment_bytes: u32,
    /// One for each segment.
    places: Box<[Place]>,
    /// CRC32C of each segment that was written.
    checksums: Box<[Option<u32>]>,
    files: BTreeMap<u32, (WriteFile, Arc<FileMap>)>,
    /// Begun with the first leaves.
    leaves: Option<LeavesWriter>,
    /// The leaves have their name.
    leaves_named: bool,
    /// Valid headers may be on the disk.
    headers_written: bool,
    /// Whose the slots are.
    slots: SlotsOf,
}

/// Whose the slots of a writer are, which says what its drop does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SlotsOf {
    /// The writer's: a drop frees them.
    Writer,
    /// The committed set's.
    Set,
    /// Of readers who may have seen the set before its `.set` file was removed again: as those of a removed set.
    Readers,
    /// Unknown: a `.set` file may or may not be on the disk. Kept from use until the next start, which will see.
    Nobody,
}

impl fmt::Debug for SetWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetWriter").field("set", &self.set).finish_non_exhaustive()
    }
}

impl SetWriter {
    pub(crate) fn new(
        shared: Arc<Shared>,
        set: SetId,
        generation: u64,
        segment_bytes: u32,
        places: Vec<Place>,
    ) -> Self {
        Self {
            shared,
            set,
            generation,
            segment_bytes,
            checksums: vec![None; places.len()].into(),
            places: places.into(),
            files: BTreeMap::new(),
            leaves: None,
            leaves_named: false,
            headers_written: false,
            slots: SlotsOf::Writer,
        }
    }

    /// Writes segment `segment`, in any order, each once. Nothing is durable before the commit.
    ///
    /// # Errors
    /// If the segment is not the set's, has another size, was written before, or the system refuses. After an error of
    /// the system the set can only be begun again.
    pub fn write_segment(&mut self, segment: u32, data: &[u8]) -> Result<(), StoreError> {
        let bad = |reason| StoreError::BadSegment { set: self.set, segment, reason };
        let Some(place) = self.places.get(segment as usize).copied() else {
            let segments = u32::try_from(self.places.len()).expect("it was given as such");
            return Err(bad(BadSegment::Number { segments }));
        };
        if data.len() != self.segment_bytes as usize {
            let (found, wanted) = (data.len(), self.segment_bytes);
            return Err(bad(BadSegment::Length { found, wanted }));
        }
        if self.checksums[segment as usize].is_some() {
            return Err(bad(BadSegment::Twice));
        }
        self.open(place.file)?;
        let (file, map) = &self.files[&place.file];
        let offset = map.geometry.data_range(place.slot).start;
        self.shared.layer.write_at(file, offset, data).map_err(failed(
            "writing a segment to",
            &file.path,
            data.len() as u64,
        ))?;
        self.checksums[segment as usize] = Some(crc32c::crc32c(data));
        Ok(())
    }

    /// Writes the leaves of segment `segment`, in any order, each once; all segments have as many bytes of them. A set of
    /// which none are written has none.
    ///
    /// # Errors
    /// As [`write_segment`](Self::write_segment).
    pub fn write_leaves(&mut self, segment: u32, leaves: &[u8]) -> Result<(), StoreError> {
        let writer = match &mut self.leaves {
            Some(writer) => writer,
            None => {
                let (set, found) = (self.set, leaves.len());
                let fit =
                    u32::try_from(found).ok().filter(|n| (1..=SEGMENT_LEAVES_MAX).contains(n));
                let reason = BadSegment::Leaves { found, wanted: SEGMENT_LEAVES_MAX };
                let leaves_bytes = fit.ok_or(StoreError::BadSegment { set, segment, reason })?;
                let segments = u32::try_from(self.places.len()).expect("it was given as such");
                let header =
                    LeavesHeader { set, generation: self.generation, segments, leaves_bytes };
                let Shared { layer, sets_folder, .. } = &*self.shared;
                self.leaves.insert(LeavesWriter::create(layer, sets_folder, header)?)
            }
        };
        writer.write(segment, leaves)
    }

    /// Makes the set durable and visible, with these manifest pages, the root first. When it has returned, the set is
    /// there after any crash.
    ///
    /// # Errors
    /// If a segment was not written, the pages are out of bounds, or the system refuses. The set is then not there.
    pub fn commit<P: AsRef<[u8]>>(mut self, pages: &[P]) -> Result<(), StoreError> {
        let set = self.set;
        let page_bytes =
            check_pages(pages).map_err(|reason| StoreError::BadPages { set, reason })?;
        let checksums = self.complete()?;
        let file = SetFile {
            set,
            generation: self.generation,
            segment_bytes: self.segment_bytes,
            segments: u32::try_from(self.places.len()).expect("it was given as such"),
            pages: pages.iter().map(|page| page.as_ref().into()).collect(),
        };
        self.shared.reserve_pages(set, page_bytes)?;
        let written = self.make_durable(&checksums, &file);
        if let Err(error) = written {
            self.shared.state().page_bytes -= page_bytes;
            return Err(error);
        }
        self.slots = SlotsOf::Set;
        let places = std::mem::take(&mut self.places);
        let entry = SetEntry::new(file, places, page_bytes, None);
        if self.leaves_named {
            // What hinders this process hinders no edge, and the next start tells.
            let _ = entry.map_leaves(&self.shared.sets_folder);
        }
        self.shared.publish(entry);
        Ok(())
    }

    /// The checksums of all segments.
    fn complete(&self) -> Result<Vec<u32>, StoreError> {
        let there: Vec<u32> = self.checksums.iter().filter_map(|checksum| *checksum).collect();
        let Some(first) = self.checksums.iter().position(Option::is_none) else {
            return Ok(there);
        };
        let count = |n: usize| u32::try_from(n).expect("below the number of segments");
        let missing = count(self.checksums.len() - there.len());
        Err(StoreError::Incomplete { set: self.set, missing, first: count(first) })
    }

    fn make_durable(&mut self, checksums: &[u32], file: &SetFile) -> Result<(), StoreError> {
        self.sync_files(SyncPoint::Data)?;
        self.headers_written = true;
        self.write_headers(checksums)?;
        self.sync_files(SyncPoint::Headers)?;
        if let Some(leaves) = self.leaves.take() {
            // Also one whose barrier fails may have its name by then.
            self.leaves_named = true;
            leaves.finish()?;
        }
        self.write_set_file(file)
    }

    fn sync_files(&self, point: SyncPoint) -> Result<(), StoreError> {
        for (file, _) in self.files.values() {
            self.shared.layer.sync_data(file, point).map_err(failed(
                "making durable",
                &file.path,
                0,
            ))?;
        }
        Ok(())
    }

    /// Writes the headers of all slots, those of neighbours in one call.
    fn write_headers(&self, checksums: &[u32]) -> Result<(), StoreError> {
        // 16 384 headers, 1 MiB, in one call at most.
        const AT_ONCE: usize = 16_384;
        let slots: Vec<(u32, Place, u32)> = (0..)
            .zip(self.places.iter().zip(checksums))
            .map(|(segment, (place, checksum))| (segment, *place, *checksum))
            .collect();
        let neighbours = |a: &(u32, Place, u32), b: &(u32, Place, u32)| {
            a.1.file == b.1.file && a.1.slot + 1 == b.1.slot
        };
        for run in slots.chunk_by(neighbours).flat_map(|run| run.chunks(AT_ONCE)) {
            let Some((_, first, _)) = run.first() else { continue };
            let (file, map) = &self.files[&first.file];
            let headers = run.iter().flat_map(|(segment, place, data_checksum)| {
                let header = SlotHeader {
                    set: self.set,
                    segment: *segment,
                    length: self.segment_bytes,
                    generation: self.generation,
                    data_checksum: *data_checksum,
                    file: map.number,
                    slot: place.slot,
                };
                header.encode()
            });
            let headers: Vec<u8> = headers.collect();
            self.shared
                .layer
                .write_at(file, map.geometry.header_range(first.slot).start, &headers)
                .map_err(failed("writing slot headers to", &file.path, headers.len() as u64))?;
        }
        Ok(())
    }

    fn write_set_file(&mut self, contents: &SetFile) -> Result<(), StoreError> {
        let path = self.shared.sets_folder.join(set_file_name(self.set));
        let unfinished = path.with_extension("set.tmp");
        let bytes = contents.encode();
        let layer = Arc::clone(&self.shared.layer);
        layer
            .create(&unfinished)
            .and_then(|file| {
                layer.write_at(&file, 0, &bytes)?;
                layer.sync_data(&file, SyncPoint::SetFile)
            })
            .map_err(|error| {
                let _ = layer.remove(&unfinished);
                failed("writing", &unfinished, bytes.len() as u64)(error)
            })?;
        let named =
            layer.rename(&unfinished, &path).map_err(failed("naming", &path, 0)).and_then(|()| {
                let folder = &self.shared.sets_folder;
                layer.sync_dir(folder, SyncPoint::SetsFolder).map_err(failed(
                    "making durable",
                    folder,
                    0,
                ))
            });
        if named.is_err() {
            let unlinked = self.shared.unlink_set(self.set);
            self.slots = unlinked.map_or(SlotsOf::Nobody, |()| SlotsOf::Readers);
        }
        named
    }

    /// Opens segment file `index` for writing, if it is not open.
    fn open(&mut self, index: u32) -> Result<(), StoreError> {
        if self.files.contains_key(&index) {
            return Ok(());
        }
        let map = Arc::clone(&self.shared.state().space.files[index as usize].map);
        let path = map.map.path();
        let file = self.shared.layer.open(path).map_err(failed("opening", path, 0))?;
        self.files.insert(index, (file, map));
        Ok(())
    }
}

impl Drop for SetWriter {
    fn drop(&mut self) {
        if matches!(self.slots, SlotsOf::Set | SlotsOf::Nobody) {
            return;
        }
        // Before the set may be begun again.
        self.leaves = None;
        if self.leaves_named {
            self.shared.unlink_leaves(self.set);
        }
        let mut state = self.shared.state();
        state.writing.remove(&self.set);
        if self.slots == SlotsOf::Readers {
            let places = self.places.to_vec();
            state.retired.push(Held { generation: self.generation, places, entry: None });
            state.sweep();
        } else {
            state.space.give_back(&self.places, self.headers_written);
        }
        state.space.drop_unused_files();
    }
}
