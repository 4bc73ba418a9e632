//! Ed25519 signatures of the center (RFC 8032) and the ids of its keys (sections 6 and 13).

use core::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use super::hash::sha256;

/// A public key.
pub const PUBLIC_KEY_LEN: usize = 32;
/// A signature.
pub const SIGNATURE_LEN: usize = 64;
/// The id of a public key.
pub const KEY_ID_LEN: usize = 8;

/// The id of a public key: the first 8 bytes of its SHA-256.
#[must_use]
pub fn key_id(public: &[u8; PUBLIC_KEY_LEN]) -> [u8; KEY_ID_LEN] {
    let mut id = [0; KEY_ID_LEN];
    id.copy_from_slice(&sha256(&[public])[..KEY_ID_LEN]);
    id
}

/// Whether `signature` is the signature of `message` under `public`.
///
/// Any length of `signature` is taken, all but 64 bytes are refused.
#[must_use]
pub fn verify(public: &[u8; PUBLIC_KEY_LEN], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public).verify(message, signature).is_ok()
}

/// A private key. Every caller begins its messages with a context string of its own, so that a
/// signature over one kind of object is none over another.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// The key of a 32-byte seed (RFC 8032, 5.1.5), which the caller keeps secret.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(seed).expect("every 32 bytes are an Ed25519 seed"))
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> [u8; PUBLIC_KEY_LEN] {
        let mut public = [0; PUBLIC_KEY_LEN];
        public.copy_from_slice(self.0.public_key().as_ref());
        public
    }

    /// Signs `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        let mut signature = [0; SIGNATURE_LEN];
        signature.copy_from_slice(self.0.sign(message).as_ref());
        signature
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").finish_non_exhaustive()
    }
}

#[cfg(not(miri))] // Miri does not run C: aws-lc
#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, 7.1: seed, public key, message, signature of tests 1 to 3.
    const RFC_8032: [[&str; 4]; 3] = [
        [
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ],
        [
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ],
        [
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ],
    ];

    #[test]
    fn signatures_of_rfc_8032() {
        for [seed, public, message, signature] in
            RFC_8032.map(|c| c.map(|t| hex::decode(t).unwrap()))
        {
            let key = SigningKey::from_seed(&seed.try_into().unwrap());
            assert_eq!(key.public().as_slice(), public);
            assert_eq!(key.sign(&message).as_slice(), signature);
            assert!(verify(&key.public(), &message, &signature));
        }
    }

    #[test]
    fn an_altered_or_cut_signature_is_refused() {
        let key = SigningKey::from_seed(&[7; 32]);
        let mut signature = key.sign(b"message");
        assert!(!verify(&key.public(), b"messagf", &signature));
        assert!(!verify(&key.public(), b"message", &signature[..63]));
        assert!(!verify(&SigningKey::from_seed(&[8; 32]).public(), b"message", &signature));
        signature[10] ^= 1;
        assert!(!verify(&key.public(), b"message", &signature));
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", SigningKey::from_seed(&[7; 32])), "SigningKey { .. }");
    }
}
