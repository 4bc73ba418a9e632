//! Which keys an edge has: its own secret, and the public keys of the centers that it believes.

use std::path::{Path, PathBuf};

use segcast_keys::file::{self, KeyFileError};
use segcast_keys::keytext::KeyKind;
use segcast_proto::handshake::StaticSecret;
use zeroize::Zeroizing;

use crate::limits;

/// What a file of public keys in a directory is called.
const PUBLIC_SUFFIX: &str = "pub";

/// A key cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file cannot be read, is no such key, or is a secret that others can read.
    #[error(transparent)]
    File(#[from] KeyFileError),
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

/// The edge's secret key.
///
/// # Errors
/// [`KeyError::File`]; a file that others can read is refused.
pub(crate) fn edge_secret(path: &Path) -> Result<StaticSecret, KeyError> {
    Ok(StaticSecret::new(*file::read(path, KeyKind::EdgeSecret)?))
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
            let key: Zeroizing<[u8; 32]> = file::read(&file, KeyKind::CenterPublic)?;
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
    let unreadable = || KeyFileError::io(directory, "list it");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable())? {
        let path = entry.map_err(unreadable())?.path();
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

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use segcast_keys::keytext;

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
            Err(KeyError::File(KeyFileError::Io { .. }))
        ));
    }

    #[test]
    fn a_public_key_is_no_edge_key() {
        let directory = tempfile::tempdir().expect("tempdir");
        let path = public(directory.path(), "edge.key", 1);
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("chmod");
        let error = edge_secret(&path).expect_err("wrong kind").to_string();
        assert!(error.contains("segcast-edge-secret"), "{error}");
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().expect("tempdir");
        let path = directory.path().join("edge.key");
        file::create(&path, KeyKind::EdgeSecret, &[7; 32]).expect("created");
        assert_eq!(edge_secret(&path).expect("key").expose(), &[7; 32]);
        for mode in [0o640, 0o604, 0o660] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).expect("chmod");
            let error = edge_secret(&path).expect_err("others can read it").to_string();
            let advice = format!("chmod 600 {}", path.display());
            assert!(error.contains(&format!("{mode:04o}")) && error.contains(&advice), "{error}");
        }
    }
}
