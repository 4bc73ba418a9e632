//! Many sessions that fetch without pause for a while and keep nothing: what an edge can give, as its
//! clients see it. Each session asks for its next segment when it has one, so that times hold no waiting
//! behind its own requests. Every segment is verified against the signed manifest all the same.

use crate::access::{Access, EdgeAddress};
use crate::connection::{ConnectionConfig, ConnectionError, Connections, now};
use crate::fetch::Times;
use segcast_proto::ids::ObjectNumber;
use segcast_proto::segment::manifest::Manifest;
use segcast_proto::session::client::{Backoff, ClientEvent, ClientStats, Fetched};
use segcast_proto::time::{Duration, Instant};
use segcast_proto::wire::code::Code;
use std::sync::atomic::{AtomicBool, Ordering};

/// The stop flag and the clock are looked at this often.
const TURN: Duration = Duration::from_millis(20);
/// Time for all sessions to open.
const OPENING: Duration = Duration::from_secs(10);

/// Settings of a load.
#[derive(Clone, Debug)]
pub struct LoadConfig {
    /// Sessions, all with one edge, driven by the calling thread.
    pub sessions: usize,
    /// How long to fetch, from when all sessions are open.
    pub duration: Duration,
    /// Sessions' settings.
    pub connection: ConnectionConfig,
}

/// Why a load could not run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Sockets or driver.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// A session was refused or closed.
    #[error("session {session}: {code}")]
    Refused {
        /// Which one.
        session: usize,
        /// Why.
        code: Code,
    },
    /// A session went without an answer for too long.
    #[error("session {session}: the edge does not answer")]
    NoAnswer {
        /// Which one.
        session: usize,
    },
    /// The edge sent something else than the center signed.
    #[error("session {session}: segment {segment} is not what the manifest says")]
    WrongBytes {
        /// Which one.
        session: usize,
        /// Which segment.
        segment: u32,
    },
    /// There is nothing to fetch.
    #[error("the title is empty: there is nothing to fetch")]
    Empty,
    /// The caller asked to stop.
    #[error("stopped")]
    Stopped,
}

/// What a load measured, all of it within its duration.
#[derive(Clone, Debug, Default)]
pub struct LoadReport {
    /// How long it was measured.
    pub elapsed: Duration,
    /// Segments that came and were verified.
    pub segments: u64,
    /// Bytes of data that came, once each.
    pub bytes: u64,
    /// From a request to the first byte of its segment.
    pub first_byte: Times,
    /// From a request to the last byte of its segment.
    pub segment_time: Times,
    /// Bytes asked for again.
    pub repair_bytes: u64,
    /// The largest datagram, bytes of UDP payload.
    pub datagram_bytes: usize,
    /// The driver.
    pub io: String,
}

/// Fetches segments of one title from one edge for a while. `started` is called when all sessions are
/// open and the measured time begins.
///
/// # Errors
/// [`LoadError`].
pub fn run(
    edge: EdgeAddress,
    access: &Access,
    (handle, manifest): (u32, &Manifest),
    config: &LoadConfig,
    started: &mut dyn FnMut(),
    stop: &AtomicBool,
) -> Result<LoadReport, LoadError> {
    let segments = manifest.root().geometry().segments();
    if segments == 0 {
        return Err(LoadError::Empty);
    }
    let edges = vec![edge; config.sessions];
    let connections = Connections::open(&edges, access.clone(), config.connection.clone())?;
    let bytes = manifest.root().geometry().segment_bytes();
    // Each session begins elsewhere in the title, as viewers do.
    let next = (0..config.sessions as u64)
        .map(|n| u32::try_from(n * u64::from(segments) / config.sessions as u64).unwrap_or(0));
    let next = next.collect();
    let report = LoadReport { io: connections.io().to_string(), ..LoadReport::default() };
    let backoffs = vec![Backoff::default(); config.sessions];
    let postponed = Vec::new();
    let mut load =
        Load { connections, manifest, handle, segments, bytes, next, backoffs, postponed, report };
    let result = load.run(config, started, stop);
    load.connections.close();
    result.map(|()| load.report)
}

struct Load<'a> {
    connections: Connections,
    manifest: &'a Manifest,
    handle: u32,
    segments: u32,
    bytes: u32,
    /// Each session's next segment.
    next: Vec<u32>,
    backoffs: Vec<Backoff>,
    /// Sessions that were refused, and when they ask again.
    postponed: Vec<(Instant, usize)>,
    report: LoadReport,
}

impl Load<'_> {
    fn run(
        &mut self,
        config: &LoadConfig,
        started: &mut dyn FnMut(),
        stop: &AtomicBool,
    ) -> Result<(), LoadError> {
        self.open(stop)?;
        let before = self.stats();
        let begun = now();
        started();
        for session in 0..self.connections.len() {
            self.ask(session)?;
        }
        while now().saturating_since(begun) < config.duration {
            self.turn(stop)?;
        }
        let after = self.stats();
        self.report.elapsed = now().saturating_since(begun);
        self.report.bytes = after.data_bytes - before.data_bytes;
        self.report.repair_bytes = after.repair_bytes - before.repair_bytes;
        self.report.datagram_bytes = after.datagram_bytes;
        Ok(())
    }

    /// Waits until every session is open.
    fn open(&mut self, stop: &AtomicBool) -> Result<(), LoadError> {
        let begun = now();
        let mut open = vec![false; self.connections.len()];
        while let Some(session) = open.iter().position(|open| !open) {
            if now().saturating_since(begun) > OPENING {
                return Err(LoadError::NoAnswer { session });
            }
            self.wait(stop)?;
            while let Some((session, event)) = self.connections.poll_event() {
                if matches!(event, ClientEvent::Open) {
                    open[session] = true;
                }
                self.on_event(session, event)?;
            }
        }
        Ok(())
    }

    fn turn(&mut self, stop: &AtomicBool) -> Result<(), LoadError> {
        let at = now();
        while let Some(due) = self.postponed.iter().position(|(when, _)| *when <= at) {
            let (_, session) = self.postponed.swap_remove(due);
            self.ask(session)?;
        }
        self.wait(stop)?;
        while let Some((session, event)) = self.connections.poll_event() {
            self.on_event(session, event)?;
        }
        Ok(())
    }

    fn wait(&mut self, stop: &AtomicBool) -> Result<(), LoadError> {
        if stop.load(Ordering::Relaxed) {
            return Err(LoadError::Stopped);
        }
        Ok(self.connections.turn(TURN)?)
    }

    fn on_event(&mut self, session: usize, event: ClientEvent) -> Result<(), LoadError> {
        match event {
            ClientEvent::Object(fetched) => self.on_object(session, &fetched),
            ClientEvent::ObjectRefused { object, code: Code::Overloaded, retry_after, .. } => {
                self.next[session] = object.0;
                // Sessions are spread by their number: random enough.
                let random = (session as u32).wrapping_mul(0x9E37_79B9);
                let at = self.backoffs[session].refused(now(), retry_after, random);
                self.postponed.push((at, session));
                Ok(())
            }
            ClientEvent::Refused { code, .. }
            | ClientEvent::Closed { code, .. }
            | ClientEvent::ObjectRefused { code, .. } => Err(LoadError::Refused { session, code }),
            ClientEvent::TimedOut => Err(LoadError::NoAnswer { session }),
            ClientEvent::Open | ClientEvent::Unresponsive | ClientEvent::PulseReply { .. } => {
                Ok(())
            }
        }
    }

    fn on_object(&mut self, session: usize, fetched: &Fetched) -> Result<(), LoadError> {
        self.backoffs[session].served();
        self.ask(session)?;
        let segment = fetched.object.0;
        if self.manifest.verify_segment(segment, &fetched.bytes).is_err() {
            return Err(LoadError::WrongBytes { session, segment });
        }
        self.report.segments += 1;
        self.report.first_byte.record(fetched.first_byte.saturating_since(fetched.asked));
        self.report.segment_time.record(fetched.complete.saturating_since(fetched.asked));
        Ok(())
    }

    /// Asks for the session's next segment.
    fn ask(&mut self, session: usize) -> Result<(), LoadError> {
        let segment = self.next[session];
        let object = ObjectNumber(segment);
        let client = self.connections.session(session);
        match client.fetch(now(), self.handle, object, Some(self.bytes), Duration::ZERO) {
            Ok(()) => self.next[session] = (segment + 1) % self.segments,
            // One at a time, of a length from the manifest: only an ended session refuses.
            Err(_) => return Err(LoadError::NoAnswer { session }),
        }
        Ok(())
    }

    fn stats(&self) -> ClientStats {
        let mut sum = ClientStats::default();
        for session in 0..self.connections.len() {
            let one = self.connections.stats(session);
            sum.data_bytes += one.data_bytes;
            sum.repair_bytes += one.repair_bytes;
            sum.datagram_bytes = sum.datagram_bytes.max(one.datagram_bytes);
        }
        sum
    }
}
