//! Who takes part in a fuzzed session: one center, one edge, clients with tokens.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use segcast_proto::handshake::{EdgeIdentity, StaticSecret};
use segcast_proto::limits::DATAGRAM_BASE;
use segcast_proto::session::client::ClientConfig;
use segcast_proto::session::server::{Endpoint, EndpointConfig};
use segcast_proto::time::{Duration, Instant};
use segcast_proto::token::{Claims, Keyring};

use crate::endpoint::Cast;
pub use crate::endpoint::{START, UNIX};
use crate::session;
use crate::source::set_id;

/// The largest datagram of a client, and what a buffer for it needs.
pub const CLIENT_BUFFER: usize = 2048;

static CAST: LazyLock<Cast> = LazyLock::new(|| Cast::new([3; 32], [1; 32]));

/// The edge's static key.
#[must_use]
pub fn identity() -> Arc<EdgeIdentity> {
    Arc::clone(&CAST.identity)
}

/// The center's key, or none.
#[must_use]
pub fn keyring(known: bool) -> Arc<Keyring> {
    if known { CAST.keyring() } else { Arc::new(Keyring::new([])) }
}

/// Settings of an endpoint, to be changed by the input.
#[must_use]
pub fn settings() -> EndpointConfig {
    CAST.settings()
}

/// An endpoint of one process, whose secrets `process` tells apart.
#[must_use]
pub fn endpoint(settings: EndpointConfig, process: [[u8; 32]; 2], now: Instant) -> Endpoint {
    let [shared, seed] = process;
    CAST.endpoint(settings, shared, seed, now)
}

/// The n-th address.
#[must_use]
pub fn address(number: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, number as u8], 4000))
}

/// Waiting time of 50 µs times 2 to the `power`, at most 7 minutes.
#[must_use]
pub fn wait(power: u8) -> Duration {
    Duration::from_micros(50) * (1 << (power % 24))
}

/// What a client's token says: the set of [the shelf](super::shelf), and one that no edge has.
#[must_use]
pub fn claims(key: u8, number: u8) -> Claims {
    let claims = session::claims(&secret(key), vec![set_id(0), set_id(9)], UNIX);
    Claims { token_id: [number; 8], ..claims }
}

fn secret(key: u8) -> StaticSecret {
    StaticSecret::new([0x40 + key; 32])
}

/// A client with the key `key` and the token that `claims` make.
///
/// # Panics
/// When there is no such token.
#[must_use]
pub fn client(key: u8, claims: &Claims, sender_index: u32) -> ClientConfig {
    ClientConfig {
        datagram_max: DATAGRAM_BASE,
        sender_index,
        room_bytes: 16 << 20,
        ..CAST.client(secret(key), claims)
    }
}
