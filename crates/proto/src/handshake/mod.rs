//! The handshake: HELLO, COOKIE and WELCOME around `Noise_IK_25519_AESGCM_SHA256` (section 5).
//!
//! A server does nothing expensive before it has seen the right length and mac1 (`HelloView`), and before
//! the cookie when it is busy. Randomness is a seed given by the caller, so that handshakes can be repeated in tests.

/// The client's side.
mod client;
/// Cookies: proof of an address without state.
mod cookie;
/// Answers that put a handshake off.
mod defer;
/// Layout of HELLO, and the checks before any Diffie–Hellman.
mod hello;
/// Static keys.
mod identity;
/// Noise states.
mod noise;
/// The server's side.
mod server;
/// The payload of WELCOME.
mod welcome;
/// Diffie–Hellman.
mod x25519;

pub use client::{ClientHandshake, HandshakeError, Welcomed};
pub use cookie::{COOKIE_LEN, COOKIE_PERIOD, CookieJar};
pub use defer::{DEFER_LEN, Defer};
pub use hello::{HELLO_LEN, HelloError, HelloId, HelloParams, HelloView};
pub use identity::{EdgeIdentity, StaticSecret, edge_id};
pub use server::ReceivedHello;
pub use welcome::{WELCOME_LEN, WelcomePayload};

use crate::crypto::Suite;
use crate::ids::ReceiverIndex;
use crate::wire::{ClearHeader, PacketType};

/// The clear header of HELLO, COOKIE, DEFER and WELCOME: the suite in place of the epoch, and no number.
const fn clear_header(packet_type: PacketType, suite: Suite, receiver: u32) -> ClearHeader {
    let receiver = ReceiverIndex(receiver);
    ClearHeader {
        flags: 0,
        packet_type,
        extension_words: 0,
        epoch: suite as u8,
        receiver,
        sequence: 0,
    }
}

#[cfg(not(miri))] // Miri does not run C: aws-lc
#[cfg(test)]
mod tests;
