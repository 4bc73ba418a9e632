//! Everything the store writes goes through [`WriteLayer`], so that a test can put a layer beneath it that
//! reorders, tears and loses what was not made durable.

use core::fmt;
use core::ops::Range;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, OFlags, fallocate};
use rustix::io::Errno;

/// Which of the store's barriers a sync is. A commit passes [`Data`](Self::Data), [`Headers`](Self::Headers),
/// [`LeavesFile`](Self::LeavesFile) where the set has leaves, [`SetFile`](Self::SetFile), [`SetsFolder`](Self::SetsFolder) in
/// this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::VariantArray)]
pub enum SyncPoint {
    /// The file `STORE`, before it gets its name.
    StoreFile,
    /// The names in the store's folder.
    StoreFolder,
    /// A new segment file's length and header page, before it gets its name.
    SegmentFile,
    /// The names of segment files.
    SegmentsFolder,
    /// Old headers of slots that are to be used again were overwritten; their data may be after this.
    OldHeaders,
    /// The data of a set's segments; their headers may be written after this.
    Data,
    /// The headers of a set's segments; its `.set` file may be written after this.
    Headers,
    /// A `.leaves` file's contents, before it gets its name.
    LeavesFile,
    /// A `.set` file's contents, before it gets its name.
    SetFile,
    /// The name of a `.set` file: after this the set is committed, or after a removal its slots are free. Before it, that of
    /// a `.leaves` file.
    SetsFolder,
}

impl SyncPoint {
    /// All of them.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;
}

/// A file opened for writing.
#[derive(Debug)]
pub struct WriteFile {
    /// The open file.
    pub file: File,
    /// Where it lay when it was opened.
    pub path: PathBuf,
}

/// The system calls that change a store. Errors are those of the calls.
pub trait WriteLayer: Send + Sync + fmt::Debug {
    /// Makes a folder; one that exists is no error (mkdir(2)).
    ///
    /// # Errors
    /// As the system reports.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes an empty file, in place of any that has the name: that one, which may be a link, is not written to (open(2),
    /// `O_CREAT` and `O_EXCL`, after unlink(2)).
    ///
    /// # Errors
    /// As the system reports.
    fn create(&self, path: &Path) -> io::Result<WriteFile>;

    /// Opens a file for reading and writing; a symbolic link is refused (`O_NOFOLLOW`).
    ///
    /// # Errors
    /// As the system reports.
    fn open(&self, path: &Path) -> io::Result<WriteFile>;

    /// Gives a file its length (ftruncate(2)).
    ///
    /// # Errors
    /// As the system reports.
    fn set_len(&self, file: &WriteFile, bytes: u64) -> io::Result<()>;

    /// Reserves blocks for a range, so that writing there cannot find the disk full (fallocate(2)). Does nothing
    /// where the file system cannot.
    ///
    /// # Errors
    /// `ENOSPC`, or as the system reports.
    fn allocate(&self, file: &WriteFile, range: Range<u64>) -> io::Result<()>;

    /// Gives the blocks of a range back; it reads as zeros then (fallocate(2), `PUNCH_HOLE`). Does nothing where
    /// the file system cannot.
    ///
    /// # Errors
    /// As the system reports.
    fn release(&self, file: &WriteFile, range: Range<u64>) -> io::Result<()>;

    /// Writes all of `bytes` at `offset` (pwrite(2)).
    ///
    /// # Errors
    /// As the system reports; a part may have been written.
    fn write_at(&self, file: &WriteFile, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes what was written to a file durable (fdatasync(2)).
    ///
    /// # Errors
    /// As the system reports. Nothing is known then about what was written, and trying again proves nothing.
    fn sync_data(&self, file: &WriteFile, point: SyncPoint) -> io::Result<()>;

    /// Gives a file another name in the same folder, in place of any that has it (rename(2)).
    ///
    /// # Errors
    /// As the system reports.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name (unlink(2)).
    ///
    /// # Errors
    /// As the system reports.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable (fsync(2) on the folder).
    ///
    /// # Errors
    /// As the system reports.
    fn sync_dir(&self, path: &Path, point: SyncPoint) -> io::Result<()>;
}

/// The file system itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealLayer;

/// `EOPNOTSUPP` is no error for what only helps.
fn where_supported(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        other => Ok(other?),
    }
}

impl WriteLayer for RealLayer {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        match std::fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            other => other,
        }
    }

    fn create(&self, path: &Path) -> io::Result<WriteFile> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        Ok(WriteFile { file, path: path.to_owned() })
    }

    fn open(&self, path: &Path) -> io::Result<WriteFile> {
        let no_link = OFlags::NOFOLLOW.bits().cast_signed();
        let file = OpenOptions::new().read(true).write(true).custom_flags(no_link).open(path)?;
        Ok(WriteFile { file, path: path.to_owned() })
    }

    fn set_len(&self, file: &WriteFile, bytes: u64) -> io::Result<()> {
        file.file.set_len(bytes)
    }

    fn allocate(&self, file: &WriteFile, range: Range<u64>) -> io::Result<()> {
        let flags = FallocateFlags::empty();
        where_supported(fallocate(&file.file, flags, range.start, range.end - range.start))
    }

    fn release(&self, file: &WriteFile, range: Range<u64>) -> io::Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        where_supported(fallocate(&file.file, flags, range.start, range.end - range.start))
    }

    fn write_at(&self, file: &WriteFile, offset: u64, bytes: &[u8]) -> io::Result<()> {
        file.file.write_all_at(bytes, offset)
    }

    fn sync_data(&self, file: &WriteFile, _point: SyncPoint) -> io::Result<()> {
        file.file.sync_data()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, path: &Path, _point: SyncPoint) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}
