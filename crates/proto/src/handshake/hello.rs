//! HELLO: its layout, its mac1, and the checks that a server makes before any Diffie–Hellman.

use super::identity::{EdgeIdentity, mac1_key};
use super::noise;
use crate::crypto::hash::{HmacKey, constant_time_eq};
use crate::crypto::{Suite, UnknownSuite};
use crate::limits::{CLEAR_HEADER, DATAGRAM_BASE, TOKEN_MAX};
use crate::wire::{ClearHeader, DecodeError, PacketType};

/// Every HELLO has this size, so that no answer is larger.
pub const HELLO_LEN: usize = DATAGRAM_BASE;
/// Where Noise message 1 begins.
pub(super) const NOISE: usize = CLEAR_HEADER + 8;
/// Where mac1 begins, and what it covers ends.
pub(super) const MAC1: usize = HELLO_LEN - 32;
/// Where the cookie begins.
pub(super) const COOKIE: usize = HELLO_LEN - 16;
/// Parameters in the payload of message 1.
pub(super) const PARAMS: usize = 8;
const _: () = assert!(NOISE + noise::MESSAGE_1 + PARAMS + TOKEN_MAX <= MAC1);

/// Why a HELLO was dropped, without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// Not 1200 bytes.
    #[error("a HELLO of {0} bytes, not 1200")]
    Length(usize),
    /// No packet.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Another packet.
    #[error("not a HELLO")]
    NotHello,
    /// An unknown suite.
    #[error(transparent)]
    Suite(#[from] UnknownSuite),
    /// mac1 is wrong: the sender does not know this edge's public key.
    #[error("wrong mac1")]
    Mac1,
    /// The length of Noise message 1 cannot be.
    #[error("a Noise message of {0} bytes")]
    NoiseLength(usize),
    /// Noise message 1 does not decrypt.
    #[error("Noise message 1 does not decrypt")]
    Noise,
    /// The parameters are out of bounds.
    #[error("the client cannot receive datagrams of 1200 bytes")]
    DatagramMax,
}

/// What the client says of itself in message 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelloParams {
    /// The largest datagram it can receive, bytes of UDP payload; at least 1200.
    pub datagram_max: u16,
    /// KiB it can take before its first REPORT.
    pub room_kib: u32,
}

impl HelloParams {
    pub(super) fn encode(self) -> [u8; PARAMS] {
        let mut out = [0; PARAMS];
        out[0..2].copy_from_slice(&self.datagram_max.to_be_bytes());
        out[4..8].copy_from_slice(&self.room_kib.to_be_bytes());
        out
    }

    pub(super) fn decode(bytes: [u8; PARAMS]) -> Result<Self, HelloError> {
        let [d0, d1, _, _, r0, r1, r2, r3] = bytes;
        let datagram_max = u16::from_be_bytes([d0, d1]);
        if usize::from(datagram_max) < DATAGRAM_BASE {
            return Err(HelloError::DatagramMax);
        }
        Ok(Self { datagram_max, room_kib: u32::from_be_bytes([r0, r1, r2, r3]) })
    }
}

/// What every answer to a HELLO needs of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelloId {
    /// The receiver index that the server shall use towards the client.
    pub sender_index: u32,
    /// The suite that the client wants.
    pub suite: Suite,
    /// Its mac1. Once that is checked it names the HELLO, whatever cookie it carries: another one with the same mac1
    /// would be a second preimage of a MAC of 128 bits.
    pub mac1: [u8; 16],
}

/// A HELLO of the right form. Nothing in it is authentic yet.
#[derive(Clone, Copy, Debug)]
pub struct HelloView<'a> {
    /// Its name.
    pub id: HelloId,
    /// What mac1 covers.
    covered: &'a [u8],
    /// Its cookie; zeros: none.
    pub cookie: [u8; 16],
    /// Noise message 1.
    pub(super) message: &'a [u8],
}

impl<'a> HelloView<'a> {
    /// Checks all but mac1. It costs no hash.
    ///
    /// # Errors
    ///
    /// [`HelloError`]; such a HELLO is dropped without an answer.
    pub fn read(datagram: &'a [u8]) -> Result<Self, HelloError> {
        let hello: &[u8; HELLO_LEN] =
            datagram.try_into().map_err(|_| HelloError::Length(datagram.len()))?;
        let header = ClearHeader::decode(hello)?;
        if header.packet_type != PacketType::Hello || header.extension_words != 0 {
            return Err(HelloError::NotHello);
        }
        let suite = Suite::try_from(header.epoch)?;
        let len = usize::from(u16::from_be_bytes(field(hello, CLEAR_HEADER + 4)));
        if !(noise::MESSAGE_1 + PARAMS..=noise::MESSAGE_1 + PARAMS + TOKEN_MAX).contains(&len) {
            return Err(HelloError::NoiseLength(len));
        }
        let sender_index = u32::from_be_bytes(field(hello, CLEAR_HEADER));
        Ok(Self {
            id: HelloId { sender_index, suite, mac1: field(hello, MAC1) },
            covered: &hello[..MAC1],
            cookie: field(hello, COOKIE),
            message: &hello[NOISE..NOISE + len],
        })
    }

    /// Checks mac1, by a hash of nearly all of the HELLO.
    ///
    /// # Errors
    ///
    /// When mac1 is wrong.
    pub fn check_mac1(&self, identity: &EdgeIdentity) -> Result<(), HelloError> {
        let right = identity.mac1_key.tag16(&[self.covered]);
        if constant_time_eq(&right, &self.id.mac1) { Ok(()) } else { Err(HelloError::Mac1) }
    }
}

/// The HELLO around a Noise message 1 of `len` bytes that `write` puts in its place, without a cookie.
pub(super) fn build<E>(
    suite: Suite,
    edge_public: &[u8; 32],
    sender_index: u32,
    write: impl FnOnce(&mut [u8]) -> Result<usize, E>,
) -> Result<[u8; HELLO_LEN], E> {
    let header = super::clear_header(PacketType::Hello, suite, 0);
    let mut hello = [0; HELLO_LEN];
    hello[..CLEAR_HEADER].copy_from_slice(&header.encode());
    hello[CLEAR_HEADER..CLEAR_HEADER + 4].copy_from_slice(&sender_index.to_be_bytes());
    let len = write(&mut hello[NOISE..MAC1])?;
    hello[CLEAR_HEADER + 4..CLEAR_HEADER + 6].copy_from_slice(&(len as u16).to_be_bytes());
    let mac1 = HmacKey::new(&mac1_key(edge_public)).tag16(&[&hello[..MAC1]]);
    hello[MAC1..COOKIE].copy_from_slice(&mac1);
    Ok(hello)
}

/// The `N` bytes of a HELLO from `at`.
fn field<const N: usize>(hello: &[u8; HELLO_LEN], at: usize) -> [u8; N] {
    core::array::from_fn(|i| hello[at + i])
}
