//! A shard and those who post to it: whatever is posted is taken, and the shard sleeps in between.

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, Ordering as Order};
use loom::thread;
use posted::Posted;

use super::check;
use super::event::Event;

mod sync {
    pub(super) use loom::sync::atomic::{AtomicBool, Ordering};
}
#[path = "../../../edge/src/mailbox/posted.rs"]
mod posted;

/// A queue of two places, each of one poster: what was pushed may be seen late, as in a queue without a lock.
struct Mailbox {
    places: [AtomicBool; 2],
    posted: Posted,
    event: Event,
}

impl Mailbox {
    fn new() -> Self {
        let places = [AtomicBool::new(false), AtomicBool::new(false)];
        Self { places, posted: Posted::new(), event: Event::new() }
    }

    /// As `Mailbox::after_push`.
    fn post(&self, place: usize) {
        self.places[place].store(true, Order::Release);
        if self.posted.set() {
            self.event.write();
        }
    }

    /// One turn of `Shard::turn`, which takes `budget` at most; gives how many it took.
    fn turn(&self, budget: usize) -> usize {
        if self.posted.is_set() {
            self.event.drain();
        } else {
            self.event.wait();
        }
        if !self.posted.take() {
            return 0;
        }
        let mut taken = 0;
        for place in &self.places {
            // One consumer: nobody else clears it.
            if taken < budget && place.load(Order::Acquire) {
                place.store(false, Order::Relaxed);
                taken += 1;
            }
        }
        if taken == budget {
            self.posted.again();
        }
        taken
    }
}

/// Two posters; a shard that takes so much in a turn. A wake-up that is lost is a deadlock, which loom reports.
fn everything_is_taken(budget: usize) {
    check(3, move || {
        let mailbox = Arc::new(Mailbox::new());
        let posters = [0, 1].map(|place| {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || mailbox.post(place))
        });
        let mut taken = 0;
        while taken < 2 {
            taken += mailbox.turn(budget);
        }
        posters.into_iter().for_each(|poster| poster.join().expect("no panic"));
    });
}

#[test]
fn what_is_posted_wakes_the_shard() {
    everything_is_taken(3);
}

#[test]
fn what_a_turn_left_and_what_came_meanwhile_is_taken() {
    everything_is_taken(1);
}

/// The model sees what it is to see: a shard that clears the flag after it looked loses a post.
#[test]
#[should_panic(expected = "deadlock")]
fn a_shard_that_looks_too_early_is_caught() {
    check(3, || {
        let mailbox = Arc::new(Mailbox::new());
        let poster = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || {
                mailbox.post(0);
                mailbox.post(1);
            })
        };
        let mut taken = [false; 2];
        while taken != [true; 2] {
            mailbox.event.wait();
            for (place, taken) in mailbox.places.iter().zip(&mut taken) {
                *taken |= place.load(Order::Acquire);
            }
            mailbox.posted.take();
        }
        poster.join().expect("no panic");
    });
}
