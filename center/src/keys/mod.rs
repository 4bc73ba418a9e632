//! The directory of keys: the center's, an edge's, a client's, and one for each sealed title.
//!
//! ```text
//! <keys>/center.key  center.pub     Ed25519: signs manifests and tokens
//!        edge.key    edge.pub       X25519: an edge's Noise key
//!        client.key  client.pub     X25519: a client's Noise key
//!        titles/<set>.key           the title key of a sealed set
//!        titles/<set>.clear         marks a set that was packed in the clear
//! ```
//!
//! Keys are made on first use and never overwritten.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use segcast_keys::file::{self, KeyFileError};
use segcast_keys::keytext::KeyKind;
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::handshake::StaticSecret;
use segcast_proto::ids::SetId;
use segcast_proto::segment::cipher::TitleKey;
use zeroize::Zeroizing;

/// What is wrong with the directory of keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyDirError {
    /// A file in it.
    #[error(transparent)]
    File(#[from] KeyFileError),
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
        set: SetId,
        /// Where its file would be.
        folder: PathBuf,
    },
    /// The system has no randomness.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

/// What the files hold of a packed set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TitleRecord {
    /// Sealed under this title key.
    Sealed(TitleKey),
    /// Packed in the clear.
    Clear,
}

/// A pair of X25519 keys.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// The private key.
    pub secret: StaticSecret,
    /// The public key.
    pub public: [u8; 32],
}

/// The directory of keys.
#[derive(Clone, Debug)]
pub struct KeyDir {
    root: PathBuf,
}

impl KeyDir {
    /// Opens the directory, and makes it (mode 0700) when it is not there. One that has all keys need not be writable.
    ///
    /// # Errors
    /// [`KeyDirError`].
    pub fn open(root: &Path) -> Result<Self, KeyDirError> {
        make_folder(root)?;
        Ok(Self { root: root.to_owned() })
    }

    /// The center's signing key.
    ///
    /// # Errors
    /// [`KeyDirError`].
    pub fn center(&self) -> Result<SigningKey, KeyDirError> {
        let derive = |seed: &[u8; 32]| SigningKey::from_seed(seed).public();
        let kinds = (KeyKind::CenterSecret, KeyKind::CenterPublic);
        let (seed, _) = self.pair("center", kinds, derive)?;
        Ok(SigningKey::from_seed(&seed))
    }

    /// An edge's Noise keys.
    ///
    /// # Errors
    /// [`KeyDirError`].
    pub fn edge(&self) -> Result<KeyPair, KeyDirError> {
        self.x25519("edge", (KeyKind::EdgeSecret, KeyKind::EdgePublic))
    }

    /// A client's Noise keys.
    ///
    /// # Errors
    /// [`KeyDirError`].
    pub fn client(&self) -> Result<KeyPair, KeyDirError> {
        self.x25519("client", (KeyKind::ClientSecret, KeyKind::ClientPublic))
    }

    /// Where the title key of `set` lies, or would lie.
    #[must_use]
    pub fn title_path(&self, set: SetId) -> PathBuf {
        self.titles().join(format!("{set}.key"))
    }

    /// Keeps what `set` was packed with.
    ///
    /// # Errors
    /// [`KeyDirError`]; [`KeyFileError::Exists`] when there is a record of this set.
    pub fn record_title(&self, set: SetId, record: &TitleRecord) -> Result<(), KeyDirError> {
        make_folder(&self.titles())?;
        match record {
            TitleRecord::Sealed(key) => {
                file::create(&self.title_path(set), KeyKind::Title, key.as_bytes())?;
            }
            TitleRecord::Clear => file::create_mark(&self.clear_path(set))?,
        }
        Ok(())
    }

    /// What `set` was packed with.
    ///
    /// # Errors
    /// [`KeyDirError::UnknownTitle`] when there is no record of it; any other when it cannot be read.
    pub fn title(&self, set: SetId) -> Result<TitleRecord, KeyDirError> {
        match file::read(&self.title_path(set), KeyKind::Title) {
            Ok(key) => Ok(TitleRecord::Sealed(TitleKey::new(*key))),
            Err(error) if error.is_not_found() && self.clear_path(set).exists() => {
                Ok(TitleRecord::Clear)
            }
            Err(error) if error.is_not_found() => {
                Err(KeyDirError::UnknownTitle { set, folder: self.titles() })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn titles(&self) -> PathBuf {
        self.root.join("titles")
    }

    fn clear_path(&self, set: SetId) -> PathBuf {
        self.titles().join(format!("{set}.clear"))
    }

    fn x25519(&self, stem: &str, kinds: (KeyKind, KeyKind)) -> Result<KeyPair, KeyDirError> {
        let derive = |secret: &[u8; 32]| StaticSecret::new(*secret).public();
        let (secret, public) = self.pair(stem, kinds, derive)?;
        Ok(KeyPair { secret: StaticSecret::new(*secret), public })
    }

    /// Reads a pair, making what is missing: the secret from randomness, the public key from the secret.
    fn pair(
        &self,
        stem: &str,
        (secret_kind, public_kind): (KeyKind, KeyKind),
        derive: impl Fn(&[u8; 32]) -> [u8; 32],
    ) -> Result<(Zeroizing<[u8; 32]>, [u8; 32]), KeyDirError> {
        let secret_path = self.root.join(format!("{stem}.key"));
        let public_path = self.root.join(format!("{stem}.pub"));
        let secret = read_or_create(&secret_path, secret_kind, || random().map(Zeroizing::new))?;
        let public = derive(&secret);
        let stored = read_or_create(&public_path, public_kind, || Ok(Zeroizing::new(public)))?;
        if *stored != public {
            return Err(KeyDirError::Mismatch { public: public_path, secret: secret_path });
        }
        Ok((secret, public))
    }
}

/// Makes a folder for its owner alone; one that is there is left as it is.
fn make_folder(folder: &Path) -> Result<(), KeyFileError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(KeyFileError::io(folder, "make the directory"))
}

/// Fresh random bytes from the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], KeyDirError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(KeyDirError::Random)?;
    Ok(bytes)
}

/// Reads the key, or makes it when there is none; whoever is first among several processes makes it for all.
fn read_or_create(
    path: &Path,
    kind: KeyKind,
    make: impl FnOnce() -> Result<Zeroizing<[u8; 32]>, KeyDirError>,
) -> Result<Zeroizing<[u8; 32]>, KeyDirError> {
    match file::read(path, kind) {
        Err(error) if error.is_not_found() => {}
        found => return Ok(found?),
    }
    match file::create(path, kind, make()?.as_slice()) {
        Ok(()) | Err(KeyFileError::Exists { .. }) => Ok(file::read(path, kind)?),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use segcast_keys::keytext;

    use super::*;

    fn keys() -> (tempfile::TempDir, KeyDir) {
        let folder = tempfile::tempdir().unwrap();
        let keys = KeyDir::open(&folder.path().join("a/keys")).unwrap();
        (folder, keys)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn keys_are_made_on_first_use_and_stay() {
        let (_folder, keys) = keys();
        assert_eq!(mode(&keys.root), 0o700);
        let (center, edge, client) =
            (keys.center().unwrap(), keys.edge().unwrap(), keys.client().unwrap());
        let again = KeyDir::open(&keys.root).unwrap();
        assert_eq!(again.center().unwrap().public(), center.public());
        assert_eq!(again.edge().unwrap().public, edge.public);
        assert_eq!(again.client().unwrap().secret.expose(), client.secret.expose());
        assert_ne!(edge.public, client.public);
        for (name, expected) in [("center", center.public()), ("edge", edge.public)] {
            assert_eq!(mode(&keys.root.join(format!("{name}.key"))), 0o600);
            let kind = if name == "edge" { KeyKind::EdgePublic } else { KeyKind::CenterPublic };
            let text = fs::read_to_string(keys.root.join(format!("{name}.pub"))).unwrap();
            assert_eq!(*keytext::parse::<32>(kind, &text).unwrap(), expected);
        }
    }

    #[test]
    fn a_lost_public_key_is_written_again_and_a_foreign_one_is_told() {
        let (_folder, keys) = keys();
        let public = keys.edge().unwrap().public;
        fs::remove_file(keys.root.join("edge.pub")).unwrap();
        assert_eq!(keys.edge().unwrap().public, public);
        let foreign = keytext::format(KeyKind::EdgePublic, &[9; 32]);
        fs::write(keys.root.join("edge.pub"), foreign.as_bytes()).unwrap();
        assert!(matches!(keys.edge(), Err(KeyDirError::Mismatch { .. })));
    }

    #[test]
    fn a_damaged_secret_is_an_error_and_not_replaced() {
        let (_folder, keys) = keys();
        keys.center().unwrap();
        let path = keys.root.join("center.key");
        fs::write(&path, "segcast-center-secret:AAAA\n").unwrap();
        assert!(matches!(keys.center(), Err(KeyDirError::File(KeyFileError::Text { .. }))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "segcast-center-secret:AAAA\n");
    }

    #[test]
    fn titles_are_recorded_once_and_found_again() {
        let (_folder, keys) = keys();
        let (sealed, clear) = (SetId([1; 16]), SetId([2; 16]));
        let record = TitleRecord::Sealed(TitleKey::new([3; 16]));
        keys.record_title(sealed, &record).unwrap();
        keys.record_title(clear, &TitleRecord::Clear).unwrap();
        assert_eq!(keys.title(sealed).unwrap(), record);
        assert_eq!(keys.title(clear).unwrap(), TitleRecord::Clear);
        assert_eq!(mode(&keys.title_path(sealed)), 0o600);
        let again = keys.record_title(sealed, &TitleRecord::Sealed(TitleKey::new([4; 16])));
        assert!(matches!(again, Err(KeyDirError::File(KeyFileError::Exists { .. }))));
        assert_eq!(keys.title(sealed).unwrap(), record);
        let unknown = keys.title(SetId([5; 16])).unwrap_err();
        assert!(matches!(unknown, KeyDirError::UnknownTitle { .. }), "{unknown}");
    }
}
