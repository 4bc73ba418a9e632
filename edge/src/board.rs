//! What shards tell the rest of the process: counters and flags, by relaxed atomics, never by a lock.
//!
//! A shard counts in plain integers and publishes once per turn what has changed; each shard's counters have
//! cache lines of their own. Readers add the shards up; a sum may mix moments of one turn, no more.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

use crossbeam::queue::ArrayQueue;
use crossbeam::utils::CachePadded;
use procfs::process::Process;
use segcast_proto::wire::code::Code;

use crate::last_minute::Counted;
use crate::limits;
use crate::metric::{Metric, VALUES, refused_at};
use crate::record::Closed;

/// All values of one shard, in the order of [`crate::metric`].
pub(crate) type Values = [u64; VALUES];

/// One shard's published counters.
#[derive(Debug)]
struct Column {
    values: [AtomicU64; VALUES],
    ready: AtomicBool,
    /// The shard's thread, 0 before it runs.
    thread: AtomicI32,
}

/// The whole process's counters and state.
#[derive(Debug)]
pub(crate) struct Board {
    columns: Vec<CachePadded<Column>>,
    store_open: AtomicBool,
    draining: AtomicBool,
    io: OnceLock<&'static str>,
    failed: AtomicBool,
    reloads_failed: AtomicU64,
    unreadable: AtomicBool,
    session_log: AtomicBool,
    log_client_address: AtomicBool,
    /// Records that were taken and could not be written.
    unwritten: AtomicU64,
    records: ArrayQueue<Closed>,
}

impl Board {
    pub(crate) fn new(shards: usize) -> Self {
        let column = || Column {
            values: std::array::from_fn(|_| AtomicU64::new(0)),
            ready: AtomicBool::new(false),
            thread: AtomicI32::new(0),
        };
        Self {
            columns: (0..shards).map(|_| CachePadded::new(column())).collect(),
            store_open: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            io: OnceLock::new(),
            failed: AtomicBool::new(false),
            reloads_failed: AtomicU64::new(0),
            unreadable: AtomicBool::new(false),
            session_log: AtomicBool::new(false),
            log_client_address: AtomicBool::new(false),
            unwritten: AtomicU64::new(0),
            records: ArrayQueue::new(limits::RECORDS),
        }
    }

    /// Says which driver the shards have.
    pub(crate) fn set_io(&self, name: &'static str) {
        // A second call would be of the same server, whose driver does not change.
        let _ = self.io.set(name);
    }

    /// The driver's name; `None` before the server has chosen.
    pub(crate) fn io(&self) -> Option<&'static str> {
        self.io.get().copied()
    }

    pub(crate) fn shards(&self) -> usize {
        self.columns.len()
    }

    /// Publishes what differs from `before`, which becomes equal to `now`.
    pub(crate) fn publish(&self, shard: usize, now: &Values, before: &mut Values) {
        let Some(column) = self.columns.get(shard) else { return };
        for ((cell, new), old) in column.values.iter().zip(now).zip(before) {
            if *new != *old {
                cell.store(*new, Ordering::Relaxed);
                *old = *new;
            }
        }
    }

    /// The sum over all shards.
    pub(crate) fn sum(&self, value: usize) -> u64 {
        let value = |column: &CachePadded<Column>| {
            column.values.get(value).map_or(0, |cell| cell.load(Ordering::Relaxed))
        };
        self.columns.iter().map(value).fold(0, u64::wrapping_add)
    }

    /// Called by a shard's own thread when it serves.
    pub(crate) fn set_ready(&self, shard: usize) {
        if let Some(column) = self.columns.get(shard) {
            let thread = rustix::thread::gettid().as_raw_nonzero().get();
            column.thread.store(thread, Ordering::Relaxed);
            column.ready.store(true, Ordering::Release);
        }
    }

    /// Page faults in which shards waited for a disk, since they started (proc_pid_stat(5), majflt).
    pub(crate) fn major_faults(&self) -> u64 {
        let threads = self.columns.iter().map(|column| column.thread.load(Ordering::Relaxed));
        threads.filter(|&thread| thread != 0).filter_map(major_faults_of).sum()
    }

    pub(crate) fn set_store_open(&self) {
        self.store_open.store(true, Ordering::Release);
    }

    pub(crate) fn set_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// A thread ended without being asked to.
    pub(crate) fn set_failed(&self) {
        self.failed.store(true, Ordering::Release);
    }

    pub(crate) fn set_session_log(&self, on: bool) {
        self.session_log.store(on, Ordering::Relaxed);
    }

    /// Whether closed sessions are recorded at all.
    pub(crate) fn session_log(&self) -> bool {
        self.session_log.load(Ordering::Relaxed)
    }

    pub(crate) fn add_unwritten(&self, records: u64) {
        self.unwritten.fetch_add(records, Ordering::Relaxed);
    }

    pub(crate) fn unwritten(&self) -> u64 {
        self.unwritten.load(Ordering::Relaxed)
    }

    /// The configuration could not be read again.
    pub(crate) fn count_failed_reload(&self) {
        self.reloads_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Reloads that kept the old configuration.
    pub(crate) fn reloads_failed(&self) -> u64 {
        self.reloads_failed.load(Ordering::Relaxed)
    }

    /// Whether too many requests of the last minute ended in SEGMENT_UNAVAILABLE.
    pub(crate) fn set_unreadable(&self, unreadable: bool) {
        self.unreadable.store(unreadable, Ordering::Release);
    }

    /// What that goes by.
    pub(crate) fn counted(&self) -> Counted {
        Counted {
            requests: self.sum(Metric::Requests as usize),
            unavailable: self.sum(refused_at(Code::SegmentUnavailable)),
        }
    }

    pub(crate) fn set_log_client_address(&self, on: bool) {
        self.log_client_address.store(on, Ordering::Relaxed);
    }

    pub(crate) fn log_client_address(&self) -> bool {
        self.log_client_address.load(Ordering::Relaxed)
    }

    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Whether every part still works.
    pub(crate) fn healthy(&self) -> bool {
        !self.failed.load(Ordering::Acquire)
    }

    /// Whether every shard runs.
    pub(crate) fn all_shards_run(&self) -> bool {
        self.columns.iter().all(|column| column.ready.load(Ordering::Acquire))
    }

    /// Why new clients should not be sent here; `None`: ready.
    pub(crate) fn not_ready(&self) -> Option<&'static str> {
        if !self.healthy() {
            Some("a thread has failed")
        } else if self.draining() {
            Some("draining")
        } else if !self.store_open.load(Ordering::Acquire) {
            Some("the store is not open yet")
        } else if !self.all_shards_run() {
            Some("not all shards run yet")
        } else if self.unreadable.load(Ordering::Acquire) {
            Some(
                "too many requests of the last minute ended in SEGMENT_UNAVAILABLE: segments cannot be read",
            )
        } else {
            None
        }
    }

    /// Queues a record of a closed session; false: the queue is full and the record is lost.
    pub(crate) fn record(&self, record: Closed) -> bool {
        self.records.push(record).is_ok()
    }

    pub(crate) fn take_record(&self) -> Option<Closed> {
        self.records.pop()
    }
}

/// Of one thread of this process.
fn major_faults_of(thread: i32) -> Option<u64> {
    let task = Process::myself().ok()?.task_from_tid(thread).ok()?;
    Some(task.stat().ok()?.majflt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_added_up_and_gauges_may_fall() {
        let board = Board::new(2);
        let mut before = [[0; VALUES]; 2];
        let mut now = [0; VALUES];
        now[Metric::Turns as usize] = 5;
        board.publish(0, &now, &mut before[0]);
        board.publish(1, &now, &mut before[1]);
        assert_eq!(board.sum(Metric::Turns as usize), 10);
        now[Metric::Turns as usize] = 2;
        board.publish(1, &now, &mut before[1]);
        assert_eq!(board.sum(Metric::Turns as usize), 7);
        assert_eq!(before[1], now);
    }

    #[test]
    fn readiness_needs_every_shard_and_the_store_and_ends_with_a_drain() {
        let board = Board::new(2);
        board.set_ready(0);
        board.set_store_open();
        assert_eq!(board.not_ready(), Some("not all shards run yet"));
        board.set_ready(1);
        assert_eq!(board.not_ready(), None);
        board.set_draining();
        assert_eq!(board.not_ready(), Some("draining"));
        assert!(board.healthy());
        board.set_failed();
        assert!(!board.healthy() && board.not_ready().is_some());
    }

    #[test]
    fn the_faults_of_this_very_thread_can_be_read() {
        let board = Board::new(1);
        assert_eq!(board.major_faults(), 0);
        board.set_ready(0);
        let own = rustix::thread::gettid().as_raw_nonzero().get();
        assert!(major_faults_of(own).is_some());
        assert_eq!(major_faults_of(i32::MAX), None);
    }
}
