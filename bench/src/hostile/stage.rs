//! A running edge with a title, and the pieces that are measured on it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{ScopedJoinHandle, sleep};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::RngCore as _;
use segcast_client::access::{Access, EdgeAddress};
use segcast_keys::grant::{Grant, GrantedTitle};
use segcast_proto::handshake::StaticSecret;

use super::Args;
use super::attacker::{Attacker, Sent};
use super::junk::{self, Kind};
use super::ledger::{Fates, Snapshot};
use super::newcomers::{Keys, Newcomers, Tally};
use super::place::{Place, Side};
use super::record::{Recorder, Recording, config};
use super::viewer::Progress;
use crate::measure::metrics::{self, Counters};
use crate::measure::{Binary, Cores, CpuClocks, CpuUse, Server, ServerSpec};
use crate::sink::Title;
use crate::sink::world::Packed;

/// After the junk has ended, how often the counters are read until all of it is in the books …
const SETTLE: Duration = Duration::from_millis(50);
/// … or nothing has come to them in so many reads: what is missing is lost.
const SETTLED: u32 = 20;
/// Handshakes that are recorded, and how fast they are made: below what brings cookies up.
const RECORDED: usize = 100;
const RECORDED_RATE: f64 = 400.0;
/// How long a newcomer that begins last has to open its session.
const PATIENCE: Duration = Duration::from_millis(300);

/// The edge and its surroundings.
pub(super) struct Stage {
    pub(super) place: Place,
    pub(super) edge: EdgeAddress,
    pub(super) admin: SocketAddr,
    cores: Cores,
    clocks: CpuClocks,
    seed: u64,
    // The edge before its store.
    _server: Server,
    packed: Packed,
}

/// What passed in one piece of time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// Bytes that came to the transfer.
    pub(super) bytes: u64,
    /// The edge's processor time.
    pub(super) server: CpuUse,
    /// Share of the generator's core that was busy.
    pub(super) generator_busy: f64,
}

impl Piece {
    /// Bytes that came in a second.
    pub(super) fn goodput(&self) -> f64 {
        self.bytes as f64 / self.server.elapsed_s
    }
}

impl Stage {
    /// Packs a title and starts the edge.
    ///
    /// # Errors
    /// When either fails.
    pub(super) fn new(args: &Args, binary: &Binary) -> anyhow::Result<Self> {
        let cores = args.cores.choose()?;
        let place = Place::new(args.link, cores)?;
        let title = Title::new(args.seed);
        let packed = Packed::new(None, args.title << 20, |length| Box::new(title.reader(length)))?;
        if args.cold {
            packed.evict()?;
        }
        let admin = place.admin()?;
        let spec = ServerSpec {
            binary,
            store: &packed.store(),
            keys: &packed.keys(),
            listen: place.listen(),
            core: cores.server,
            namespace: place.namespace(Side::Edge),
            flags: &["--admin".into(), admin.to_string()],
        };
        let server = Server::start(&spec)?;
        Ok(Self {
            place,
            edge: EdgeAddress { address: server.address(), public_key: server.public_key() },
            admin,
            cores,
            clocks: server.clocks(),
            seed: args.seed,
            _server: server,
            packed,
        })
    }

    /// A new client that may fetch the title.
    ///
    /// # Errors
    /// When no token can be made.
    pub(super) fn access(
        &self,
        rate_cap_kbits: Option<u32>,
        rng: &mut ChaCha20Rng,
    ) -> anyhow::Result<Access> {
        let mut secret = [0; 32];
        rng.fill_bytes(&mut secret);
        let (number, client) = (rng.next_u64(), StaticSecret::new(secret));
        let token = self.packed.token(number, &client, rate_cap_kbits)?;
        let titles = vec![GrantedTitle { set: self.packed.set, key: None }];
        let center_key = self.packed.center.public();
        let grant = Grant { token, center_key, titles, client_secret: Some(secret.into()) };
        Ok(Access::new(grant, None)?)
    }

    /// Records handshakes and a session, which stays open as long as the recorder lives.
    ///
    /// # Errors
    /// When the edge does not answer.
    pub(super) fn record(&self, rng: &mut ChaCha20Rng) -> anyhow::Result<(Recorder, Recording)> {
        let access = self.access(None, rng)?;
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        let Self { place, edge, packed, .. } = self;
        place.at(Side::Client, || {
            let keys = self.keys(RECORDED, rng)?;
            let mut newcomers = Newcomers::new(*edge, &keys, rng)?;
            let tally = newcomers.run(RECORDED_RATE, PATIENCE)?;
            anyhow::ensure!(tally.opened > 0, "no handshake could be recorded: {tally:?}");
            let hellos = newcomers.into_hellos();
            let config = config(*edge, *access.secret(), access.token().to_vec(), 0);
            let recorder = Recorder::open(*edge, config, seed, packed.segments)?;
            let packets = recorder.packets().to_vec();
            Ok((recorder, Recording { hellos, packets }))
        })
    }

    /// Segments of the title.
    pub(super) fn segments(&self) -> u32 {
        self.packed.segments
    }

    /// The datagrams of a kind.
    ///
    /// # Errors
    /// When one cannot be made.
    pub(super) fn junk(
        &self,
        kind: Kind,
        recording: &Recording,
        attacker: &Attacker,
    ) -> anyhow::Result<Vec<Vec<u8>>> {
        let datagrams = junk::datagrams(kind, recording, &self.packed, self.edge, self.seed)?;
        if kind == Kind::ProvenHello {
            return self.place.at(Side::Attacker, || attacker.prove(&datagrams));
        }
        Ok(datagrams)
    }

    /// The attacker's sockets.
    ///
    /// # Errors
    /// When they cannot be bound.
    pub(super) fn attacker(&self) -> anyhow::Result<Attacker> {
        self.place.at(Side::Attacker, || Attacker::new(&self.place, self.edge.address))
    }

    /// One piece in which `work` runs, with the clocks read around it.
    ///
    /// # Errors
    /// Those of `work`, and when the edge or the transfer has failed.
    pub(super) fn piece<T>(
        &self,
        progress: &Progress,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<(Piece, T)> {
        let generator = CpuClocks::of(std::process::id(), self.cores.generator);
        let (bytes, before) = (progress.bytes(), (self.clocks.read()?, generator.read()?));
        let done = work()?;
        let (after, bytes_after) = ((self.clocks.read()?, generator.read()?), progress.bytes());
        progress.check()?;
        let (server, own) = (after.0 - before.0, after.1 - before.1);
        let generator_busy = own.core_busy_s / own.elapsed_s;
        Ok((Piece { bytes: bytes_after - bytes, server, generator_busy }, done))
    }

    /// Sends `datagrams` of a kind at `rate` while `work` runs, and books them.
    ///
    /// # Errors
    /// Those of `work`, and when counters cannot be read.
    pub(super) fn beside<T>(
        &self,
        attacker: &Attacker,
        (kind, datagrams): (Kind, &[Vec<u8>]),
        rate: f64,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<(T, Sent, Fates)> {
        let before = self.counters()?;
        let stop = AtomicBool::new(false);
        let (done, sent) = std::thread::scope(|scope| {
            let send = || -> anyhow::Result<Sent> {
                self.place.go(Side::Attacker)?;
                Ok(attacker.run(datagrams, kind == Kind::ProvenHello, rate, &stop))
            };
            let sending: ScopedJoinHandle<'_, anyhow::Result<Sent>> = scope.spawn(send);
            let done = work();
            stop.store(true, Ordering::Relaxed);
            let sent = sending.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            anyhow::Ok((done?, sent?))
        })?;
        Ok((done, sent, self.settled(&before, sent.datagrams)?))
    }

    /// Runs `work` on the calling thread as a client.
    ///
    /// # Errors
    /// Those of `work`, and when the thread cannot go there.
    pub(super) fn at_client<T: Send>(
        &self,
        work: impl FnOnce() -> anyhow::Result<T> + Send,
    ) -> anyhow::Result<T> {
        self.place.at(Side::Client, work)
    }

    /// What the edge says of itself.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) fn metrics(&self) -> anyhow::Result<Counters> {
        self.place.at(Side::Edge, || metrics::fetch(self.admin))
    }

    fn counters(&self) -> anyhow::Result<Snapshot> {
        Snapshot::take(&self.place, self.admin, self.edge.address.port())
    }

    /// Books `offered` datagrams, once the edge has counted what it will.
    fn settled(&self, before: &Snapshot, offered: u64) -> anyhow::Result<Fates> {
        let (mut last, mut unchanged) = (0, 0);
        loop {
            sleep(SETTLE);
            let fates = self.counters()?.fates(before, offered);
            unchanged = if fates.arrived == last { unchanged + 1 } else { 0 };
            if fates.lost_before <= 0 || unchanged == SETTLED {
                return Ok(fates);
            }
            last = fates.arrived;
        }
    }

    /// The keys of new clients.
    ///
    /// # Errors
    /// When no token can be made.
    pub(super) fn keys(&self, count: usize, rng: &mut ChaCha20Rng) -> anyhow::Result<Vec<Keys>> {
        (0..count.max(1)).map(|_| Keys::new(&self.packed, rng)).collect()
    }

    /// Clients with these keys.
    ///
    /// # Errors
    /// When they cannot be made or there is no socket.
    pub(super) fn newcomers(
        &self,
        keys: &[Keys],
        rng: &mut ChaCha20Rng,
    ) -> anyhow::Result<Newcomers> {
        self.place.at(Side::Client, || Newcomers::new(self.edge, keys, rng))
    }

    /// Runs them.
    ///
    /// # Errors
    /// When the socket fails.
    pub(super) fn welcome(&self, newcomers: &mut Newcomers, rate: f64) -> anyhow::Result<Tally> {
        self.place.at(Side::Client, || newcomers.run(rate, PATIENCE))
    }
}
