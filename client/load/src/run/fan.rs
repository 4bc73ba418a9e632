//! Groups, each joined once for all viewers of a thread: what comes to them is handed to everybody who is a member.

use segcast_client::connection::{self, MulticastConfig};
use segcast_proto::session::client::groups::Route;
use segcast_sysio::error::SysError;
use segcast_sysio::udp::UdpSocket;
use segcast_sysio::udp::multicast::{Interface, Membership};

use super::{RunConfig, Subject};
use crate::record::Wire;

/// What a viewer wants of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Join(Route),
    Leave(Route),
}

/// The groups of a thread.
pub(super) struct Fan {
    interface: Interface,
    port: u16,
    /// The number of the driver's socket that hears them.
    pub(super) socket: u16,
    /// With the number of viewers that each is joined for.
    joined: Vec<(Route, u32)>,
    /// What came and was not recorded yet.
    heard: Wire,
}

impl Fan {
    /// Groups that socket number `socket` will hear; none where no viewer does.
    ///
    /// # Errors
    /// When there is no such interface.
    pub(super) fn new(config: &RunConfig, socket: usize) -> Result<Option<Self>, SysError> {
        let Some(MulticastConfig { interface, port }) = &config.multicast else { return Ok(None) };
        let interface = Interface::named(interface)?;
        let (socket, joined, heard) = (socket as u16, Vec::new(), Wire::default());
        Ok(Some(Self { interface, port: *port, socket, joined, heard }))
    }

    /// The socket for them.
    ///
    /// # Errors
    /// When the system refuses it.
    pub(super) fn socket(
        config: &RunConfig,
        subject: &Subject<'_>,
    ) -> Result<Option<UdpSocket>, SysError> {
        let multicast = config.multicast.as_ref();
        let socket = |multicast: &MulticastConfig| {
            connection::group_socket(subject.edge.address, multicast.port, config.gro)
        };
        multicast.map(socket).transpose()
    }

    /// Does what a viewer wishes: the first one joins, the last one leaves.
    ///
    /// # Errors
    /// When the system refuses it.
    pub(super) fn wish(&mut self, wish: Wish, sockets: &[UdpSocket]) -> Result<(), SysError> {
        let (Wish::Join(route) | Wish::Leave(route)) = wish;
        let at = self.joined.iter().position(|(joined, _)| *joined == route);
        match (wish, at) {
            (Wish::Join(_), Some(at)) => self.joined[at].1 += 1,
            (Wish::Join(_), None) => {
                let (socket, membership) = self.membership(&route, sockets)?;
                socket.join(&membership)?;
                self.joined.push((route, 1));
            }
            (Wish::Leave(_), Some(at)) => {
                self.joined[at].1 -= 1;
                if self.joined[at].1 == 0 {
                    self.joined.swap_remove(at);
                    let (socket, membership) = self.membership(&route, sockets)?;
                    socket.leave(&membership)?;
                }
            }
            // Nobody could join it.
            (Wish::Leave(_), None) => {}
        }
        Ok(())
    }

    fn membership<'a>(
        &self,
        route: &Route,
        sockets: &'a [UdpSocket],
    ) -> Result<(&'a UdpSocket, Membership), SysError> {
        let Route { source, group, port } = *route;
        let socket = sockets.get(usize::from(self.socket)).filter(|_| port == self.port);
        let socket = socket.ok_or_else(|| {
            let unbound = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
            SysError::new(format!("hear port {port} of {group}"), unbound)
                .with_hint("say that port with --multicast-port")
        })?;
        Ok((socket, Membership { interface: self.interface, source, group }))
    }

    /// A datagram came.
    pub(super) fn came(&mut self, bytes: usize) {
        self.heard.group_datagrams += 1;
        self.heard.group_bytes += bytes as u64;
    }

    /// What came since the last call.
    pub(super) fn take_wire(&mut self) -> Wire {
        std::mem::take(&mut self.heard)
    }
}
