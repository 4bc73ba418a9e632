//! Threads that read cold segments from disk, so that no shard ever waits for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use crossbeam::queue::ArrayQueue;
use segcast_proto::ids::ObjectNumber;
use segcast_store::Catalogue;

use crate::limits;
use crate::shard::mail::{Mailbox, Populated};

/// A thread without work looks again after this time, should an unpark ever get lost.
const IDLE: Duration = Duration::from_millis(100);

/// One object to read in.
pub(crate) struct Request {
    /// Who asks.
    pub(crate) shard: u8,
    /// The shard's number of the set, for the answer.
    pub(crate) set: u32,
    pub(crate) object: ObjectNumber,
    pub(crate) catalogue: Catalogue,
    /// The set's index in that catalogue.
    pub(crate) index: u32,
}

/// What shards and threads share.
pub(crate) struct Queue {
    requests: ArrayQueue<Request>,
    stop: AtomicBool,
    threads: std::sync::OnceLock<Vec<Thread>>,
}

impl Queue {
    /// Asks for an object; gives the request back when the queue is full.
    pub(crate) fn push(&self, request: Request) -> Result<(), Request> {
        self.requests.push(request)?;
        self.threads.get().into_iter().flatten().for_each(Thread::unpark);
        Ok(())
    }
}

/// The running threads.
pub(crate) struct Pool {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Starts `count` threads that answer into `mailboxes`, one for each shard.
    ///
    /// # Errors
    /// When a thread cannot be made.
    pub(crate) fn start(count: u16, mailboxes: Arc<[Mailbox]>) -> std::io::Result<Self> {
        let queue = Arc::new(Queue {
            requests: ArrayQueue::new(limits::POPULATE_QUEUE * mailboxes.len().max(1)),
            stop: AtomicBool::new(false),
            threads: std::sync::OnceLock::new(),
        });
        let mut pool = Self { queue: Arc::clone(&queue), threads: Vec::new() };
        for number in 0..count {
            let (queue, mailboxes) = (Arc::clone(&queue), Arc::clone(&mailboxes));
            let name = format!("segcast-pop-{number}");
            let thread =
                std::thread::Builder::new().name(name).spawn(move || work(&queue, &mailboxes))?;
            pool.threads.push(thread);
        }
        let handles = pool.threads.iter().map(|thread| thread.thread().clone()).collect();
        let _ = queue.threads.set(handles);
        Ok(pool)
    }

    pub(crate) fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.queue)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.stop.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("a thread that reads segments in has panicked");
            }
        }
    }
}

fn work(queue: &Queue, mailboxes: &[Mailbox]) {
    while !queue.stop.load(Ordering::Acquire) {
        let Some(request) = queue.requests.pop() else {
            std::thread::park_timeout(IDLE);
            continue;
        };
        let Request { shard, set, object, catalogue, index } = request;
        let result = catalogue.populate(index, object);
        if let Err(error) = &result {
            tracing::warn!(set, segment = object.0, %error, "a segment cannot be read");
        }
        let populated = Populated { set, object, ready: result.is_ok() };
        if let Some(mailbox) = mailboxes.get(usize::from(shard)) {
            let posted = mailbox.post_populated(populated);
            debug_assert!(posted, "no more under way than the mailbox holds");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_answered_to_the_shard_that_asked() {
        let mailboxes: Arc<[Mailbox]> = (0..2).map(|_| Mailbox::new()).collect();
        let pool = Pool::start(2, Arc::clone(&mailboxes)).expect("threads");
        let queue = pool.queue();
        for number in 0..10 {
            let object = ObjectNumber(number);
            let request =
                Request { shard: 1, set: 3, object, catalogue: Catalogue::default(), index: 0 };
            assert!(queue.push(request).is_ok());
        }
        let mut answers = Vec::new();
        while answers.len() < 10 {
            answers.extend(mailboxes[1].take_populated());
            std::thread::yield_now();
        }
        assert!(answers.iter().all(|answer| answer.set == 3 && answer.ready));
        assert_eq!(mailboxes[0].take_populated(), None);
    }
}
