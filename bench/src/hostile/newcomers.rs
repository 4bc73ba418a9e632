//! Clients that come, open a session and go, so many in a second: what a handshake costs, and whether it still succeeds.
//!
//! Open loop: each begins at its time, whatever became of those before. All are whole sessions of the production client:
//! HELLO, COOKIE where the edge asks for one, WELCOME, CLOSE, and HELLO again by its own timer.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd as _;

use rand_core::RngCore;
use segcast_client::access::EdgeAddress;
use segcast_client::connection::now;
use segcast_lab::realtime::wait_readable;
use segcast_proto::handshake::StaticSecret;
use segcast_proto::limits::DATAGRAM_MAX;
use segcast_proto::session::client::{ClientEvent, ClientSession};
use segcast_proto::time::{Duration, Instant};
use serde::Serialize;

use super::record::config;
use crate::sink::world::Packed;

/// The longest wait: the next one comes by then.
const WAIT: Duration = Duration::from_micros(200);
/// Where the receiver index lies in a packet (docs/protocol, section 1).
const RECEIVER: std::ops::Range<usize> = 4..8;

/// What became of them.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Tally {
    /// Clients that began.
    pub(super) begun: u64,
    /// Those whose session opened within the time.
    pub(super) opened: u64,
    /// Those that the edge refused.
    pub(super) refused: u64,
    /// HELLOs sent: more than begun where cookies were asked for, or HELLOs were lost.
    pub(super) hellos: u64,
}

/// What a client comes with, and may come again with.
pub(super) struct Keys {
    secret: [u8; 32],
    token: Vec<u8>,
}

impl Keys {
    /// Those of a new client.
    ///
    /// # Errors
    /// When no token can be made.
    pub(super) fn new(packed: &Packed, rng: &mut impl RngCore) -> anyhow::Result<Self> {
        let mut secret = [0; 32];
        rng.fill_bytes(&mut secret);
        let token = packed.token(rng.next_u64(), &StaticSecret::new(secret), None)?;
        Ok(Self { secret, token })
    }
}

/// Clients of one measured piece, made before it begins.
pub(super) struct Newcomers {
    socket: UdpSocket,
    sessions: Vec<ClientSession>,
    /// Those that have begun and are not through.
    active: Vec<usize>,
    tally: Tally,
    hellos: Vec<Vec<u8>>,
    buffer: Vec<u8>,
}

impl Newcomers {
    /// Makes a client for each of `keys`. Their HELLOs stay fresh for five seconds.
    ///
    /// # Errors
    /// When one cannot be made, or there is no socket.
    pub(super) fn new(
        edge: EdgeAddress,
        keys: &[Keys],
        rng: &mut impl RngCore,
    ) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect(edge.address)?;
        socket.set_nonblocking(true)?;
        let mut session = |(index, keys): (u32, &Keys)| -> anyhow::Result<ClientSession> {
            let mut seed = [0; 32];
            rng.fill_bytes(&mut seed);
            Ok(ClientSession::new(
                config(edge, keys.secret, keys.token.clone(), index),
                seed,
                now(),
            )?)
        };
        let sessions = (0..).zip(keys).map(&mut session).collect::<Result<_, _>>()?;
        let (active, hellos) = (Vec::new(), Vec::new());
        let buffer = vec![0; DATAGRAM_MAX];
        Ok(Self { socket, sessions, active, tally: Tally::default(), hellos, buffer })
    }

    /// Begins `rate` clients a second until all have begun, and waits for them until `patience` after the last one.
    ///
    /// # Errors
    /// Those of the socket.
    pub(super) fn run(&mut self, rate: f64, patience: Duration) -> anyhow::Result<Tally> {
        let begin = now();
        let all = Duration::from_secs_f64(self.sessions.len() as f64 / rate);
        let mut begun = 0;
        while begun < self.sessions.len() || !self.active.is_empty() {
            let elapsed = now().saturating_since(begin);
            if elapsed > all + patience {
                break;
            }
            let due = (elapsed.as_secs_f64() * rate) as usize + 1;
            while begun < due.min(self.sessions.len()) {
                self.active.push(begun);
                self.tally.begun += 1;
                self.transmit(begun)?;
                begun += 1;
            }
            wait_readable([self.socket.as_fd()], WAIT)?;
            self.receive()?;
            self.timers()?;
        }
        Ok(self.tally)
    }

    /// The HELLO of every client whose session opened, as it was sent last.
    pub(super) fn into_hellos(self) -> Vec<Vec<u8>> {
        self.hellos
    }

    fn receive(&mut self) -> anyhow::Result<()> {
        loop {
            let length = match self.socket.recv(&mut self.buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let Some(&[a, b, c, d]) = self.buffer.get(RECEIVER) else { continue };
            let index = u32::from_be_bytes([a, b, c, d]) as usize;
            let Some(session) = self.sessions.get_mut(index) else { continue };
            session.handle_datagram(now(), 0, &mut self.buffer[..length]);
            self.after(index)?;
        }
    }

    /// What a client does after something happened to it.
    fn after(&mut self, index: usize) -> anyhow::Result<()> {
        while let Some(event) = self.sessions[index].poll_event() {
            match event {
                ClientEvent::Open => {
                    self.tally.opened += 1;
                    self.sessions[index].close();
                }
                ClientEvent::Refused { .. } => self.tally.refused += 1,
                _ => {}
            }
        }
        self.transmit(index)
    }

    fn timers(&mut self) -> anyhow::Result<()> {
        self.active.retain(|&index| !self.sessions[index].has_ended());
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now());
        for index in self.active.clone() {
            if due(self.sessions[index].poll_timeout()) {
                self.sessions[index].handle_timeout(now());
                self.after(index)?;
            }
        }
        Ok(())
    }

    fn transmit(&mut self, index: usize) -> anyhow::Result<()> {
        let Some(session) = self.sessions.get_mut(index) else { return Ok(()) };
        while let Some(length) = session.poll_transmit(now(), &mut self.buffer) {
            // A full buffer is a loss; the session's timer sends again.
            let _ = self.socket.send(&self.buffer[..length]);
            if !session.is_open() && !session.has_ended() {
                self.tally.hellos += 1;
                self.hellos.push(self.buffer[..length].to_vec());
            }
        }
        Ok(())
    }
}
