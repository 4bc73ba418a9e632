//! Packets on their way, in the order of their arrival.

use std::net::SocketAddr;

use segcast_proto::time::Instant;

/// A packet on its way.
pub(super) struct Flight {
    pub(super) at: Instant,
    pub(super) order: u64,
    /// Which packet: duplicates share the number.
    pub(super) packet: u64,
    pub(super) to_server: bool,
    /// The client's address.
    pub(super) address: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

impl PartialEq for Flight {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}
impl Eq for Flight {}
impl PartialOrd for Flight {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Flight {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}
