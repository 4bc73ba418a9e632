//! One server under test with everything around it.

use std::io::Read;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use segcast_lab::bpf::TrainFilter;
use segcast_proto::limits::{OVERHEAD, REPORT_DELAY_MIN};

use super::Args;
use super::accounts::Accounts;
use super::generator::Generator;
use super::outcome::{Collected, Outcome, Window};
use super::session::{Plan, Tally};
use super::title::Title;
use super::world::{Net, Packed};
use crate::measure::{Binary, Cores, CpuClocks, Server, ServerSpec, metrics};

/// Room for records: 170 000 trains, some two seconds of them.
const RECORDS: u32 = 16 << 20;
/// What each client says it can take beyond what it received: no bound.
const ROOM: u64 = 1 << 30;

/// What to start.
#[derive(Debug)]
pub struct Setup<'a> {
    /// How to measure.
    pub args: &'a Args,
    /// The server's program.
    pub binary: &'a Binary,
    /// Its flags, where it is not to have its default configuration.
    pub flags: &'a [String],
    /// Its core and the generator's.
    pub cores: Cores,
    /// Faults, for a test of the checks.
    pub sabotage: Sabotage,
}

/// Faults, for tests of the checks and of the generator itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sabotage {
    /// The train with this number is taken in twice, as if its sequence numbers had been used twice.
    pub repeat_train: Option<u64>,
    /// This byte of every segment is stored wrong.
    pub wrong_byte: Option<u32>,
    /// So many of 256 datagrams to the server are lost, by a seeded choice. That is no fault to find, but one to outlast.
    pub lost: u8,
}

/// A running server and its clients.
pub struct Subject {
    label: String,
    generator: Generator,
    server: Server,
    clocks: CpuClocks,
    net: Net,
    // The store must outlive the server.
    _packed: Arc<Packed>,
    collected: Collected,
    sessions: usize,
}

/// The flags that were asked for; and one that lets requests wait as long as they have to: how many a shard promises by
/// default hangs on how fast this machine is. An older server does not know that flag, and needs none.
fn patient(setup: &Setup<'_>) -> anyhow::Result<Vec<String>> {
    const FLAG: &str = "--egress-queue";
    if setup.flags.iter().any(|flag| flag.starts_with(FLAG)) {
        return Ok(setup.flags.to_vec());
    }
    let help = Command::new(&setup.binary.path).args(["edge", "--help"]).output()?;
    let known = String::from_utf8_lossy(&help.stdout).contains(FLAG);
    let more = known.then(|| [FLAG.to_owned(), "60s".to_owned()]);
    Ok(setup.flags.iter().cloned().chain(more.into_iter().flatten()).collect())
}

/// What every session does that reads `packed` from the server with this key. `room_bytes`: what a client says it can take.
pub(super) fn plan(args: &Args, packed: &Packed, room_bytes: u64, edge_public: [u8; 32]) -> Plan {
    Plan {
        title: Title::new(args.seed),
        segments: packed.segments,
        segment_bytes: packed.segment_bytes,
        spread: args.spread,
        range_bytes: args.train.map(|count| count * (args.datagram - OVERHEAD) as u32),
        outstanding: args.requests,
        room_bytes,
        datagram_max: args.datagram,
        report_packets: args.report_packets,
        // The round trip is far below 4 ms (docs/protocol, section 10).
        report_after: REPORT_DELAY_MIN,
        edge_public,
    }
}

impl Subject {
    /// Packs a title, starts the server, and opens all sessions. Nothing is asked for yet.
    ///
    /// # Errors
    /// When something is missing on this machine, or a session does not open.
    pub fn start(setup: &Setup<'_>) -> anyhow::Result<Self> {
        Self::serve(setup, Arc::new(pack(setup.args, setup.sabotage.wrong_byte)?))
    }

    /// The same with a title that is packed; no other server may have it.
    pub(super) fn serve(setup: &Setup<'_>, packed: Arc<Packed>) -> anyhow::Result<Self> {
        let args = setup.args;
        let (net, tap) = Net::new(args.datagram)?;
        let filter = TrainFilter::new(args.sample, RECORDS)?;
        filter.attach(&tap)?;
        let server = Server::start(&ServerSpec {
            binary: setup.binary,
            store: &packed.store(),
            keys: &packed.keys(),
            listen: Net::server_address(),
            core: setup.cores.server,
            namespace: Some(&net.namespace),
            flags: &patient(setup)?,
        })?;
        let plan = plan(args, &packed, ROOM, server.public_key());
        let mut generator = Generator::new(tap, filter, Net::cable(), plan);
        generator.repeat_train = setup.sabotage.repeat_train;
        generator.lost = setup.sabotage.lost;
        let mut rng = ChaCha20Rng::seed_from_u64(args.seed);
        let identity = |number| packed.identity(number as u64, args.rate_cap, &mut rng);
        generator.open((0..args.sessions).map(identity))?;
        Ok(Self {
            label: setup.binary.label.clone(),
            generator,
            clocks: server.clocks(),
            server,
            net,
            _packed: packed,
            collected: Collected::default(),
            sessions: args.sessions,
        })
    }

    /// Serves for `time` without measuring, and pauses.
    ///
    /// # Errors
    /// When a check fails.
    pub fn warm(&mut self, time: Duration) -> anyhow::Result<()> {
        self.generator.resume();
        self.generator.run(time)?;
        self.generator.pause()
    }

    /// Serves for `ramp`, then for `time`, which is measured; and pauses.
    ///
    /// # Errors
    /// When a check fails or the server has ended.
    pub fn measure(&mut self, ramp: Duration, time: Duration) -> anyhow::Result<Window> {
        self.generator.resume();
        self.generator.run(ramp)?;
        for session in &mut self.generator.sessions {
            session.tally.longest_wait = Duration::ZERO;
        }
        let before = self.clocks.read()?;
        let (tallies, busy) = (self.tallies(), self.generator.busy);
        self.generator.run(time)?;
        let used = self.clocks.read()? - before;
        let window = Window::new(used, self.generator.busy - busy, &tallies, &self.tallies());
        self.generator.pause()?;
        Ok(window)
    }

    /// Keeps what a repeat gave.
    pub fn note(&mut self, window: Window, seal_only: f64) {
        self.collected.push(window, seal_only);
    }

    /// Closes the books.
    ///
    /// # Errors
    /// When they do not balance: then no figure of the run can be believed.
    pub fn finish(mut self) -> anyhow::Result<Outcome> {
        // The side thread that answers has the server's core, too: only now, when nothing is measured.
        self.generator.run(Duration::from_millis(100))?;
        let metrics = self.net.metrics()?;
        let numbers = self.generator.sessions.iter().map(|session| session.numbers().1);
        let missing = numbers.sum();
        let seen = self.generator.counters;
        let accounts = Accounts::new(&metrics, &seen, self.net.device()?, missing);
        let wrong = accounts.wrong(&seen);
        anyhow::ensure!(
            wrong.is_empty(),
            "{}: the counts do not agree:\n  {}\n{accounts:#?}",
            self.label,
            wrong.join("\n  ")
        );
        let of = |name| metrics::sum(&metrics, name);
        Ok(Outcome {
            label: self.label,
            sessions: self.sessions,
            zc_trains: of("zero_copy_trains_total"),
            zc_copied: of("zero_copy_copied_total"),
            trains_passed: seen.trains_passed,
            major_faults: of("major_faults_total").unwrap_or(0),
            receive_lost: of("receive_lost_total").unwrap_or(0),
            accounts,
            ..self.collected.outcome()
        })
    }

    /// Requests that the server refused so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.generator.sessions.iter().map(|session| session.tally.refused).sum()
    }

    /// Trains that passed whole and were compared so far.
    #[must_use]
    pub fn trains_compared(&self) -> u64 {
        self.generator.counters.trains_checked
    }

    /// The server's process, for a test that looks at it.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    fn tallies(&self) -> Vec<Tally> {
        self.generator.sessions.iter().map(|session| session.tally).collect()
    }
}

/// Packs the title of a measurement, if asked for with one byte of every segment wrong.
pub(super) fn pack(args: &Args, wrong_byte: Option<u32>) -> anyhow::Result<Packed> {
    Packed::new(args.folder.as_deref(), args.title << 20, |length| {
        let reader = Title::new(args.seed).reader(length);
        match wrong_byte {
            None => Box::new(reader) as Box<dyn Read + Send>,
            Some(at) => Box::new(Altered { reader, at, position: 0 }),
        }
    })
}

/// A title with one wrong byte in every segment.
struct Altered<R> {
    reader: R,
    at: u32,
    position: u64,
}

impl<R: Read> Read for Altered<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let len = self.reader.read(out)?;
        let segment = u64::from(segcast_proto::segment::geometry::DEFAULT_SEGMENT);
        for (byte, place) in out[..len].iter_mut().zip(self.position..) {
            if place % segment == u64::from(self.at) {
                *byte ^= 1;
            }
        }
        self.position += len as u64;
        Ok(len)
    }
}
