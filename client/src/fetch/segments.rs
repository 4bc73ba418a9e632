//! The main part of a fetch: segments, from request to file.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use segcast_proto::ids::{ObjectNumber, SetHandle};
use segcast_proto::session::client::ClientStats;
use segcast_proto::session::client::groups::PATIENCE;
use segcast_proto::time::{Duration, Instant};

use super::Fetch;
use super::catalog::TURN;
use super::edges::{EdgeEvent, Edges};
use super::error::FetchError;
use super::hearing::Hearing;
use super::pipeline::{Arrived, Numbering, Pipeline};
use super::playout::{PlayConfig, Playout};
use super::report::{EdgeShare, Phase, Progress, Report};
use super::schedule::Schedule;
use super::times::Times;
use super::title::Title;
use super::worker::{Job, Outcome, Worker};
use crate::access::fresh_seed;
use crate::connection::now;
use crate::file::{Bitmap, Identity, PartFile};

/// Segments of an earlier part file that are read back at once.
const RECHECKS: usize = 4;
/// With several edges: how often each is asked for its queue.
const PULSE_EVERY: Duration = Duration::from_secs(1);

/// What one edge did.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    segments: u32,
    wrong: u32,
}

/// All segments of a title on their way.
pub(super) struct Segments {
    pipeline: Pipeline,
    worker: Option<Worker>,
    playout: Option<Playout>,
    title: Arc<Title>,
    hearing: Option<Hearing>,
    /// What it is time to ask for, while a group brings it.
    coming: Vec<(u32, Instant)>,
    identity: Identity,
    handle: SetHandle,
    /// Still to be read back, and how many are being.
    rechecks: VecDeque<u32>,
    rechecking: usize,
    /// Who sent what is being verified.
    senders: HashMap<u32, usize>,
    shares: Vec<Share>,
    resumed: u32,
    first_byte: Times,
    segment_time: Times,
    first_of_all: Option<Instant>,
    progress_every: Duration,
    progress_at: Instant,
    pulse_at: Instant,
}

impl Segments {
    pub(super) fn begin(
        fetch: &mut Fetch,
        title: &Arc<Title>,
        part: PartFile,
        claimed: &Bitmap,
    ) -> Result<Self, FetchError> {
        let identity = *part.identity();
        let firsts = fetch.edges.firsts();
        let (bytes, window) = (identity.segment_bytes, fetch.config.window_bytes);
        let mut schedule = Schedule::new(identity.segments, bytes, &firsts, window);
        claimed.iter().for_each(|segment| schedule.assume(segment));
        let playout = playout(fetch, title, claimed)?;
        if playout.is_some() {
            schedule = schedule.by_deadline();
        }
        let hearing = playout.as_ref().and_then(|_| hearing(fetch, title, claimed));
        let numbering = Numbering::Segments { bytes };
        let pipeline = Pipeline::new(schedule, numbering, fetch.handle, &mut fetch.edges);
        let depth = pipeline.schedule.window() + RECHECKS;
        let waker = fetch.edges.connections().waker();
        let wake = Box::new(move || waker.wake());
        let worker = Worker::start(title.clone(), part, depth, wake).map_err(FetchError::Thread)?;
        let rechecks =
            if fetch.config.trust_part { VecDeque::new() } else { claimed.iter().collect() };
        Ok(Self {
            pipeline,
            worker: Some(worker),
            playout,
            title: Arc::clone(title),
            hearing,
            coming: Vec::new(),
            identity,
            handle: fetch.handle,
            rechecks,
            rechecking: 0,
            senders: HashMap::new(),
            shares: vec![Share::default(); firsts.len()],
            resumed: claimed.count(),
            first_byte: Times::default(),
            segment_time: Times::default(),
            first_of_all: None,
            progress_every: fetch.config.progress_every,
            progress_at: Instant::ZERO,
            pulse_at: Instant::ZERO,
        })
    }

    /// Runs until every segment is in the part file and checked.
    pub(super) fn run(
        &mut self,
        edges: &mut Edges,
        progress: &mut dyn FnMut(&Progress),
        stop: &dyn Fn() -> bool,
    ) -> Result<(), FetchError> {
        let mut events = Vec::new();
        while !self.is_complete() {
            if stop() {
                return Err(self.stopped());
            }
            self.submit_rechecks();
            self.want_due(edges);
            // Before anything is asked for: what nobody says may be held is not.
            self.pipeline.hears = self.hearing.as_mut().and_then(|h| h.choose_session(edges));
            self.pipeline.pump(edges);
            self.pulse(edges);
            edges.turn(TURN, &mut events)?;
            for (index, event) in events.drain(..) {
                self.on_event(edges, index, event)?;
            }
            self.hear_groups(edges)?;
            self.hear_worker(edges)?;
            if now() >= self.progress_at {
                self.progress_at = now() + self.progress_every;
                progress(&self.progress(Phase::Fetching, edges));
            }
        }
        Ok(())
    }

    /// For who watches: wants what it is time to ask for. As long as there is time for everything, nobody loses patience.
    fn want_due(&mut self, edges: &mut Edges) {
        let Some(playout) = &mut self.playout else { return };
        let at = now();
        let hearing = self.hearing.as_ref();
        let comes = |segment| hearing.is_some_and(|hearing| hearing.is_coming(segment));
        // Until it is late: what seems to come may never come.
        let comes = |segment, deadline| comes(segment) && at + PATIENCE < deadline;
        self.coming.extend(std::iter::from_fn(|| playout.take_due(at)));
        self.coming.retain(|&(segment, deadline)| {
            let stays = comes(segment, deadline);
            if !stays {
                self.pipeline.schedule.want(segment, deadline);
            }
            stays
        });
        if self.pipeline.schedule.is_ahead(at) {
            edges.note_progress();
        }
    }

    /// Takes in what came to groups.
    fn hear_groups(&mut self, edges: &mut Edges) -> Result<(), FetchError> {
        let Some(hearing) = &mut self.hearing else { return Ok(()) };
        let whole = hearing.turn(self.title.manifest(), edges, &mut self.pipeline.schedule);
        if !whole.is_empty() {
            edges.note_progress();
        }
        for (segment, stored) in whole {
            let job = Job::Write { segment, stored };
            if self.worker.as_ref().is_none_or(|worker| worker.submit(job).is_err()) {
                return Err(ended_early());
            }
        }
        Ok(())
    }

    /// Takes in what the other thread has done. While it works, nobody loses patience with the edges.
    fn hear_worker(&mut self, edges: &mut Edges) -> Result<(), FetchError> {
        if self.rechecking + self.pipeline.schedule.checking() > 0 {
            edges.note_progress();
        }
        // Asked before the outcomes are taken: a thread that ended had sent all of its own.
        let alive = self.worker.as_ref().is_some_and(Worker::is_alive);
        while let Some(outcome) = self.worker.as_ref().and_then(Worker::poll) {
            self.on_outcome(edges, outcome)?;
        }
        if alive { Ok(()) } else { Err(ended_early()) }
    }

    fn is_complete(&self) -> bool {
        self.pipeline.schedule.is_complete() && self.rechecks.is_empty() && self.rechecking == 0
    }

    fn stopped(&self) -> FetchError {
        let have = self.pipeline.schedule.have();
        FetchError::Stopped { have, segments: self.identity.segments }
    }

    /// Ends the thread and takes the part file back.
    pub(super) fn end(&mut self) -> Result<PartFile, FetchError> {
        let worker = self.worker.take().and_then(Worker::stop);
        worker.ok_or_else(ended_early)
    }

    fn submit_rechecks(&mut self) {
        while self.rechecking < RECHECKS {
            let Some(segment) = self.rechecks.pop_front() else { return };
            let job = Job::Recheck { segment };
            if self.worker.as_ref().is_some_and(|worker| worker.submit(job).is_ok()) {
                self.rechecking += 1;
            } else {
                self.rechecks.push_front(segment);
                return;
            }
        }
    }

    /// Among several edges: asks each for its load, so that the choice is not by the past alone.
    fn pulse(&mut self, edges: &mut Edges) {
        let at = now();
        if edges.open() < 2 || at < self.pulse_at {
            return;
        }
        self.pulse_at = at + PULSE_EVERY;
        for index in 0..edges.connections().len() {
            if edges.is_open(index) {
                edges.connections().session(index).pulse(self.handle, ObjectNumber(0));
            }
        }
    }

    fn on_event(
        &mut self,
        edges: &mut Edges,
        index: usize,
        event: EdgeEvent,
    ) -> Result<(), FetchError> {
        if let Some(hearing) = &mut self.hearing {
            match &event {
                EdgeEvent::Lost | EdgeEvent::GivenUp | EdgeEvent::Silent => hearing.lost(index),
                EdgeEvent::Object(fetched) => {
                    if let Some(segment) = fetched.object.as_leaves() {
                        hearing.on_leaves(self.title.manifest(), segment, &fetched.bytes);
                        return Ok(());
                    }
                }
                _ => {}
            }
        }
        let Some(arrived) = self.pipeline.on_event(edges, index, event)? else { return Ok(()) };
        let Arrived { number, edge, mut fetched } = arrived;
        self.first_byte.record(fetched.first_byte.saturating_since(fetched.asked));
        self.segment_time.record(fetched.complete.saturating_since(fetched.asked));
        self.first_of_all.get_or_insert(fetched.first_byte);
        self.senders.insert(number, edge);
        if let Some(hearing) = &mut self.hearing {
            hearing.complete(number, &mut fetched.bytes);
            hearing.taken(number);
        }
        let job = Job::Write { segment: number, stored: fetched.bytes };
        let submitted = self.worker.as_ref().is_some_and(|worker| worker.submit(job).is_ok());
        // The schedule's window is smaller than the worker's depth, so only a dead thread refuses.
        if submitted { Ok(()) } else { Err(ended_early()) }
    }

    fn on_outcome(&mut self, edges: &mut Edges, outcome: Outcome) -> Result<(), FetchError> {
        match outcome {
            Outcome::Written { segment } => {
                if let Some(edge) = self.senders.remove(&segment) {
                    self.shares[edge].segments += 1;
                }
                self.pipeline.schedule.verified(segment);
                if let Some(hearing) = &mut self.hearing {
                    hearing.taken(segment);
                }
                if let Some(playout) = &mut self.playout {
                    playout.arrived(now(), segment);
                }
            }
            Outcome::Wrong { segment } => {
                if let Some(index) = self.senders.remove(&segment) {
                    self.shares[index].wrong += 1;
                    let edge = edges.connections().edge(index).address;
                    tracing::warn!(%edge, segment, "wrong bytes: not written, another edge is asked");
                }
                if let Some(hearing) = &mut self.hearing {
                    hearing.wanted(segment);
                }
                self.pipeline.on_wrong(edges, segment)?;
            }
            Outcome::Rechecked { segment, good } => {
                self.rechecking -= 1;
                if !good {
                    tracing::warn!(
                        segment,
                        "the part file does not hold this segment: fetched again"
                    );
                    self.resumed = self.resumed.saturating_sub(1);
                    self.pipeline.schedule.recheck_failed(segment);
                    if let Some(playout) = &mut self.playout {
                        playout.recheck_failed(segment);
                    }
                }
            }
            Outcome::Failed(error) => return Err(error.into()),
        }
        Ok(())
    }

    pub(super) fn progress(&self, phase: Phase, edges: &mut Edges) -> Progress {
        let total = self.identity.length;
        let bytes = self.title_bytes(self.pipeline.schedule.have());
        let received: u64 =
            (0..self.shares.len()).map(|index| edges.connections().stats(index).data_bytes).sum();
        let come = (self.title_bytes(self.resumed) + received).clamp(bytes, total);
        let edges_open = edges.open();
        let rechecking = self.rechecks.len() + self.rechecking;
        let rechecking = u32::try_from(rechecking).unwrap_or(u32::MAX);
        Progress { phase, bytes, come, total, edges_open, rechecking }
    }

    /// Bytes of so many segments; the last one of the title counts as a whole one.
    fn title_bytes(&self, segments: u32) -> u64 {
        let bytes = u64::from(segments) * u64::from(self.identity.segment_bytes);
        bytes.min(self.identity.length)
    }

    pub(super) fn report(&self, edges: &mut Edges, title: &Title, begun: Instant) -> Report {
        let elapsed = now().saturating_since(begun).as_secs_f64();
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let mut all = ClientStats::default();
        let mut shares = Vec::new();
        for (index, share) in self.shares.iter().enumerate() {
            let stats = edges.connections().stats(index);
            all += stats;
            if !edges.is_used(index) {
                continue;
            }
            shares.push(EdgeShare {
                address: edges.connections().edge(index).address,
                segments: share.segments,
                bytes: stats.data_bytes,
                wrong: share.wrong,
                refused: stats.refused,
                rtt_us: edges.connections().rtt(index).map(micros),
                handshakes: stats.handshakes,
            });
        }
        let (data, repair) = (all.data_bytes, all.repair_bytes);
        let fetched = self.identity.segments.saturating_sub(self.resumed);
        let description = title.manifest().root().description();
        Report {
            set: description.set.to_string(),
            name: description.name.clone(),
            bytes: self.identity.length,
            segments: self.identity.segments,
            resumed_segments: self.resumed,
            seconds: elapsed,
            goodput_bytes_per_second: self.title_bytes(fetched) as f64 / elapsed,
            start_us: self.first_of_all.map_or(0, |at| micros(at.saturating_since(begun))),
            first_byte: self.first_byte.quantiles(),
            segment_time: self.segment_time.quantiles(),
            retransmitted_share: if data == 0 { 0.0 } else { repair as f64 / data as f64 },
            datagram_bytes: all.datagram_bytes.0,
            play: self.playout.as_ref().map(Playout::report),
            groups: self.hearing.as_ref().map(Hearing::report),
            io: edges.connections().io().to_string(),
            edges: shares,
        }
    }
}

/// Who watches, if somebody does.
fn playout(fetch: &Fetch, title: &Title, claimed: &Bitmap) -> Result<Option<Playout>, FetchError> {
    let Some(PlayConfig { start_up, seed }) = fetch.config.play else { return Ok(None) };
    let running_time = title.manifest().root().description().running_time;
    if running_time.is_zero() {
        return Err(FetchError::NoRunningTime);
    }
    let seed = seed.unwrap_or_else(|| getrandom::u64().unwrap_or_default());
    Ok(Some(Playout::new(running_time, claimed.clone(), fetch.begun, start_up, seed)))
}

/// The groups of the title, if they may be heard.
fn hearing(fetch: &mut Fetch, title: &Title, claimed: &Bitmap) -> Option<Hearing> {
    fetch.config.connection.multicast.as_ref()?;
    let connections = fetch.edges.connections();
    let sources = (0..connections.len()).map(|index| connections.edge(index).address.ip());
    let (sources, rate) = (sources.collect(), fetch.config.group_rate);
    let seed = fresh_seed().ok()?;
    let mut hearing = Hearing::new(sources, rate, title.manifest(), fetch.handle, seed);
    claimed.iter().for_each(|segment| hearing.taken(segment));
    Some(hearing)
}

fn ended_early() -> FetchError {
    FetchError::Thread(std::io::Error::other("the one there was has ended early"))
}
