//! What a simulated run came to.

use segcast_proto::ids::ObjectNumber;
use segcast_proto::time::Duration;
use segcast_proto::wire::Code;

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// When the last transfer ended.
    pub ended: Duration,
    /// The time that it took, over the time within which it had to end.
    pub part_of_bound: f64,
    /// Datagrams from the server.
    pub datagrams: u64,
    /// Share of the path's rate that new bytes used.
    pub utilisation: f64,
    /// Duplicate bytes over new ones.
    pub waste: f64,
    /// Handshakes that the clients began.
    pub handshakes: u64,
}

/// How a run failed.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// An object came out wrong.
    WrongBytes(ObjectNumber),
    /// Not done within a multiple of the bound: it would never end.
    Late {
        /// Objects done.
        done: usize,
        /// Objects wanted.
        wanted: usize,
    },
    /// A client that lied about what it received still has its session.
    LiarUnnoticed,
    /// The server ended a session.
    Closed(Code),
    /// The client gave up.
    GaveUp(String),
    /// A sealed packet was accepted twice.
    AcceptedTwice,
    /// More bytes went to an address that never answered than came from it.
    Amplified,
    /// A key was used twice with the same nonce.
    NonceReused,
    /// An object that does not exist came, or was refused with the wrong code.
    WrongRefusal(ObjectNumber),
    /// Time does not advance.
    Stuck,
}
