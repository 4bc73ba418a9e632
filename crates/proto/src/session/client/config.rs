//! What a client session is told, and what it tells.

use crate::crypto::Suite;
use crate::handshake::StaticSecret;
use crate::ids::{ObjectNumber, SetHandle};
use crate::time::{Duration, Instant};
use crate::wire::code::Code;
use crate::wire::group_key::GroupKey;
use crate::wire::pulse::PulseReply;

/// Settings of one session.
pub struct ClientConfig {
    /// Cipher suite to offer.
    pub suite: Suite,
    /// The edge's static public key.
    pub edge_public: [u8; 32],
    /// The client's static secret; the token names its public key.
    pub secret: StaticSecret,
    /// The access token.
    pub token: Vec<u8>,
    /// The largest datagram that the client can receive, bytes of UDP payload.
    pub datagram_max: usize,
    /// The receiver index that the server shall use: tells apart the sessions of one socket.
    pub sender_index: u32,
    /// What the client can take beyond what it has received, bytes.
    pub room_bytes: u64,
    /// The round trip, where it is known.
    pub rtt_hint: Option<Duration>,
    /// Packets in a key epoch; at most [`crate::limits::EPOCH_PACKETS`].
    pub epoch_packets: u64,
}

/// What happened. Drain after every `handle_*`.
#[derive(Clone, Debug)]
pub enum ClientEvent {
    /// The handshake is done, for the first time or after the server was lost.
    Open,
    /// The server refused the session, which has ended.
    Refused {
        /// Why.
        code: Code,
        /// How long to wait before the next attempt.
        retry_after: Duration,
    },
    /// An object is complete. Its bytes are authentic (the edge sent them), not yet verified.
    Object(Box<Fetched>),
    /// The server refused a request; the object is forgotten.
    ObjectRefused {
        /// The set.
        handle: SetHandle,
        /// The object.
        object: ObjectNumber,
        /// Why.
        code: Code,
        /// How long to wait before the next attempt.
        retry_after: Duration,
    },
    /// A pulse came back.
    PulseReply {
        /// The set.
        handle: SetHandle,
        /// The object it asked about.
        object: ObjectNumber,
        /// The answer.
        reply: PulseReply,
        /// Its round trip.
        rtt: Duration,
    },
    /// Nothing has come for three probe timeouts; the session is trying a fresh handshake by itself.
    Unresponsive,
    /// No handshake succeeded in its time; the session has ended.
    TimedOut,
    /// The server ended the session.
    Closed {
        /// Why.
        code: Code,
        /// In words.
        reason: String,
    },
}

/// What a session learns of groups: only one that has asked with HEARS. Drain after every `handle_*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupEvent {
    /// The groups of a set.
    Key {
        /// The set.
        handle: SetHandle,
        /// Its serial in the session and set.
        serial: u32,
        /// All that there is to know of them.
        key: Box<GroupKey>,
    },
    /// The server has finished a request with HEARS, and nothing of the object came: a group brings it. The session has
    /// forgotten it.
    Promised {
        /// The set.
        handle: SetHandle,
        /// The object.
        object: ObjectNumber,
    },
}

/// A complete object.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The set.
    pub handle: SetHandle,
    /// The object.
    pub object: ObjectNumber,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// When it was asked for.
    pub asked: Instant,
    /// When its first byte came.
    pub first_byte: Instant,
    /// When its last byte came.
    pub complete: Instant,
}

/// Why a fetch was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// As many objects are outstanding as the session allows.
    #[error("all requests of the session are in use: wait for one to finish")]
    Full,
    /// The object is being fetched already.
    #[error("the object is being fetched already")]
    Duplicate,
    /// The length is beyond what an object of this kind can have.
    #[error("an object of {len} bytes is longer than {max}")]
    TooLong {
        /// What was asked for.
        len: u32,
        /// What is possible.
        max: u32,
    },
    /// The session has ended.
    #[error("the session has ended")]
    Ended,
}
