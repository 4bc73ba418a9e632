//! AES-GCM of another author, with keys and nonces made by section 3 and not by our code.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes128Gcm, Aes256Gcm, KeyInit};
use segcast_proto::crypto::hash::hkdf_expand;

/// IV XOR (0x00000000 ‖ sequence number).
pub(crate) fn nonce(iv: [u8; 12], sequence: u64) -> [u8; 12] {
    let number = u128::from(sequence).to_be_bytes();
    core::array::from_fn(|i| iv[i] ^ number[4 + i])
}

/// Key and IV of an epoch's secret.
pub(crate) fn key_and_iv(suite: u8, secret: &[u8; 32]) -> (Vec<u8>, [u8; 12]) {
    let mut key = vec![0; if suite == 1 { 16 } else { 32 }];
    hkdf_expand(secret, &[b"segcast v1 key"], &mut key);
    let mut iv = [0; 12];
    hkdf_expand(secret, &[b"segcast v1 iv"], &mut iv);
    (key, iv)
}

/// Ciphertext and tag. The key's length says which AES it is.
pub(crate) fn seal(key: &[u8], nonce: [u8; 12], aad: &[u8], msg: &[u8]) -> Vec<u8> {
    let (nonce, payload) = (nonce.into(), Payload { msg, aad });
    match key.len() {
        16 => Aes128Gcm::new_from_slice(key).unwrap().encrypt(&nonce, payload).unwrap(),
        _ => Aes256Gcm::new_from_slice(key).unwrap().encrypt(&nonce, payload).unwrap(),
    }
}

/// The plaintext, if the tag is right.
pub(crate) fn open(key: &[u8], nonce: [u8; 12], aad: &[u8], msg: &[u8]) -> Option<Vec<u8>> {
    let (nonce, payload) = (nonce.into(), Payload { msg, aad });
    match key.len() {
        16 => Aes128Gcm::new_from_slice(key).unwrap().decrypt(&nonce, payload).ok(),
        _ => Aes256Gcm::new_from_slice(key).unwrap().decrypt(&nonce, payload).ok(),
    }
}
