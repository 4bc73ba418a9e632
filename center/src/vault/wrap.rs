//! How secrets lie in the database: AES-256-GCM-SIV (RFC 8452) under a key of their table.
//!
//! Wrapped = master id (4) ‖ nonce (12) ‖ ciphertext ‖ tag (16). The key is HKDF-SHA256 of the master key with the
//! table as `info`; the table and the row's primary key are authenticated, so that a row moved to another place does
//! not open. SIV: a nonce that came twice would tell that two secrets are equal, and nothing else.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use zeroize::Zeroizing;

use super::VaultError;

/// Bytes of a master key's id.
pub(super) const ID_LEN: usize = 4;

/// What wrapping adds to a secret, bytes.
pub(super) const OVERHEAD: usize = ID_LEN + NONCE_LEN + 16;

/// HKDF's salt: what else is ever derived from a master key has another.
const CONTEXT: &[u8] = b"segcast v1 master key";

/// The master key, ready to wrap and unwrap.
#[derive(Debug)]
pub(super) struct Wrapper {
    id: [u8; ID_LEN],
    extracted: Prk,
}

impl Wrapper {
    /// Of the master key `key`, whose id is `id`.
    pub(super) fn new(id: [u8; ID_LEN], key: &[u8]) -> Self {
        Self { id, extracted: Salt::new(HKDF_SHA256, CONTEXT).extract(key) }
    }

    /// Wraps `plain` as the secret of the row `key` of `table`.
    pub(super) fn wrap(&self, table: &str, key: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce)
            .expect("getrandom(2) does not fail on a system that has started");
        let mut wrapped = Vec::with_capacity(OVERHEAD + plain.len());
        wrapped.extend_from_slice(&self.id);
        wrapped.extend_from_slice(&nonce);
        let mut sealed = Zeroizing::new(plain.to_vec());
        let tag = self
            .key(table)
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                aad(table, key),
                &mut sealed,
            )
            .expect("what is wrapped is shorter than the 2^36 bytes of RFC 8452");
        wrapped.extend_from_slice(&sealed);
        wrapped.extend_from_slice(tag.as_ref());
        wrapped
    }

    /// The secret that was wrapped as that of the row `key` of `table`.
    pub(super) fn unwrap(
        &self,
        table: &str,
        key: &[u8],
        wrapped: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let damaged = || VaultError::Damaged { table: table.to_owned() };
        let (id, rest) = wrapped.split_first_chunk::<ID_LEN>().ok_or_else(damaged)?;
        if *id != self.id {
            return Err(VaultError::OtherMaster {
                wanted: hex::encode(id),
                given: hex::encode(self.id),
            });
        }
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(damaged)?;
        let mut plain = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.key(table).open_in_place(nonce, aad(table, key), &mut plain);
        let length = opened.map_err(|_| damaged())?.len();
        plain.truncate(length);
        Ok(plain)
    }

    fn key(&self, table: &str) -> LessSafeKey {
        let info = [table.as_bytes()];
        let derived = self
            .extracted
            .expand(&info, &AES_256_GCM_SIV)
            .expect("32 bytes are fewer than 255 hashes");
        LessSafeKey::new(UnboundKey::from(derived))
    }
}

/// Table ‖ 0 ‖ primary key: no name of a table has a zero byte.
fn aad(table: &str, key: &[u8]) -> Aad<Vec<u8>> {
    Aad::from([table.as_bytes(), &[0], key].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapper(byte: u8) -> Wrapper {
        Wrapper::new([byte; ID_LEN], &[byte; 32])
    }

    #[test]
    fn what_was_wrapped_opens_in_its_own_place_only() {
        let vault = wrapper(1);
        let wrapped = vault.wrap("title_keys", b"set", b"secret");
        assert_eq!(wrapped.len(), OVERHEAD + 6);
        assert_eq!(*vault.unwrap("title_keys", b"set", &wrapped).unwrap(), b"secret");
        for (table, key) in [("title_key", "sset"), ("title_keys", "sex"), ("tickets", "set")] {
            let error = vault.unwrap(table, key.as_bytes(), &wrapped).unwrap_err();
            assert!(matches!(error, VaultError::Damaged { .. }), "{error}");
        }
        assert_ne!(vault.wrap("title_keys", b"set", b"secret"), wrapped, "a nonce of its own");
    }

    #[test]
    fn a_changed_or_cut_secret_does_not_open_and_another_master_is_named() {
        let wrapped = wrapper(1).wrap("t", b"k", b"secret");
        for length in 0..wrapped.len() {
            assert!(wrapper(1).unwrap("t", b"k", &wrapped[..length]).is_err());
            let mut changed = wrapped.clone();
            changed[length] ^= 1;
            assert!(wrapper(1).unwrap("t", b"k", &changed).is_err());
        }
        let error = wrapper(2).unwrap("t", b"k", &wrapped).unwrap_err().to_string();
        assert!(error.contains("01010101") && error.contains("02020202"), "{error}");
    }
}
