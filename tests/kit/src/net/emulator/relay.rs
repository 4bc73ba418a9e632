//! The relay: one real-time thread that carries frames between two TAP devices through two pipes.
//!
//! It sleeps until a frame comes or one is due (ppoll, high-resolution timer), so that it costs
//! the measured programs as little of the two cores as it can, and runs before them when it wakes.

use std::io;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use segcast_lab::realtime::{schedule_realtime, wait_readable};
use segcast_lab::tap::Tap;
use segcast_proto::time::Instant;

use super::flow::Flow;
use super::pipe::{Pipe, Statistics};
use super::{Health, LinkConfig};

/// Frames read from one device before the other has its turn.
const FRAMES_A_TURN: usize = 64;
/// Longest sleep: how soon the relay sees that it shall stop.
const LONGEST_WAIT: Duration = Duration::from_millis(20);
/// A processor that slept longer than this wakes late, so the relay wakes early and spins...
const LONG_WAIT: Duration = Duration::from_micros(800);
/// ... for this long: at most a tenth of the time.
const WAKE_EARLY: Duration = Duration::from_micros(80);
/// Largest frame: a 16-bit MTU and the Ethernet header.
const FRAME_BYTES: usize = u16::MAX as usize + 14;
/// A delivery that is later than this after its time counts as late.
const LATE: Duration = Duration::from_micros(100);

type Frame = Arc<[u8]>;

/// A running relay, stopped when dropped.
#[derive(Debug)]
pub(super) struct Relay {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    origin: std::time::Instant,
    /// From device 0 to device 1, and back.
    pipes: [Mutex<Pipe<Frame>>; 2],
    stop: AtomicBool,
    delivered: AtomicU64,
    late: AtomicU64,
    latest_micros: AtomicU64,
    unwritable: AtomicU64,
}

impl Relay {
    /// Starts to carry frames between the devices.
    pub(super) fn start(taps: [Tap; 2], config: &LinkConfig) -> io::Result<Self> {
        let zero = Instant::ZERO;
        // The two directions draw from different streams of one seed.
        let there = Pipe::new(config.to_right, config.seed.wrapping_mul(2), zero);
        let back = Pipe::new(config.to_left, config.seed.wrapping_mul(2).wrapping_add(1), zero);
        let shared = Arc::new(Shared {
            origin: std::time::Instant::now(),
            pipes: [Mutex::new(there), Mutex::new(back)],
            stop: AtomicBool::new(false),
            delivered: AtomicU64::new(0),
            late: AtomicU64::new(0),
            latest_micros: AtomicU64::new(0),
            unwritable: AtomicU64::new(0),
        });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("link-relay".into()).spawn(move || {
            // Without the right to it the relay still works, only later under load.
            let _ = schedule_realtime();
            of_thread.run(&taps);
        })?;
        Ok(Relay { shared, thread: Some(thread) })
    }

    pub(super) fn take_statistics(&self, direction: usize) -> Statistics {
        self.shared.pipe(direction).take_statistics(self.shared.now())
    }

    pub(super) fn health(&self) -> Health {
        let delivered = self.shared.delivered.load(Ordering::Relaxed).max(1);
        Health {
            dropped: self.shared.unwritable.load(Ordering::Relaxed),
            late_per_million: self.shared.late.load(Ordering::Relaxed) * 1_000_000 / delivered,
            latest_micros: self.shared.latest_micros.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the relay has been printed; a second one here would abort the test run.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn now(&self) -> Instant {
        let nanos = self.origin.elapsed().as_nanos();
        Instant::from_nanos(u64::try_from(nanos).expect("a run is shorter than 584 years"))
    }

    fn pipe(&self, direction: usize) -> MutexGuard<'_, Pipe<Frame>> {
        self.pipes[direction].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, taps: &[Tap; 2]) {
        let mut buffer = vec![0; FRAME_BYTES];
        let mut slept_long = false;
        while !self.stop.load(Ordering::Relaxed) {
            let mut wake_at = self.now() + LONGEST_WAIT;
            for direction in 0..2 {
                let mut pipe = self.pipe(direction);
                self.take_in(&taps[direction], &mut pipe, &mut buffer);
                self.give_out(&taps[1 - direction], &mut pipe);
                wake_at = pipe.next_at().map_or(wake_at, |next| wake_at.min(next));
            }
            let mut wait = wake_at.saturating_since(self.now());
            if wait > LONG_WAIT {
                wait -= WAKE_EARLY;
            } else if wait <= WAKE_EARLY && slept_long {
                wait = Duration::ZERO;
            }
            if wait.is_zero() {
                std::hint::spin_loop();
            } else {
                slept_long = wait > LONG_WAIT - WAKE_EARLY;
                wait_readable([taps[0].as_fd(), taps[1].as_fd()], wait).expect("ppoll works");
            }
        }
    }

    fn take_in(&self, from: &Tap, pipe: &mut Pipe<Frame>, buffer: &mut [u8]) {
        for _ in 0..FRAMES_A_TURN {
            // An error is "no frame now" or "the interface is down": either way, nothing to carry.
            let Ok(length) = from.receive(buffer) else { return };
            let frame = &buffer[..length];
            pipe.push(self.now(), length as u64, Flow::of(frame), frame.into());
        }
    }

    fn give_out(&self, to: &Tap, pipe: &mut Pipe<Frame>) {
        while let Some(due) = pipe.next_at() {
            let now = self.now();
            let Some(frame) = pipe.pop(now) else { return };
            let lateness = now.saturating_since(due);
            self.delivered.fetch_add(1, Ordering::Relaxed);
            self.late.fetch_add(u64::from(lateness > LATE), Ordering::Relaxed);
            self.latest_micros.fetch_max(lateness.as_micros() as u64, Ordering::Relaxed);
            if to.send(&frame).is_err() {
                self.unwritable.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
