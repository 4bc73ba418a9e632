//! A train as its sender describes it.

use std::net::SocketAddr;

use crate::driver::trains::arena::SendBuffer;

/// The first `len` bytes of `buffer` as a train of datagrams of `datagram_bytes`, the last one perhaps shorter.
///
/// A train of more than [`crate::udp::MAX_TRAIN_DATAGRAMS`] datagrams or
/// [`crate::udp::MAX_SEND_BYTES`] works, but is sent datagram by datagram.
#[derive(Debug)]
pub struct Outgoing {
    /// Of the driver that is to send it, filled.
    pub buffer: SendBuffer,
    /// Length of all datagrams together, at most the buffer's; 0: one empty datagram.
    pub len: usize,
    /// Length of each datagram, bytes; not 0.
    pub datagram_bytes: usize,
    /// Which socket it leaves from: the index in the list given to [`Driver::new`](crate::driver::Driver::new).
    pub socket: u16,
    /// Where it goes.
    pub to: SocketAddr,
    /// What a failure is reported with ([`SendFailure::ticket`](crate::driver::SendFailure::ticket)).
    pub ticket: u64,
}

impl Outgoing {
    /// The first `len` bytes of `buffer`, at least one, as one datagram; its failure would have ticket 0.
    #[must_use]
    pub fn datagram(buffer: SendBuffer, len: usize, socket: u16, to: SocketAddr) -> Outgoing {
        Outgoing { buffer, len, datagram_bytes: len, socket, to, ticket: 0 }
    }
}
