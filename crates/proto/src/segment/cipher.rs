//! Encryption of stored segments: AES-128-CTR under a key of its own for each segment (section 12).
//!
//! A key encrypts one segment once, so the counter can start at zero. There is no tag: integrity is the
//! digest's in the signed manifest.

use core::fmt;

use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::crypto::hash::{constant_time_eq, hkdf_expand, hkdf_extract};
use crate::ids::SetId;

/// A title key, bytes.
pub const TITLE_KEY_LEN: usize = 16;
/// The salt in a manifest, bytes.
pub const SALT_LEN: usize = 16;
/// The key commitment in a manifest, bytes.
pub const COMMITMENT_LEN: usize = 32;

const SEGMENT_LABEL: &[u8] = b"segcast v1 segment";
const COMMITMENT_LABEL: &[u8] = b"segcast v1 commitment";

/// The secret of one title. Wiped from memory when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct TitleKey([u8; TITLE_KEY_LEN]);

impl TitleKey {
    /// The key made of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; TITLE_KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; TITLE_KEY_LEN] {
        &self.0
    }
}

impl PartialEq for TitleKey {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(&self.0, &other.0)
    }
}

impl Eq for TitleKey {}

impl fmt::Debug for TitleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TitleKey(..)")
    }
}

/// Encrypts and decrypts the segments of one set.
pub struct SegmentCipher {
    prk: Zeroizing<[u8; 32]>,
    set: SetId,
}

impl SegmentCipher {
    /// The cipher of `set` under its title key and the salt of its manifest.
    #[must_use]
    pub fn new(key: &TitleKey, salt: &[u8; SALT_LEN], set: SetId) -> Self {
        Self { prk: Zeroizing::new(hkdf_extract(salt, key.as_bytes())), set }
    }

    /// Encrypts a plain segment, or decrypts a stored one, in place: the two are one operation. `bytes` may
    /// be the head of the segment alone.
    pub fn apply(&self, segment: u32, bytes: &mut [u8]) {
        let key = UnboundCipherKey::new(&AES_128, self.segment_key(segment).as_slice())
            .and_then(EncryptingKey::ctr)
            .expect("every 16 bytes are an AES-128 key");
        let first_counter = EncryptionContext::Iv128(FixedLength::from([0; 16]));
        key.less_safe_encrypt(bytes, first_counter).expect("counter mode takes any length");
    }

    /// What a manifest says of the title key without giving it away.
    #[must_use]
    pub fn commitment(&self) -> [u8; COMMITMENT_LEN] {
        let mut out = [0; COMMITMENT_LEN];
        hkdf_expand(&self.prk, &[COMMITMENT_LABEL, &self.set.0], &mut out);
        out
    }

    /// Whether the title key is the one that `commitment` was made for.
    #[must_use]
    pub fn matches(&self, commitment: &[u8; COMMITMENT_LEN]) -> bool {
        constant_time_eq(&self.commitment(), commitment)
    }

    /// The AES key of one segment.
    fn segment_key(&self, segment: u32) -> Zeroizing<[u8; 16]> {
        let mut out = Zeroizing::new([0; 16]);
        let info: [&[u8]; 3] = [SEGMENT_LABEL, &self.set.0, &segment.to_be_bytes()];
        hkdf_expand(&self.prk, &info, out.as_mut_slice());
        out
    }
}

impl fmt::Debug for SegmentCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentCipher").field("set", &self.set).finish_non_exhaustive()
    }
}

#[cfg(not(miri))] // Miri does not run C: aws-lc
#[cfg(test)]
mod tests {
    use aes_gcm::aes::Aes128;
    use aes_gcm::aes::cipher::{BlockEncrypt, KeyInit};

    use super::*;

    fn cipher(key: u8, salt: u8, set: u8) -> SegmentCipher {
        SegmentCipher::new(&TitleKey::new([key; 16]), &[salt; 16], SetId([set; 16]))
    }

    /// Counter mode built from another library's single block encryption: block j is AES(key, j).
    fn independent_ctr(key: &[u8; 16], bytes: &mut [u8]) {
        let aes = Aes128::new(key.into());
        for (counter, chunk) in (0_u128..).zip(bytes.chunks_mut(16)) {
            let mut block = counter.to_be_bytes().into();
            aes.encrypt_block(&mut block);
            chunk.iter_mut().zip(block).for_each(|(byte, pad)| *byte ^= pad);
        }
    }

    #[test]
    fn a_segment_is_what_another_implementation_makes_of_it() {
        let cipher = cipher(1, 2, 3);
        let plain: Vec<u8> = (0..70_001_u32).map(|i| (i * 7) as u8).collect();
        let (mut ours, mut theirs) = (plain.clone(), plain);
        cipher.apply(4, &mut ours);
        independent_ctr(&cipher.segment_key(4), &mut theirs);
        assert!(ours == theirs);
    }

    #[test]
    fn keys_and_commitment_follow_the_specification() {
        // Written out with HMAC alone: HKDF-Expand of at most one block is HMAC(prk, info ‖ 1).
        use crate::crypto::hash::hmac256;
        let cipher = cipher(1, 2, 3);
        let prk = hmac256(&[2; 16], &[&[1; 16]]);
        let key = hmac256(&prk, &[b"segcast v1 segment", &[3; 16], &[0, 0, 1, 2], &[1]]);
        assert_eq!(cipher.segment_key(0x0102).as_slice(), &key[..16]);
        let commitment = hmac256(&prk, &[b"segcast v1 commitment", &[3; 16], &[1]]);
        assert_eq!(cipher.commitment(), commitment);
    }

    #[test]
    fn applying_twice_gives_the_plain_bytes_back() {
        let cipher = cipher(1, 2, 3);
        let mut bytes = [5_u8; 1000];
        cipher.apply(9, &mut bytes);
        assert_ne!(bytes, [5; 1000]);
        cipher.apply(9, &mut bytes[..100]);
        assert_eq!(bytes[..100], [5; 100]);
        cipher.apply(9, &mut []);
    }

    #[test]
    fn every_input_of_the_key_changes_the_stream() {
        let stream = |key, salt, set, segment| {
            let mut bytes = [0_u8; 32];
            cipher(key, salt, set).apply(segment, &mut bytes);
            bytes
        };
        let all = [
            stream(1, 1, 1, 1),
            stream(2, 1, 1, 1),
            stream(1, 2, 1, 1),
            stream(1, 1, 2, 1),
            stream(1, 1, 1, 2),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(all.iter().skip(i + 1).all(|other| one != other));
        }
    }

    #[test]
    fn a_commitment_tells_keys_apart() {
        assert!(cipher(1, 2, 3).matches(&cipher(1, 2, 3).commitment()));
        assert!(!cipher(1, 2, 3).matches(&cipher(4, 2, 3).commitment()));
    }

    #[test]
    fn debug_shows_no_key() {
        let shown = format!("{:?} {:?}", TitleKey::new([0xAB; 16]), cipher(0xAB, 2, 3));
        assert!(!shown.contains("171") && !shown.to_lowercase().contains("ab, "), "{shown}");
    }
}
