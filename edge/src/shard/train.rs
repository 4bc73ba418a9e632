//! What leaves next: a train to a group, or to a session.

use std::net::SocketAddr;

use segcast_proto::ids::{ObjectNumber, SetIndex};
use segcast_proto::owner::GroupTransmit;
use segcast_proto::session::server::Transmit;
use segcast_proto::time::Instant;

use super::core::Core;
use super::groups::TICKET;

/// Datagrams that were sealed into a send buffer.
pub(super) struct Train {
    pub(super) len: usize,
    pub(super) datagram_bytes: usize,
    pub(super) socket: u16,
    pub(super) to: SocketAddr,
    pub(super) ticket: u64,
    /// What their bytes were read from.
    pub(super) data: Option<(SetIndex, ObjectNumber)>,
}

/// What became of a turn's chance to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sealed {
    Train,
    /// Nothing is due.
    Nothing,
    /// All send buffers are in flight.
    NoBuffer,
}

impl Core {
    /// The next train to a session.
    #[inline]
    pub(super) fn train(&mut self, now: Instant, out: &mut [u8]) -> Option<Train> {
        let transmit = self.endpoint.poll_transmit(now, &self.source, out)?;
        let Transmit { path, len, datagram_bytes, data, ticket, .. } = transmit;
        let (socket, to, ticket) = (path.socket, path.remote, ticket.to_bits());
        Some(Train { len, datagram_bytes, socket, to, ticket, data })
    }

    /// The next train to a group.
    pub(super) fn group_train(&mut self, now: Instant, out: &mut [u8]) -> Option<Train> {
        let groups = self.groups.as_mut()?;
        let transmit = groups.poll_transmit(now, &self.source, out)?;
        let GroupTransmit { len, datagram_bytes, to, data } = transmit;
        self.endpoint.sent_to_group(now, len as u64);
        Some(Train { len, datagram_bytes, socket: groups.socket(), to, ticket: TICKET, data })
    }
}
