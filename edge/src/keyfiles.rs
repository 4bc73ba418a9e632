//! Reads the edge's secret key and the centers' public keys from files.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use segcast_keys::keytext::{self, KeyKind, KeyTextError, TEXT_MAX};
use segcast_proto::handshake::StaticSecret;
use zeroize::Zeroizing;

use crate::limits;

/// What a file of public keys in a directory is called.
const PUBLIC_SUFFIX: &str = "pub";

/// A key cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file or directory cannot be read.
    #[error("{}: cannot read it: {reason}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// The system's words.
        reason: std::io::Error,
    },
    /// The file is no such key.
    #[error("{}: {reason}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong, and what would be right.
        reason: KeyTextError,
    },
    /// No public key in all of `center_keys`.
    #[error(
        "center_keys: no center key in {places}: the edge would refuse every client; put the center's public key there, as NAME.{PUBLIC_SUFFIX}"
    )]
    NoCenter {
        /// Where was looked.
        places: String,
    },
    /// More keys than the edge takes.
    #[error("center_keys: more than {} keys", limits::CENTER_KEYS_MAX)]
    TooManyCenters,
}

/// The edge's secret key. A file that others can read is used, with a warning.
///
/// # Errors
/// [`KeyError`].
pub(crate) fn edge_secret(path: &Path) -> Result<StaticSecret, KeyError> {
    let unreadable = |reason| KeyError::Unreadable { path: path.to_owned(), reason };
    let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode();
    if mode & 0o077 != 0 {
        let mode = format_args!("{:o}", mode & 0o777);
        tracing::warn!(path = %path.display(), mode, "others can read the edge's secret key: chmod 600 it");
    }
    let text = read(path)?;
    let key = keytext::parse(KeyKind::EdgeSecret, &text)
        .map_err(|reason| KeyError::Malformed { path: path.to_owned(), reason })?;
    Ok(StaticSecret::new(*key))
}

/// The public keys in `places`: files, and in directories every `*.pub`. Each once, in order of their paths.
///
/// # Errors
/// [`KeyError`]; one malformed file makes all of it fail, so that a typo is not a silent loss of a center.
pub(crate) fn centers(places: &[PathBuf]) -> Result<Vec<[u8; 32]>, KeyError> {
    let mut keys = Vec::new();
    for place in places {
        let files = if place.is_dir() { public_files(place)? } else { vec![place.clone()] };
        for file in files {
            let text = read(&file)?;
            let key: Zeroizing<[u8; 32]> = keytext::parse(KeyKind::CenterPublic, &text)
                .map_err(|reason| KeyError::Malformed { path: file, reason })?;
            if !keys.contains(&*key) {
                keys.push(*key);
            }
            if keys.len() > limits::CENTER_KEYS_MAX {
                return Err(KeyError::TooManyCenters);
            }
        }
    }
    if keys.is_empty() {
        let places: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
        return Err(KeyError::NoCenter { places: places.join(", ") });
    }
    Ok(keys)
}

fn public_files(directory: &Path) -> Result<Vec<PathBuf>, KeyError> {
    let unreadable = |reason| KeyError::Unreadable { path: directory.to_owned(), reason };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == PUBLIC_SUFFIX) {
            files.push(path);
        }
        if files.len() > limits::CENTER_KEYS_MAX {
            return Err(KeyError::TooManyCenters);
        }
    }
    files.sort();
    Ok(files)
}

/// The text of a key file. What is longer than a key is cut, and then is no key.
fn read(path: &Path) -> Result<Zeroizing<String>, KeyError> {
    let unreadable = |reason| KeyError::Unreadable { path: path.to_owned(), reason };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = Zeroizing::new(String::with_capacity(TEXT_MAX + 1));
    file.take(TEXT_MAX as u64 + 1).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(directory: &Path, name: &str, byte: u8) -> PathBuf {
        let path = directory.join(name);
        let text = keytext::format(KeyKind::CenterPublic, &[byte; 32]);
        std::fs::write(&path, text.as_bytes()).expect("write");
        path
    }

    #[test]
    fn centers_come_from_files_and_directories_each_once() {
        let directory = tempfile::tempdir().expect("tempdir");
        let one = public(directory.path(), "one.pub", 1);
        public(directory.path(), "two.pub", 2);
        std::fs::write(directory.path().join("README"), "not a key").expect("write");
        let keys = centers(&[one, directory.path().to_owned()]).expect("keys");
        assert_eq!(keys, [[1; 32], [2; 32]]);
    }

    #[test]
    fn one_bad_file_fails_all_and_is_named() {
        let directory = tempfile::tempdir().expect("tempdir");
        public(directory.path(), "one.pub", 1);
        std::fs::write(directory.path().join("two.pub"), "segcast-center-public:AA\n")
            .expect("write");
        let error = centers(&[directory.path().to_owned()]).expect_err("bad").to_string();
        assert!(error.contains("two.pub"), "{error}");
    }

    #[test]
    fn no_center_at_all_is_an_error() {
        let directory = tempfile::tempdir().expect("tempdir");
        let places = [directory.path().to_owned()];
        assert!(matches!(centers(&places), Err(KeyError::NoCenter { .. })));
        assert!(matches!(
            centers(&[directory.path().join("x.pub")]),
            Err(KeyError::Unreadable { .. })
        ));
    }

    #[test]
    fn a_public_key_is_no_edge_key() {
        let directory = tempfile::tempdir().expect("tempdir");
        let path = public(directory.path(), "edge.key", 1);
        let error = edge_secret(&path).expect_err("wrong kind").to_string();
        assert!(error.contains("segcast-edge-secret"), "{error}");
        std::fs::write(&path, keytext::format(KeyKind::EdgeSecret, &[7; 32]).as_bytes())
            .expect("write");
        assert_eq!(edge_secret(&path).expect("key").expose(), &[7; 32]);
    }
}
