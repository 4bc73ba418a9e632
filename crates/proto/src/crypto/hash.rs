//! SHA-256, HMAC and HKDF (RFC 5869) as Segcast uses them: fixed sizes, no failure at run time.

use core::fmt;

use aws_lc_rs::{constant_time, digest, hkdf, hmac};

/// The output of SHA-256.
pub const SHA256_LEN: usize = 32;

/// The longest output of [`hkdf_expand`]: 255 blocks (RFC 5869, 2.3).
pub const HKDF_EXPAND_MAX: usize = 255 * SHA256_LEN;

/// SHA-256 of the concatenation of `parts`.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; SHA256_LEN] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    array(context.finish().as_ref())
}

/// The first 16 bytes of HMAC-SHA256 under `key` of the concatenation of `parts`.
#[must_use]
pub fn hmac16(key: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    array(&hmac256(key, parts)[..16])
}

/// HMAC-SHA256 under `key` of the concatenation of `parts`.
#[must_use]
pub fn hmac256(key: &[u8], parts: &[&[u8]]) -> [u8; SHA256_LEN] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    array(context.sign().as_ref())
}

/// A key of HMAC-SHA256 that is used again and again: its two blocks are hashed once. Overwritten when dropped (by
/// aws-lc), never printed.
#[derive(Clone)]
pub struct HmacKey(hmac::Key);

impl HmacKey {
    /// Any bytes are a key.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The first 16 bytes of HMAC-SHA256 of the concatenation of `parts`.
    #[must_use]
    pub fn tag16(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        array(&context.sign().as_ref()[..16])
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacKey(..)")
    }
}

/// HKDF-Extract with SHA-256 (RFC 5869, 2.2): the pseudorandom key of `ikm` under `salt`.
#[must_use]
pub fn hkdf_extract(salt: &[u8], ikm: &[u8]) -> [u8; SHA256_LEN] {
    // Extract is nothing but HMAC with the salt as key.
    hmac256(salt, &[ikm])
}

/// HKDF-Expand with SHA-256 (RFC 5869, 2.3) of the concatenation of `info` into all of `out`.
///
/// # Panics
///
/// When `out` is longer than [`HKDF_EXPAND_MAX`]: lengths are the caller's constants.
pub fn hkdf_expand(prk: &[u8; SHA256_LEN], info: &[&[u8]], out: &mut [u8]) {
    assert!(out.len() <= HKDF_EXPAND_MAX, "HKDF-Expand of {} bytes", out.len());
    let length = OutputLength(out.len());
    hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, prk)
        .expand(info, length)
        .and_then(|okm| okm.fill(out))
        .expect("HKDF-Expand fails only for a length over its limit, checked above");
}

/// Whether `a` and `b` are equal, in a time that tells nothing of their bytes (only of their lengths).
#[must_use]
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// A length of output, as aws-lc-rs asks for it.
struct OutputLength(usize);

impl hkdf::KeyType for OutputLength {
    fn len(&self) -> usize {
        self.0
    }
}

/// Copies a slice that is known to be `N` bytes long.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(bytes);
    out
}

#[cfg(not(miri))] // Miri does not run C: aws-lc
#[cfg(test)]
mod tests {
    use super::*;

    fn unhex<const N: usize>(text: &str) -> [u8; N] {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    #[test]
    fn sha256_of_the_fips_180_examples() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&[b"a", b"", b"bc"]), unhex(abc));
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256(&[]), unhex(empty));
    }

    #[test]
    fn hmac_of_rfc_4231_case_2() {
        let tag = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hmac256(b"Jefe", &[b"what do ya want ", b"for nothing?"]), unhex(tag));
        assert_eq!(hmac16(b"Jefe", &[b"what do ya want for nothing?"]), unhex(&tag[..32]));
        let key = HmacKey::new(b"Jefe");
        for _ in 0..2 {
            assert_eq!(key.tag16(&[b"what do ya ", b"want for nothing?"]), unhex(&tag[..32]));
        }
    }

    /// RFC 5869, A.1 to A.3: ikm, salt, info, prk, okm.
    const RFC_5869: [[&str; 5]; 3] = [
        [
            "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
            "000102030405060708090a0b0c",
            "f0f1f2f3f4f5f6f7f8f9",
            "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ],
        [
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
            "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
            "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
            "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ],
        [
            "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
            "",
            "",
            "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ],
    ];

    #[test]
    fn hkdf_of_rfc_5869() {
        for [ikm, salt, info, prk, okm] in RFC_5869.map(|c| c.map(|t| hex::decode(t).unwrap())) {
            let extracted = hkdf_extract(&salt, &ikm);
            assert_eq!(extracted.as_slice(), prk);
            let mut out = vec![0; okm.len()];
            let (first, second) = info.split_at(info.len() / 3);
            hkdf_expand(&extracted, &[first, second], &mut out);
            assert_eq!(out, okm);
        }
    }

    #[test]
    fn comparison_sees_every_byte_and_the_length() {
        assert!(constant_time_eq(b"abc", b"abc"));
        assert!(!constant_time_eq(b"abc", b"abd"));
        assert!(!constant_time_eq(b"abc", b"ab"));
    }
}
