//! What an endpoint tells its caller.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::handshake::ReceivedHello;
use crate::ids::{ObjectNumber, ReceiverIndex, SetIndex};
use crate::rate::Rate;
use crate::time::Instant;
use crate::wire::code::Code;

/// Where a datagram came from or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    /// Index of the caller's socket; every shard has the same sockets in the same order.
    pub socket: u16,
    /// The peer.
    pub remote: SocketAddr,
}

impl Path {
    /// None is less.
    pub(super) const LEAST: Self =
        Self { socket: 0, remote: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0) };
}

/// What became of a datagram.
#[derive(Debug)]
pub enum Disposition {
    /// It was taken in.
    Done,
    /// It was dropped; nothing changed.
    Dropped(DropReason),
    /// It belongs to another shard: hand that shard the datagram.
    Stray {
        /// The shard, below `shards`.
        shard: u8,
    },
    /// A handshake whose client belongs to another shard: hand that shard the state.
    Handoff {
        /// The shard, below `shards`.
        shard: u8,
        /// For its `handle_handoff`.
        hello: Box<Handoff>,
    },
}

/// A handshake on its way to the shard of its client.
pub struct Handoff {
    pub(super) hello: ReceivedHello,
    pub(super) path: Path,
    /// Its cookie proved the address.
    pub(super) proven: bool,
}

impl core::fmt::Debug for Handoff {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Handoff").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Why a datagram was dropped. Each has a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::VariantArray)]
pub enum DropReason {
    /// Too short, another version, an unknown type, a bad length.
    Malformed,
    /// A type that a server never receives.
    WrongDirection,
    /// No session has this receiver index.
    UnknownSession,
    /// The tag is wrong, or the epoch is not one of ours.
    Unauthentic,
    /// Seen before, or older than the replay window.
    Replayed,
    /// Authentic, but its payload breaks the protocol; the session was closed.
    Violation,
    /// HELLO with a wrong length, suite or mac1.
    BadHello,
    /// HELLO answered by a COOKIE.
    CookieDemanded,
    /// HELLO that failed in Noise.
    HandshakeFailed,
    /// HELLO dropped unread: more came than the shard looks at.
    HelloFlood,
    /// HELLO dropped unread: its cookie is wrong, and more such came than the shard looks at.
    WrongCookie,
    /// HELLO beyond what the shard can work on, answered by a DEFER.
    HandshakeOverload,
    /// The queue of handshake answers is full.
    AnswerQueueFull,
}

impl DropReason {
    /// All of them, for metrics.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// The metric label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::WrongDirection => "wrong_direction",
            Self::UnknownSession => "unknown_session",
            Self::Unauthentic => "unauthentic",
            Self::Replayed => "replayed",
            Self::Violation => "violation",
            Self::BadHello => "bad_hello",
            Self::CookieDemanded => "cookie_demanded",
            Self::HandshakeFailed => "handshake_failed",
            Self::HelloFlood => "hello_flood",
            Self::WrongCookie => "wrong_cookie",
            Self::HandshakeOverload => "handshake_overload",
            Self::AnswerQueueFull => "answer_queue_full",
        }
    }
}

/// One train or message, written into the caller's buffer.
#[derive(Clone, Copy, Debug)]
pub struct Transmit {
    /// Where to.
    pub path: Path,
    /// Bytes written.
    pub len: usize,
    /// Size of every datagram but the last, which may be shorter.
    pub datagram_bytes: usize,
    /// How many datagrams.
    pub datagrams: usize,
    /// The set and object its data came from; `None` for messages. When reading that object faulted, the
    /// caller must drop the train and call `object_failed`.
    pub data: Option<(SetIndex, ObjectNumber)>,
    /// For `handle_send_failure`.
    pub ticket: SendTicket,
}

/// Names a transmit in a later failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendTicket(pub(super) u64);

impl SendTicket {
    /// Slot 24 bits, flags 8 bits, low bits of the datagram size 32 bits.
    pub(super) const fn new(index: ReceiverIndex, datagram_bytes: usize) -> Self {
        Self((index.0 as u64) << 32 | datagram_bytes as u64)
    }

    pub(super) const fn slot(self) -> u32 {
        ReceiverIndex((self.0 >> 32) as u32).slot()
    }

    pub(super) const fn datagram_bytes(self) -> usize {
        (self.0 & 0xFFFF_FFFF) as usize
    }

    /// As a number, for drivers that know no protocol.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// Back from the number.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// Why a send failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendFailure {
    /// A datagram is larger than the route takes (EMSGSIZE).
    TooLarge,
    /// Anything else: the datagrams count as lost in the network.
    Other,
}

/// What happened, for the caller to act on or record.
#[derive(Clone, Debug)]
pub enum ServerEvent {
    /// A session's first authentic packet came.
    SessionOpened {
        /// Which one.
        index: ReceiverIndex,
        /// Whose.
        token_id: [u8; 8],
    },
    /// A session ended.
    SessionClosed(Box<SessionRecord>),
}

/// A REQUEST that was taken in, for who reckons with it. Where the endpoint is told to, it tells of each.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Which session.
    pub session: ReceiverIndex,
    /// The source's index of the set.
    pub set: SetIndex,
    /// What of the set.
    pub object: ObjectNumber,
    /// How many bytes of it.
    pub bytes: u64,
    /// Whether it asks again for what was sent before.
    pub repair: bool,
    /// When it is wanted.
    pub deadline: Instant,
    /// What the session's path carries; none while that is being found out.
    pub rate: Option<Rate>,
}

/// One structured record for each session that ended.
#[derive(Clone, Debug)]
pub struct SessionRecord {
    /// Which one.
    pub index: ReceiverIndex,
    /// The token's id.
    pub token_id: [u8; 8],
    /// The client's last proven address.
    pub remote: SocketAddr,
    /// Why it ended.
    pub code: Code,
    /// Whether the client ended it.
    pub by_client: bool,
    /// Payload bytes of DATA.
    pub bytes_sent: u64,
    /// Of those, in answer to repair requests.
    pub bytes_retransmitted: u64,
    /// Datagrams of any type.
    pub datagrams_sent: u64,
    /// Requests taken in.
    pub requests: u64,
    /// When it began.
    pub opened: Instant,
    /// When it ended.
    pub closed: Instant,
}
