//! What crash-safe commits need from the file system: reserved space, writes at an offset, durable names, and a
//! lock file that names its owner. All safe code; here because these are the steps that power loss tests.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, FlockOperation, OFlags, fallocate, flock};

use crate::error::SysError;

fn failed(what: &str, path: &Path, source: io::Error) -> SysError {
    SysError::new(format!("{what} {}", path.display()), source)
}

/// Which file it is, whatever it is called: no other file is the same one while this one is open or mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inode {
    device: u64,
    number: u64,
}

impl Inode {
    /// That of an open file (fstat(2)).
    ///
    /// # Errors
    /// What fstat(2) reports.
    pub fn of(file: &File) -> io::Result<Self> {
        file.metadata().map(|metadata| Self::in_metadata(&metadata))
    }

    /// That of the file that has the name `path` now (stat(2)).
    ///
    /// # Errors
    /// What stat(2) reports.
    pub fn at(path: &Path) -> io::Result<Self> {
        path.metadata().map(|metadata| Self::in_metadata(&metadata))
    }

    pub(crate) fn in_metadata(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), number: metadata.ino() }
    }
}

/// Creates `path`, which must not exist, for reading and writing, `bytes` long and sparse. The name is durable only
/// after [`sync_directory`] of its parent.
///
/// # Errors
/// `EEXIST` if the path exists; otherwise what open(2) and ftruncate(2) report.
pub fn create_sparse(path: &Path, bytes: u64) -> Result<File, SysError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|e| failed("create", path, e))?;
    file.set_len(bytes).map_err(|e| failed("set the length of", path, e))?;
    Ok(file)
}

/// Reserves disk blocks for `offset..offset + bytes`, so that later writes there cannot fail for lack of space
/// (fallocate(2), mode 0). On a file system without fallocate it does nothing and returns `false`.
///
/// # Errors
/// `ENOSPC`, and what else fallocate(2) reports.
pub fn reserve(file: &File, offset: u64, bytes: u64) -> Result<bool, SysError> {
    match fallocate(file, FallocateFlags::empty(), offset, bytes) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(false),
        Err(e) => Err(SysError::new(format!("reserve {bytes} bytes at {offset}"), e.into())),
    }
}

/// Gives the blocks of `offset..offset + bytes` back; the range then reads as zeros. The length stays.
///
/// # Errors
/// What fallocate(2) with `FALLOC_FL_PUNCH_HOLE` reports.
pub fn punch_hole(file: &File, offset: u64, bytes: u64) -> Result<(), SysError> {
    fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, offset, bytes)
        .map_err(|e| SysError::new(format!("punch out {bytes} bytes at {offset}"), e.into()))
}

/// Writes all of `bytes` at `offset` (pwrite(2)).
///
/// # Errors
/// What pwrite(2) reports; a part may then have been written.
pub fn write_at(file: &File, bytes: &[u8], offset: u64) -> Result<(), SysError> {
    file.write_all_at(bytes, offset)
        .map_err(|e| SysError::new(format!("write {} bytes at {offset}", bytes.len()), e))
}

/// Fills `bytes` from `offset` (pread(2)).
///
/// # Errors
/// What pread(2) reports, and the file's end before `bytes` is full.
pub fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> Result<(), SysError> {
    let wanted = bytes.len();
    file.read_exact_at(bytes, offset)
        .map_err(|e| SysError::new(format!("read {wanted} bytes at {offset}"), e))
}

/// Makes the written data, and the metadata needed to read it back, durable (fdatasync(2)).
///
/// # Errors
/// What fdatasync(2) reports. After an error the state of the data is unknown: do not retry, write again.
pub fn sync_data(file: &File) -> Result<(), SysError> {
    file.sync_data().map_err(|e| SysError::new("make written data durable (fdatasync)", e))
}

/// Makes names created in, renamed in or removed from `directory` durable (fsync(2) of the directory).
///
/// # Errors
/// What open(2) and fsync(2) report.
pub fn sync_directory(directory: &Path) -> Result<(), SysError> {
    File::open(directory)
        .and_then(|opened| opened.sync_all())
        .map_err(|e| failed("make durable the names in", directory, e))
}

/// Renames `from` to `to` in one step, replacing `to`, and makes the new name durable. Both must lie in one folder.
/// The file's data must be durable before ([`sync_data`]), or a crash can leave the new name with old or no data.
///
/// # Errors
/// What rename(2) and fsync(2) report.
pub fn rename_durably(from: &Path, to: &Path) -> Result<(), SysError> {
    std::fs::rename(from, to).map_err(|e| failed("rename to", to, e))?;
    sync_directory(parent(to))
}

/// The folder of a path; `.` for a bare name.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Why a lock file was not acquired.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another open lock file description holds it.
    #[error(
        "{} is locked by {}: one process writes there at a time; wait for it, or use another folder",
        path.display(), owner(*pid)
    )]
    Held {
        /// The lock file.
        path: PathBuf,
        /// The owner's process id, if the file says it.
        pid: Option<u32>,
    },
    /// The file could not be opened, locked or written.
    #[error(transparent)]
    System(#[from] SysError),
}

fn owner(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// Whether this errno of a call for a lock says that the file system has none (flock(2), fcntl(2)).
#[must_use]
pub const fn is_without_locks(errno: i32) -> bool {
    matches!(errno, libc::EOPNOTSUPP | libc::ENOSYS | libc::ENOLCK)
}

/// An exclusive lock (flock(2)) on a file that holds the owner's pid. Freed when dropped or when the process ends in
/// whatever way; the file itself stays, since removing it would let two owners lock two files of one name.
#[derive(Debug)]
pub struct LockFile {
    file: File,
}

impl LockFile {
    /// Locks `path`, creating it if needed, and writes this process's pid into it.
    ///
    /// # Errors
    /// [`LockError::Held`] with the owner's pid if another holds it. If it is a link, or no file that has only this name:
    /// somebody else may own the folder, and what they planted there is not written through.
    pub fn acquire(path: &Path) -> Result<LockFile, LockError> {
        let file = open_own(path).map_err(|e| {
            let error = failed("open the lock file", path, e);
            match error.errno() {
                Some(libc::ELOOP) => error.with_hint("it is a symbolic link: remove it"),
                _ => error,
            }
        })?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(LockError::Held { path: path.to_owned(), pid: read_pid(&file) });
            }
            Err(e) => return Err(failed("lock", path, e.into()).into()),
        }
        let text = format!("{}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.write_all_at(text.as_bytes(), 0))
            .map_err(|e| failed("write the pid into", path, e))?;
        Ok(LockFile { file })
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // To close it is not enough: a process that another thread is just starting has a copy of the descriptor until
        // its exec, and would keep the lock until then (flock(2)).
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// For what somebody else may have planted: a link is not followed (`ELOOP`), a FIFO not waited for, a terminal not taken
/// (open(2)). What was opened is still to be looked at.
pub fn carefully(options: &mut OpenOptions) -> &mut OpenOptions {
    let careful = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    options.custom_flags(careful.bits().cast_signed())
}

/// Opens or creates a regular file that has no other name, following no link.
fn open_own(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = carefully(options.read(true).write(true).create(true).truncate(false)).open(path)?;
    let found = file.metadata()?;
    if found.is_file() && found.nlink() == 1 {
        return Ok(file);
    }
    Err(io::Error::other("it is no regular file with this one name: remove it"))
}

/// The pid in a lock file; `None` while its owner is just writing it.
fn read_pid(file: &File) -> Option<u32> {
    let mut text = [0; 16];
    let length = file.read_at(&mut text, 0).ok()?;
    std::str::from_utf8(text.get(..length)?).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_with_the_owners_pid() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = LockFile::acquire(&path).unwrap();
        match LockFile::acquire(&path).unwrap_err() {
            LockError::Held { pid, .. } => assert_eq!(pid, Some(std::process::id())),
            other => panic!("{other}"),
        }
        drop(first);
        LockFile::acquire(&path).unwrap();
    }

    #[test]
    fn a_copy_of_the_descriptor_does_not_keep_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = LockFile::acquire(&path).unwrap();
        let _inherited = lock.file.try_clone().unwrap();
        drop(lock);
        LockFile::acquire(&path).unwrap();
    }

    #[test]
    fn a_lock_file_that_somebody_planted_is_refused_and_what_it_leads_to_stays() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        let at = |name| folder.path().join(name);
        std::os::unix::fs::symlink(&victim, at("link")).unwrap();
        std::os::unix::fs::symlink(at("nowhere"), at("dangling")).unwrap();
        std::fs::hard_link(&victim, at("hard link")).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), rustix::fs::FileType::Fifo, mode, 0)
            .unwrap();
        for name in ["link", "dangling", "hard link", "folder", "fifo"] {
            let error = LockFile::acquire(&at(name)).unwrap_err();
            assert!(matches!(error, LockError::System(_)), "{name}: {error}");
            assert!(error.to_string().contains(name), "{error}");
        }
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
        assert!(!at("nowhere").exists());
    }

    #[test]
    fn sparse_files_read_zeros_and_keep_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new");
        let file = create_sparse(&path, 1 << 20).unwrap();
        assert!(create_sparse(&path, 1).is_err(), "the file exists");
        reserve(&file, 4096, 8192).unwrap();
        write_at(&file, b"abc", 5000).unwrap();
        sync_data(&file).unwrap();
        let mut back = [9; 5];
        read_at(&file, &mut back, 4999).unwrap();
        assert_eq!(&back, b"\0abc\0");
        assert_eq!(file.metadata().unwrap().len(), 1 << 20);
        read_at(&file, &mut back, (1 << 20) - 4).unwrap_err();
    }

    #[test]
    fn renaming_replaces_and_is_seen_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&from, "new").unwrap();
        std::fs::write(&to, "old").unwrap();
        rename_durably(&from, &to).unwrap();
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "new");
        assert!(!from.exists());
        assert_eq!(parent(Path::new("bare")), Path::new("."));
    }
}
