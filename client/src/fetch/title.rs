//! A title as a client knows it: its signed manifest, and its key where segments are sealed.
//!
//! Nothing that an edge sends is used before it passed here.

use segcast_proto::segment::cipher::{SegmentCipher, TitleKey};
use segcast_proto::segment::manifest::{Manifest, ManifestError, Protection};

/// Why a title cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TitleError {
    /// Pages are missing or wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The set is sealed and there is no key for it.
    #[error("the grant holds no key for set {0}, whose segments are encrypted")]
    NoKey(segcast_proto::ids::SetId),
    /// The key is not the one the set was sealed with (section 12, key commitment).
    #[error("the grant's key for set {0} is not the one that the set was encrypted with")]
    WrongKey(segcast_proto::ids::SetId),
}

/// A whole manifest and what decrypts its segments.
#[derive(Debug)]
pub struct Title {
    manifest: Manifest,
    cipher: Option<SegmentCipher>,
}

impl Title {
    /// Checks the key against the manifest's commitment before anything is fetched.
    ///
    /// # Errors
    /// [`TitleError`].
    pub fn new(manifest: Manifest, key: Option<&TitleKey>) -> Result<Self, TitleError> {
        let cipher = cipher(&manifest, key)?;
        Ok(Self { manifest, cipher })
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Checks that `bytes` are stored segment `segment`, then decrypts them in place.
    ///
    /// # Errors
    /// When they are not; `bytes` are then unchanged.
    pub fn open(&self, segment: u32, bytes: &mut [u8]) -> Result<(), ManifestError> {
        self.manifest.verify_segment(segment, bytes)?;
        if let Some(cipher) = &self.cipher {
            cipher.apply(segment, bytes);
        }
        Ok(())
    }

    /// Checks that `plain`, padded to the size of a segment, is segment `segment`: encrypts it in place
    /// and digests it.
    ///
    /// # Errors
    /// When it is not.
    pub fn recheck(&self, segment: u32, plain: &mut [u8]) -> Result<(), ManifestError> {
        if let Some(cipher) = &self.cipher {
            cipher.apply(segment, plain);
        }
        self.manifest.verify_segment(segment, plain)
    }
}

/// Checks the key against the root alone: before the other pages are fetched.
///
/// # Errors
/// [`TitleError::NoKey`], [`TitleError::WrongKey`].
pub fn cipher(
    manifest: &Manifest,
    key: Option<&TitleKey>,
) -> Result<Option<SegmentCipher>, TitleError> {
    let description = manifest.root().description();
    let Protection::Sealed { salt, commitment } = &description.protection else {
        return Ok(None);
    };
    let key = key.ok_or(TitleError::NoKey(description.set))?;
    let cipher = SegmentCipher::new(key, salt, description.set);
    if !cipher.matches(commitment) {
        return Err(TitleError::WrongKey(description.set));
    }
    Ok(Some(cipher))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, SEGMENT};

    #[test]
    fn opens_what_was_sealed_and_checks_it_again() {
        let sealed = testing::title(2 * SEGMENT as u64 + 9, true);
        let title = sealed.open();
        for (number, stored) in (0..).zip(&sealed.stored) {
            let mut bytes = stored.clone();
            title.open(number, &mut bytes).unwrap();
            assert_eq!(bytes, sealed.plain_segment(number));
            title.recheck(number, &mut bytes).unwrap();
        }
    }

    #[test]
    fn clear_sets_need_no_key() {
        let clear = testing::title(SEGMENT as u64, false);
        let title = Title::new(clear.manifest(), None).unwrap();
        title.open(0, &mut clear.stored[0].clone()).unwrap();
    }

    #[test]
    fn a_flipped_bit_is_refused_and_left_as_it_came() {
        let sealed = testing::title(SEGMENT as u64, true);
        let mut bytes = sealed.stored[0].clone();
        bytes[500] ^= 4;
        let came = bytes.clone();
        assert!(sealed.open().open(0, &mut bytes).is_err());
        assert_eq!(bytes, came);
        assert!(sealed.open().open(1, &mut sealed.stored[0].clone()).is_err());
    }

    #[test]
    fn keys_are_checked_before_anything_is_fetched() {
        let sealed = testing::title(1, true);
        let set = sealed.manifest().root().set();
        assert_eq!(Title::new(sealed.manifest(), None).unwrap_err(), TitleError::NoKey(set));
        let other = TitleKey::new([0xEE; 16]);
        assert_eq!(
            Title::new(sealed.manifest(), Some(&other)).unwrap_err(),
            TitleError::WrongKey(set)
        );
    }
}
