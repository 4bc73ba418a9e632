//! The output of a fetch: `NAME.part` and its journal while it grows, `NAME` once it is complete.
//!
//! Order of writes: data, `fdatasync`, journal record, `fdatasync`. So what the journal names was
//! on the disk before, whatever the machine did in between, and a killed fetch goes on from there.
//! The part file is locked while in use, and an existing `NAME` is never replaced unasked. Whatever is no regular file is
//! neither written nor replaced, and of links beside `NAME` none is followed.

/// Which segments are there.
pub mod bitmap;
/// The journal's bytes.
pub mod journal;
/// Opening what may be a trap.
mod open;
/// Where a title may be put.
pub mod output;
/// The part file.
pub mod part;
/// Renaming without replacing.
mod place;

use std::io;
use std::path::{Path, PathBuf};

pub use bitmap::Bitmap;
pub use journal::{Identity, JournalError};
pub use part::PartFile;

/// What is added to the output's name for its part file …
const PART: &str = ".part";
/// … for the journal …
const JOURNAL: &str = ".part.journal";
/// … and once more while a new journal is written.
const NEW: &str = ".new";

/// What can go wrong with the output file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The output is there already.
    #[error("{} exists already", path.display())]
    Exists {
        /// The output.
        path: PathBuf,
    },
    /// Something that is no file of one name: a title is not put into a device, and no trap is stepped into.
    #[error("{} is {what}: a title is put into regular files only", path.display())]
    Irregular {
        /// Where.
        path: PathBuf,
        /// What it is, with its article.
        what: &'static str,
    },
    /// The file system has no room for the names of the part file and its journal.
    #[error("{}: a name of {length} bytes: at most {most} leave room for the part file's journal", path.display())]
    NameTooLong {
        /// The output.
        path: PathBuf,
        /// Bytes of its name.
        length: usize,
        /// How many there may be.
        most: usize,
    },
    /// A limit on the size of files: the process's (`RLIMIT_FSIZE`) or the file system's.
    #[error("{} cannot grow any further ({source})", path.display())]
    TooLarge {
        /// What was being written.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another process is fetching to the same name.
    #[error("{} is in use by another process", path.display())]
    InUse {
        /// The part file.
        path: PathBuf,
    },
    /// A part file without a journal: not ours, or its journal was lost.
    #[error("{} is there without its journal {}", part.display(), journal.display())]
    PartWithoutJournal {
        /// The part file.
        part: PathBuf,
        /// Where the journal should be.
        journal: PathBuf,
    },
    /// The journal cannot be continued.
    #[error("{}: {reason}", path.display())]
    Journal {
        /// The journal.
        path: PathBuf,
        /// Why not.
        reason: JournalError,
    },
    /// No space left.
    #[error("the disk is full: {} could not be written ({source})", path.display())]
    Full {
        /// What was being written.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Any other answer of the system.
    #[error("could not {operation} {}: {source}", path.display())]
    System {
        /// What was tried: open, write, …
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl FileError {
    /// Sorts an error of `operation` on `path`: a full disk or quota is [`FileError::Full`].
    pub(crate) fn system(operation: &'static str, path: &Path, source: io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        let path = path.to_owned();
        match source.kind() {
            StorageFull | QuotaExceeded => Self::Full { path, source },
            FileTooLarge => Self::TooLarge { path, source },
            _ => Self::System { operation, path, source },
        }
    }
}

/// `path` with `suffix` added to its file name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
