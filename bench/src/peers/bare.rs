//! The bare seal-and-send loop: what would be left of a server without sessions, requests, reports and pacing.
//!
//! The same packets as Segcast's, sealed from the same mapped files and sent in full trains, to a receiver that throws them
//! away. Nothing is verified or acknowledged, so nothing can go faster on the same link with this packet format.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use segcast_proto::crypto::{Sealer, Secret, Suite};
use segcast_proto::ids::{ObjectNumber, ReceiverIndex, SetHandle};
use segcast_proto::limits::{OVERHEAD, TRAIN_MAX};
use segcast_proto::time::Instant;
use segcast_proto::wire::{ClearHeader, FrameHeader, PacketType};
use segcast_sysio::driver::{Driver, DriverConfig, Outgoing, SendBuffer};
use segcast_sysio::probe;
use segcast_sysio::udp::{UdpConfig, UdpSocket};

use super::job::Job;
use super::objects::{OBJECT_BYTES, OBJECTS, Objects};

/// Wanted in the kernel for the receiver.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;
/// The end of the job is looked at this often.
const TURN: Duration = Duration::from_millis(5);

/// Seals and sends until the process ends, in datagrams of `datagram` bytes, from address `from`.
///
/// # Errors
/// When no socket can be had, or the driver fails.
pub(super) fn send(
    objects: &Objects,
    from: IpAddr,
    to: SocketAddr,
    datagram: usize,
) -> anyhow::Result<()> {
    let socket = UdpSocket::bind((from, 0).into(), &UdpConfig::default())?;
    let (kind, _) = probe::choose(None)?;
    let mut driver = Driver::new(kind, vec![socket], DriverConfig::EDGE)?;
    let mut source = Source { objects, object: 0, offset: 0 };
    let mut sealer = Sealer::new(Suite::Aes128Gcm, Secret::new([9; 32]), Instant::ZERO);
    loop {
        while let Some(mut buffer) = driver.send_buffer() {
            // The receiver of this loop follows every change of keys.
            sealer.on_peer_epoch(Instant::ZERO, sealer.epoch());
            let length = fill(&mut buffer, &mut sealer, &mut source, datagram)?;
            let (len, datagram_bytes) = (length, datagram);
            driver.send(Outgoing { buffer, len, datagram_bytes, socket: 0, to, ticket: 0 });
        }
        driver.turn(None, &mut |_| ())?;
        if let Some(failure) = driver.take_failure() {
            anyhow::bail!("the bare loop could not send: {failure:?}");
        }
    }
}

/// Seals one full train of equal datagrams.
fn fill(
    buffer: &mut SendBuffer,
    sealer: &mut Sealer,
    source: &mut Source<'_>,
    datagram: usize,
) -> anyhow::Result<usize> {
    let mut at = 0;
    while at + datagram <= TRAIN_MAX.min(buffer.len()) {
        let (frame, plain) = source.next(datagram - OVERHEAD)?;
        let (kind, to) = (PacketType::Data, ReceiverIndex(1));
        let out = &mut buffer[at..at + datagram];
        sealer.seal(Instant::ZERO, 0, kind, to, &frame, plain, out)?;
        at += datagram;
    }
    Ok(at)
}

/// Pieces of the objects, one after another.
struct Source<'a> {
    objects: &'a Objects,
    object: u32,
    offset: usize,
}

impl Source<'_> {
    fn next(&mut self, length: usize) -> anyhow::Result<(FrameHeader, &[u8])> {
        if self.offset + length > OBJECT_BYTES {
            (self.object, self.offset) = ((self.object + 1) % OBJECTS, 0);
        }
        let object = ObjectNumber(self.object);
        let offset = u32::try_from(self.offset)?;
        let frame = FrameHeader { set_handle: SetHandle::FIRST, object, offset, send_time: 0 };
        let bytes = self.objects.bytes(self.object).context("an object beyond the last")?;
        let plain = &bytes[self.offset..self.offset + length];
        self.offset += length;
        Ok((frame, plain))
    }
}

/// The receiver's socket at address `at`.
///
/// # Errors
/// When it cannot be bound.
pub(super) fn receiver(at: IpAddr) -> anyhow::Result<UdpSocket> {
    let config =
        UdpConfig { gro: true, receive_buffer_bytes: SOCKET_BUFFER_BYTES, ..UdpConfig::default() };
    Ok(UdpSocket::bind((at, 0).into(), &config)?)
}

/// Throws away what comes until the job ends. Its bytes are what was sent, by the sequence numbers: what the kernel
/// dropped was sealed and sent all the same.
///
/// # Errors
/// When the driver fails.
pub(super) fn receive(job: &Job, socket: UdpSocket, datagram: usize) -> anyhow::Result<()> {
    let (kind, _) = probe::choose(None)?;
    let mut driver = Driver::new(kind, vec![socket], DriverConfig::CLIENT)?;
    let (mut last, mut strange) = (None, 0_u64);
    while !job.is_stopped() {
        driver.turn(Some(TURN), &mut |received| match ClearHeader::decode(received.bytes) {
            Ok(header) => {
                let new = header.sequence.saturating_sub(last.unwrap_or(header.sequence));
                job.received(usize::try_from(new).unwrap_or(0) * (datagram - OVERHEAD));
                if last.replace(header.sequence).is_none() {
                    job.opened();
                }
            }
            Err(_) => strange += 1,
        })?;
    }
    anyhow::ensure!(strange == 0, "{strange} datagrams that the bare loop did not send");
    Ok(())
}
