//! Opening what lies beside the output, where others may have planted something: a link, a FIFO, a device.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::io::Errno;
use segcast_sysio::file::carefully;

use super::FileError;

/// Opens `path` by `options`, if it is a regular file with no other name than this.
pub(super) fn regular(path: &Path, options: &mut OpenOptions) -> Result<File, FileError> {
    let file = carefully(options).open(path);
    let file = file.map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::LOOP) => irregular(path, "a symbolic link"),
        _ => FileError::system("open", path, error),
    })?;
    let metadata = file.metadata().map_err(|error| FileError::system("look at", path, error))?;
    if let Some(what) = is_irregular(&metadata) {
        return Err(irregular(path, what));
    }
    if metadata.nlink() > 1 {
        return Err(irregular(path, "a file with another name too (a hard link)"));
    }
    Ok(file)
}

/// Makes `path` anew: what is there by this name, but not what a link there leads to, goes away.
pub(super) fn fresh(path: &Path) -> Result<File, FileError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(FileError::system("remove", path, error));
        }
        _ => {}
    }
    regular(path, OpenOptions::new().write(true).create_new(true))
}

/// What it is that is no regular file.
pub(super) fn is_irregular(metadata: &std::fs::Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    match kind {
        kind if kind.is_file() => None,
        kind if kind.is_dir() => Some("a folder"),
        kind if kind.is_fifo() => Some("a FIFO"),
        kind if kind.is_socket() => Some("a socket"),
        kind if kind.is_block_device() || kind.is_char_device() => Some("a device"),
        _ => Some("no regular file"),
    }
}

pub(super) fn irregular(path: &Path, what: &'static str) -> FileError {
    FileError::Irregular { path: path.to_owned(), what }
}
