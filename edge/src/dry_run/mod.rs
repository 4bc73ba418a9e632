//! `multicast = "dry-run"`: what groups would save, reckoned beside an edge that serves everything by unicast.
//!
//! Shards tell a thread of its own of each request for a segment, by a bounded queue; what it does not take is dropped and
//! counted. It runs the production coalescer in real time and publishes its report once a second.

mod engine;
mod ledger;
mod limits;
mod text;
mod title;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::Sender;
use crossbeam::queue::ArrayQueue;
use engine::Engine;
pub(crate) use engine::Told;
pub(crate) use ledger::Line;
use segcast_proto::coalesce::CoalescerConfig;
use segcast_proto::rate::Rate;
use segcast_proto::time::Instant;
use segcast_sysio::bell::Bell;
use segcast_sysio::clock;
pub(crate) use text::table;

use crate::board::Board;
use crate::config::{BitRate, Config};
use crate::guard;
use crate::limits::GROUP_MEMBERS;
use crate::mailbox::Report;

#[expect(clippy::disallowed_types, reason = "only the side thread and the dry run take it")]
type Mutex<T> = std::sync::Mutex<T>;

/// What shards, the thread and the admin port share.
pub(crate) struct Queue {
    told: ArrayQueue<Told>,
    dropped: AtomicU64,
    lines: Mutex<Arc<[Line]>>,
    stop: AtomicBool,
    bell: Bell,
}

impl Queue {
    fn new() -> io::Result<Self> {
        Ok(Self {
            told: ArrayQueue::new(limits::TOLD),
            dropped: AtomicU64::new(0),
            lines: Mutex::new([].into()),
            stop: AtomicBool::new(false),
            bell: Bell::new().map_err(io::Error::other)?,
        })
    }

    /// Takes in a request; one that finds the queue full is dropped, and counted.
    pub(crate) fn tell(&self, told: Told) {
        if self.told.push(told).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        self.bell.ring();
    }

    /// Requests that were not taken in.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// The report of the last second.
    pub(crate) fn lines(&self) -> Arc<[Line]> {
        Arc::clone(&self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn publish(&self, lines: Vec<Line>) {
        *self.lines.lock().unwrap_or_else(PoisonError::into_inner) = lines.into();
    }

    fn has_work(&self) -> bool {
        !self.told.is_empty() || self.stop.load(Ordering::Acquire)
    }
}

/// The running thread.
pub(crate) struct DryRun {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

impl DryRun {
    /// Starts the thread; one that ends by itself is told to `reports`, and to `board`.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub(crate) fn start(
        config: &Config,
        seed: [u8; 32],
        board: &Arc<Board>,
        reports: &Sender<Report>,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::new()?);
        let engine = Engine::new(coalescer_config(config), seed, now());
        let taken = Arc::clone(&queue);
        let run = move || {
            work(&taken, engine);
            None
        };
        let thread = guard::spawn("segcast-dry-run", Arc::clone(board), reports.clone(), run)?;
        Ok(Self { queue, thread: Some(thread) })
    }

    pub(crate) fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.queue)
    }

    /// Ends the thread, and says what it found.
    pub(crate) fn stop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.queue.stop.store(true, Ordering::Release);
        self.queue.bell.ring();
        // A panic was reported already.
        let _ = thread.join();
        let lines = self.queue.lines();
        if !lines.is_empty() {
            table(&lines).lines().for_each(|line| tracing::info!("dry run: {line}"));
        }
    }
}

impl Drop for DryRun {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One owner has all channels and the whole rate: it sends nothing.
fn coalescer_config(config: &Config) -> CoalescerConfig {
    let unbounded = config.multicast_rate == BitRate(0);
    CoalescerConfig {
        shard: 0,
        channels: config.multicast_channels.into(),
        // The requests of more sessions count as unicast.
        members: GROUP_MEMBERS,
        rate: if unbounded { Rate::MAX } else { config.multicast_rate.rate() },
        channel_rate: config.multicast_channel_rate.rate(),
        bulk_rate: config.multicast_bulk_rate.rate(),
    }
}

fn now() -> Instant {
    Instant::from_nanos(clock::monotonic_nanoseconds())
}

fn work(queue: &Queue, mut engine: Engine) {
    const PUBLISHES: Duration = Duration::from_secs(1);
    let mut next = now();
    while !queue.stop.load(Ordering::Acquire) {
        while let Some(told) = queue.told.pop() {
            engine.take(&told);
        }
        let wake = engine.turn(now(), clock::unix_seconds());
        if next <= now() {
            queue.publish(engine.lines());
            next = now() + PUBLISHES;
        }
        queue.bell.sleep(wake.min(next).saturating_since(now()), || queue.has_work());
    }
    queue.publish(engine.lines());
}
