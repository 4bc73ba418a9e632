//! What viewers would have seen.

use segcast_proto::time::Duration;

use super::Times;

/// Sums over viewings that play at their bit rate.
#[derive(Clone, Debug, Default)]
pub struct Playout {
    /// Viewings that began to play.
    pub started: u64,
    /// Viewings that ended before they could begin.
    pub never_started: u64,
    /// From the intention to view to the first picture.
    pub startup: Times,
    /// Times that a player ran dry.
    pub stalls: u64,
    /// How long players stood still, in all.
    pub stalled: Duration,
    /// How long they played, in all.
    pub played: Duration,
}

impl Playout {
    /// Takes all of `other` in.
    pub fn add(&mut self, other: &Self) {
        self.started += other.started;
        self.never_started += other.never_started;
        self.startup.add(&other.startup);
        self.stalls += other.stalls;
        self.stalled += other.stalled;
        self.played += other.played;
    }

    /// Time stalled as a share of time stalled and played; none before anything played.
    #[must_use]
    pub fn rebuffer_ratio(&self) -> Option<f64> {
        let all = self.stalled + self.played;
        (!all.is_zero()).then(|| self.stalled.as_secs_f64() / all.as_secs_f64())
    }

    /// Forgets all, keeps the memory.
    pub fn clear(&mut self) {
        self.startup.clear();
        (self.started, self.never_started, self.stalls) = (0, 0, 0);
        (self.stalled, self.played) = (Duration::ZERO, Duration::ZERO);
    }
}
