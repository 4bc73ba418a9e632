//! One epoch's key and IV, and the cipher's context, which is built when first needed and can be
//! dropped at any time: it is large, and idle sessions are many.

use core::fmt;

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroize;

use super::Suite;
use super::hash::hkdf_expand;
use crate::limits::{CLEAR_HEADER, FRAME_HEADER};
use crate::wire::{ClearHeader, FrameHeader};

/// The longest key of all suites.
const KEY_MAX: usize = 32;
/// The IV of all suites.
const IV_LEN: usize = 12;

/// Authentication failed, and the bytes are of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotAuthentic;

/// Key, IV and cipher context of one direction and epoch.
pub(super) struct PacketKey {
    context: Option<Box<LessSafeKey>>,
    key: [u8; KEY_MAX],
    iv: [u8; IV_LEN],
    suite: Suite,
}

impl PacketKey {
    /// Key and IV that `secret` gives under two labels (section 3).
    pub(super) fn expand(
        suite: Suite,
        secret: &[u8; 32],
        key_label: &[&[u8]],
        iv_label: &[&[u8]],
    ) -> Self {
        let mut key = [0; KEY_MAX];
        hkdf_expand(secret, key_label, &mut key[..suite.key_len()]);
        let mut iv = [0; IV_LEN];
        hkdf_expand(secret, iv_label, &mut iv);
        let packet_key = Self::new(suite, &key[..suite.key_len()], iv);
        key.zeroize();
        packet_key
    }

    /// `key` must have the suite's length.
    pub(super) fn new(suite: Suite, key: &[u8], iv: [u8; IV_LEN]) -> Self {
        let mut packet_key = Self { context: None, key: [0; KEY_MAX], iv, suite };
        packet_key.key[..suite.key_len()].copy_from_slice(key);
        packet_key
    }

    /// The cipher context, if there is one.
    pub(super) fn cached_context(&self) -> Option<&LessSafeKey> {
        self.context.as_deref()
    }

    /// Drops the cipher context until it is needed again.
    pub(super) fn hibernate(&mut self) {
        self.context = None;
    }

    /// Writes a whole packet into `out`, which is [`OVERHEAD`](crate::limits::OVERHEAD) longer than `payload`.
    #[inline]
    pub(super) fn seal_packet(
        &mut self,
        header: &ClearHeader,
        frame: &FrameHeader,
        payload: &[u8],
        out: &mut [u8],
    ) {
        let (clear, rest) = out.split_at_mut(CLEAR_HEADER);
        let (head, tail) = rest.split_at_mut(FRAME_HEADER);
        let encoded = header.encode();
        clear.copy_from_slice(&encoded);
        head.copy_from_slice(&frame.encode());
        self.seal(header.sequence, &encoded, head, payload, tail);
    }

    /// Encrypts `head` in place and `payload` into `out`, which is 16 bytes longer and ends in the tag.
    ///
    /// One pass over `payload`: it is read once from where it lies and never copied.
    pub(super) fn seal(
        &mut self,
        sequence: u64,
        additional: &[u8],
        head: &mut [u8],
        payload: &[u8],
        out: &mut [u8],
    ) {
        let nonce = self.nonce(sequence);
        crate::faults::observe(&self.key, nonce.as_ref());
        self.context()
            .seal_in_place_scatter(nonce, Aad::from(additional), head, payload, out)
            .expect("AES-GCM fails only on wrong lengths, and these were made here");
    }

    /// Checks the tag at the end of `ciphertext` and decrypts in place.
    pub(super) fn open<'a>(
        &mut self,
        sequence: u64,
        additional: &[u8],
        ciphertext: &'a mut [u8],
    ) -> Result<&'a mut [u8], NotAuthentic> {
        let nonce = self.nonce(sequence);
        self.context()
            .open_in_place(nonce, Aad::from(additional), ciphertext)
            .map_err(|_| NotAuthentic)
    }

    fn nonce(&self, sequence: u64) -> Nonce {
        let mut nonce = self.iv;
        for (byte, number) in nonce[4..].iter_mut().zip(sequence.to_be_bytes()) {
            *byte ^= number;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    fn context(&mut self) -> &LessSafeKey {
        let (suite, key) = (self.suite, &self.key);
        self.context.get_or_insert_with(|| {
            let key = UnboundKey::new(suite.algorithm(), &key[..suite.key_len()])
                .expect("the key has the suite's length");
            Box::new(LessSafeKey::new(key))
        })
    }
}

impl Drop for PacketKey {
    fn drop(&mut self) {
        self.key.zeroize();
        self.iv.zeroize();
    }
}

impl fmt::Debug for PacketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacketKey").field("suite", &self.suite).finish_non_exhaustive()
    }
}
