//! Why a fetch ended without its title.

use std::net::SocketAddr;

use segcast_proto::ids::SetId;
use segcast_proto::time::Duration;
use segcast_proto::wire::code::Code;

use super::schedule::EDGES_MAX;
use super::title::TitleError;
use crate::access::AccessError;
use crate::connection::ConnectionError;
use crate::file::FileError;

/// Why a fetch ended without its title. What was verified until then stays in the part file.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The grant does not fit.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// Sockets or driver.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// No edges, or more than the schedule can tell apart.
    #[error("{0} addresses of edges given: 1 to {EDGES_MAX} are possible")]
    Edges(usize),
    /// Every edge refused, for good.
    #[error("no edge is left: {}", list(.0))]
    Refused(Vec<(SocketAddr, Reason)>),
    /// Nothing worth the wait came for as long as the caller wanted to wait.
    #[error("no progress for {} s: {}", .patience.as_secs(), states(.edges))]
    NoProgress {
        /// How long.
        patience: Duration,
        /// How it stood with each edge.
        edges: Vec<(SocketAddr, String)>,
    },
    /// What the edges sent as a manifest is none that the center signed for this set.
    #[error("no edge has a manifest of set {set} that can be accepted: {reason}")]
    Manifest {
        /// The set.
        set: SetId,
        /// What was wrong with the last one.
        reason: String,
    },
    /// The manifest or the key do not fit.
    #[error(transparent)]
    Title(#[from] TitleError),
    /// It is to be watched, and its manifest says no running time.
    #[error("the title cannot be watched: its manifest does not say for how long it plays")]
    NoRunningTime,
    /// No edge can deliver this.
    #[error("{object} cannot be had from any edge: {last}")]
    NoEdgeLeft {
        /// Segment or manifest page, in words.
        object: String,
        /// The last reason.
        last: Reason,
    },
    /// The output file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The system gave no thread for writing.
    #[error("no thread for writing: {0}")]
    Thread(std::io::Error),
    /// The caller asked to stop.
    #[error("stopped with {have} of {segments} segments")]
    Stopped {
        /// Segments in the part file.
        have: u32,
        /// Segments of the title; 0 when the manifest had not come yet.
        segments: u32,
    },
}

/// Why an edge did not deliver an object, or is asked for nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// It said so.
    #[error("{0}")]
    Code(Code),
    /// Its bytes were not what the signed manifest says.
    #[error("the bytes that came are not those of the signed manifest")]
    WrongBytes,
}

fn list(refusals: &[(SocketAddr, Reason)]) -> String {
    let each = refusals.iter().map(|(edge, reason)| format!("{edge}: {reason}"));
    each.collect::<Vec<_>>().join("; ")
}

fn states(edges: &[(SocketAddr, String)]) -> String {
    let each = edges.iter().map(|(edge, state)| format!("{edge}: {state}"));
    each.collect::<Vec<_>>().join("; ")
}
