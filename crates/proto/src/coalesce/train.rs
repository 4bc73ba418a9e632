//! What leaves: which datagrams of which segment, on which channel.

use crate::ids::{ChannelId, SetId};
use crate::rate::Rate;

/// A channel of a set, as members must know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its name.
    pub id: ChannelId,
    /// The first segment that is sent there.
    pub first: u32,
    /// One past the last.
    pub end: u32,
    /// What it sends at, never faster: UDP payload.
    pub pace: Rate,
}

/// Some datagrams of one channel that may leave now. All have [`crate::limits::DATAGRAM_BASE`] bytes, but a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Train {
    /// The set.
    pub set: SetId,
    /// The channel.
    pub channel: ChannelId,
    /// The segment.
    pub segment: u32,
    /// Which datagrams of it.
    pub part: Part,
}

/// Datagrams of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// LEAVES payloads.
    Leaves {
        /// The first one's index.
        first: u16,
        /// How many.
        count: u16,
    },
    /// Symbols: source symbols, then parity.
    Symbols {
        /// The first one's index.
        first: u16,
        /// How many.
        count: u16,
    },
    /// One GROUP_PROBE: the segment has been sent.
    Probe,
}
