//! One key in one file: written once, complete or not at all, never overwritten.
//!
//! A new file is written under a temporary name and then linked to its own: linking fails when the name is
//! taken, and a crash leaves no half-written key behind.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use segcast_proto::keytext::{self, KeyKind, KeyTextError, TEXT_MAX};
use zeroize::Zeroizing;

/// The mode of a file that only its owner may read.
pub const SECRET_MODE: u32 = 0o600;
/// The mode of a public key.
pub const PUBLIC_MODE: u32 = 0o644;

/// What is wrong with a key file, where, and what would be right.
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
        "{}: mode {mode:04o} lets others than its owner at a secret key; right is 0600: \
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
    #[error("{}: is no key: a key is one line of text, at most {TEXT_MAX} bytes", .path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// A public key that is not that of the secret beside it.
    #[error(
        "{}: is not the public key of {}; remove it, it is written again from the secret",
        .public.display(), .secret.display()
    )]
    Mismatch {
        /// The public key's file.
        public: PathBuf,
        /// The secret key's file.
        secret: PathBuf,
    },
    /// A set that was never packed with these keys.
    #[error(
        "set {set} is not known here: neither {set}.key nor {set}.clear is in {}",
        .folder.display()
    )]
    UnknownTitle {
        /// The set asked for.
        set: segcast_proto::ids::SetId,
        /// Where its file would be.
        folder: PathBuf,
    },
    /// The system has no randomness.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

impl KeyFileError {
    /// Wraps a system error, for `map_err`.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { path, action, source }
    }

    /// Whether the file is not there.
    pub(crate) fn is_not_found(&self) -> bool {
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
    let file = File::open(path).map_err(KeyFileError::io(path, "open it"))?;
    if kind.is_secret() {
        let metadata = file.metadata().map_err(KeyFileError::io(path, "read its mode"))?;
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyFileError::Mode { path: path.to_owned(), mode });
        }
    }
    // Room for one byte too many, so that nothing is reallocated and a longer file is noticed.
    let mut bytes = Zeroizing::new(Vec::with_capacity(TEXT_MAX + 1));
    file.take(TEXT_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(KeyFileError::io(path, "read it"))?;
    let text = std::str::from_utf8(&bytes).ok().filter(|text| text.len() <= TEXT_MAX);
    let text = text.ok_or_else(|| KeyFileError::NotText { path: path.to_owned() })?;
    keytext::parse(kind, text)
        .map_err(|source| KeyFileError::Text { path: path.to_owned(), source })
}

/// Writes `key` to a new file `path`, durably, with the mode of its kind.
///
/// # Errors
/// [`KeyFileError::Exists`] when there is a file of this name; [`KeyFileError::Io`].
pub fn create(path: &Path, kind: KeyKind, key: &[u8]) -> Result<(), KeyFileError> {
    let mode = if kind.is_secret() { SECRET_MODE } else { PUBLIC_MODE };
    create_text(path, mode, keytext::format(kind, key).as_bytes())
}

/// Writes `text` to a new file `path`, durably: complete, or not at all.
///
/// # Errors
/// As [`create`].
pub fn create_text(path: &Path, mode: u32, text: &[u8]) -> Result<(), KeyFileError> {
    let mut unique = [0; 8];
    getrandom::fill(&mut unique).map_err(KeyFileError::Random)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let temporary = folder.join(format!(".new-{:016x}", u64::from_be_bytes(unique)));
    let written = write_new(&temporary, mode, text).and_then(|()| {
        fs::hard_link(&temporary, path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => KeyFileError::Exists { path: path.to_owned() },
            _ => KeyFileError::io(path, "create it")(source),
        })
    });
    // Whatever happened, the temporary name has served; it may not even be there.
    let _ = fs::remove_file(&temporary);
    written?;
    sync_folder(folder)
}

fn write_new(path: &Path, mode: u32, text: &[u8]) -> Result<(), KeyFileError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(KeyFileError::io(path, "create it"))?;
    file.write_all(text).and_then(|()| file.sync_all()).map_err(KeyFileError::io(path, "write it"))
}

/// Makes the names in `folder` durable.
fn sync_folder(folder: &Path) -> Result<(), KeyFileError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(KeyFileError::io(folder, "make its entries durable"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_key_is_read_back_and_secrets_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("edge.key");
        create(&path, KeyKind::EdgeSecret, &[3; 32]).unwrap();
        assert_eq!(*read::<32>(&path, KeyKind::EdgeSecret).unwrap(), [3; 32]);
        assert_eq!(mode(&path), 0o600);
        let public = folder.path().join("edge.pub");
        create(&public, KeyKind::EdgePublic, &[4; 32]).unwrap();
        // The umask may take bits away, never add any.
        assert_eq!(mode(&public) & !0o644, 0);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file is left");
    }

    #[test]
    fn a_key_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("edge.key");
        create(&path, KeyKind::EdgeSecret, &[3; 32]).unwrap();
        let again = create(&path, KeyKind::EdgeSecret, &[4; 32]);
        assert!(matches!(again, Err(KeyFileError::Exists { .. })), "{again:?}");
        assert_eq!(*read::<32>(&path, KeyKind::EdgeSecret).unwrap(), [3; 32]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_secret_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("edge.key");
        create(&path, KeyKind::EdgeSecret, &[3; 32]).unwrap();
        for bad in [0o640, 0o604, 0o620, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(bad)).unwrap();
            let error = read::<32>(&path, KeyKind::EdgeSecret).unwrap_err();
            assert!(matches!(error, KeyFileError::Mode { mode, .. } if mode == bad), "{error}");
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(read::<32>(&path, KeyKind::EdgeSecret).is_ok());
    }

    #[test]
    fn errors_name_the_file_and_what_would_be_right() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("edge.pub");
        let message = |content: &[u8]| {
            fs::write(&path, content).unwrap();
            read::<32>(&path, KeyKind::EdgePublic).unwrap_err().to_string()
        };
        let other = keytext::format(KeyKind::CenterPublic, &[1; 32]);
        let shown = message(other.as_bytes());
        assert!(shown.contains("edge.pub: line 1 is a `segcast-center-public` key"), "{shown}");
        assert!(message(b"").contains("line 1 is no key"));
        assert!(message(&[0xFF; 20]).contains("one line of text"));
        assert!(message(&[b'a'; TEXT_MAX + 1]).contains("at most 128 bytes"));
        fs::remove_file(&path).unwrap();
        assert!(read::<32>(&path, KeyKind::EdgePublic).unwrap_err().is_not_found());
    }
}
