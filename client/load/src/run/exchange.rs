//! Intervals go to the observer and come back: bounded channels that hold every interval there is, so that sending never
//! waits and nothing is allocated once they are made.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::Observer;
use super::sampler::Sampler;
use crate::record::Interval;

/// Intervals that a thread has besides those that it fills: the observer may be so many behind.
pub(super) const SPARE: usize = 3;
/// Threads, at most.
pub(super) const THREADS_MAX: usize = 256;

/// The observer's end of all threads.
pub(super) struct Desk {
    sender: Option<Sender<Interval>>,
    receiver: Receiver<Interval>,
    back: Vec<Sender<Interval>>,
    phases: usize,
    sampler: Sampler,
}

/// One thread's end.
pub(super) struct Exchange {
    thread: usize,
    full: Sender<Interval>,
    empty: Receiver<Interval>,
    /// Segments under way, for the desk to look at.
    under_way: Arc<AtomicU32>,
}

impl Desk {
    /// For so many threads, which fill an interval for each of `phases`: room for all there are.
    pub(super) fn new(threads: usize, phases: usize) -> Self {
        let (sender, receiver) = bounded(threads * (SPARE + phases));
        let (back, sampler) = (Vec::with_capacity(threads), Sampler::new());
        Self { sender: Some(sender), receiver, back, phases, sampler }
    }

    /// The end of thread `thread`, the next one, with so many spare intervals.
    pub(super) fn thread(&mut self, thread: usize, spare: usize) -> Exchange {
        assert_eq!(thread, self.back.len(), "threads come in order");
        let (back, empty) = bounded(SPARE + self.phases);
        for _ in 0..spare {
            back.send(Interval::default()).expect("the other end is here");
        }
        self.back.push(back);
        let full = self.sender.clone().expect("threads come before the desk closes");
        Exchange { thread, full, empty, under_way: self.sampler.watch() }
    }

    /// No more threads.
    pub(super) fn close(&mut self) {
        self.sender = None;
    }

    /// Shows intervals to `observer` until all threads have ended, and looks meanwhile at what they have under way.
    pub(super) fn collect(&mut self, observer: &mut dyn Observer) {
        loop {
            self.sampler.look();
            let mut interval = match self.receiver.recv_timeout(self.sampler.wait()) {
                Ok(interval) => interval,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if !interval.health.wall.is_zero() {
                interval.health.flight = self.sampler.take(interval.thread);
            }
            observer.interval(&interval);
            interval.clear();
            let thread = interval.thread;
            // A thread that has ended takes none back.
            drop(self.back[thread].try_send(interval));
        }
    }
}

impl Exchange {
    /// An interval to begin with.
    pub(super) fn fresh(&self, phase: usize) -> Interval {
        Interval { thread: self.thread, phase, ..Interval::default() }
    }

    /// Sends `interval` and puts an empty one in its place, from `second` on; false when there is none.
    pub(super) fn swap(&self, interval: &mut Interval, second: u64) -> bool {
        let Ok(mut empty) = self.empty.try_recv() else { return false };
        empty.thread = self.thread;
        empty.phase = interval.phase;
        empty.second = u32::try_from(second).unwrap_or(u32::MAX);
        self.send(std::mem::replace(interval, empty));
        true
    }

    /// So many segments are under way now.
    pub(super) fn tell(&self, under_way: usize) {
        self.under_way.store(u32::try_from(under_way).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Sends an interval. There is room for all.
    pub(super) fn send(&self, interval: Interval) {
        // It fails only when nobody looks any more.
        drop(self.full.send(interval));
    }
}
