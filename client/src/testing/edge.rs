//! An edge inside the test: the real endpoint over real sockets on the loopback, with faults on demand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use segcast_keys::grant::{Grant, GrantedTitle};
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::handshake::{EdgeIdentity, StaticSecret};
use segcast_proto::ids::{ObjectNumber, SetId, SetIndex};
use segcast_proto::limits::TRAIN_MAX;
use segcast_proto::session::server::{
    Endpoint, EndpointConfig, Object, Path, SegmentSource, SendFailure,
};
use segcast_proto::token::{self, Claims, Keyring};
use segcast_sysio::clock::unix_seconds;
use segcast_sysio::driver::{Driver, DriverConfig, Outgoing};
use segcast_sysio::probe::IoKind;
use segcast_sysio::udp::{UdpConfig, UdpSocket};
use zeroize::Zeroizing;

use super::{CENTER_SEED, Packed};
use crate::access::{Access, EdgeAddress};
use crate::connection::now;

const CLIENT_SECRET: [u8; 32] = [0x11; 32];
const EDGE_SECRET: [u8; 32] = [0x22; 32];

/// What is wrong with an edge.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// One bit of this segment is flipped.
    pub(crate) wrong: Option<u32>,
    /// Every segment is the last one's bytes.
    pub(crate) all_wrong: bool,
    /// This segment cannot be read.
    pub(crate) damaged: Option<u32>,
    /// It does not have the set.
    pub(crate) empty: bool,
}

/// A title as an edge holds it.
struct Source {
    packed: Packed,
    faults: Faults,
    wrong: Vec<u8>,
}

impl Source {
    fn new(packed: Packed, faults: Faults) -> Self {
        let wrong = faults.wrong.and_then(|n| packed.stored.get(n as usize).cloned());
        let mut wrong = wrong.unwrap_or_default();
        wrong.iter_mut().take(1).for_each(|byte| *byte ^= 1);
        Self { packed, faults, wrong }
    }
}

impl SegmentSource for Source {
    fn find_set(&self, id: &SetId) -> Option<SetIndex> {
        (*id == super::SET && !self.faults.empty).then_some(SetIndex::FIRST)
    }

    fn object(&self, _: SetIndex, object: ObjectNumber) -> Object<'_> {
        if let Some(page) = object.as_page() {
            let page = self.packed.pages.get(usize::from(page));
            return page.map_or(Object::PastEnd, |page| Object::Ready(page));
        }
        if self.faults.damaged == Some(object.0) {
            return Object::Damaged;
        }
        if self.faults.wrong == Some(object.0) {
            return Object::Ready(&self.wrong);
        }
        let last = self.packed.stored.last().filter(|_| self.faults.all_wrong);
        let segment = last.or(self.packed.stored.get(object.0 as usize));
        segment.map_or(Object::PastEnd, |segment| Object::Ready(segment))
    }
}

/// A running edge; dropping it is a crash: nobody is told.
pub(crate) struct Edge {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    trains: Arc<AtomicU32>,
    thread: Option<JoinHandle<()>>,
}

impl Edge {
    /// Serves `packed` on `address` (port 0: any).
    pub(crate) fn start(packed: Packed, faults: Faults, address: &str) -> Self {
        let config = UdpConfig { receive_buffer_bytes: 1 << 20, ..UdpConfig::default() };
        let socket = UdpSocket::bind(address.parse().unwrap(), &config).unwrap();
        let address = socket.local_addr();
        let (stop, trains) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let source = Source::new(packed, faults);
        let run = {
            let (stop, trains) = (stop.clone(), trains.clone());
            move || serve(socket, &source, &stop, &trains)
        };
        Self { address, stop, trains, thread: Some(std::thread::spawn(run)) }
    }

    /// What a client must know of it.
    pub(crate) fn address(&self) -> EdgeAddress {
        let public_key = StaticSecret::new(EDGE_SECRET).public();
        EdgeAddress { address: self.address, public_key }
    }

    /// Trains and messages sent so far.
    pub(crate) fn sent(&self) -> u32 {
        self.trains.load(Ordering::Relaxed)
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join);
    }
}

fn serve(socket: UdpSocket, source: &Source, stop: &AtomicBool, sent: &AtomicU32) {
    let mut driver = Driver::new(IoKind::Mmsg, vec![socket], DriverConfig::EDGE).unwrap();
    let identity = Arc::new(EdgeIdentity::new(StaticSecret::new(EDGE_SECRET)));
    let center = SigningKey::from_seed(&CENTER_SEED).public();
    let keyring = Arc::new(Keyring::new([center]));
    let seed = crate::access::fresh_seed().unwrap();
    let mut endpoint = Endpoint::new(EndpointConfig::new(identity), keyring, seed, seed, now());
    while !stop.load(Ordering::Relaxed) {
        let mut idle = true;
        while let Some(mut buffer) = driver.send_buffer() {
            assert!(buffer.len() >= TRAIN_MAX);
            let Some(train) = endpoint.poll_transmit(now(), source, &mut buffer) else { break };
            driver.send(Outgoing {
                buffer,
                len: train.len,
                datagram_bytes: train.datagram_bytes,
                socket: train.path.socket,
                to: train.path.remote,
                ticket: train.ticket.to_bits(),
            });
            sent.fetch_add(1, Ordering::Relaxed);
            idle = false;
        }
        let timer = endpoint.poll_timeout().map_or(Duration::MAX, |at| at.saturating_since(now()));
        let wait = if idle { timer.min(Duration::from_millis(5)) } else { Duration::ZERO };
        let unix = unix_seconds();
        let mut on_datagram = |received: segcast_sysio::driver::Received<'_>| {
            let path = Path { socket: received.socket, remote: received.from };
            endpoint.handle_datagram(now(), unix, path, received.bytes, source);
        };
        driver.turn(Some(wait), &mut on_datagram).unwrap();
        while let Some(failure) = driver.take_failure() {
            let ticket = segcast_proto::session::server::SendTicket::from_bits(failure.ticket);
            endpoint.handle_send_failure(now(), ticket, SendFailure::TooLarge);
        }
        endpoint.handle_timeout(now());
        while endpoint.poll_event().is_some() {}
    }
}

/// A grant for the test's title.
pub(crate) fn access() -> Access {
    access_from(unix_seconds())
}

/// A grant whose hour was over long ago.
pub(crate) fn expired_access() -> Access {
    access_from(unix_seconds() - 7200)
}

/// A grant for an hour.
fn access_from(not_before: u64) -> Access {
    let secret = StaticSecret::new(CLIENT_SECRET);
    let center = SigningKey::from_seed(&CENTER_SEED);
    let claims = Claims {
        expires: not_before + 3600,
        not_before,
        token_id: [1; 8],
        client_public: secret.public(),
        sets: vec![super::SET],
        rate_cap_kbits: None,
        sessions: None,
        grace: None,
        plays: vec![],
    };
    let title = GrantedTitle { set: super::SET, key: Some(super::title_key()) };
    let grant = Grant {
        token: token::mint(&claims, &center).unwrap(),
        center_key: center.public(),
        titles: vec![title],
        client_secret: Some(Zeroizing::new(CLIENT_SECRET)),
    };
    Access::new(grant, None).unwrap()
}
