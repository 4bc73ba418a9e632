//! A client that is nothing but a socket and the sans-IO session, and what it takes to look at an edge.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant as Clock};

use segcast_edge::{Exit, Server};
use segcast_proto::crypto::Suite;
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::handshake::StaticSecret;
use segcast_proto::ids::ObjectNumber;
use segcast_proto::limits::EPOCH_PACKETS;
use segcast_proto::session::client::{ClientConfig, ClientEvent, ClientSession};
use segcast_proto::time::Instant;
use segcast_proto::token::{self, Claims};

use crate::world::{PATIENCE, SEGMENT, SEGMENTS, World, page, segment};

/// A client with one session.
pub(crate) struct Client {
    socket: UdpSocket,
    pub(crate) session: ClientSession,
    begun: Clock,
}

fn now() -> Instant {
    Instant::from_nanos(segcast_sysio::clock::monotonic_nanoseconds())
}

impl Client {
    /// `number` makes the client's key.
    pub(crate) fn new(
        world: &World,
        center: &SigningKey,
        server: &Server,
        to: SocketAddr,
        number: u8,
    ) -> Self {
        let secret = StaticSecret::new([number; 32]);
        let config = ClientConfig {
            suite: Suite::Aes128Gcm,
            edge_public: server.public_key(),
            token: token(world, center, &secret),
            secret,
            datagram_max: 8952,
            sender_index: u32::from(number),
            room_bytes: 64 << 20,
            rtt_hint: None,
            epoch_packets: EPOCH_PACKETS,
        };
        let any: SocketAddr =
            if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }.parse().expect("address");
        let socket = UdpSocket::bind(any).expect("bind");
        socket.connect(to).expect("connect");
        socket.set_nonblocking(true).expect("nonblocking");
        let session = ClientSession::new(config, [number; 32], now()).expect("session");
        Self { socket, session, begun: Clock::now() }
    }

    pub(crate) fn fetch(&mut self, object: ObjectNumber, len: Option<u32>) {
        self.session.fetch(now(), 0, object, len, Duration::from_secs(5)).expect("fetch");
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
    pub(crate) fn event(&mut self) -> ClientEvent {
        loop {
            if let Some(event) = self.session.poll_event() {
                return event;
            }
            assert!(self.begun.elapsed() < PATIENCE, "nothing happens: {:?}", self.session.stats());
            self.turn();
        }
    }

    /// Serves the session until it has nothing to say for a moment.
    pub(crate) fn finish(&mut self) {
        self.session.close();
        self.turn();
    }

    /// Fetches both pages and every segment, and compares every byte.
    pub(crate) fn fetch_everything(&mut self) {
        (0..2).for_each(|number| self.fetch(ObjectNumber::page(number), None));
        (0..SEGMENTS).for_each(|number| self.fetch(ObjectNumber(number), Some(SEGMENT)));
        let mut left = 2 + SEGMENTS;
        while left > 0 {
            match self.event() {
                ClientEvent::Open => {}
                ClientEvent::Object(fetched) => {
                    let expected = match fetched.object.as_page() {
                        Some(number) => page(number),
                        None => segment(fetched.object.0),
                    };
                    assert!(fetched.bytes == expected, "{:?} arrived altered", fetched.object);
                    left -= 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// A token for one client, signed by `center`.
fn token(world: &World, center: &SigningKey, client: &StaticSecret) -> Vec<u8> {
    let now = segcast_sysio::clock::unix_seconds();
    let claims = Claims {
        expires: now + 3600,
        not_before: now - 3600,
        token_id: client.public()[..8].try_into().expect("8 bytes"),
        client_public: client.public(),
        sets: vec![world.set],
        rate_cap_kbits: None,
        sessions: None,
    };
    token::mint(&claims, center).expect("token")
}

/// The body of an answer of the admin address.
pub(crate) fn http(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("connect");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n").expect("send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("head");
    let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("status");
    (status, body.to_owned())
}

/// One number of `/metrics`, by its name and labels as they stand there.
pub(crate) fn metric(server: &Server, name: &str) -> u64 {
    let address = server.admin_address().expect("admin");
    let (_, text) = http(address, "/metrics");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().expect("number")
}

/// Waits until `/metrics` shows what is expected: counters are published once per turn.
pub(crate) fn wait_for(server: &Server, name: &str, expected: impl Fn(u64) -> bool) {
    let begun = Clock::now();
    while !expected(metric(server, name)) {
        assert!(begun.elapsed() < PATIENCE, "{name} stays {}", metric(server, name));
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Drains the edge and expects a clean end.
pub(crate) fn end(server: Server) {
    server.drain();
    assert_eq!(server.join(), Exit::Ok);
}

/// The one file with segments in a store.
pub(crate) fn segment_file(store: &Path) -> PathBuf {
    let mut files = Vec::new();
    let mut directories = vec![store.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("store") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                directories.push(path);
            } else {
                files.push((std::fs::metadata(&path).expect("file").len(), path));
            }
        }
    }
    files.sort();
    files.pop().expect("a segment file").1
}
