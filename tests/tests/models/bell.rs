//! Helpers that sleep by a bell, and shards that ring it: every piece of work is done, and a stop reaches everyone.

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, AtomicU32 as Count, Ordering as Order};
use loom::thread;
use sleepers::Sleepers;

use super::check;
use super::event::Event;

mod sync {
    pub(super) use loom::sync::atomic::{AtomicU32, Ordering, fence};
}
#[path = "../../../crates/sysio/src/sleepers.rs"]
mod sleepers;

/// `populate::Queue`: work, a stop, and the bell.
struct Queue {
    work: Count,
    done: Count,
    stop: AtomicBool,
    sleepers: Sleepers,
    event: Event,
}

impl Queue {
    fn new() -> Self {
        let (work, done) = (Count::new(0), Count::new(0));
        let (sleepers, event) = (Sleepers::new(), Event::new());
        Self { work, done, stop: AtomicBool::new(false), sleepers, event }
    }

    /// As `Bell::ring`.
    fn ring(&self) {
        if self.sleepers.any() {
            self.event.write();
        }
    }

    /// As `Queue::push`.
    fn push(&self) {
        self.work.fetch_add(1, Order::Release);
        self.ring();
    }

    fn has_work(&self) -> bool {
        self.work.load(Order::Acquire) > 0 || self.stop.load(Order::Acquire)
    }

    /// As `populate::work`, but that a sleep has no end: a ring that is lost is a deadlock.
    fn help(&self) {
        while !self.stop.load(Order::Acquire) {
            let taken = self.work.fetch_update(Order::AcqRel, Order::Acquire, |n| n.checked_sub(1));
            if taken.is_ok() {
                self.done.fetch_add(1, Order::AcqRel);
            } else {
                self.sleepers.sleep(|| self.has_work(), || self.event.wait_for_one());
            }
        }
    }

    /// As `Pool::drop`.
    fn end(&self, helpers: usize) {
        self.stop.store(true, Order::Release);
        (0..helpers).for_each(|_| self.ring());
    }
}

fn helpers(queue: &Arc<Queue>, count: usize) -> Vec<thread::JoinHandle<()>> {
    let helper = |_| {
        let queue = Arc::clone(queue);
        thread::spawn(move || queue.help())
    };
    (0..count).map(helper).collect()
}

#[test]
fn a_stop_reaches_every_helper() {
    check(3, || {
        let queue = Arc::new(Queue::new());
        let helpers = helpers(&queue, 2);
        queue.end(2);
        helpers.into_iter().for_each(|helper| helper.join().expect("no panic"));
    });
}

#[test]
fn work_wakes_a_helper() {
    check(3, || {
        let queue = Arc::new(Queue::new());
        let helper = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                // One piece, and then it is over: nobody else would wake it.
                while queue
                    .work
                    .fetch_update(Order::AcqRel, Order::Acquire, |n| n.checked_sub(1))
                    .is_err()
                {
                    queue.sleepers.sleep(|| queue.has_work(), || queue.event.wait_for_one());
                }
                queue.done.fetch_add(1, Order::AcqRel);
            })
        };
        queue.push();
        helper.join().expect("no panic");
        assert_eq!(queue.done.load(Order::Acquire), 1);
    });
}

/// The model sees what it is to see: a sleeper that looks before it says so loses a ring.
#[test]
#[should_panic(expected = "deadlock")]
fn a_sleeper_that_looks_too_early_is_caught() {
    check(3, || {
        let queue = Arc::new(Queue::new());
        let helper = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                if !queue.has_work() {
                    queue.sleepers.sleep(|| false, || queue.event.wait_for_one());
                }
            })
        };
        queue.push();
        helper.join().expect("no panic");
    });
}
