//! The transfer that the junk is to disturb: the production client's sessions fetch without pause, as fast as their
//! token allows.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::sleep;

use anyhow::Context as _;
use segcast_client::access::{Access, EdgeAddress};
use segcast_client::connection::{ConnectionConfig, Connections, now};
use segcast_client::fetch;
use segcast_proto::ids::{ObjectNumber, SetHandle};
use segcast_proto::segment::manifest::Manifest;
use segcast_proto::session::client::{ClientEvent, Fetched};
use segcast_proto::time::{Duration, Instant};
use segcast_proto::wire::Code;

/// Segments that each session asks for at once: a cap is only filled if the edge always has something to send.
const REQUESTS: u32 = 4;
/// The flag is looked at this often.
const TURN: Duration = Duration::from_millis(5);
/// Time for the sessions to open.
const OPENING: Duration = Duration::from_secs(15);

/// What the transfer has done so far, shared with the thread that measures.
#[derive(Debug, Default)]
pub(super) struct Progress {
    bytes: AtomicU64,
    verified: AtomicU64,
    open: AtomicUsize,
    stop: AtomicBool,
    failure: Mutex<Option<anyhow::Error>>,
}

impl Progress {
    /// Bytes of data that came, once each.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Segments that were compared with their signed digests.
    pub(super) fn verified(&self) -> u64 {
        self.verified.load(Ordering::Relaxed)
    }

    /// Tells the transfer to end.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Waits until all sessions are open.
    ///
    /// # Errors
    /// When they do not open in time, or one has failed.
    pub(super) fn wait(&self, sessions: usize) -> anyhow::Result<()> {
        let end = now() + OPENING;
        while self.open.load(Ordering::Relaxed) < sessions {
            self.check()?;
            anyhow::ensure!(now() < end, "the sessions do not open");
            sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// # Errors
    /// When a session has failed.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        self.failure.lock().unwrap_or_else(|e| e.into_inner()).take().map_or(Ok(()), Err)
    }

    fn fail(&self, error: anyhow::Error) {
        self.failure.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(error);
    }
}

/// Fetches over `sessions` sessions on the calling thread, until told to stop. What fails is in `progress`.
pub(super) fn run(edge: EdgeAddress, access: &Access, sessions: usize, progress: &Progress) {
    if let Err(error) = transfer(edge, access, sessions, progress) {
        progress.fail(error.context("the transfer"));
    }
}

fn transfer(
    edge: EdgeAddress,
    access: &Access,
    sessions: usize,
    progress: &Progress,
) -> anyhow::Result<()> {
    let config = ConnectionConfig::default();
    let (manifest, _) = fetch::manifest(&[edge], access, None, config.clone(), &progress.stop)?;
    let connections = Connections::open(&vec![edge; sessions], access.clone(), config)?;
    let segments = manifest.root().geometry().segments();
    // Each begins elsewhere.
    let next = (0..sessions as u32).map(|n| n * segments / sessions as u32).collect();
    let (open, verified) = (vec![false; sessions], vec![false; segments as usize]);
    let again = VecDeque::new();
    let mut viewer = Viewer { connections, manifest, open, next, again, verified, progress };
    let result = viewer.run();
    viewer.connections.close();
    result
}

struct Viewer<'a> {
    connections: Connections,
    manifest: Manifest,
    /// Which sessions have been open. One that had to open again goes on by itself.
    open: Vec<bool>,
    /// Each session's next segment.
    next: Vec<u32>,
    /// Sessions that were told to ask later, and when: an edge may be at its limit beside junk.
    again: VecDeque<(Instant, usize)>,
    /// Segments that were verified; each is once, so that digests do not slow the client down.
    verified: Vec<bool>,
    progress: &'a Progress,
}

impl Viewer<'_> {
    fn run(&mut self) -> anyhow::Result<()> {
        while !self.progress.stopped() {
            self.connections.turn(TURN)?;
            while let Some((_, session)) = self.again.pop_front_if(|(at, _)| *at <= now()) {
                self.ask(session)?;
            }
            while let Some((session, event)) = self.connections.poll_event() {
                self.on_event(session, event)?;
            }
            let all = 0..self.connections.len();
            let bytes = all.map(|session| self.connections.stats(session).data_bytes).sum();
            self.progress.bytes.store(bytes, Ordering::Relaxed);
        }
        Ok(())
    }

    fn on_event(&mut self, session: usize, event: ClientEvent) -> anyhow::Result<()> {
        match event {
            ClientEvent::Open if std::mem::replace(&mut self.open[session], true) => Ok(()),
            ClientEvent::Open => {
                self.progress.open.fetch_add(1, Ordering::Relaxed);
                (0..REQUESTS).try_for_each(|_| self.ask(session))
            }
            ClientEvent::Object(fetched) => {
                self.ask(session)?;
                self.verify(&fetched)
            }
            ClientEvent::ObjectRefused { code: Code::Overloaded, retry_after, .. } => {
                self.again.push_back((now() + retry_after, session));
                Ok(())
            }
            ClientEvent::Unresponsive | ClientEvent::PulseReply { .. } => Ok(()),
            other => anyhow::bail!("session {session}: {other:?}"),
        }
    }

    fn verify(&mut self, fetched: &Fetched) -> anyhow::Result<()> {
        let verified = self.verified.get_mut(fetched.object.0 as usize);
        if !std::mem::replace(verified.context("a segment beyond the last")?, true) {
            self.manifest.verify_segment(fetched.object.0, &fetched.bytes)?;
            self.progress.verified.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn ask(&mut self, session: usize) -> anyhow::Result<()> {
        let geometry = self.manifest.root().geometry();
        let (segments, bytes) = (geometry.segments(), geometry.segment_bytes());
        let segment = self.next[session];
        self.next[session] = (segment + 1) % segments;
        let client = self.connections.session(session);
        client.fetch(
            now(),
            SetHandle::FIRST,
            ObjectNumber(segment),
            Some(bytes),
            Duration::ZERO,
        )?;
        Ok(())
    }
}
