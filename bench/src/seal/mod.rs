//! Sealing alone: packets as the protocol makes them, one after another into one send buffer, with nothing around.
//!
//! With aws-lc-rs the plaintext goes from where it lies to the buffer in one pass (`seal_in_place_scatter`), the 16-byte
//! frame header before it. This is the limit that the served path is compared with, in the fastest variant known. RustCrypto's
//! aes-gcm has no such call: it copies and encrypts in place.

use std::fmt;
use std::hint::black_box;

use aes_gcm::aead::AeadInPlace as _;
use aes_gcm::{Aes128Gcm, Aes256Gcm, KeyInit as _};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use segcast_proto::limits::{CLEAR_HEADER, FRAME_HEADER, OVERHEAD, TRAIN_MAX};
use segcast_sysio::prefetch::prefetch;
use serde::Serialize;

mod pool;

pub use pool::Pool;

/// A cipher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cipher {
    /// AES-128-GCM, the product's default.
    Aes128Gcm,
    /// AES-256-GCM.
    Aes256Gcm,
}

/// Who computes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// aws-lc-rs, one pass.
    AwsLc,
    /// RustCrypto's aes-gcm: copied, then encrypted in place.
    RustCrypto,
}

/// A key in the form that its engine wants.
enum Key {
    AwsLc(Box<LessSafeKey>),
    RustCrypto128(Box<Aes128Gcm>),
    RustCrypto256(Box<Aes256Gcm>),
}

/// Seals trains of packets of one size.
pub struct SealLoop {
    pub(crate) engine: Engine,
    pub(crate) cipher: Cipher,
    pub(crate) datagram: usize,
    pub(crate) prefetch: bool,
    key: Key,
    sequence: u64,
    out: Vec<u8>,
}

impl SealLoop {
    /// A loop under a fixed key: it measures, nobody ever sees a packet of it.
    #[must_use]
    pub fn new(engine: Engine, cipher: Cipher, datagram: usize, prefetch: bool) -> Self {
        let key = match (engine, cipher) {
            (Engine::AwsLc, Cipher::Aes128Gcm) => UnboundKey::new(&AES_128_GCM, &[9; 16])
                .map(LessSafeKey::new)
                .map(Box::new)
                .map(Key::AwsLc),
            (Engine::AwsLc, Cipher::Aes256Gcm) => UnboundKey::new(&AES_256_GCM, &[9; 32])
                .map(LessSafeKey::new)
                .map(Box::new)
                .map(Key::AwsLc),
            (Engine::RustCrypto, Cipher::Aes128Gcm) => {
                Ok(Key::RustCrypto128(Box::new(Aes128Gcm::new(&[9; 16].into()))))
            }
            (Engine::RustCrypto, Cipher::Aes256Gcm) => {
                Ok(Key::RustCrypto256(Box::new(Aes256Gcm::new(&[9; 32].into()))))
            }
        };
        let key = key.expect("the key has the cipher's length");
        Self { engine, cipher, datagram, prefetch, key, sequence: 0, out: vec![0; TRAIN_MAX] }
    }

    /// Bytes of payload in a full train.
    #[must_use]
    pub fn train_payload(&self) -> usize {
        self.out.len() / self.datagram * (self.datagram - OVERHEAD)
    }

    /// Seals a segment or a piece of one, train by train into one buffer; returns the bytes of payload.
    pub fn segment(&mut self, segment: &[u8]) -> u64 {
        let mut out = std::mem::take(&mut self.out);
        let mut done = 0;
        while done < segment.len() {
            done += self.train(&segment[done..], &mut out).0;
        }
        black_box(&mut out);
        self.out = out;
        segment.len() as u64
    }

    /// Seals the beginning of `plain` as one train into `out`; returns the bytes taken, and the train's length.
    pub fn train(&mut self, plain: &[u8], out: &mut [u8]) -> (usize, usize) {
        let payload = self.datagram - OVERHEAD;
        let count = out.len().min(TRAIN_MAX) / self.datagram;
        let (mut taken, mut length) = (0, 0);
        for (number, piece) in plain.chunks(payload).take(count).enumerate() {
            if self.prefetch {
                let from = ((number + 2) * payload).min(plain.len());
                prefetch(&plain[from..(from + payload).min(plain.len())]);
            }
            let end = length + piece.len() + OVERHEAD;
            self.packet(piece, &mut out[length..end]);
            (taken, length) = (taken + piece.len(), end);
        }
        (taken, length)
    }

    /// Seals one packet, which fills `out`.
    fn packet(&mut self, plain: &[u8], out: &mut [u8]) {
        let (clear, rest) = out.split_at_mut(CLEAR_HEADER);
        let sequence = self.sequence.to_be_bytes();
        self.sequence += 1;
        clear[8..].copy_from_slice(&sequence);
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&sequence);
        let aad: &[u8] = clear;
        match &self.key {
            Key::AwsLc(key) => {
                let (frame, tail) = rest.split_at_mut(FRAME_HEADER);
                frame.copy_from_slice(&[1; FRAME_HEADER]);
                let nonce = Nonce::assume_unique_for_key(nonce);
                key.seal_in_place_scatter(nonce, Aad::from(aad), frame, plain, tail)
                    .expect("the lengths are right");
            }
            Key::RustCrypto128(key) => {
                let (body, tag) = copied(rest, plain);
                let sealed = key.encrypt_in_place_detached(&nonce.into(), aad, body);
                tag.copy_from_slice(&sealed.expect("the lengths are right"));
            }
            Key::RustCrypto256(key) => {
                let (body, tag) = copied(rest, plain);
                let sealed = key.encrypt_in_place_detached(&nonce.into(), aad, body);
                tag.copy_from_slice(&sealed.expect("the lengths are right"));
            }
        }
    }
}

/// Frame header and plaintext in their places; and the place of the tag.
fn copied<'a>(rest: &'a mut [u8], plain: &[u8]) -> (&'a mut [u8], &'a mut [u8]) {
    rest[..FRAME_HEADER].copy_from_slice(&[1; FRAME_HEADER]);
    rest[FRAME_HEADER..FRAME_HEADER + plain.len()].copy_from_slice(plain);
    rest.split_at_mut(FRAME_HEADER + plain.len())
}

impl fmt::Display for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aes128Gcm => "AES-128-GCM",
            Self::Aes256Gcm => "AES-256-GCM",
        })
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AwsLc => "aws-lc-rs",
            Self::RustCrypto => "RustCrypto",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both engines make the same packets: what is compared is the same work.
    #[test]
    fn engines_agree_byte_for_byte() {
        let segment: Vec<u8> = (0..20_000_u32).map(|n| n as u8).collect();
        for cipher in [Cipher::Aes128Gcm, Cipher::Aes256Gcm] {
            let sealed = |engine, prefetch| {
                let mut sealing = SealLoop::new(engine, cipher, 1440, prefetch);
                assert_eq!(sealing.segment(&segment), 20_000);
                sealing.out
            };
            let first = sealed(Engine::AwsLc, true);
            assert!(first.iter().any(|&byte| byte != 0));
            assert!(first == sealed(Engine::AwsLc, false), "{cipher}");
            assert!(first == sealed(Engine::RustCrypto, false), "{cipher}");
        }
    }
}
