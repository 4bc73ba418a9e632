//! Sessions with edges, several on one thread: a socket and a state machine for each, one driver for all.
//!
//! Contract: call `Connections::turn`, then drain `Connections::poll_event`, then ask sessions for more.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Once;

use segcast_proto::crypto::Suite;
use segcast_proto::handshake::StaticSecret;
use segcast_proto::limits::{DATAGRAM_MAX, EPOCH_PACKETS};
use segcast_proto::session::client::groups::Route;
use segcast_proto::session::client::{ClientConfig, ClientEvent, ClientSession, ClientStats};
use segcast_proto::time::{Duration, Instant};
use segcast_sysio::clock::monotonic_nanoseconds;
use segcast_sysio::driver::{Driver, DriverConfig, Outgoing, Waker};
use segcast_sysio::error::SysError;
use segcast_sysio::probe::{self, IoKind};
use segcast_sysio::udp::multicast::{Interface, Membership};
use segcast_sysio::udp::{UdpConfig, UdpSocket};

use crate::access::{Access, EdgeAddress, fresh_seed};

/// Wanted in the kernel for each socket: 8 ms at 4 Gbit/s.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;
/// Datagrams to groups that were received and not taken: a turn brings fewer.
const HEARD_MAX: usize = 8192;
/// Sessions in one [`Connections`]: the driver numbers sockets with 16 bits, and each takes kernel memory.
pub const SESSIONS_MAX: usize = 1024;

/// What goes wrong below the sessions.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The system refused a socket or a driver.
    #[error(transparent)]
    System(#[from] SysError),
    /// The system has no randomness to give.
    #[error("the system gives no randomness: {0}")]
    Randomness(getrandom::Error),
    /// The grant cannot be used in a handshake.
    #[error("no handshake can be made with this grant: {0}")]
    Session(segcast_proto::handshake::HandshakeError),
    /// More sessions than one driver takes.
    #[error("{wanted} sessions on one thread: at most {SESSIONS_MAX}")]
    TooMany {
        /// How many were wanted.
        wanted: usize,
    },
}

/// Settings of all sessions.
#[derive(Clone, Debug)]
pub struct ConnectionConfig {
    /// Which driver; none: the best one that works here.
    pub io: Option<IoKind>,
    /// The largest datagram to receive, bytes of UDP payload.
    pub datagram_max: usize,
    /// What a session may receive beyond what was taken from it, bytes.
    pub room_bytes: u64,
    /// Cipher suite to offer.
    pub suite: Suite,
    /// Receive offload (`UDP_GRO`, udp(7)).
    pub gro: bool,
    /// Where groups may be heard; none: nowhere.
    pub multicast: Option<MulticastConfig>,
}

/// Where groups are heard.
#[derive(Clone, Debug)]
pub struct MulticastConfig {
    /// The interface by its name.
    pub interface: String,
    /// The port that edges send to: a socket is bound to it before any edge has said so.
    pub port: u16,
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self {
            io: None,
            datagram_max: DATAGRAM_MAX,
            room_bytes: 64 << 20,
            suite: Suite::Aes128Gcm,
            gro: true,
            multicast: None,
        }
    }
}

/// The client's clock.
#[must_use]
pub fn now() -> Instant {
    Instant::from_nanos(monotonic_nanoseconds())
}

struct Peer {
    edge: EdgeAddress,
    session: ClientSession,
    /// Counted in sessions that were replaced.
    before: ClientStats,
    /// The session's timer, as of its last touch.
    timer: Instant,
    /// It is in `Connections::touched`.
    touched: bool,
    /// Why the kernel did not send its last datagram that was not, as an errno.
    not_sent: Option<i32>,
}

impl Peer {
    fn new(edge: EdgeAddress, session: ClientSession, before: ClientStats) -> Self {
        let timer = session.poll_timeout().unwrap_or(Instant::FAR_FUTURE);
        Self { edge, session, before, timer, touched: false, not_sent: None }
    }
}

/// A driver of `kind`: of no other if that was `chosen`, else of one that fits into the limit of locked memory.
///
/// # Errors
/// As [`Driver::new`].
pub fn driver(
    chosen: Option<IoKind>,
    kind: IoKind,
    sockets: Vec<UdpSocket>,
    config: DriverConfig,
) -> Result<Driver, SysError> {
    if chosen.is_some() {
        return Driver::new(kind, sockets, config);
    }
    let mut driver = Driver::fitting(kind, sockets, config)?;
    static TOLD: Once = Once::new();
    if let Some(reason) = driver.no_ring() {
        TOLD.call_once(|| tracing::warn!(%reason, "datagrams go through epoll"));
    }
    driver.register(config);
    Ok(driver)
}

/// The socket for groups: the one after those of the sessions.
struct GroupSocket {
    interface: Interface,
    port: u16,
    heard: VecDeque<Vec<u8>>,
}

/// Sessions and the driver they share.
pub struct Connections {
    driver: Driver,
    peers: Vec<Peer>,
    groups: Option<GroupSocket>,
    /// Sessions that may have something to send or to tell: a turn costs by these, not by all there are.
    touched: VecDeque<usize>,
    access: Access,
    config: ConnectionConfig,
}

impl Connections {
    /// Begins a session with every edge of `edges`; an edge named twice gets two.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub fn open(
        edges: &[EdgeAddress],
        access: Access,
        config: ConnectionConfig,
    ) -> Result<Self, ConnectionError> {
        if edges.len() > SESSIONS_MAX {
            return Err(ConnectionError::TooMany { wanted: edges.len() });
        }
        let (kind, reason) = probe::choose(config.io)?;
        tracing::debug!(io = kind.name(), %reason, "driver chosen");
        let sockets = edges.iter().map(|edge| socket_towards(edge.address, config.gro));
        let mut sockets = sockets.collect::<Result<Vec<_>, _>>()?;
        let mut groups = None;
        if let (Some(multicast), Some(first)) = (&config.multicast, edges.first()) {
            let interface = Interface::named(&multicast.interface)?;
            let port = multicast.port;
            sockets.push(group_socket(first.address, port, config.gro)?);
            groups = Some(GroupSocket { interface, port, heard: VecDeque::new() });
        }
        let driver = driver(config.io, kind, sockets, DriverConfig::CLIENT)?;
        let mut peers = Vec::with_capacity(edges.len());
        for (index, edge) in edges.iter().enumerate() {
            let session = begin(edge, own_index(index), &access, &config, None)?;
            peers.push(Peer::new(*edge, session, ClientStats::default()));
        }
        let touched = VecDeque::new();
        let mut this = Self { driver, peers, groups, touched, access, config };
        (0..this.peers.len()).for_each(|index| this.touch(index));
        Ok(this)
    }

    /// The driver in use, as it is called on command lines.
    #[must_use]
    pub fn io(&self) -> &'static str {
        self.driver.kind().name()
    }

    /// How many sessions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether there is no session.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// The edge of session `index`.
    #[must_use]
    pub fn edge(&self, index: usize) -> &EdgeAddress {
        &self.peers[index].edge
    }

    /// Session `index`.
    pub fn session(&mut self, index: usize) -> &mut ClientSession {
        self.touch(index);
        &mut self.peers[index].session
    }

    /// The smoothed round trip of session `index`.
    #[must_use]
    pub fn rtt(&self, index: usize) -> Option<Duration> {
        self.peers[index].session.rtt()
    }

    fn touch(&mut self, index: usize) {
        if !std::mem::replace(&mut self.peers[index].touched, true) {
            self.touched.push_back(index);
        }
    }

    /// What session `index` and those before it in its place counted.
    #[must_use]
    pub fn stats(&self, index: usize) -> ClientStats {
        let mut all = self.peers[index].before;
        all += *self.peers[index].session.stats();
        all
    }

    /// Why the kernel did not send the last datagram of session `index` that it refused, as an errno.
    #[must_use]
    pub fn not_sent(&self, index: usize) -> Option<i32> {
        self.peers[index].not_sent
    }

    /// Ends a [`Connections::turn`] from another thread.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.driver.waker()
    }

    /// Puts a new session in the place of one that has ended.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub fn reopen(&mut self, index: usize) -> Result<(), ConnectionError> {
        let before = self.stats(index);
        let peer = &mut self.peers[index];
        let rtt = peer.session.rtt();
        let session = begin(&peer.edge, own_index(index), &self.access, &self.config, rtt)?;
        let (touched, not_sent) = (peer.touched, peer.not_sent);
        *peer = Peer { touched, not_sent, ..Peer::new(peer.edge, session, before) };
        self.touch(index);
        Ok(())
    }

    /// Sends what sessions want to send, then waits for datagrams or a timer, at most `limit`.
    ///
    /// # Errors
    /// When the driver fails as a whole.
    pub fn turn(&mut self, limit: Duration) -> Result<(), ConnectionError> {
        let all_queued = self.transmit();
        let timers = self.peers.iter().map(|peer| peer.timer);
        let first = timers.min().unwrap_or(Instant::FAR_FUTURE);
        let begin = now();
        let wait = first.saturating_since(begin).min(limit);
        // What found no buffer goes out as soon as this turn has freed some.
        let wait = if all_queued { wait } else { Duration::ZERO };
        let (peers, touched, groups) = (&mut self.peers, &mut self.touched, &mut self.groups);
        self.driver.turn(Some(wait), &mut |received| {
            let index = usize::from(received.socket);
            let Some(peer) = peers.get_mut(index) else {
                let room = groups.as_mut().filter(|groups| groups.heard.len() < HEARD_MAX);
                room.into_iter().for_each(|groups| groups.heard.push_back(received.bytes.to_vec()));
                return;
            };
            if received.from == peer.edge.address {
                peer.session.handle_datagram(now(), received.ecn, received.bytes);
                if !std::mem::replace(&mut peer.touched, true) {
                    touched.push_back(index);
                }
            }
        })?;
        while let Some(failure) = self.driver.take_failure() {
            // A lost request is repeated by its timer; the reason may help to find why nothing comes.
            tracing::debug!(?failure, "a datagram was not sent");
            let peer = usize::try_from(failure.ticket).ok();
            if let Some(peer) = peer.and_then(|index| self.peers.get_mut(index)) {
                peer.not_sent = Some(failure.kind.errno());
            }
        }
        // What had come when the turn began has been taken in. Whether something came since is not known: a timer that
        // became due since then waits for the next turn, so that nobody misses what only lies in his socket.
        for index in 0..self.peers.len() {
            if self.peers[index].timer <= begin {
                self.peers[index].session.handle_timeout(begin);
                self.touch(index);
            }
        }
        Ok(())
    }

    /// The next datagram that came to a group.
    pub fn take_heard(&mut self) -> Option<Vec<u8>> {
        self.groups.as_mut()?.heard.pop_front()
    }

    /// Becomes a member of a group.
    ///
    /// # Errors
    /// When there is no socket for its port, or the system refuses it.
    pub fn join(&self, route: &Route) -> Result<(), SysError> {
        let (socket, membership) = self.membership(route)?;
        socket.join(&membership)
    }

    /// Is a member of it no longer.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn leave(&self, route: &Route) -> Result<(), SysError> {
        let (socket, membership) = self.membership(route)?;
        socket.leave(&membership)
    }

    fn membership(&self, route: &Route) -> Result<(&UdpSocket, Membership), SysError> {
        let Route { source, group, port } = *route;
        let groups = self.groups.as_ref().filter(|groups| groups.port == port);
        let socket = self.driver.sockets().get(self.peers.len());
        let (Some(groups), Some(socket)) = (groups, socket) else {
            let unbound = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
            return Err(SysError::new(format!("hear port {port} of {group}"), unbound)
                .with_hint("say that port with --multicast-port"));
        };
        Ok((socket, Membership { interface: groups.interface, source, group }))
    }

    /// The next thing that happened to any session.
    pub fn poll_event(&mut self) -> Option<(usize, ClientEvent)> {
        // A session stays touched when its events are told: it may have something to send, too.
        let mut touched = self.touched.iter().copied();
        touched.find_map(|index| Some((index, self.peers[index].session.poll_event()?)))
    }

    /// Says goodbye to all edges. A CLOSE that gets lost costs the edge an idle timeout, no more.
    pub fn close(&mut self) {
        (0..self.peers.len()).for_each(|index| self.session(index).close());
        // Each turn takes a few of them; one for every session is more than enough.
        for _ in 0..=self.peers.len() {
            let all_queued = self.transmit();
            if let Err(error) = self.driver.turn(Some(Duration::ZERO), &mut |_| ()) {
                tracing::debug!(%error, "could not say goodbye");
                return;
            }
            if all_queued {
                return;
            }
        }
    }

    /// Queues what touched sessions want to send, and renews their timers; false when buffers ran out.
    fn transmit(&mut self) -> bool {
        let at = now();
        while let Some(&index) = self.touched.front() {
            let peer = &mut self.peers[index];
            let socket = u16::try_from(index).expect("SESSIONS_MAX fits");
            loop {
                let Some(mut buffer) = self.driver.send_buffer() else { return false };
                let Some(len) = peer.session.poll_transmit(at, &mut buffer) else { break };
                let to = peer.edge.address;
                let datagram = Outgoing::datagram(buffer, len, socket, to);
                self.driver.send(Outgoing { ticket: index as u64, ..datagram });
            }
            peer.timer = peer.session.poll_timeout().unwrap_or(Instant::FAR_FUTURE);
            peer.touched = false;
            self.touched.pop_front();
        }
        true
    }
}

/// Each session has a socket to itself, so any index would do.
fn own_index(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// A socket of the family of `edge`, on a port that the system chooses, which counts what it drops. `gro`: receive offload.
///
/// # Errors
/// When the system refuses it.
pub fn socket_towards(edge: SocketAddr, gro: bool) -> Result<UdpSocket, SysError> {
    let any = match edge {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    UdpSocket::bind(any, &udp(gro))
}

/// A socket for groups of the family of `edge`. `gro`: receive offload.
///
/// # Errors
/// When the system refuses it.
pub fn group_socket(edge: SocketAddr, port: u16, gro: bool) -> Result<UdpSocket, SysError> {
    UdpSocket::bind_group_receiver(edge.ip(), port, &udp(gro))
}

fn udp(gro: bool) -> UdpConfig {
    UdpConfig {
        gro,
        count_overflow: true,
        receive_buffer_bytes: SOCKET_BUFFER_BYTES,
        ..UdpConfig::default()
    }
}

/// Begins a session, whose HELLO is due at once. `index`: what the edge shall call it towards this client.
///
/// # Errors
/// [`ConnectionError::Randomness`], [`ConnectionError::Session`].
pub fn begin(
    edge: &EdgeAddress,
    index: u32,
    access: &Access,
    config: &ConnectionConfig,
    rtt_hint: Option<Duration>,
) -> Result<ClientSession, ConnectionError> {
    let seed = fresh_seed().map_err(ConnectionError::Randomness)?;
    let config = ClientConfig {
        suite: config.suite,
        edge_public: edge.public_key,
        secret: StaticSecret::new(*access.secret()),
        token: access.token().to_vec(),
        datagram_max: config.datagram_max,
        sender_index: index,
        room_bytes: config.room_bytes,
        rtt_hint,
        epoch_packets: EPOCH_PACKETS,
    };
    ClientSession::new(config, seed, now()).map_err(ConnectionError::Session)
}
