//! The responder's loop.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use segcast_proto::handshake::EdgeIdentity;
use segcast_proto::rate::Rate;
use segcast_proto::session::server::{
    EgressCap, Endpoint, EndpointConfig, Path, SendFailure, SendTicket,
};
use segcast_proto::time::{Duration, Instant};
use segcast_proto::token::Keyring;
use segcast_proto::wire::{ClearHeader, PacketType};
use segcast_sysio::SysError;
use segcast_sysio::clock::unix_seconds;
use segcast_sysio::driver::{Driver, DriverConfig, FailureKind, Outgoing, Received, ZeroCopy};
use segcast_sysio::udp::UdpSocket;

use super::faults::Faults;
use super::{Behaviour, Deeds};
use crate::calibrate::title::Title;
use crate::calibrate::{now, thread_cpu};

/// The stop flag and the next pause are looked at this often.
const TURN: Duration = Duration::from_millis(2);
/// Sessions of one client key, and requests of a session in a second: calibration is no attack.
const NO_LIMIT: u32 = 1 << 24;

struct Server<'a> {
    driver: Driver,
    endpoint: Endpoint,
    title: &'a Title,
    faults: Option<Faults>,
    /// What goes out once more.
    again: VecDeque<(Path, Vec<u8>)>,
    behaviour: Behaviour,
    failures: u64,
}

/// Serves until told to stop.
pub(super) fn serve(
    socket: UdpSocket,
    title: &Title,
    behaviour: Behaviour,
    stop: &AtomicBool,
) -> Result<Deeds, SysError> {
    if let Some(core) = behaviour.core {
        segcast_sysio::cpu::pin_current_thread(core)?;
    }
    let mut server = Server::new(socket, title, behaviour)?;
    let mut freezes = 0;
    let mut next = behaviour.freeze.map(|freeze| now() + freeze.period);
    while !stop.load(Ordering::Relaxed) {
        if let (Some(freeze), Some(at)) = (behaviour.freeze, next)
            && now() >= at
        {
            std::thread::sleep(freeze.length);
            next = Some(at + freeze.period);
            freezes += 1;
        }
        server.turn()?;
    }
    Ok(Deeds {
        applied: server.faults.as_ref().map(|faults| faults.applied().clone()).unwrap_or_default(),
        faults_left: server.faults.as_ref().map_or(0, Faults::left),
        freezes,
        overflow: server.driver.stats().receive_overflow,
        data_bytes: server.endpoint.counters().data_bytes,
        failures: server.failures,
        cpu: thread_cpu(),
    })
}

impl<'a> Server<'a> {
    fn new(socket: UdpSocket, title: &'a Title, behaviour: Behaviour) -> Result<Self, SysError> {
        let config =
            DriverConfig { gso: behaviour.gso, zero_copy: ZeroCopy::Never, ..DriverConfig::EDGE };
        let driver = Driver::new(behaviour.io, vec![socket], config)?;
        let mut config = EndpointConfig::new(Arc::new(EdgeIdentity::new(title.edge_secret())));
        config.datagram_max = behaviour.datagram_max;
        config.egress_max = behaviour.rate.map(|rate| Arc::new(EgressCap::new(Rate::new(rate))));
        config.sessions_per_client = u16::MAX;
        config.requests_per_second = NO_LIMIT;
        // Many sessions open at once, and all are welcome.
        config.handshakes_per_second = NO_LIMIT;
        config.requests_max = NO_LIMIT;
        // What waits behind a pause is served, not refused.
        config.egress_queue = Duration::from_secs(60);
        let keyring = Arc::new(Keyring::new([title.center_key()]));
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|e| {
            SysError::new("draw the responder's secrets", std::io::Error::other(e.to_string()))
        })?;
        let endpoint = Endpoint::new(config, keyring, seed, seed, now());
        let faults = behaviour.faults.map(|plan| Faults::new(&plan, behaviour.lies));
        let again = VecDeque::new();
        Ok(Self { driver, endpoint, title, faults, again, behaviour, failures: 0 })
    }

    fn turn(&mut self) -> Result<(), SysError> {
        let idle = self.transmit();
        let timer = self.endpoint.poll_timeout().unwrap_or(Instant::FAR_FUTURE);
        let wait = if idle { timer.saturating_since(now()).min(TURN) } else { Duration::ZERO };
        let unix = unix_seconds();
        let (endpoint, title, mute) = (&mut self.endpoint, self.title, self.behaviour.mute);
        self.driver.turn(Some(wait), &mut |received: Received<'_>| {
            let is_request = |header: ClearHeader| header.packet_type == PacketType::Request;
            if mute && ClearHeader::decode(received.bytes).is_ok_and(is_request) {
                return;
            }
            let path = Path { socket: received.socket, remote: received.from };
            endpoint.handle_datagram(now(), unix, path, received.bytes, title);
        })?;
        while let Some(failure) = self.driver.take_failure() {
            self.failures += 1;
            let kind = match failure.kind {
                FailureKind::TooLarge => SendFailure::TooLarge,
                FailureKind::NoBuffers | FailureKind::Other(_) => SendFailure::Other,
            };
            self.endpoint.handle_send_failure(now(), SendTicket::from_bits(failure.ticket), kind);
        }
        self.endpoint.handle_timeout(now());
        while self.endpoint.poll_event().is_some() {}
        Ok(())
    }

    /// Queues what there is to send; false when there is more than buffers.
    fn transmit(&mut self) -> bool {
        let mut copies = Vec::new();
        loop {
            let Some(mut buffer) = self.driver.send_buffer() else { return false };
            if let Some((path, datagram)) = self.again.pop_front() {
                let len = datagram.len();
                buffer[..len].copy_from_slice(&datagram);
                let Path { socket, remote: to } = path;
                self.driver.send(Outgoing::datagram(buffer, len, socket, to));
                continue;
            }
            let Some(train) = self.endpoint.poll_transmit(now(), self.title, &mut buffer) else {
                return true;
            };
            let is_segment = train.data.is_some_and(|(_, object)| object.as_segment().is_some());
            let mut len = train.len;
            if let Some(faults) = self.faults.as_mut().filter(|_| is_segment) {
                len = faults.train(&mut buffer[..len], train.datagram_bytes, &mut copies);
                self.again.extend(copies.drain(..).map(|copy| (train.path, copy)));
            }
            if len > 0 {
                let Path { socket, remote: to } = train.path;
                let datagram_bytes = train.datagram_bytes.min(len);
                let ticket = train.ticket.to_bits();
                self.driver.send(Outgoing { buffer, len, datagram_bytes, socket, to, ticket });
            }
        }
    }
}
