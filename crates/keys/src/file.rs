//! Key and grant files: read by one policy, written once, complete or not at all, never overwritten.
//!
//! A file with a secret is refused when its mode lets anyone but its owner at it (`mode & 0o077`); a grant is
//! always such a file: with its title keys it is worth what the titles are.

use std::fs::{File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::grant::{GRANT_MAX, Grant, GrantError};
use crate::keytext::{self, KeyKind, KeyTextError, TEXT_MAX};

/// The mode of a file that only its owner may read.
const SECRET_MODE: u32 = 0o600;
/// The mode of a public key.
const PUBLIC_MODE: u32 = 0o644;

/// What is wrong with a key or grant file, where, and what would be right.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The system refused.
    #[error("{}: cannot {action}: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// There is a file of this name; keys are never overwritten.
    #[error("{}: exists already and is never overwritten; move it away first", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Others than the owner may read or write a secret.
    #[error(
        "{}: mode {mode:04o} lets others than its owner at a secret; right is 0600: \
         chmod 600 {}", .path.display(), .path.display()
    )]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not the key that belongs there.
    #[error("{}: {source}", .path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// What is wrong with the text.
        source: KeyTextError,
    },
    /// Not a short text file at all.
    #[error("{}: is no key and no grant: they are short texts in UTF-8, this one at most {max} bytes", .path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// The longest text there could be.
        max: usize,
    },
    /// Not a grant.
    #[error("{}: {source}", .path.display())]
    Grant {
        /// The file.
        path: PathBuf,
        /// What is wrong with the text.
        source: GrantError,
    },
}

impl KeyFileError {
    /// Wraps a system error, for `map_err`.
    pub fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { path, action, source }
    }

    /// Whether the file is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Reads the key of this kind from `path`.
///
/// # Errors
/// [`KeyFileError`]; a secret that others may read is refused.
pub fn read<const N: usize>(
    path: &Path,
    kind: KeyKind,
) -> Result<Zeroizing<[u8; N]>, KeyFileError> {
    let text = read_text(path, TEXT_MAX, kind.is_secret())?;
    keytext::parse(kind, &text)
        .map_err(|source| KeyFileError::Text { path: path.to_owned(), source })
}

/// Reads the grant from `path`. Its token's signature is not checked: edges do that.
///
/// # Errors
/// [`KeyFileError`]; a grant that others may read is refused.
pub fn read_grant(path: &Path) -> Result<Grant, KeyFileError> {
    let text = read_text(path, GRANT_MAX, true)?;
    Grant::from_json(&text).map_err(|source| KeyFileError::Grant { path: path.to_owned(), source })
}

/// The text of a file of at most `max` bytes.
fn read_text(path: &Path, max: usize, is_secret: bool) -> Result<Zeroizing<String>, KeyFileError> {
    let file = File::open(path).map_err(KeyFileError::io(path, "open it"))?;
    if is_secret {
        // Of the file that was opened: its name may be another file's by now.
        let metadata = file.metadata().map_err(KeyFileError::io(path, "read its mode"))?;
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyFileError::Mode { path: path.to_owned(), mode });
        }
    }
    // Room for one byte too many, so that nothing is reallocated and a longer file is noticed.
    let mut text = Zeroizing::new(String::with_capacity(max + 1));
    match file.take(max as u64 + 1).read_to_string(&mut text) {
        Ok(length) if length <= max => Ok(text),
        Err(source) if source.kind() != io::ErrorKind::InvalidData => {
            Err(KeyFileError::io(path, "read it")(source))
        }
        _ => Err(KeyFileError::NotText { path: path.to_owned(), max }),
    }
}

/// Writes `key` to a new file `path`, durably, with the mode of its kind.
///
/// # Errors
/// [`KeyFileError::Exists`] when there is a file of this name; [`KeyFileError::Io`].
pub fn create(path: &Path, kind: KeyKind, key: &[u8]) -> Result<(), KeyFileError> {
    let mode = if kind.is_secret() { SECRET_MODE } else { PUBLIC_MODE };
    create_text(path, mode, keytext::format(kind, key).as_bytes())
}

/// Writes `grant` to a new file that only its owner may read, durably.
///
/// # Errors
/// As [`create`].
pub fn create_grant(path: &Path, grant: &Grant) -> Result<(), KeyFileError> {
    create_text(path, SECRET_MODE, grant.to_json().as_bytes())
}

/// Makes a new empty file that only its owner may read, durably: its name says all.
///
/// # Errors
/// As [`create`].
pub fn create_mark(path: &Path) -> Result<(), KeyFileError> {
    create_text(path, SECRET_MODE, b"")
}

/// Writes a file under a temporary name with its final mode, and then gives it its own name: that fails when
/// the name is taken, by a symbolic link too, and a crash leaves no half-written key behind. Neither step
/// follows a link: `O_CREAT | O_EXCL` (open(2)), `RENAME_NOREPLACE` (renameat2(2)) or link(2).
fn create_text(path: &Path, mode: u32, text: &[u8]) -> Result<(), KeyFileError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)
        .map_err(KeyFileError::io(path, "create it"))?;
    file.write_all(text)
        .and_then(|()| file.as_file().sync_all())
        .map_err(KeyFileError::io(path, "write it"))?;
    file.persist_noclobber(path).map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => KeyFileError::Exists { path: path.to_owned() },
        _ => KeyFileError::io(path, "create it")(error.error),
    })?;
    // What is durable is the file; its name is when its folder is.
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(KeyFileError::io(folder, "make its entries durable"))
}

#[cfg(test)]
mod tests;
