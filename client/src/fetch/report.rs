//! What a fetch says of itself, while it runs and at its end.

use std::net::SocketAddr;

use serde::Serialize;

use super::playout::PlayReport;
use super::times::Quantiles;

/// How far a fetch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Bytes of the title in the part file, all of them verified.
    pub bytes: u64,
    /// Bytes of the title that have come: those in the part file, and those of segments still on their way. An
    /// estimate, for showing how fast it goes.
    pub come: u64,
    /// Bytes of the title; 0 as long as the manifest has not come.
    pub total: u64,
    /// Edges with an open session.
    pub edges_open: usize,
    /// Segments read back from an earlier part file and still being checked.
    pub rechecking: u32,
}

/// What a fetch is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Sessions and manifest.
    Connecting,
    /// Segments.
    Fetching,
    /// The last sync and the rename.
    Finishing,
}

/// What came by groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Heard {
    /// Segments that came whole.
    pub segments: u64,
    /// Segments of which the rest was asked for.
    pub completed: u64,
    /// Bytes of UDP payload.
    pub bytes: u64,
    /// Symbols and leaves that were not what the manifest says.
    pub forged: u64,
    /// Times that a group was given up, since nothing came.
    pub deaf: u64,
}

/// What one edge contributed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EdgeShare {
    /// The edge.
    pub address: SocketAddr,
    /// Segments that it sent and that were right.
    pub segments: u32,
    /// Bytes of data that it sent, once each.
    pub bytes: u64,
    /// Segments that it sent and that were wrong.
    pub wrong: u32,
    /// Requests that it refused, for now or for good.
    pub refused: u64,
    /// Smoothed round trip, microseconds.
    pub rtt_us: Option<u64>,
    /// Handshakes begun.
    pub handshakes: u64,
}

/// The end of a fetch.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The set.
    pub set: String,
    /// The title's name in the manifest.
    pub name: String,
    /// True length of the title, bytes.
    pub bytes: u64,
    /// Segments of the title.
    pub segments: u32,
    /// Segments that an earlier fetch had left.
    pub resumed_segments: u32,
    /// From the first HELLO to the file's name.
    pub seconds: f64,
    /// Bytes of title fetched now, per second.
    pub goodput_bytes_per_second: f64,
    /// From the first HELLO to the first byte of a segment, microseconds.
    pub start_us: u64,
    /// From a request to the first byte of its segment.
    pub first_byte: Quantiles,
    /// From a request to the last byte of its segment.
    pub segment_time: Quantiles,
    /// Bytes asked for again, of all bytes of data.
    pub retransmitted_share: f64,
    /// The largest datagram received, bytes of UDP payload.
    pub datagram_bytes: usize,
    /// How watching it went, where it was watched.
    pub play: Option<PlayReport>,
    /// What came by groups, where they were heard.
    pub groups: Option<Heard>,
    /// The driver.
    pub io: String,
    /// What each edge contributed.
    pub edges: Vec<EdgeShare>,
}
