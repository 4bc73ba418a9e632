//! The attacker: sends prepared datagrams at a steady rate from many addresses and ports, reads nothing, and says what
//! it reached.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use segcast_lab::realtime::schedule_realtime;
use segcast_proto::handshake::COOKIE_LEN;
use segcast_proto::limits::{CLEAR_HEADER, DATAGRAM_MAX};
use segcast_sysio::udp::{UdpConfig, UdpSocket as BoundSocket};
use serde::Serialize;

use super::junk::COOKIE;
use super::place::Place;

/// How long it waits for a COOKIE.
const COOKIE_WAIT: Duration = Duration::from_millis(20);
/// The proven HELLO so often, so that bursts can be made of it.
const PROVEN: usize = 64;
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
    sockets: Vec<Source>,
    burst: usize,
}

/// One address.
struct Source {
    socket: UdpSocket,
    /// The same socket, for its options.
    bound: BoundSocket,
}

/// Datagrams of one length that leave at once.
struct Burst {
    datagram: u16,
    count: u64,
    bytes: Vec<u8>,
}

impl Attacker {
    /// Binds the sockets, on a thread at the attacker's side.
    ///
    /// # Errors
    /// When an address cannot be bound.
    pub(super) fn new(place: &Place, edge: SocketAddr) -> anyhow::Result<Self> {
        let source = |number| -> anyhow::Result<Source> {
            // Answers to the other addresses are of no use: room for one, and the kernel drops the others.
            let receive_buffer_bytes = if number == 0 { PROVEN * 4096 } else { 1 };
            let config = UdpConfig { receive_buffer_bytes, ..UdpConfig::default() };
            let bound = BoundSocket::bind(SocketAddr::new(place.spoofed(number), 0), &config)?;
            let socket = UdpSocket::from(bound.as_fd().try_clone_to_owned()?);
            socket.connect(edge)?;
            Ok(Source { socket, bound })
        };
        let sockets = (0..SOURCES).map(source).collect::<anyhow::Result<_>>()?;
        Ok(Self { sockets, burst: place.burst() })
    }

    /// Has its first address proven for one of `hellos`, and gives that HELLO with its cookie, many times over.
    ///
    /// # Errors
    /// When the edge demands no cookie for any of them.
    pub(super) fn prove(&self, hellos: &[Vec<u8>]) -> anyhow::Result<Vec<Vec<u8>>> {
        let socket = &self.sockets[0].socket;
        socket.set_read_timeout(Some(COOKIE_WAIT))?;
        let mut answer = [0; DATAGRAM_MAX];
        // Handshakes are free at first; each of these is refused, until there are too many.
        for hello in hellos {
            socket.send(hello)?;
            while let Ok(length) = socket.recv(&mut answer) {
                // Its mac1 and the cookie lie behind the clear header, as they end the HELLO.
                let is_cookie = length == COOKIE_LEN;
                if is_cookie && answer[CLEAR_HEADER..][..16] == hello[COOKIE - 16..COOKIE] {
                    let proven = [&hello[..COOKIE], &answer[length - 16..length]].concat();
                    return Ok(vec![proven; PROVEN]);
                }
                if !is_cookie {
                    break;
                }
            }
        }
        anyhow::bail!("no COOKIE for {} HELLOs", hellos.len())
    }

    /// Sends `datagrams` in turn, `rate` of them a second, until `stop` is set. The calling thread gets
    /// real-time priority, where that is allowed, and keeps it.
    /// `alone`: from the first address only.
    pub(super) fn run(
        &self,
        datagrams: &[Vec<u8>],
        alone: bool,
        rate: f64,
        stop: &AtomicBool,
    ) -> Sent {
        let realtime = schedule_realtime().is_ok();
        let mut sent = Sent { realtime, ..Sent::default() };
        // With what each socket cuts its sends into; not known at first.
        let from = if alone { &self.sockets[..1] } else { &self.sockets[..] };
        let mut sources: Vec<_> = from.iter().map(|source| (source, None)).collect();
        let mut at = (0..sources.len()).cycle();
        let bursts = bursts(datagrams, self.burst);
        let mut next = bursts.iter().cycle();
        let begin = Instant::now();
        // Datagrams that are due by the clock, less what was forgotten.
        let (mut forgotten, most) = (0.0, (LATE.as_secs_f64() * rate).max(1.0));
        while !stop.load(Ordering::Relaxed) {
            let owed = begin.elapsed().as_secs_f64() * rate
                - forgotten
                - (sent.datagrams + sent.failed) as f64;
            forgotten += (owed - most).max(0.0);
            let mut due = owed.min(most) as u64;
            while due > 0 {
                let (Some(at), Some(burst)) = (at.next(), next.next()) else { break };
                let (source, cuts) = &mut sources[at];
                match source.send(burst, cuts) {
                    Ok(_) => sent.datagrams += burst.count,
                    Err(_) => sent.failed += burst.count,
                }
                due = due.saturating_sub(burst.count);
            }
            sleep(TICK);
        }
        sent.seconds = begin.elapsed().as_secs_f64();
        sent
    }
}

impl Source {
    fn send(&self, burst: &Burst, cuts: &mut Option<u16>) -> io::Result<usize> {
        if cuts.replace(burst.datagram) != Some(burst.datagram) {
            self.bound.set_segment(burst.datagram)?;
        }
        self.socket.send(&burst.bytes)
    }
}

/// All of `datagrams`, those of one length in bursts of at most `most`.
fn bursts(datagrams: &[Vec<u8>], most: usize) -> Vec<Burst> {
    let mut by_length: BTreeMap<usize, Vec<&Vec<u8>>> = BTreeMap::new();
    for datagram in datagrams {
        by_length.entry(datagram.len()).or_default().push(datagram);
    }
    let all = by_length
        .values()
        .flat_map(|alike| alike.chunks(if alike[0].is_empty() { 1 } else { most }));
    let burst = |alike: &[&Vec<u8>]| Burst {
        datagram: if alike.len() > 1 { alike[0].len() as u16 } else { 0 },
        count: alike.len() as u64,
        bytes: alike.iter().copied().flatten().copied().collect(),
    };
    all.map(burst).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_hold_every_datagram_once_and_only_those_of_one_length() {
        let datagrams: Vec<Vec<u8>> = [5, 0, 7, 5, 5, 0].map(|length| vec![1; length]).into();
        let made = |most| -> Vec<_> {
            let bursts = bursts(&datagrams, most);
            bursts.iter().map(|b| (b.datagram, b.count, b.bytes.len())).collect()
        };
        assert_eq!(made(2), [(0, 1, 0), (0, 1, 0), (5, 2, 10), (0, 1, 5), (0, 1, 7)]);
        assert!(made(1).iter().all(|&(datagram, count, _)| (datagram, count) == (0, 1)));
    }
}
