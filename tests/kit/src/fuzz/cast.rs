//! Who takes part in a fuzzed session: one center, one edge, clients with tokens.

use crate::source::set_id;
use segcast_proto::crypto::Suite;
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::handshake::{EdgeIdentity, StaticSecret};
use segcast_proto::limits::DATAGRAM_BASE;
use segcast_proto::session::client::ClientConfig;
use segcast_proto::time::{Duration, Instant};
use segcast_proto::token::{Claims, Keyring, mint};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

/// Unix time when a run begins.
pub const UNIX: u64 = 1_800_000_000;
/// The moment when a run begins.
pub const START: Instant = Instant::from_nanos(1_000_000_000);
/// The largest datagram of a client, and what a buffer for it needs.
pub const CLIENT_BUFFER: usize = 2048;

static CENTER: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_seed(&[1; 32]));
static IDENTITY: LazyLock<Arc<EdgeIdentity>> =
    LazyLock::new(|| Arc::new(EdgeIdentity::new(StaticSecret::new([3; 32]))));

/// The edge's static key.
#[must_use]
pub fn identity() -> Arc<EdgeIdentity> {
    Arc::clone(&IDENTITY)
}

/// The center's key, or none.
#[must_use]
pub fn keyring(known: bool) -> Arc<Keyring> {
    Arc::new(Keyring::new(known.then(|| CENTER.public())))
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

/// What a client's token says: the set of [`Shelf`](super::shelf::Shelf), and one that no edge has.
#[must_use]
pub fn claims(key: u8, number: u8) -> Claims {
    Claims {
        expires: UNIX + 3600,
        not_before: UNIX - 3600,
        token_id: [number; 8],
        client_public: secret(key).public(),
        sets: vec![set_id(0), set_id(9)],
        rate_cap_kbits: None,
        sessions: None,
    }
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
        suite: Suite::Aes128Gcm,
        edge_public: *IDENTITY.public(),
        secret: secret(key),
        token: mint(claims, &CENTER).expect("a token that fits"),
        datagram_max: DATAGRAM_BASE,
        sender_index,
        room_bytes: 16 << 20,
        rtt_hint: None,
        epoch_packets: 1 << 23,
    }
}
