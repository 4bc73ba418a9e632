//! Encoding and decoding of packets: headers (section 1) and message payloads (section 7).
//!
//! Decoders return an error for any bytes they cannot accept and never allocate more than a message's
//! own bounds. Reserved fields are written as 0 and ignored; bytes after a message are ignored.

/// Cursors over the bytes of a message.
mod bytes;
/// CLOSE.
pub mod close;
/// Codes of refusals and closes.
pub mod code;
/// GROUP_KEY.
pub mod group_key;
/// GROUP_PROBE.
pub mod group_probe;
/// GROUP_REPORT.
pub mod group_report;
/// Clear header and frame header.
pub mod header;
/// Packet types.
pub mod packet_type;
/// PATH_CHALLENGE and PATH_RESPONSE.
pub mod path;
/// PULSE and PULSE_REPLY.
pub mod pulse;
/// Byte ranges and sequence ranges.
pub mod ranges;
/// REFUSE.
pub mod refuse;
/// REPORT.
pub mod report;
/// REQUEST.
pub mod request;
/// STATUS.
pub mod status;

pub use close::Close;
pub use code::Code;
pub use group_key::{GroupChannel, GroupKey, GroupSecret};
pub use group_probe::{GroupProbe, ProbeEntry, ProbeState};
pub use group_report::{ChannelReport, ChannelState, GroupReport};
pub use header::{ClearHeader, FLAG_END, FrameHeader};
pub use packet_type::PacketType;
pub use path::PathProof;
pub use pulse::{Presence, Pulse, PulseReply};
pub use ranges::{ByteRanges, SequenceRanges};
pub use refuse::Refuse;
pub use report::Report;
pub use request::Request;
pub use status::Status;

/// Why bytes are not a packet or a message of this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It ends too early.
    #[error("{needed} bytes needed, {got} there")]
    Truncated {
        /// Bytes that the field read last needs, from the beginning of the message.
        needed: usize,
        /// Bytes of the message.
        got: usize,
    },
    /// The version is not [`crate::limits::VERSION`].
    #[error("protocol version {0}, not 1")]
    Version(u8),
    /// No packet type of version 1.
    #[error("unknown packet type {0:#04x}")]
    PacketType(u8),
    /// A field is out of its bounds.
    #[error("{0} out of bounds")]
    Bounds(&'static str),
}

/// Why a message could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The buffer is too small.
    #[error("{needed} bytes needed, {got} there")]
    NoRoom {
        /// Bytes needed so far.
        needed: usize,
        /// Bytes of the buffer.
        got: usize,
    },
    /// A field is out of its bounds.
    #[error("{0} out of bounds")]
    Bounds(&'static str),
}

#[cfg(test)]
mod tests;
