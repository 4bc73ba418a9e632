//! A real session and real handshakes with the edge, written down: what an attacker on the path could replay.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};

use anyhow::Context as _;
use segcast_client::access::EdgeAddress;
use segcast_client::connection::now;
use segcast_proto::crypto::Suite;
use segcast_proto::handshake::StaticSecret;
use segcast_proto::ids::{ObjectNumber, SetHandle};
use segcast_proto::limits::{DATAGRAM_MAX, EPOCH_PACKETS};
use segcast_proto::session::client::{ClientConfig, ClientEvent, ClientSession};
use segcast_proto::time::{Duration, Instant};

/// Time for a recording.
const PATIENCE: Duration = Duration::from_secs(10);
/// What the recorded client can take beyond what it received: little, so that a plain socket's buffer is enough.
const ROOM: u64 = 128 << 10;
/// Datagrams of the session that are kept.
const PACKETS: usize = 256;

/// What was written down.
#[derive(Clone, Debug, Default)]
pub(super) struct Recording {
    /// HELLOs of handshakes that the edge completed.
    pub(super) hellos: Vec<Vec<u8>>,
    /// What one session sent after its handshake.
    pub(super) packets: Vec<Vec<u8>>,
}

/// A client of the edge.
pub(super) fn config(
    edge: EdgeAddress,
    secret: [u8; 32],
    token: Vec<u8>,
    sender_index: u32,
) -> ClientConfig {
    ClientConfig {
        suite: Suite::Aes128Gcm,
        edge_public: edge.public_key,
        secret: StaticSecret::new(secret),
        token,
        datagram_max: DATAGRAM_MAX,
        sender_index,
        room_bytes: ROOM,
        rtt_hint: None,
        epoch_packets: EPOCH_PACKETS,
    }
}

/// A session that is kept open for as long as this lives.
pub(super) struct Recorder {
    socket: UdpSocket,
    session: ClientSession,
    open: bool,
    segments: u32,
    asked: u32,
    buffer: Vec<u8>,
    packets: Vec<Vec<u8>>,
}

impl Recorder {
    /// Fetches from `edge` until enough datagrams were sent.
    ///
    /// # Errors
    /// When the edge refuses or does not answer.
    pub(super) fn open(
        edge: EdgeAddress,
        config: ClientConfig,
        seed: [u8; 32],
        segments: u32,
    ) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect(edge.address)?;
        // The session's own timers are longer.
        socket.set_read_timeout(Some(Duration::from_millis(5)))?;
        let session = ClientSession::new(config, seed, now())?;
        let (open, asked, packets) = (false, 0, Vec::new());
        let buffer = vec![0; 65_536];
        let mut this = Self { socket, session, open, segments, asked, buffer, packets };
        let end = now() + PATIENCE;
        while this.packets.len() < PACKETS {
            this.turn(end)?;
        }
        Ok(this)
    }

    /// What the session has sent.
    pub(super) fn packets(&self) -> &[Vec<u8>] {
        &self.packets
    }

    fn turn(&mut self, end: Instant) -> anyhow::Result<()> {
        anyhow::ensure!(now() < end, "a session to record got no answer in {PATIENCE:?}");
        while let Some(length) = self.session.poll_transmit(now(), &mut self.buffer) {
            self.socket.send(&self.buffer[..length])?;
            if self.open {
                self.packets.push(self.buffer[..length].to_vec());
            }
        }
        match self.socket.recv(&mut self.buffer) {
            Ok(length) => self.session.handle_datagram(now(), 0, &mut self.buffer[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error).context("the recorded session's socket"),
        }
        if self.session.poll_timeout().is_some_and(|due| due <= now()) {
            self.session.handle_timeout(now());
        }
        while let Some(event) = self.session.poll_event() {
            match event {
                ClientEvent::Open => self.open = true,
                ClientEvent::Object(_) | ClientEvent::PulseReply { .. } => {}
                other => anyhow::bail!("the recorded session: {other:?}"),
            }
        }
        if self.open && self.session.outstanding() == 0 {
            let object = ObjectNumber(self.asked % self.segments.max(1));
            self.asked += 1;
            self.session.fetch(now(), SetHandle::FIRST, object, None, Duration::ZERO)?;
        }
        Ok(())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.session.close();
        while let Some(length) = self.session.poll_transmit(now(), &mut self.buffer) {
            // A CLOSE that is lost costs the edge an idle timeout, no more.
            let _ = self.socket.send(&self.buffer[..length]);
        }
    }
}
