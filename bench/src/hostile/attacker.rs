//! The attacker: sends prepared datagrams at a steady rate from many addresses and ports, reads nothing, and says what
//! it reached.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use segcast_sysio::lab::realtime::schedule_realtime;
use segcast_sysio::udp::{UdpConfig, UdpSocket as BoundSocket};
use serde::Serialize;

use super::place::Place;

/// Addresses, each with a port of its own.
const SOURCES: u16 = 256;
/// How often it sends.
const TICK: Duration = Duration::from_micros(200);
/// What it makes up for when it was late; the rest of its lag it forgets, so that it never sends a burst that no
/// attacker of its rate would.
const LATE: Duration = Duration::from_millis(5);

/// What was sent.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Sent {
    /// Datagrams that the kernel took.
    pub(super) datagrams: u64,
    /// Those that it refused.
    pub(super) failed: u64,
    /// For how long.
    pub(super) seconds: f64,
    /// Whether it ran before everything else on its core.
    pub(super) realtime: bool,
}

/// Sockets of all addresses.
pub(super) struct Attacker {
    sockets: Vec<UdpSocket>,
}

impl Attacker {
    /// Binds the sockets, on a thread at the attacker's side.
    ///
    /// # Errors
    /// When an address cannot be bound.
    pub(super) fn new(place: &Place, edge: SocketAddr) -> anyhow::Result<Self> {
        // Answers to these addresses are of no use: room for one, and the kernel drops the others.
        let config = UdpConfig { receive_buffer_bytes: 1, ..UdpConfig::default() };
        let socket = |number| -> anyhow::Result<UdpSocket> {
            let bound = BoundSocket::bind(SocketAddr::new(place.spoofed(number), 0), &config)?;
            let socket = UdpSocket::from(bound.as_fd().try_clone_to_owned()?);
            socket.connect(edge)?;
            Ok(socket)
        };
        Ok(Self { sockets: (0..SOURCES).map(socket).collect::<anyhow::Result<_>>()? })
    }

    /// Sends `datagrams` in turn, `rate` of them a second, until `stop` is set. The calling thread gets
    /// real-time priority, where that is allowed, and keeps it.
    pub(super) fn run(&self, datagrams: &[Vec<u8>], rate: f64, stop: &AtomicBool) -> Sent {
        let realtime = schedule_realtime().is_ok();
        let mut sent = Sent { realtime, ..Sent::default() };
        let mut sockets = self.sockets.iter().cycle();
        let mut next = datagrams.iter().cycle();
        let begin = Instant::now();
        // Datagrams that are due by the clock, less what was forgotten.
        let (mut forgotten, most) = (0.0, (LATE.as_secs_f64() * rate).max(1.0));
        while !stop.load(Ordering::Relaxed) {
            let owed = begin.elapsed().as_secs_f64() * rate
                - forgotten
                - (sent.datagrams + sent.failed) as f64;
            forgotten += (owed - most).max(0.0);
            for _ in 0..owed.min(most) as u64 {
                let (Some(socket), Some(datagram)) = (sockets.next(), next.next()) else { break };
                match socket.send(datagram) {
                    Ok(_) => sent.datagrams += 1,
                    Err(_) => sent.failed += 1,
                }
            }
            sleep(TICK);
        }
        sent.seconds = begin.elapsed().as_secs_f64();
        sent
    }
}
