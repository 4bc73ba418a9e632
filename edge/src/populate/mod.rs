//! Threads that see to it that segments are in memory, so that no shard ever waits for a disk.
//!
//! Of what the shards have asked for, what is in the page cache already is mapped and locked first, and what must be read
//! from disk after that. A shard asks for few objects at once and does not know which are which: while the disk is behind,
//! what is in the page cache, and was not used of late, waits for its session's turn as the cold ones do.

mod locks;
mod parity;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam::channel::Sender;
use crossbeam::queue::ArrayQueue;
use locks::{Key, Locks};
use parity::Parity;
use segcast_proto::ids::{ObjectNumber, SetIndex};
use segcast_store::Catalogue;
use segcast_sysio::bell::Bell;

use crate::board::Board;
use crate::mailbox::{Made, Mailbox, Populated, Report};
use crate::{guard, limits};

#[expect(clippy::disallowed_types, reason = "only helper threads take it, never a shard")]
type Mutex<T> = std::sync::Mutex<T>;

/// A thread without work looks again after this time, for locks to release.
const IDLE: Duration = Duration::from_millis(100);
/// How often locks that nobody uses are looked for.
const TIDY: Duration = Duration::from_secs(5);

/// One object that is to be in memory.
pub(crate) struct Request {
    /// Who asks.
    pub(crate) shard: u8,
    /// The shard's number of the set, for the answer.
    pub(crate) set: SetIndex,
    pub(crate) object: ObjectNumber,
    pub(crate) catalogue: Catalogue,
    /// The set's index in that catalogue.
    pub(crate) index: u32,
    /// It was in memory, and mapped, when the shard last asked; nobody waits for it.
    pub(crate) renewal: bool,
    /// Its parity is wanted, too: it is a segment.
    pub(crate) parity: bool,
}

/// Where an object was found.
enum Found {
    /// Locked in memory; the lock is renewed.
    Locked,
    InMemory,
    /// As far as is known.
    OnDisk,
}

impl Request {
    fn key(&self) -> Key {
        Key { index: self.index, object: self.object }
    }

    fn find(&self, queue: &Queue) -> Found {
        let Self { catalogue, index, object, .. } = self;
        let renew = |locks: &mut Locks| locks.renew(catalogue, self.key(), Instant::now());
        if queue.with_locks(renew) {
            Found::Locked
        } else if catalogue.is_resident(*index, *object) {
            Found::InMemory
        } else {
            Found::OnDisk
        }
    }
}

/// What shards and threads share.
pub(crate) struct Queue {
    requests: ArrayQueue<Request>,
    /// Those of the requests that need the disk.
    cold: ArrayQueue<Request>,
    /// Of the helper threads only.
    locks: Mutex<Locks>,
    /// Bytes of all locked segments.
    locked: AtomicU64,
    /// Objects that somebody waits for: so many a shard may have under way.
    waited_max: usize,
    stop: AtomicBool,
    bell: Bell,
}

impl Queue {
    /// Asks for an object; gives the request back when the queue is full.
    pub(crate) fn push(&self, request: Request) -> Result<(), Request> {
        self.requests.push(request)?;
        self.bell.ring();
        Ok(())
    }

    /// How many objects that somebody waits for a shard may have under way: no more than keep all threads busy. The others
    /// wait in the shard, where a request that goes takes its object with it, and where sessions have their turns.
    pub(crate) fn waited_max(&self) -> usize {
        self.waited_max
    }

    /// Bytes of the segments that are locked in memory.
    pub(crate) fn locked_bytes(&self) -> u64 {
        self.locked.load(Ordering::Relaxed)
    }

    /// The next request, for a test that reads it in itself.
    #[cfg(test)]
    pub(crate) fn take(&self) -> Option<Request> {
        self.requests.pop()
    }

    fn has_work(&self) -> bool {
        !self.requests.is_empty() || !self.cold.is_empty() || self.stop.load(Ordering::Acquire)
    }

    fn with_locks<T>(&self, work: impl FnOnce(&mut Locks) -> T) -> T {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut locks);
        self.locked.store(locks.bytes(), Ordering::Relaxed);
        result
    }
}

/// The running threads.
pub(crate) struct Pool {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Starts `count` threads that answer into `mailboxes`, one for each shard, and lock at most `lock_bytes`. One that
    /// ends by itself is told to `reports`, and to `board`.
    ///
    /// # Errors
    /// When a thread cannot be made.
    pub(crate) fn start(
        count: u16,
        lock_bytes: u64,
        mailboxes: Arc<[Mailbox]>,
        board: &Arc<Board>,
        reports: &Sender<Report>,
    ) -> io::Result<Self> {
        let places = limits::POPULATE_QUEUE * mailboxes.len().max(1);
        let queue = Arc::new(Queue {
            requests: ArrayQueue::new(places),
            cold: ArrayQueue::new(places),
            locks: Mutex::new(Locks::new(lock_bytes)),
            locked: AtomicU64::new(0),
            waited_max: limits::POPULATE_WAITED.max(2 * usize::from(count)),
            stop: AtomicBool::new(false),
            bell: Bell::new().map_err(io::Error::other)?,
        });
        let mut pool = Self { queue: Arc::clone(&queue), threads: Vec::new() };
        for number in 0..count {
            let (queue, mailboxes) = (Arc::clone(&queue), Arc::clone(&mailboxes));
            let name = format!("segcast-pop-{number}");
            let run = move || {
                work(&queue, &mailboxes);
                None
            };
            pool.threads.push(guard::spawn(&name, Arc::clone(board), reports.clone(), run)?);
        }
        Ok(pool)
    }

    /// Goes over to another catalogue of the store: locks of what is still there stay.
    pub(crate) fn adopt(&self, catalogue: &Catalogue) {
        self.queue.with_locks(|locks| locks.adopt(catalogue));
    }

    pub(crate) fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.queue)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.stop.store(true, Ordering::Release);
        self.threads.iter().for_each(|_| self.queue.bell.ring());
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread that reads segments in has panicked");
            }
        }
    }
}

fn work(queue: &Queue, mailboxes: &[Mailbox]) {
    let (mut tidied, mut parity) = (Instant::now(), Parity::default());
    while !queue.stop.load(Ordering::Acquire) {
        if tidied.elapsed() >= TIDY {
            tidied = Instant::now();
            queue.with_locks(|locks| locks.tidy(tidied));
        }
        let Some((request, found)) = next(queue) else {
            queue.bell.sleep(IDLE, || queue.has_work());
            continue;
        };
        let populated = populate(queue, &request, &found);
        if let Some(mailbox) = mailboxes.get(usize::from(request.shard)) {
            if let Some(made) = make_parity(&mut parity, &request, populated.ready) {
                mailbox.post_made(made);
            }
            let posted = mailbox.post_populated(populated);
            assert!(posted, "no more under way than the mailbox holds");
        }
    }
}

/// The parity of a segment that was brought into memory, where it is wanted.
fn make_parity(parity: &mut Parity, request: &Request, ready: bool) -> Option<Made> {
    let &Request { set, object, ref catalogue, index, parity: wanted, .. } = request;
    let segment = object.as_segment().filter(|_| wanted && ready)?;
    let symbols = parity.of(catalogue, index, object)?;
    Some(Made { set, segment, symbols })
}

/// The next request: one that needs no disk, as long as there is one.
fn next(queue: &Queue) -> Option<(Request, Found)> {
    while let Some(request) = queue.requests.pop() {
        match request.find(queue) {
            Found::OnDisk => {}
            found => return Some((request, found)),
        }
        if let Err(request) = queue.cold.push(request) {
            return Some((request, Found::OnDisk));
        }
    }
    queue.cold.pop().map(|request| (request, Found::OnDisk))
}

/// Maps the object, reading it in where needed, and locks it as far as the budget goes.
fn populate(queue: &Queue, request: &Request, found: &Found) -> Populated {
    let &Request { set, object, ref catalogue, index, renewal, .. } = request;
    let result = match found {
        // It stays mapped: nothing has to be walked through again.
        Found::Locked => {
            let trust = limits::RESIDENT_TRUST;
            return Populated { set, object, ready: true, renewal, trust };
        }
        // What is still in the page cache has hardly lost its mapping; if it did, that is a minor fault.
        Found::InMemory if renewal => Ok(()),
        _ => catalogue.populate(index, object),
    };
    if let Err(error) = &result {
        tracing::warn!(set = set.get(), segment = object.0, %error, "a segment cannot be read");
    }
    let ready = result.is_ok();
    let keep = |locks: &mut Locks| locks.keep(catalogue, request.key(), Instant::now());
    let locked = ready && queue.with_locks(keep);
    let trust = if locked { limits::RESIDENT_TRUST } else { limits::RESIDENT_TRUST_UNLOCKED };
    Populated { set, object, ready, renewal, trust }
}

#[cfg(test)]
mod tests {
    use crossbeam::channel::bounded;

    use super::*;

    #[test]
    fn what_is_asked_for_is_answered_to_the_shard_that_asked() {
        let mailboxes: Arc<[Mailbox]> = (0..2).map(|_| Mailbox::new()).collect();
        let (board, (reports, _)) = (Arc::new(Board::new(2)), bounded(1));
        let pool = Pool::start(2, 0, Arc::clone(&mailboxes), &board, &reports).expect("threads");
        let queue = pool.queue();
        let set = SetIndex::new(3).unwrap();
        for number in 0..10 {
            let object = ObjectNumber(number);
            let catalogue = Catalogue::default();
            let renewal = number % 2 == 0;
            let (index, parity) = (0, false);
            let request = Request { shard: 1, set, object, catalogue, index, renewal, parity };
            assert!(queue.push(request).is_ok());
        }
        let mut answers = Vec::new();
        while answers.len() < 10 {
            answers.extend(mailboxes[1].take_populated());
            std::thread::yield_now();
        }
        assert!(answers.iter().all(|answer| answer.set == set && answer.ready));
        assert!(answers.iter().all(|answer| answer.renewal == (answer.object.0 % 2 == 0)));
        assert_eq!(mailboxes[0].take_populated(), None);
        drop(pool);
        assert!(board.healthy(), "they ended because they were asked to");
    }

    #[test]
    fn a_thread_that_panics_is_reported_and_makes_the_edge_unhealthy() {
        // The one thing that this thread takes for impossible: a shard with more under way than its mailbox holds.
        let mailboxes: Arc<[Mailbox]> = [Mailbox::new()].into();
        let (board, (reports, ended)) = (Arc::new(Board::new(1)), bounded(1));
        let pool = Pool::start(1, 0, Arc::clone(&mailboxes), &board, &reports).expect("a thread");
        let answer = Populated {
            set: SetIndex::FIRST,
            object: ObjectNumber(0),
            ready: true,
            renewal: true,
            trust: Duration::ZERO,
        };
        while mailboxes[0].post_populated(answer) {}
        let request = Request {
            shard: 0,
            set: SetIndex::FIRST,
            object: ObjectNumber(0),
            catalogue: Catalogue::default(),
            index: 0,
            renewal: true,
            parity: false,
        };
        assert!(pool.queue().push(request).is_ok());
        let Ok(Report::Ended { thread, failure }) = ended.recv() else { panic!("another report") };
        assert_eq!((&*thread, failure.as_deref()), ("segcast-pop-0", Some("it has panicked")));
        assert!(!board.healthy());
    }
}
