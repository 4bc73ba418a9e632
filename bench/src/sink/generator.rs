//! The clients' side of the cable: reads what the filter wrote down and the frames that passed, and answers for every
//! session, in one loop on one core.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Context as _;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use segcast_lab::bpf::{TrainFilter, TrainRecord};
use segcast_lab::tap::Tap;
use segcast_proto::time::Instant;
use segcast_proto::wire::ClearHeader;
use segcast_sysio::clock::monotonic_nanoseconds;

use super::frames::{self, Endpoint, FRAME_MAX, PAYLOAD, WIRE_HEADERS};
use super::session::{Identity, Plan, Session, Train};

/// Handshakes under way at once: few enough that no socket buffer overflows.
const HANDSHAKES: usize = 64;
/// Frames, records and sessions that a turn looks at, at most: so that reports leave in time.
const FRAMES_A_TURN: usize = 16;
const RECORDS_A_TURN: usize = 64;
const TIMERS_A_TURN: usize = 32;
/// Without progress for this long the run has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came from the device, since the server began.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    /// Trains that the filter saw; of these, those that passed whole; their datagrams and bytes of UDP payload.
    pub(super) trains: u64,
    pub(super) trains_passed: u64,
    pub(super) train_datagrams: u64,
    pub(super) train_bytes: u64,
    /// Datagrams that came singly, and their bytes of UDP payload.
    pub(super) singles: u64,
    pub(super) single_bytes: u64,
    /// Whole trains that were opened and compared.
    pub(super) trains_checked: u64,
    /// Frames of nobody's session: the kernel's own.
    pub(super) foreign: u64,
    /// Datagrams sent to the server.
    pub(super) sent: u64,
}

/// Where the ends of the cable are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cable {
    pub(super) server: Endpoint,
    /// The router, through which every client is reached.
    pub(super) router_mac: [u8; 6],
}

/// All clients.
pub(super) struct Generator {
    tap: Tap,
    filter: TrainFilter,
    cable: Cable,
    plan: Plan,
    pub(super) sessions: Vec<Session>,
    /// Sessions that something happened to, each once.
    touched: VecDeque<u32>,
    is_touched: Vec<bool>,
    timer: usize,
    frame: Vec<u8>,
    pub(super) counters: Counters,
    /// Time of turns in which there was something to do.
    pub(super) busy: Duration,
    /// For a test of the checks: the train with this number is taken in twice.
    pub(super) repeat_train: Option<u64>,
    /// For a test of the generator: so many of 256 datagrams to the server are lost.
    pub(super) lost: u8,
    /// Chooses them.
    losses: ChaCha20Rng,
}

fn now() -> Instant {
    Instant::from_nanos(monotonic_nanoseconds())
}

impl Generator {
    pub(super) fn new(tap: Tap, filter: TrainFilter, cable: Cable, plan: Plan) -> Self {
        Self {
            tap,
            filter,
            cable,
            plan,
            sessions: Vec::new(),
            touched: VecDeque::new(),
            is_touched: Vec::new(),
            timer: 0,
            frame: vec![0; FRAME_MAX],
            counters: Counters::default(),
            busy: Duration::ZERO,
            repeat_train: None,
            lost: 0,
            losses: ChaCha20Rng::seed_from_u64(1),
        }
    }

    /// Opens a session for each identity.
    pub(super) fn open(
        &mut self,
        mut who: impl ExactSizeIterator<Item = anyhow::Result<Identity>>,
    ) -> anyhow::Result<()> {
        let count = who.len();
        let (mut opening, mut progress) = (Vec::new(), now());
        while self.sessions.len() < count || !opening.is_empty() {
            while opening.len() < HANDSHAKES
                && let Some(who) = who.next()
            {
                let number = u32::try_from(self.sessions.len())?;
                let mut session = Session::new(number);
                session.begin(now(), &self.plan, &who?)?;
                self.sessions.push(session);
                self.is_touched.push(false);
                opening.push(number);
                self.touch(number);
            }
            self.turn()?;
            let before = opening.len();
            opening.retain(|&number| !self.sessions[number as usize].is_open());
            if opening.len() < before {
                progress = now();
            }
            anyhow::ensure!(
                now().saturating_since(progress) < PATIENCE,
                "{} of {count} sessions do not open",
                opening.len()
            );
        }
        Ok(())
    }

    /// Lets every session fetch for `time`.
    pub(super) fn run(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = now() + time;
        while now() < end {
            self.turn()?;
        }
        Ok(())
    }

    /// Lets every session ask for segments.
    pub(super) fn resume(&mut self) {
        for number in 0..self.sessions.len() as u32 {
            self.sessions[number as usize].resume(&self.plan);
            self.touch(number);
        }
    }

    /// Gives up all requests and waits until the server has nothing to send, and has said so.
    pub(super) fn pause(&mut self) -> anyhow::Result<()> {
        for number in 0..self.sessions.len() as u32 {
            self.sessions[number as usize].pause();
            self.touch(number);
        }
        let began = now();
        while self.sessions.iter().any(Session::is_waiting) {
            for _ in 0..1 + self.sessions.len() / TIMERS_A_TURN {
                self.turn()?;
            }
            anyhow::ensure!(now().saturating_since(began) < PATIENCE, "requests do not end");
        }
        // The last STATUS is repeated twice, a round trip apart.
        self.run(Duration::from_millis(50))
    }

    /// Takes in what is there and sends what is due.
    fn turn(&mut self) -> anyhow::Result<()> {
        let began = now();
        let mut worked = false;
        for _ in 0..FRAMES_A_TURN {
            let len = match self.tap.receive(&mut self.frame) {
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("the TAP device"),
            };
            // What left before this frame was written down before it.
            while self.take_records(began)? == RECORDS_A_TURN {}
            self.take_frame(began, len)?;
            worked = true;
        }
        worked |= self.take_records(began)? > 0;
        self.wake_due(began);
        worked |= self.send()?;
        if worked {
            self.busy += now().saturating_since(began);
        } else {
            std::hint::spin_loop();
        }
        Ok(())
    }

    fn take_records(&mut self, now: Instant) -> anyhow::Result<usize> {
        let Self { filter, sessions, plan, counters, touched, is_touched, repeat_train, .. } = self;
        let mut wrong = None;
        let taken = filter.consume(RECORDS_A_TURN, |record| {
            if wrong.is_some() {
                return;
            }
            let repeats = 1 + usize::from(*repeat_train == Some(counters.trains));
            for _ in 0..repeats {
                match take_train(now, plan, sessions, &record) {
                    Ok(number) => touch(touched, is_touched, number),
                    Err(error) => wrong = Some(error),
                }
            }
            let bytes = record.frame_bytes as usize - WIRE_HEADERS;
            counters.trains += 1;
            counters.trains_passed += u64::from(record.passed);
            counters.train_datagrams += bytes.div_ceil(record.datagram_bytes as usize) as u64;
            counters.train_bytes += bytes as u64;
        });
        wrong.map_or(Ok(taken), Err)
    }

    fn take_frame(&mut self, now: Instant, len: usize) -> anyhow::Result<()> {
        let frame = &mut self.frame[..len];
        let Some(received) = frames::parse(frame) else {
            self.counters.foreign += 1;
            return Ok(());
        };
        let payload = &mut frame[received.payload];
        let number = receiver(payload).filter(|&number| client(number) == received.to);
        let session = number.and_then(|number| self.sessions.get_mut(number as usize));
        let (Some(number), Some(session)) = (number, session) else {
            anyhow::bail!("a datagram to {} for a session that is not there", received.to);
        };
        match received.datagram_bytes {
            Some(datagram_bytes) => {
                self.counters.trains_checked += 1;
                session.check_train(now, &self.plan, payload, datagram_bytes)?;
            }
            None => {
                self.counters.singles += 1;
                self.counters.single_bytes += payload.len() as u64;
                session.on_datagram(now, &self.plan, payload)?;
            }
        }
        self.touch(number);
        Ok(())
    }

    /// Looks at some sessions in turn whether something is due without a cause.
    fn wake_due(&mut self, now: Instant) {
        for _ in 0..TIMERS_A_TURN.min(self.sessions.len()) {
            self.timer = (self.timer + 1) % self.sessions.len();
            if self.sessions[self.timer].due() <= now {
                self.touch(self.timer as u32);
            }
        }
    }

    fn touch(&mut self, number: u32) {
        touch(&mut self.touched, &mut self.is_touched, number);
    }

    /// Sends what touched sessions have to say; false when that is nothing.
    fn send(&mut self) -> anyhow::Result<bool> {
        let mut sent = false;
        let mut frame = [0; PAYLOAD + 1280];
        while let Some(number) = self.touched.pop_front() {
            self.is_touched[number as usize] = false;
            let session = &mut self.sessions[number as usize];
            while let Some(len) = session.poll(now(), &self.plan, &mut frame[PAYLOAD..])? {
                let from = Endpoint {
                    mac: self.cable.router_mac,
                    address: client(number),
                    port: CLIENT_PORT,
                };
                let len = frames::complete(&mut frame, from, self.cable.server, len);
                self.counters.sent += 1;
                let is_lost = self.lost > 0 && self.losses.next_u32() % 256 < u32::from(self.lost);
                if !is_lost {
                    self.tap.send(&frame[..len]).context("the TAP device")?;
                }
                sent = true;
            }
        }
        Ok(sent)
    }
}

const CLIENT_PORT: u16 = 4000;

/// The address of a session's client: each its own, from 100.64.0.0/10 (RFC 6598).
fn client(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(100, 64, 0, 0)) + number)
}

/// The receiver index of a packet: here, the number of the session.
fn receiver(packet: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(packet.get(4..8)?.try_into().ok()?))
}

fn touch(touched: &mut VecDeque<u32>, is_touched: &mut [bool], number: u32) {
    if !std::mem::replace(&mut is_touched[number as usize], true) {
        touched.push_back(number);
    }
}

fn take_train(
    now: Instant,
    plan: &Plan,
    sessions: &mut [Session],
    record: &TrainRecord<'_>,
) -> anyhow::Result<u32> {
    let packet = &record.head[WIRE_HEADERS..];
    let header = ClearHeader::decode(packet).context("a train that is no packet")?;
    let number = header.receiver.0;
    let session = sessions.get_mut(number as usize);
    let session = session.with_context(|| format!("a train for session {number}"))?;
    let train = Train {
        head: packet[header.len()..].first_chunk().context("a train with a long header")?,
        header,
        payload_bytes: record.frame_bytes as usize - WIRE_HEADERS,
        datagram_bytes: record.datagram_bytes as usize,
    };
    session.on_train(now, plan, &train)?;
    Ok(number)
}
