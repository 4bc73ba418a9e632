//! Attackers in the simulation: a client that claims to have received everything, and one on the path who makes
//! packets of an honest client come from a victim's address.

use std::net::SocketAddr;

use segcast_proto::ids::ObjectNumber;
use segcast_proto::session::client::ClientConfig;
use segcast_proto::time::{Duration, Instant};
use segcast_proto::wire::{Code, PacketType};

use super::flight::Flight;
use crate::session::raw::RawClient;

/// The liar's number among the clients.
pub(super) const LIAR: u32 = 99;
/// Packets of the first viewer that come from the victim's address.
const SPOOFED_PACKETS: u32 = 3;

/// The attacks of one run.
#[derive(Default)]
pub(super) struct Attacks {
    pub(super) liar: Option<Liar>,
    spoofed: u32,
    /// Bytes that reached the server from the victim's address, and bytes that went there.
    from_victim: usize,
    to_victim: usize,
}

/// Reports every number up to the highest it saw.
pub(super) struct Liar {
    raw: RawClient,
    pub(super) caught: bool,
    /// When it asks again.
    next: Instant,
    requests: u32,
    highest: u64,
    echo: u32,
    reports: u32,
    /// Something came that was not yet reported.
    news: bool,
}

impl Liar {
    pub(super) fn new(config: ClientConfig, seed: [u8; 32]) -> Self {
        let config = ClientConfig { datagram_max: 1200, ..config };
        Self {
            raw: RawClient::new(config, seed),
            caught: false,
            next: Instant::ZERO,
            requests: 0,
            highest: 0,
            echo: 0,
            reports: 0,
            news: false,
        }
    }
}

pub(super) fn liar_address() -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 1], 4000))
}

fn victim_address() -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 9], 7))
}

impl Attacks {
    pub(super) fn next_time(&self) -> Option<Instant> {
        self.liar.as_ref().filter(|liar| !liar.caught).map(|liar| liar.next)
    }

    /// Whether what had to be noticed was.
    pub(super) fn are_over(&self) -> bool {
        self.liar.as_ref().is_none_or(|liar| liar.caught)
    }

    pub(super) fn is_liar(&self, address: SocketAddr) -> bool {
        address == liar_address()
    }

    /// The server closed the liar's session.
    pub(super) fn liar_closed(&mut self, code: Code) {
        if let Some(liar) = &mut self.liar {
            liar.caught |= code == Code::LyingReport;
        }
    }

    /// Counts what reaches the server in the victim's name.
    pub(super) fn victim_sent(&mut self, flight: &Flight) {
        if flight.address == victim_address() {
            self.from_victim += flight.bytes.len();
        }
    }

    /// Counts what the server sends; false: the victim gets more than came from it.
    pub(super) fn victim_may_get(&mut self, to: SocketAddr, bytes: usize) -> bool {
        if to == victim_address() {
            self.to_victim += bytes;
        }
        self.to_victim <= self.from_victim
    }

    /// The address that a packet seems to come from, if it is not its own: the first sealed ones do.
    pub(super) fn spoofed(&mut self, packet: &[u8]) -> Option<SocketAddr> {
        let sealed = packet.get(1).is_some_and(|&kind| kind >= 0x10);
        if !sealed || self.spoofed == SPOOFED_PACKETS {
            return None;
        }
        self.spoofed += 1;
        Some(victim_address())
    }

    /// A datagram for the liar.
    pub(super) fn liar_hears(&mut self, now: Instant, datagram: &mut [u8]) {
        let Some(liar) = &mut self.liar else { return };
        let was_open = liar.raw.is_open();
        if let Some(packet) = liar.raw.take(now, datagram)
            && packet.sequence >= liar.highest
        {
            (liar.highest, liar.echo) = (packet.sequence, packet.frame.send_time);
            liar.news |= packet.packet_type == PacketType::Data;
        }
        if !was_open && liar.raw.is_open() {
            liar.next = now;
        }
    }

    /// What the liar sends: HELLO until it is open, then requests for one of `segments` each two round trips, and reports
    /// that claim everything.
    pub(super) fn liar_sends(
        &mut self,
        now: Instant,
        rtt: Duration,
        segments: u32,
    ) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        let Some(liar) = self.liar.as_mut().filter(|liar| !liar.caught) else { return packets };
        if liar.next <= now {
            liar.next = now + (rtt * 2).max(Duration::from_millis(50));
            if liar.raw.is_open() {
                let object = ObjectNumber(liar.requests % segments);
                liar.requests += 1;
                packets.push(liar.raw.request(now, liar.requests, 0, object));
            } else {
                packets.push(liar.raw.hello());
            }
        }
        if core::mem::take(&mut liar.news) {
            liar.reports += 1;
            packets.push(liar.raw.report(now, liar.reports, liar.echo, &[(0, liar.highest)]));
        }
        packets
    }
}
