//! What lies in a store's folder, read as it is: names, header pages, slot headers, `.set` files. Who writes the store and
//! who only reads it both come here.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use segcast_proto::ids::SetId;
use segcast_sysio::file::Inode;

use crate::catalogue::Place;
use crate::error::{Damage, StoreError, failed};
use crate::format::FormatError;
use crate::format::leaves_file::leaves_file_name;
use crate::format::segment_file::Geometry;
use crate::format::set_file::{SetFile, check_pages};
use crate::format::slot_header::SLOT_HEADER_BYTES;
use crate::format::store_file::StoreFile;
use crate::limits::{PAGE, PAGES_MAX, SCAN_CHUNK, SET_FILE_MAX};
use crate::space::file_name;

/// A slot with a valid header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) segment: u32,
    pub(crate) length: u32,
    pub(crate) place: Place,
}

/// What stands in the folder of segment files.
#[derive(Debug, Default)]
pub(crate) struct SegmentFiles {
    /// Numbers and paths, ascending.
    pub(crate) whole: Vec<(u32, PathBuf)>,
    /// What a writer is making, or left.
    pub(crate) unfinished: Vec<PathBuf>,
}

/// What a name in the folder of sets is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetName {
    Set(SetId),
    /// The leaves of a set.
    Leaves(SetId),
    /// What a writer is making, or left.
    Unfinished,
    Strange,
}

/// The size of segment files that the store was created with.
pub(crate) fn read_store_file(path: &Path) -> Result<u64, StoreError> {
    let bytes = std::fs::read(path).map_err(failed("reading", path, 0))?;
    let store = StoreFile::decode(&bytes)
        .map_err(|reason| StoreError::StoreFile { path: path.to_owned(), reason })?;
    Ok(store.file_bytes)
}

/// The paths in a folder, ascending.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = std::fs::read_dir(folder).map_err(failed("listing", folder, 0))?;
    let paths: io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(failed("listing", folder, 0))?;
    paths.sort();
    Ok(paths)
}

/// The segment files in `folder`; other names are passed over.
pub(crate) fn segment_files(folder: &Path) -> Result<SegmentFiles, StoreError> {
    let mut files = SegmentFiles::default();
    for path in list(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let digits = name.split('.').next().unwrap_or_default();
        let Ok(number) = digits.parse::<u32>() else { continue };
        if name == file_name(number) {
            files.whole.push((number, path));
        } else if name == format!("{}.tmp", file_name(number)) {
            files.unfinished.push(path);
        }
    }
    files.whole.sort_unstable();
    Ok(files)
}

/// The name of a set's file.
pub(crate) fn set_file_name(set: SetId) -> String {
    format!("{set}.set")
}

/// What a path in the folder of sets is.
pub(crate) fn set_name(path: &Path) -> SetName {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.ends_with(".set.tmp") || name.ends_with(".leaves.tmp") {
        return SetName::Unfinished;
    }
    let id = name.split('.').next().unwrap_or_default();
    match id.parse::<SetId>() {
        // Only the one spelling counts: two files must not name one set.
        Ok(set) if name == set_file_name(set) => SetName::Set(set),
        Ok(set) if name == leaves_file_name(set) => SetName::Leaves(set),
        _ => SetName::Strange,
    }
}

/// A segment file that was opened, with what its header page says.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) file: File,
    pub(crate) inode: Inode,
    pub(crate) number: u32,
    pub(crate) length: u64,
    pub(crate) geometry: Geometry,
}

impl Opened {
    /// Opens segment file `number` of a store whose files have `file_bytes`.
    pub(crate) fn open(path: &Path, number: u32, file_bytes: u64) -> Result<Self, Damage> {
        let opened =
            File::open(path).and_then(|file| Ok((Inode::of(&file)?, file.metadata()?.len(), file)));
        let (inode, length, file) = opened.map_err(|error| unreadable(path, &error))?;
        let mut page = [0; PAGE as usize];
        let geometry = match file.read_exact_at(&mut page, 0) {
            Ok(()) => Geometry::decode_header(&page, number, file_bytes),
            Err(_) => Err(FormatError::Length { found: length, wanted: file_bytes }),
        };
        let geometry =
            geometry.map_err(|reason| Damage::SegmentFile { path: path.to_owned(), reason })?;
        Ok(Self { file, inode, number, length, geometry })
    }

    /// How much of it is there of what should be.
    pub(crate) fn end(&self) -> u64 {
        self.length.min(self.geometry.file_bytes())
    }

    /// The damage that another length than its own is.
    pub(crate) fn wrong_length(&self, path: &Path) -> Option<Damage> {
        let (found, wanted) = (self.length, self.geometry.file_bytes());
        (found != wanted).then(|| Damage::FileLength { path: path.to_owned(), found, wanted })
    }

    /// Gives `each` the bytes of every slot header that is there, with the slot's number.
    pub(crate) fn each_header(&self, mut each: impl FnMut(u32, &[u8])) -> io::Result<()> {
        const AT_ONCE: u32 = (SCAN_CHUNK / SLOT_HEADER_BYTES) as u32;
        let slots = self.geometry.slots();
        let mut first = 0;
        while first < slots {
            let count = AT_ONCE.min(slots - first);
            let start = self.geometry.header_range(first).start;
            let there = self.end().saturating_sub(start);
            let there = there.min(u64::from(count) * SLOT_HEADER_BYTES as u64);
            let mut bytes = vec![0; usize::try_from(there).expect("at most SCAN_CHUNK")];
            self.file.read_exact_at(&mut bytes, start)?;
            for (slot, bytes) in (first..).zip(bytes.chunks_exact(SLOT_HEADER_BYTES)) {
                each(slot, bytes);
            }
            first += count;
        }
        Ok(())
    }
}

pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Damage {
    Damage::Unreadable { path: path.to_owned(), reason: error.to_string() }
}

/// A `.set` file of which at most `left` bytes of pages can be kept, and how many they are; else what is wrong and, where
/// that is known, its generation.
pub(crate) fn read_set_file(
    path: &Path,
    set: SetId,
    left: u64,
) -> Result<(SetFile, u64), (Damage, Option<u64>)> {
    const MEMORY: &str =
        "its manifest pages would take more memory than the store may use for them";
    let over = Damage::OverLimit { set, reason: MEMORY };
    let failed = |error: io::Error| (unreadable(path, &error), None);
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > SET_FILE_MAX.min(left.saturating_add(4 * PAGES_MAX as u64 + 52)) {
        return Err((over, None));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    let file =
        SetFile::decode(&bytes, set).map_err(|reason| (Damage::SetFile { set, reason }, None))?;
    let page_bytes = check_pages(&file.pages).unwrap_or(u64::MAX);
    if page_bytes > left {
        return Err((over, Some(file.generation)));
    }
    Ok((file, page_bytes))
}

/// The places of all segments in order, if there is one for each.
pub(crate) fn complete(file: &SetFile, found: &[Found]) -> Result<Box<[Place]>, Damage> {
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
