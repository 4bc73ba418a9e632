//! The same clients over the loopback device of a namespace: nothing is dropped, and every datagram is copied into the
//! kernel and taken out by the clients' thread.
//!
//! One datagram in so many is decrypted and compared; of the others the head is read, as in the sink. What is missing at the
//! end must be what the server says it skipped: nothing was lost.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use segcast_lab::netns::Namespace;
use segcast_proto::time::Instant;
use segcast_proto::wire::{ClearHeader, PacketType};
use segcast_sysio::clock::monotonic_nanoseconds;
use segcast_sysio::driver::{Driver, DriverConfig, Outgoing};
use segcast_sysio::probe;
use segcast_sysio::udp::{UdpConfig, UdpSocket};

use super::Setup;
use super::outcome::{Collected, Outcome, Window};
use super::session::{Plan, Session, Tally, Train};
use super::subject::plan;
use super::world::{ADMIN, Packed};
use crate::measure::{Band, CpuClocks, Server, ServerSpec, metrics};

/// What each client can take beyond what it received. All of them together fit into the socket, so nothing is lost.
const ROOM: u64 = 1 << 20;
/// The socket's receive buffer: 64 clients, and twice their bytes for the kernel's own.
const RECEIVE: usize = 256 << 20;
/// Without progress for this long the run has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server, and clients that share a socket.
pub(super) struct Loopback {
    label: String,
    driver: Driver,
    to: SocketAddr,
    plan: Plan,
    sample: u32,
    sessions: Vec<Session>,
    busy: Duration,
    received: u64,
    compared: u64,
    clocks: CpuClocks,
    collected: Collected,
    _server: Server,
    namespace: Namespace,
    // The store must outlive the server.
    _packed: Arc<Packed>,
}

fn now() -> Instant {
    Instant::from_nanos(monotonic_nanoseconds())
}

impl Loopback {
    /// Starts the server and opens all sessions.
    pub(super) fn serve(setup: &Setup<'_>, packed: Arc<Packed>) -> anyhow::Result<Self> {
        let args = setup.args;
        let namespace = Namespace::new().context("a network namespace (needs CAP_SYS_ADMIN)")?;
        namespace.ip_batch("link set lo up")?;
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = Server::start(&ServerSpec {
            binary: setup.binary,
            store: &packed.store(),
            keys: &packed.keys(),
            listen: any,
            core: setup.cores.server,
            namespace: Some(&namespace),
            flags: setup.flags,
        })?;
        let options =
            UdpConfig { gro: true, receive_buffer_bytes: RECEIVE, ..UdpConfig::default() };
        let socket = namespace.run(|| UdpSocket::bind(any, &options))??;
        let wanted = args.sessions as u64 * ROOM * 2;
        anyhow::ensure!(
            socket.receive_buffer_bytes() as u64 >= wanted,
            "a receive buffer of {} bytes for {} sessions: it needs CAP_NET_ADMIN",
            socket.receive_buffer_bytes(),
            args.sessions
        );
        let (kind, _) = probe::choose(None)?;
        let plan = plan(args, &packed, ROOM, server.public_key());
        let mut this = Self {
            label: setup.binary.label.clone(),
            driver: Driver::new(kind, vec![socket], DriverConfig::CLIENT)?,
            to: server.address(),
            plan,
            sample: args.sample,
            sessions: Vec::new(),
            busy: Duration::ZERO,
            received: 0,
            compared: 0,
            clocks: server.clocks(),
            collected: Collected::default(),
            _server: server,
            namespace,
            _packed: Arc::clone(&packed),
        };
        this.open(args, &packed)?;
        Ok(this)
    }

    fn open(&mut self, args: &super::Args, packed: &Packed) -> anyhow::Result<()> {
        let mut rng = ChaCha20Rng::seed_from_u64(args.seed);
        for number in 0..args.sessions {
            let identity = packed.identity(number as u64, args.rate_cap, &mut rng)?;
            let mut session = Session::new(u32::try_from(number)?);
            session.begin(now(), &self.plan, &identity)?;
            self.sessions.push(session);
            let began = now();
            while !self.sessions[number].is_open() {
                self.turn()?;
                anyhow::ensure!(
                    now().saturating_since(began) < PATIENCE,
                    "session {number} does not open"
                );
            }
        }
        Ok(())
    }

    /// Lets every session fetch for `time`.
    fn run(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = now() + time;
        while now() < end {
            self.turn()?;
        }
        Ok(())
    }

    fn resume(&mut self) {
        self.sessions.iter_mut().for_each(|session| session.resume(&self.plan));
    }

    /// Gives up all requests and waits until the server has nothing to send, and has said so.
    fn pause(&mut self) -> anyhow::Result<()> {
        self.sessions.iter_mut().for_each(Session::pause);
        let began = now();
        while self.sessions.iter().any(Session::is_waiting) {
            self.turn()?;
            anyhow::ensure!(now().saturating_since(began) < PATIENCE, "requests do not end");
        }
        // The last STATUS is repeated twice, a round trip apart.
        self.run(Duration::from_millis(50))
    }

    /// Takes in what is there and sends what is due.
    fn turn(&mut self) -> anyhow::Result<()> {
        let began = now();
        let Self { driver, sessions, plan, received, compared, sample, .. } = self;
        let mut wrong = None;
        let turn = driver.turn(Some(Duration::ZERO), &mut |datagram| {
            *received += 1;
            let whole = *received % u64::from(*sample) == 0;
            *compared += u64::from(whole);
            if let Err(error) = take(began, plan, sessions, datagram.bytes, whole) {
                wrong.get_or_insert(error);
            }
        })?;
        if let Some(error) = wrong {
            return Err(error);
        }
        if self.send()? || turn.datagrams > 0 {
            self.busy += now().saturating_since(began);
        }
        Ok(())
    }

    /// Sends what sessions have to say; false when that is nothing.
    fn send(&mut self) -> anyhow::Result<bool> {
        let mut sent = false;
        for session in &mut self.sessions {
            loop {
                let Some(mut buffer) = self.driver.send_buffer() else { return Ok(true) };
                let Some(len) = session.poll(now(), &self.plan, &mut buffer)? else { break };
                self.driver.send(Outgoing::datagram(buffer, len, 0, self.to));
                sent = true;
            }
        }
        Ok(sent)
    }

    fn tallies(&self) -> Vec<Tally> {
        self.sessions.iter().map(|session| session.tally).collect()
    }
}

impl super::Measured for Loopback {
    fn warm(&mut self, time: Duration) -> anyhow::Result<()> {
        self.resume();
        self.run(time)?;
        self.pause()
    }

    fn measure(&mut self, ramp: Duration, time: Duration) -> anyhow::Result<Window> {
        self.resume();
        self.run(ramp)?;
        let before = self.clocks.read()?;
        let (tallies, busy) = (self.tallies(), self.busy);
        self.run(time)?;
        let used = self.clocks.read()? - before;
        let window = Window::new(used, self.busy - busy, &tallies, &self.tallies());
        self.pause()?;
        Ok(window)
    }

    fn note(&mut self, window: Window, seal_only: f64) {
        self.collected.push(window, seal_only);
    }

    fn finish(mut self) -> anyhow::Result<Outcome> {
        self.run(Duration::from_millis(100))?;
        let metrics = self.namespace.run(|| metrics::fetch(ADMIN.into()))??;
        let of = |name| metrics::sum(&metrics, name).unwrap_or(0);
        let missing: u64 = self.sessions.iter().map(|session| session.numbers().1).sum();
        let skipped = of("skipped_numbers_total");
        anyhow::ensure!(
            missing == skipped && self.compared > 0,
            "{}: {missing} numbers are missing and {skipped} were skipped; {} datagrams compared",
            self.label,
            self.compared
        );
        // By the server's own count: what the clients see are datagrams.
        let mean = of("sent_datagrams_total") as f64 / of("sent_trains_total").max(1) as f64;
        Ok(Outcome {
            label: self.label,
            sessions: self.sessions.len(),
            train_datagrams_mean: Band { median: mean, min: mean, max: mean },
            zc_trains: Some(of("zero_copy_trains_total")),
            zc_copied: Some(of("zero_copy_copied_total")),
            major_faults: of("major_faults_total"),
            receive_lost: of("receive_lost_total"),
            ..self.collected.outcome()
        })
    }
}

/// Hands a datagram to its session: `whole`, or by its head alone.
fn take(
    now: Instant,
    plan: &Plan,
    sessions: &mut [Session],
    packet: &mut [u8],
    whole: bool,
) -> anyhow::Result<()> {
    let header = ClearHeader::decode(packet).context("no packet")?;
    let number = header.receiver.0;
    let session = sessions.get_mut(number as usize);
    let session = session.with_context(|| format!("a packet for session {number}"))?;
    if whole || header.packet_type != PacketType::Data || header.extension_words > 0 {
        return session.on_datagram(now, plan, packet);
    }
    let head = packet[header.len()..].first_chunk().context("DATA without a head")?;
    let bytes = packet.len();
    let train = Train { header, head, payload_bytes: bytes, datagram_bytes: bytes };
    session.on_train(now, plan, &train)
}
