//! Intervals added up: over a second, a phase, or a run.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::record::{Health, Interval, Ledger, Playout, Timings, Wire};

/// What some intervals amount to.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    pub(crate) times: Timings,
    pub(crate) ledger: Ledger,
    pub(crate) wire: Wire,
    pub(crate) playout: Playout,
    pub(crate) health: Health,
    /// By thread.
    pub(crate) threads: BTreeMap<usize, Health>,
    /// Bytes of segments that came while load was offered, not while the last segments were waited for.
    pub(crate) loaded_bytes: u64,
    /// That time, added up over threads.
    pub(crate) loaded_wall: Duration,
}

impl Sums {
    /// Takes an interval in; `draining`: no load was offered any more.
    pub(crate) fn add(&mut self, interval: &Interval, draining: bool) {
        self.times.add(&interval.times);
        self.ledger.add(&interval.ledger);
        self.wire += interval.wire;
        self.playout.add(&interval.playout);
        self.health += interval.health;
        if !interval.health.wall.is_zero() {
            *self.threads.entry(interval.thread).or_default() += interval.health;
        }
        if !draining {
            self.loaded_bytes += interval.wire.data_bytes + interval.wire.heard_bytes;
            self.loaded_wall += interval.health.wall;
        }
    }

    /// Takes the sums of other phases in.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.times.add(&other.times);
        self.ledger.add(&other.ledger);
        self.wire += other.wire;
        self.playout.add(&other.playout);
        self.health += other.health;
        for (thread, health) in &other.threads {
            *self.threads.entry(*thread).or_default() += *health;
        }
        self.loaded_bytes += other.loaded_bytes;
        self.loaded_wall += other.loaded_wall;
    }

    /// How long load was offered: the mean over the threads. None when it was not.
    pub(crate) fn loaded_seconds(&self) -> Option<f64> {
        let threads = self.threads.len() as f64;
        (!self.loaded_wall.is_zero()).then(|| self.loaded_wall.as_secs_f64() / threads)
    }

    /// New bytes of segments, as bits per second of the time in which load was offered.
    pub(crate) fn goodput(&self) -> Option<f64> {
        self.loaded_seconds().map(|seconds| self.loaded_bytes as f64 * 8.0 / seconds)
    }

    /// The busiest thread and the share of one CPU that it used.
    pub(crate) fn busiest(&self) -> Option<(usize, f64)> {
        let shares = self.threads.iter().map(|(thread, health)| (*thread, share(health)));
        shares.max_by(|a, b| a.1.total_cmp(&b.1))
    }

    pub(crate) fn clear(&mut self) {
        self.times.clear();
        self.ledger.clear();
        self.wire = Wire::default();
        self.playout.clear();
        self.health = Health::default();
        self.threads.clear();
        (self.loaded_bytes, self.loaded_wall) = (0, Duration::ZERO);
    }
}

/// CPU time as a share of wall time.
pub(crate) fn share(health: &Health) -> f64 {
    let wall = health.wall.as_secs_f64();
    if wall > 0.0 { health.cpu.as_secs_f64() / wall } else { 0.0 }
}
