//! Making the load: threads that drive sessions, and the one place where what they record comes together.

mod buffers;
mod exchange;
mod fan;
mod sampler;
mod segment;
mod setting;
mod tally;
#[cfg(test)]
mod tests;
mod thread;
mod timers;
mod viewer;
mod watching;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Scope;

use crossbeam::channel::{Receiver, Sender, bounded};
use exchange::{Desk, Exchange, SPARE, THREADS_MAX};
use segcast_client::access::{Access, EdgeAddress};
use segcast_client::connection::{ConnectionConfig, ConnectionError, MulticastConfig, now};
use segcast_proto::rate::Rate;
use segcast_proto::segment::manifest::Manifest;
use segcast_proto::time::{Duration, Instant};
use segcast_sysio::clock::unix_seconds;
use segcast_sysio::cpu::name_current_thread;
use segcast_sysio::error::SysError;
use segcast_sysio::probe::{self, IoKind};
use serde::Serialize;
use setting::Setting;
use tally::Tally;
use thread::Thread;

use crate::plan::{Plan, Request, Viewing};
use crate::record::Interval;

/// From when all threads are ready to when the run begins.
const COUNTDOWN: Duration = Duration::from_millis(20);

/// Takes in what threads record, one second and one phase at a time, on the caller's thread and in no order between
/// threads. Showing, adding up and writing happen here, where they cost the threads nothing.
pub trait Observer {
    /// One thread's second. It is cleared and filled again after the call.
    fn interval(&mut self, interval: &Interval);
}

/// Several observers of one run.
impl<A: Observer, B: Observer> Observer for (A, B) {
    fn interval(&mut self, interval: &Interval) {
        self.0.interval(interval);
        self.1.interval(interval);
    }
}

impl<T: Observer + ?Sized> Observer for &mut T {
    fn interval(&mut self, interval: &Interval) {
        (**self).interval(interval);
    }
}

/// What is loaded, and with what right.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The edge.
    pub edge: EdgeAddress,
    /// The manifests of the plan's titles, in its order, all pages there.
    pub manifests: &'a [Manifest],
    /// Keys and tokens: seat n uses the one at n modulo their number.
    pub access: &'a [Access],
}

/// How the load is made; none of it changes what is asked for when.
#[derive(Clone, Debug)]
pub struct RunConfig {
    /// Threads that drive sessions.
    pub threads: usize,
    /// Which driver; none: the best one that works here.
    pub io: Option<IoKind>,
    /// Receive offload (`UDP_GRO`).
    pub gro: bool,
    /// Sessions that share a socket.
    pub sessions_per_socket: u32,
    /// The largest datagram to receive, bytes of UDP payload.
    pub datagram_max: usize,
    /// Segments that a player has before it begins.
    pub start_segments: u32,
    /// Viewers watch their title from its beginning, and ask by when it plays: from when they come to the first picture,
    /// at the soonest. The plan's pace must be that of playing.
    pub play: Option<Duration>,
    /// Where viewers who watch hear groups, each joined once for all of a thread.
    pub multicast: Option<MulticastConfig>,
    /// What may come to each viewer by groups.
    pub group_rate: Rate,
    /// For the test of the checks: each segment is written down so much later than it came.
    pub late: Duration,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            threads: 1,
            io: None,
            gro: true,
            sessions_per_socket: 32,
            datagram_max: ConnectionConfig::default().datagram_max,
            start_segments: 2,
            play: None,
            multicast: None,
            group_rate: Rate::ZERO,
            late: Duration::ZERO,
        }
    }
}

impl RunConfig {
    fn connection(&self) -> ConnectionConfig {
        let (io, gro, datagram_max) = (self.io, self.gro, self.datagram_max);
        ConnectionConfig { io, gro, datagram_max, ..ConnectionConfig::default() }
    }

    fn check(&self) -> Result<(), RunError> {
        if !(1..=THREADS_MAX).contains(&self.threads) {
            return Err(RunError::Threads(self.threads));
        }
        if self.sessions_per_socket == 0 {
            return Err(RunError::PerSocket);
        }
        if self.multicast.is_some() && self.play.is_none() {
            return Err(RunError::Hearing);
        }
        Ok(())
    }
}

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Sockets, sessions or driver.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The system refused a socket or a driver.
    #[error(transparent)]
    System(#[from] SysError),
    /// Too few threads, or too many.
    #[error("{0} threads: 1 to {THREADS_MAX} are possible")]
    Threads(usize),
    /// No sessions on a socket.
    #[error("0 sessions on a socket: at least 1")]
    PerSocket,
    /// Groups for nobody who watches.
    #[error("groups are heard by viewers who watch: give a time to the first picture, too")]
    Hearing,
    /// Titles without manifests, or sessions without keys.
    #[error(
        "{titles} titles, {manifests} manifests and {access} keys: a manifest for each title, a key at least"
    )]
    Subject {
        /// In the plan.
        titles: usize,
        /// Given.
        manifests: usize,
        /// Given.
        access: usize,
    },
    /// The system gave no thread.
    #[error("no thread for the generator: {0}")]
    Thread(std::io::Error),
}

/// What is known of a run when it is over, besides what its threads recorded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ran {
    /// When it began, Unix time, seconds.
    pub begun: u64,
    /// How long it was, seconds, with the time for the last segments to come.
    pub seconds: f64,
    /// It was stopped before its plan was done: what was recorded is a part.
    pub stopped: bool,
    /// The driver.
    pub io: &'static str,
    /// Receive offload was on.
    pub gro: bool,
    /// Threads that drove sessions.
    pub threads: usize,
    /// Their sockets.
    pub sockets: usize,
    /// The smallest receive buffer of a socket, bytes: the system's limit may be below what was wanted.
    pub socket_buffer_bytes: usize,
}

/// What one thread has to do.
#[derive(Clone, Debug, Default)]
struct Share {
    viewings: Vec<Viewing>,
    requests: Vec<Request>,
    seats: u32,
}

/// Sockets of a thread that is ready.
struct Ready {
    sockets: usize,
    socket_buffer_bytes: usize,
}

/// Carries `plan` out. `observer` sees what is recorded, on this thread, while it runs. `stop`, once set, ends the run:
/// what is under way gets a second to come.
///
/// # Errors
/// [`RunError`]: the run could not begin, or a thread's driver failed.
pub fn run(
    plan: &Plan,
    subject: &Subject<'_>,
    config: &RunConfig,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Ran, RunError> {
    config.check()?;
    let (titles, manifests) = (plan.titles.len(), subject.manifests.len());
    if titles != manifests || subject.access.is_empty() {
        return Err(RunError::Subject { titles, manifests, access: subject.access.len() });
    }
    let (kind, reason) = probe::choose(config.io)?;
    tracing::debug!(io = kind.name(), %reason, "driver chosen");
    let job = Job { plan, subject, config, kind, stop };
    let shares = thread::shares(plan, config.threads);
    let mut desk = Desk::new(config.threads, plan.workload.phases.len());
    std::thread::scope(|scope| {
        let (ready, readies) = bounded(config.threads);
        let mut threads = Vec::with_capacity(config.threads);
        for (number, share) in shares.iter().enumerate() {
            let exchange = desk.thread(number, SPARE);
            threads.push(job.spawn(scope, number, share, exchange, ready.clone())?);
        }
        drop(ready);
        desk.close();
        let (mut sockets, mut least) = (0, usize::MAX);
        // A thread that could not begin says nothing, and the others are then not let go.
        let all: Vec<Ready> = readies.iter().collect();
        for ready in &all {
            sockets += ready.sockets;
            least = least.min(ready.socket_buffer_bytes);
        }
        let (begun, begin) = (unix_seconds(), now() + COUNTDOWN);
        let go = all.len() == config.threads;
        let threads = threads.into_iter().map(|(thread, start)| {
            if go {
                // It waits for this.
                let _ = start.send(begin);
            }
            thread
        });
        let threads: Vec<_> = threads.collect();
        desk.collect(observer);
        for thread in threads {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        Ok(Ran {
            begun,
            seconds: now().saturating_since(begin).as_secs_f64(),
            stopped: stop.load(Ordering::Relaxed),
            io: kind.name(),
            gro: config.gro,
            threads: config.threads,
            sockets,
            socket_buffer_bytes: least,
        })
    })
}

/// What all threads are given.
#[derive(Clone, Copy)]
struct Job<'a> {
    plan: &'a Plan,
    subject: &'a Subject<'a>,
    config: &'a RunConfig,
    kind: IoKind,
    stop: &'a AtomicBool,
}

type Handle<'scope> = std::thread::ScopedJoinHandle<'scope, Result<(), RunError>>;

impl<'a> Job<'a> {
    /// Starts a thread. It makes its sockets, says so to `ready`, and waits to be told when the run begins.
    fn spawn<'scope>(
        self,
        scope: &'scope Scope<'scope, 'a>,
        number: usize,
        share: &'a Share,
        exchange: Exchange,
        ready: Sender<Ready>,
    ) -> Result<(Handle<'scope>, Sender<Instant>), RunError> {
        let (start, go) = bounded(1);
        let thread = std::thread::Builder::new()
            .name(format!("load-{number}"))
            .spawn_scoped(scope, move || self.drive(number, share, exchange, ready, &go))
            .map_err(RunError::Thread)?;
        Ok((thread, start))
    }

    fn drive(
        self,
        number: usize,
        share: &Share,
        exchange: Exchange,
        ready: Sender<Ready>,
        go: &Receiver<Instant>,
    ) -> Result<(), RunError> {
        name_current_thread(&format!("load-{number}"))?;
        let sessions = self.plan.workload.sessions_max().div_ceil(self.config.threads as u32);
        let driver = thread::driver(self.subject, self.config, self.kind, sessions)?;
        let buffers = driver.sockets().iter().map(|socket| socket.receive_buffer_bytes());
        let socket_buffer_bytes = buffers.min().unwrap_or(0);
        drop(ready.send(Ready { sockets: driver.sockets().len(), socket_buffer_bytes }));
        drop(ready);
        let Ok(begin) = go.recv() else { return Ok(()) };
        let phases = self.plan.workload.phases.len();
        let tally = Tally::new(exchange, phases, begin, now());
        let setting = Setting::new(self.plan, self.subject, self.config, begin);
        Thread::new(driver, setting, share, tally)?.run(self.stop)
    }
}
