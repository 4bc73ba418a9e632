//! Leaves of segments on disk: a file beside the `.set` file, mapped like segment files.
//!
//! An edge sends them before the segment's symbols; to compute them there would cost five times what sealing does. What is
//! wrong with the file costs no more than the set's groups: it is served by unicast, and clients check leaves like
//! everything else.

mod writer;

use core::ops::Range;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use segcast_proto::ids::SetId;
use segcast_sysio::mapped::MappedFile;
pub(crate) use writer::LeavesWriter;

use crate::error::Damage;
use crate::format::FormatError;
use crate::format::leaves_file::{LEAVES_HEADER_BYTES, LeavesHeader, leaves_file_name, leaves_in};

/// The leaves of a committed set.
#[derive(Debug)]
pub(crate) struct MappedLeaves {
    map: MappedFile,
    header: LeavesHeader,
}

impl MappedLeaves {
    /// Maps the file of a set that has `segments` segments in slots of `generation`. Only its head and its length are
    /// looked at. `None`: there is no such file.
    pub(crate) fn open(
        sets_folder: &Path,
        set: SetId,
        generation: u64,
        segments: u32,
    ) -> Result<Option<Self>, Damage> {
        let damage = |reason: String| Damage::Leaves { set, reason };
        let path = sets_folder.join(leaves_file_name(set));
        let (file, header) = match read_head(&path, set) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| damage(error.to_string()))?,
        };
        if header.generation != generation || header.segments != segments {
            return Err(damage("it is of another attempt to write the set".to_owned()));
        }
        let wanted = header.file_bytes();
        let found = file.metadata().map_err(|error| damage(error.to_string()))?.len();
        if found != wanted {
            return Err(damage(FormatError::Length { found, wanted }.to_string()));
        }
        let map = MappedFile::of(&file, &path, wanted);
        let map = map.map_err(|error| damage(error.to_string()))?;
        Ok(Some(Self { map, header }))
    }

    pub(crate) fn map(&self) -> &MappedFile {
        &self.map
    }

    /// The leaves of one segment, bytes.
    pub(crate) fn leaves_bytes(&self) -> u32 {
        self.header.leaves_bytes
    }

    /// Where the leaves of `segment` lie; `None` past the end.
    pub(crate) fn range(&self, segment: u32) -> Option<Range<usize>> {
        let Range { start, end } = self.header.range(segment)?;
        Some(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
    }

    /// Whether the leaves of `segment` are what was written, as the mapping shows them.
    pub(crate) fn is_as_written(&self, segment: u32) -> bool {
        let (start, end) = (self.header.record(segment), self.header.record(segment + 1));
        let bounds = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        bounds.is_some_and(|(start, end)| leaves_in(self.map.bytes(start..end)).is_some())
    }

    /// Reads all leaves from the disk, not through the mapping, and returns the numbers of the segments whose leaves are
    /// not what was written, ascending.
    pub(crate) fn verify(&self) -> io::Result<Vec<u32>> {
        let (file, header) = read_head(self.map.path(), self.header.set)?;
        if header != self.header {
            let text = "another file has its name by now";
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        let mut bad = Vec::new();
        let mut record = vec![0; self.header.leaves_bytes as usize + 4];
        for segment in 0..self.header.segments {
            file.read_exact_at(&mut record, self.header.record(segment))?;
            if leaves_in(&record).is_none() {
                bad.push(segment);
            }
        }
        Ok(bad)
    }
}

fn read_head(path: &Path, set: SetId) -> io::Result<(File, LeavesHeader)> {
    let file = File::open(path)?;
    let mut head = [0; LEAVES_HEADER_BYTES];
    file.read_exact_at(&mut head, 0)?;
    let header = LeavesHeader::decode(&head, set);
    header.map(|header| (file, header)).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}
