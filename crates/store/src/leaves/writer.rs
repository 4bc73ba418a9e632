//! Writing a `.leaves` file: records in any order, a barrier, the name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{BadSegment, StoreError, failed};
use crate::format::leaves_file::{LeavesHeader, leaves_file_name, record};
use crate::layer::{SyncPoint, WriteFile, WriteLayer};

/// The leaves of a set that are being written. Dropped before [`finish`](Self::finish), its file is gone.
pub(crate) struct LeavesWriter {
    layer: Arc<dyn WriteLayer>,
    sets_folder: PathBuf,
    file: WriteFile,
    header: LeavesHeader,
    /// Which segments' leaves were written.
    written: Box<[bool]>,
    named: bool,
}

impl LeavesWriter {
    /// Makes the file and takes the room for it.
    pub(crate) fn create(
        layer: &Arc<dyn WriteLayer>,
        sets_folder: &Path,
        header: LeavesHeader,
    ) -> Result<Self, StoreError> {
        let unfinished = sets_folder.join(format!("{}.tmp", leaves_file_name(header.set)));
        let file = layer.create(&unfinished).map_err(failed("creating", &unfinished, 0))?;
        let written = vec![false; header.segments as usize].into();
        let (sets_folder, bytes) = (sets_folder.to_owned(), header.file_bytes());
        let writer =
            Self { layer: Arc::clone(layer), sets_folder, file, header, written, named: false };
        // From here on a failure removes it.
        writer
            .layer
            .allocate(&writer.file, 0..bytes)
            .and_then(|()| writer.layer.write_at(&writer.file, 0, &header.encode()))
            .map_err(failed("writing leaves to", &unfinished, bytes))?;
        Ok(writer)
    }

    /// Writes the leaves of one segment, in any order, each once.
    pub(crate) fn write(&mut self, segment: u32, leaves: &[u8]) -> Result<(), StoreError> {
        let LeavesHeader { set, segments, leaves_bytes, .. } = self.header;
        let bad = |reason| StoreError::BadSegment { set, segment, reason };
        let Some(written) = self.written.get_mut(segment as usize) else {
            return Err(bad(BadSegment::Number { segments }));
        };
        if leaves.len() != leaves_bytes as usize {
            return Err(bad(BadSegment::Leaves { found: leaves.len(), wanted: leaves_bytes }));
        }
        if std::mem::replace(written, true) {
            return Err(bad(BadSegment::Twice));
        }
        let record = record(leaves);
        let written = self.layer.write_at(&self.file, self.header.record(segment), &record);
        written.map_err(failed("writing leaves to", &self.file.path, record.len() as u64))
    }

    /// Makes the file durable under its name, in place of any that has it.
    pub(crate) fn finish(mut self) -> Result<(), StoreError> {
        let count = |n: usize| u32::try_from(n).expect("below the number of segments");
        if let Some(first) = self.written.iter().position(|written| !written) {
            let missing = count(self.written.iter().filter(|written| !**written).count());
            let (set, first) = (self.header.set, count(first));
            return Err(StoreError::Incomplete { set, missing, first });
        }
        let (unfinished, folder) = (&self.file.path, &self.sets_folder);
        let synced = self.layer.sync_data(&self.file, SyncPoint::LeavesFile);
        synced.map_err(failed("making durable", unfinished, 0))?;
        let path = folder.join(leaves_file_name(self.header.set));
        let named = self.layer.rename(unfinished, &path);
        named.map_err(failed("naming", &path, 0))?;
        let durable = self.layer.sync_dir(folder, SyncPoint::SetsFolder);
        durable.map_err(failed("making durable", folder, 0))?;
        self.named = true;
        Ok(())
    }
}

impl Drop for LeavesWriter {
    fn drop(&mut self) {
        if !self.named {
            // If it stays, the next start of a writer removes it.
            let _ = self.layer.remove(&self.file.path);
        }
    }
}
