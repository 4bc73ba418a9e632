//! Sessions of one client that cost an edge more than they carry: they ask for nothing but single bytes, the most trains
//! that a client can have for what it sends, or for segments that they give up at once, which are read from a disk for
//! nobody. Otherwise they keep to the protocol, and report what comes.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::ops::Range;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration as StdDuration;

use anyhow::Context as _;
use rand_chacha::ChaCha20Rng;
use segcast_client::access::EdgeAddress;
use segcast_client::connection::now;
use segcast_lab::realtime::wait_readable;
use segcast_proto::crypto::{Opener, Sealer};
use segcast_proto::handshake::{ClientHandshake, HelloParams};
use segcast_proto::ids::{ObjectNumber, ReceiverIndex};
use segcast_proto::limits::{RANGES_MAX, REPORT_DATA_MAX, REPORT_RANGES_MAX};
use segcast_proto::session::client::ClientConfig;
use segcast_proto::time::{Duration, Instant};
use segcast_proto::wire::{
    ByteRanges, Code, FrameHeader, PacketType, Report, Request, SequenceRanges,
};

use super::Args;
use super::place::Side;
use super::record::config;
use super::stage::Stage;

/// Sessions of the one client.
pub(super) const SESSIONS: usize = 4;
/// Until then they ask for whole segments, so that the edge knows their path: a train of a session that it does not know
/// waits for its turn, whatever it is made of.
const MODEST: Duration = Duration::from_millis(500);
/// How often in that time: no faster than they can take.
const MODEST_EVERY: Duration = Duration::from_millis(40);
/// A REQUEST of each session goes so often: 10 Mbit/s for all four with their headers.
const EVERY: Duration = Duration::from_micros(2080);
/// The longest wait for a packet.
const WAIT: Duration = Duration::from_micros(200);
/// The handshake: so many HELLOs, each waited for so long.
const HELLOS: usize = 50;
const PATIENCE: Duration = Duration::from_millis(200);
/// What a session says it can take, KiB: all.
const ROOM_KIB: u32 = 64 << 10;
/// Packets of the client's replay window.
const WINDOW: usize = 16_384;
/// Larger than any datagram that an edge sends.
const PACKET_MAX: usize = 9216;

/// What they ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// As many single bytes as a request takes.
    SingleBytes,
    /// Whole segments, with a CANCEL right after each REQUEST.
    GivenUp,
}

struct Greedy {
    wish: Wish,
    socket: UdpSocket,
    sealer: Sealer,
    opener: Opener,
    server: ReceiverIndex,
    /// Which segments they ask for.
    segments: Range<u32>,
    requests: u32,
    reports: u32,
    unreported: u32,
    /// Numbers that came, lowest and highest of each run, the newest last.
    runs: VecDeque<(u64, u64)>,
    /// The send time of the newest.
    echo: u32,
    echo_at: Instant,
}

/// Runs `work` beside such sessions, from when they are warm.
///
/// # Errors
/// Those of `work`, when a session does not open, or a socket fails.
pub(super) fn beside<T>(
    args: &Args,
    stage: &Stage,
    rng: &mut ChaCha20Rng,
    (wish, segments): (Wish, Range<u32>),
    work: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let access = stage.access(None, rng)?;
    let session = |index| config(stage.edge, *access.secret(), access.token().to_vec(), index);
    let configs = [1, 2, 3, 4].map(session);
    let (open, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            stage.place.go(Side::Client)?;
            run(stage.edge, configs, wish, segments, &open, &stop)
        });
        while !open.load(Ordering::Relaxed) && !asking.is_finished() {
            sleep(StdDuration::from_millis(5));
        }
        sleep(StdDuration::from_secs_f64(args.warm));
        let done = work();
        stop.store(true, Ordering::Relaxed);
        asking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        done
    })
}

/// Asks on [`SESSIONS`] sessions until told to stop.
///
/// # Errors
/// When a session does not open, or a socket fails.
fn run(
    edge: EdgeAddress,
    configs: [ClientConfig; SESSIONS],
    wish: Wish,
    segments: Range<u32>,
    open: &AtomicBool,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    let mut sessions = Vec::new();
    for (seed, config) in (1..).zip(configs) {
        let segments = segments.clone();
        sessions.push(Greedy::open(edge, config, [seed; 32], wish, segments)?);
    }
    let sessions: &mut [Greedy; SESSIONS] = sessions.as_mut_slice().try_into()?;
    open.store(true, Ordering::Relaxed);
    let mut next = now();
    let modest_until = next + MODEST;
    while !stop.load(Ordering::Relaxed) {
        wait_readable(sessions.each_ref().map(|session| session.socket.as_fd()), WAIT)?;
        sessions.iter_mut().try_for_each(Greedy::receive)?;
        if next <= now() {
            let modest = next < modest_until;
            next += if modest { MODEST_EVERY } else { EVERY };
            sessions.iter_mut().try_for_each(|session| session.ask(modest))?;
        }
    }
    sessions
        .iter_mut()
        .try_for_each(|session| session.send(PacketType::Close, FrameHeader::default(), &[]))
}

impl Greedy {
    fn open(
        edge: EdgeAddress,
        config: ClientConfig,
        seed: [u8; 32],
        wish: Wish,
        segments: Range<u32>,
    ) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect(edge.address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let params = HelloParams { datagram_max: config.datagram_max as u16, room_kib: ROOM_KIB };
        let ClientConfig { suite, edge_public, secret, token, sender_index, .. } = config;
        let mut handshake =
            ClientHandshake::new(suite, &edge_public, &secret, params, &token, sender_index, seed)?;
        let mut buffer = [0; PACKET_MAX];
        for _ in 0..HELLOS {
            socket.send(handshake.hello())?;
            let Ok(length) = socket.recv(&mut buffer) else { continue };
            if handshake.on_cookie(&buffer[..length]) {
                continue;
            }
            let Ok(welcomed) = handshake.on_welcome(&buffer[..length]) else { continue };
            let code = welcomed.payload.code;
            anyhow::ensure!(code == Code::Ok, "a greedy session is refused: {code}");
            socket.set_nonblocking(true)?;
            return Ok(Self {
                wish,
                socket,
                sealer: Sealer::new(suite, welcomed.to_server, now()),
                opener: Opener::new(suite, welcomed.from_server, WINDOW),
                server: welcomed.server_index,
                segments,
                requests: 0,
                reports: 0,
                unreported: 0,
                runs: VecDeque::new(),
                echo: 0,
                echo_at: now(),
            });
        }
        anyhow::bail!("a greedy session gets no answer")
    }

    fn receive(&mut self) -> anyhow::Result<()> {
        let mut buffer = [0; PACKET_MAX];
        loop {
            let length = match self.socket.recv(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("a greedy session"),
            };
            let Ok(opened) = self.opener.open(now(), &mut buffer[..length]) else { continue };
            self.sealer.on_peer_epoch(now(), opened.epoch);
            let (packet_type, number) = (opened.header.packet_type, opened.header.sequence);
            let send_time = opened.frame.send_time;
            anyhow::ensure!(packet_type != PacketType::Close, "the edge has closed it");
            self.note(number, send_time);
            self.unreported += u32::from(packet_type == PacketType::Data);
            if self.unreported >= REPORT_DATA_MAX {
                self.report()?;
            }
        }
    }

    /// A packet that was overtaken counts as lost.
    fn note(&mut self, number: u64, send_time: u32) {
        match self.runs.back_mut() {
            Some((_, high)) if *high >= number => return,
            Some((_, high)) if *high + 1 == number => *high = number,
            _ => self.runs.push_back((number, number)),
        }
        if self.runs.len() > REPORT_RANGES_MAX {
            self.runs.pop_front();
        }
        (self.echo, self.echo_at) = (send_time, now());
    }

    fn report(&mut self) -> anyhow::Result<()> {
        (self.reports, self.unreported) = (self.reports + 1, 0);
        let mut ranges = SequenceRanges::new();
        for &(low, high) in self.runs.iter().rev() {
            anyhow::ensure!(ranges.push(low, high), "{low}..={high} cannot be reported");
        }
        let report = Report {
            echo: self.echo,
            echo_delay_us: now().saturating_since(self.echo_at).as_micros() as u32,
            room_kib: ROOM_KIB,
            ce_count: 0,
            received_count: 0,
            ranges,
        };
        let mut payload = [0; PACKET_MAX];
        let length = report.encode(&mut payload)?;
        let frame = FrameHeader { offset: self.reports, ..FrameHeader::default() };
        self.send(PacketType::Report, frame, &payload[..length])
    }

    /// One that the edge has no place for is refused.
    fn ask(&mut self, modest: bool) -> anyhow::Result<()> {
        self.requests += 1;
        let mut ranges = ByteRanges::WHOLE;
        let single = self.wish == Wish::SingleBytes && !modest;
        let pieces = if single { RANGES_MAX as u32 } else { 0 };
        for at in 0..pieces {
            anyhow::ensure!(ranges.push(2 * at..2 * at + 1), "a range of one byte");
        }
        let mut payload = [0; Request::LEN_MAX];
        let length = Request { ranges, ..Request::default() }.encode(&mut payload)?;
        let segment = self.segments.start + self.requests % self.segments.len().max(1) as u32;
        let object = ObjectNumber(segment);
        let frame = FrameHeader { object, offset: self.requests, ..FrameHeader::default() };
        self.send(PacketType::Request, frame, &payload[..length])?;
        if self.wish == Wish::GivenUp && !modest {
            self.send(PacketType::Cancel, frame, &[])?;
        }
        Ok(())
    }

    fn send(
        &mut self,
        packet_type: PacketType,
        frame: FrameHeader,
        payload: &[u8],
    ) -> anyhow::Result<()> {
        let mut packet = [0; PACKET_MAX];
        let frame = FrameHeader { send_time: now().wire_micros(), ..frame };
        let (length, _) =
            self.sealer.seal(now(), 0, packet_type, self.server, &frame, payload, &mut packet)?;
        // A full buffer is a loss.
        let _ = self.socket.send(&packet[..length]);
        Ok(())
    }
}
