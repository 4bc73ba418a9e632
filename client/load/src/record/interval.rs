//! All of one thread and one second.

use super::{Health, Ledger, Playout, Timings, Wire};

/// What one thread did in one second for the segments of one phase: a segment's end counts for the phase in which it
/// was intended, so a thread fills one of these for each phase that has segments under way. A thread fills one while the collector reads another; they go
/// back and forth by bounded channels, so that nothing is allocated in between.
#[derive(Clone, Debug, Default)]
pub struct Interval {
    /// Which thread, from 0.
    pub thread: usize,
    /// Which phase of the plan, from 0.
    pub phase: usize,
    /// Seconds since the run began.
    pub second: u32,
    /// Times of what ended in it.
    pub times: Timings,
    /// Segments: intentions and ends of this second.
    pub ledger: Ledger,
    /// Datagrams; they belong to no phase and stand in the interval of the latest one.
    pub wire: Wire,
    /// Viewings.
    pub playout: Playout,
    /// The thread; in the interval of the latest phase.
    pub health: Health,
}

impl Interval {
    /// Takes all of `other` in, of another thread, second or phase: its counts and times.
    pub fn add(&mut self, other: &Self) {
        self.times.add(&other.times);
        self.ledger.add(&other.ledger);
        self.wire += other.wire;
        self.playout.add(&other.playout);
        self.health += other.health;
    }

    /// Forgets all, keeps the memory.
    pub fn clear(&mut self) {
        self.times.clear();
        self.ledger.clear();
        self.wire = Wire::default();
        self.playout.clear();
        self.health = Health::default();
    }
}
