//! Clients of an edge without the product's client around them: one session, or very many on one socket.
//!
//! [`config`] and [`claims`] have what most tests want; a test overrides what is its own:
//! `ClientConfig { room_bytes: 16 << 20, ..config(edge, secret, token) }`.

/// Sessions that come and go.
pub mod churn;
/// A session on a socket of its own.
pub mod client;
/// A client that keeps to no rule but the format.
pub mod raw;
/// Many sessions that stay.
pub mod swarm;

use segcast_proto::crypto::Suite;
use segcast_proto::handshake::StaticSecret;
use segcast_proto::ids::SetId;
use segcast_proto::limits::{DATAGRAM_MAX, EPOCH_PACKETS};
use segcast_proto::session::client::ClientConfig;
use segcast_proto::time::Instant;
use segcast_proto::token::Claims;
use segcast_sysio::clock;

/// How long a token is valid before and after the moment that it was made for, seconds.
const TOKEN_SECONDS: u64 = 3600;

/// What the token of a client says: these sets, around the time `unix` (seconds), without limits of its own. The client's
/// key is the token's name.
#[must_use]
pub fn claims(secret: &StaticSecret, sets: Vec<SetId>, unix: u64) -> Claims {
    let client_public = secret.public();
    let mut token_id = [0; 8];
    token_id.copy_from_slice(&client_public[..8]);
    Claims {
        expires: unix + TOKEN_SECONDS,
        not_before: unix - TOKEN_SECONDS,
        token_id,
        client_public,
        sets,
        rate_cap_kbits: None,
        sessions: None,
        grace: None,
        plays: vec![],
    }
}

/// A client of the edge with this public key: the largest datagrams, and room for more than a test asks for.
#[must_use]
pub fn config(edge_public: [u8; 32], secret: StaticSecret, token: Vec<u8>) -> ClientConfig {
    ClientConfig {
        suite: Suite::Aes128Gcm,
        edge_public,
        secret,
        token,
        datagram_max: DATAGRAM_MAX,
        sender_index: 0x77,
        room_bytes: 64 << 20,
        rtt_hint: None,
        epoch_packets: EPOCH_PACKETS,
    }
}

/// The clock of clients with sockets.
#[must_use]
pub fn now() -> Instant {
    Instant::from_nanos(clock::monotonic_nanoseconds())
}
