//! One session on a socket of its own: nothing but the socket and the sans-IO session.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use segcast_proto::ids::{ObjectNumber, SetHandle};
use segcast_proto::session::client::{ClientConfig, ClientEvent, ClientSession};

use super::now;
use crate::process::PATIENCE;

/// A client with one session.
pub struct Client {
    socket: UdpSocket,
    /// Its session: what it counts, and whether it is open.
    pub session: ClientSession,
    begun: Instant,
}

impl Client {
    /// Begins a session with the edge at `to`.
    ///
    /// # Panics
    /// When there is no socket, or `config` makes no session.
    #[must_use]
    pub fn new(to: SocketAddr, config: ClientConfig, seed: [u8; 32]) -> Self {
        let any = match to {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
        };
        let socket = UdpSocket::bind(any).expect("bind");
        socket.connect(to).expect("connect");
        socket.set_nonblocking(true).expect("nonblocking");
        let session = ClientSession::new(config, seed, now()).expect("session");
        Self { socket, session, begun: Instant::now() }
    }

    /// Asks for an object of the token's first set; `len`: its bytes, where they are known.
    ///
    /// # Panics
    /// When the session takes no more requests.
    pub fn fetch(&mut self, object: ObjectNumber, len: Option<u32>) {
        self.session
            .fetch(now(), SetHandle::FIRST, object, len, Duration::from_secs(5))
            .expect("fetch");
    }

    /// Sends what is due, takes in what has come, or waits a little.
    fn turn(&mut self) {
        let mut buffer = vec![0; 65_536];
        while let Some(len) = self.session.poll_transmit(now(), &mut buffer) {
            self.socket.send(&buffer[..len]).expect("send");
        }
        // A receive timeout has the resolution of the kernel's tick, 4 ms and more: too coarse for reports.
        let mut came = false;
        while let Ok(len) = self.socket.recv(&mut buffer) {
            self.session.handle_datagram(now(), 0, &mut buffer[..len]);
            came = true;
        }
        if !came {
            std::thread::sleep(Duration::from_micros(50));
        }
        self.session.handle_timeout(now());
    }

    /// The next event.
    ///
    /// # Panics
    /// When none comes in [`PATIENCE`] from the session's begin on.
    pub fn event(&mut self) -> ClientEvent {
        loop {
            if let Some(event) = self.session.poll_event() {
                return event;
            }
            assert!(self.begun.elapsed() < PATIENCE, "nothing happens: {:?}", self.session.stats());
            self.turn();
        }
    }

    /// Takes in `count` objects, and gives each one's bytes to `check`.
    ///
    /// # Panics
    /// When anything else happens than that they come.
    pub fn take(&mut self, count: usize, mut check: impl FnMut(ObjectNumber, &[u8])) {
        let mut left = count;
        while left > 0 {
            match self.event() {
                ClientEvent::Open => {}
                ClientEvent::Object(fetched) => {
                    check(fetched.object, &fetched.bytes);
                    left -= 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Says CLOSE.
    pub fn finish(&mut self) {
        self.session.close();
        self.turn();
    }
}
