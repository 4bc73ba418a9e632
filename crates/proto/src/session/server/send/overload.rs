//! Overload control: what the shard has promised to send, how fast it sends when it can do no more, and so whether
//! one more request could be served in time.
//!
//! A request that could not is refused before anything is done for it: what was begun then finishes, where otherwise
//! all would be half served when their clients give up. As long as the shard keeps up with the paths of its
//! sessions nothing is refused: what waits then waits for a path, and another edge would not help.

use crate::rate::Rate;
use crate::time::{Duration, Instant};

/// What a train costs beside its bytes, in bytes that could be sent in that time: 3.4 µs of one core at 3.5 GB/s, for the
/// turn, the first seal and the system call. A shard counts with it wherever bytes stand for its time: else who asks for
/// single bytes has a thousand trains where another has one, and a shard busy with them seems to be slow.
pub(in crate::session::server) const TRAIN_COST: u64 = 12_000;
/// Trains that have waited for their turn for so long without a pause mean that the shard is the bottleneck.
const SATURATED_AFTER: Duration = Duration::from_millis(20);
/// The rate is measured over at least this time and [`SAMPLE_BYTES`] …
const SAMPLE_MIN: Duration = Duration::from_millis(50);
/// … so that single trains do not make it jump …
const SAMPLE_BYTES: u64 = 1 << 20;
/// … but over no more than this.
const SAMPLE_MAX: Duration = Duration::from_millis(500);
/// A deadline nearer than this part of the bound counts as this part: clients keep a reserve.
const DEADLINE_PART: u32 = 16;
/// What a refused client is told to wait, at least and at most.
const RETRY_MIN: Duration = Duration::from_millis(20);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// What one session has to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::session::server) struct Owed {
    /// Bytes of it that can leave within the bound, as far as the session's path is concerned; [`TRAIN_COST`] more for
    /// each range.
    pub(in crate::session::server) bytes: u64,
    pub(in crate::session::server) requests: u32,
}

/// A request that asks to be taken in.
#[derive(Clone, Copy, Debug)]
pub(in crate::session::server) struct Candidate {
    /// Bytes that it wants, and [`TRAIN_COST`] for each range.
    pub(in crate::session::server) bytes: u64,
    /// When the client needs them, from now; zero: as soon as possible.
    pub(in crate::session::server) deadline: Duration,
    /// Its session waits for others already.
    pub(in crate::session::server) further: bool,
    /// It asks again for a part of what was sent and lost: refusing it would waste the rest.
    pub(in crate::session::server) repair: bool,
}

/// Admission control over the queues of all sessions together, by the rate at which they empty.
#[derive(Debug)]
pub(in crate::session::server) struct Overload {
    /// The longest wait that is promised.
    bound: Duration,
    requests_max: u32,
    bytes: u64,
    requests: u32,
    /// Since when trains have been waiting for their turn without a pause.
    backlog: Option<Instant>,
    /// The caller says that the shard has no time to spare.
    pressed: bool,
    /// When saturated; `None`: not known yet.
    rate: Option<Rate>,
    /// What the edge's cap leaves the shard, in bytes on the wire: never faster than that.
    share: Rate,
    /// What the last sample took off what is owed for each byte on the wire, 11 times as much where ranges are short.
    owed_per_byte: Option<f64>,
    sample_from: Instant,
    sample_bytes: u64,
    /// Of these, bytes on the wire.
    sample_wire: u64,
    /// The shard was saturated or had a backlog since the sample began.
    sample_whole: bool,
    /// Up to when those who were refused have been told to come again, one after the other.
    booked: Instant,
}

impl Overload {
    /// Nothing is promised yet, and no cap known.
    pub(in crate::session::server) fn new(bound: Duration, requests_max: u32) -> Self {
        Self {
            bound,
            requests_max,
            bytes: 0,
            requests: 0,
            backlog: None,
            pressed: false,
            rate: None,
            share: Rate::MAX,
            owed_per_byte: None,
            sample_from: Instant::ZERO,
            sample_bytes: 0,
            sample_wire: 0,
            sample_whole: false,
            booked: Instant::ZERO,
        }
    }

    /// The longest wait that is promised.
    pub(in crate::session::server) fn bound(&self) -> Duration {
        self.bound
    }

    /// A session that owed `before` owes `after` now.
    pub(in crate::session::server) fn recount(&mut self, before: Owed, after: Owed) {
        self.bytes = (self.bytes + after.bytes).saturating_sub(before.bytes);
        self.requests = (self.requests + after.requests).saturating_sub(before.requests);
    }

    /// What all sessions owe.
    pub(in crate::session::server) fn owed(&self) -> Owed {
        Owed { bytes: self.bytes, requests: self.requests }
    }

    /// A train is ready to leave and has to wait for its turn.
    pub(super) fn train_waits(&mut self, now: Instant) {
        if self.backlog.is_none() {
            self.backlog = Some(now);
            if !self.pressed {
                self.begin_sample(now, true);
            }
        }
    }

    /// No train waits for its turn.
    pub(super) fn nothing_waits(&mut self) {
        if self.backlog.take().is_some() && !self.pressed {
            self.sample_whole = false;
        }
    }

    /// Whether the shard's thread has had no time to spare lately.
    pub(in crate::session::server) fn set_pressed(&mut self, now: Instant, pressed: bool) {
        if pressed != self.pressed {
            self.pressed = pressed;
            self.begin_sample(now, pressed || self.backlog.is_some());
        }
    }

    /// So much of what is owed was sent, by so many bytes on the wire.
    pub(super) fn sent(&mut self, now: Instant, owed: u64, wire: u64) {
        self.sample_bytes += owed;
        self.sample_wire += wire;
        let passed = now.saturating_since(self.sample_from);
        let enough = passed >= SAMPLE_MIN && self.sample_bytes >= SAMPLE_BYTES;
        if !enough && passed < SAMPLE_MAX {
            return;
        }
        let saturated = self.is_saturated(now);
        if saturated && self.sample_whole {
            let sample = measured(self.sample_bytes, passed);
            self.rate = Some(self.rate.map_or(sample, |rate| rate.mean(sample)));
        }
        self.owed_per_byte = self.sample_ratio();
        self.begin_sample(now, saturated);
    }

    fn begin_sample(&mut self, now: Instant, whole: bool) {
        (self.sample_from, self.sample_bytes, self.sample_wire) = (now, 0, 0);
        self.sample_whole = whole;
    }

    fn sample_ratio(&self) -> Option<f64> {
        (self.sample_wire > 0).then(|| self.sample_bytes as f64 / self.sample_wire as f64)
    }

    /// Whether the shard, not the paths of its sessions, decides how fast they are served.
    pub(in crate::session::server) fn is_saturated(&self, now: Instant) -> bool {
        let waiting = |since: Instant| now.saturating_since(since) >= SATURATED_AFTER;
        self.pressed || self.backlog.is_some_and(waiting)
    }

    /// How long what is promised takes to send; zero while the shard keeps up.
    pub(in crate::session::server) fn wait(&self, now: Instant) -> Duration {
        if !self.is_saturated(now) {
            return Duration::ZERO;
        }
        self.rate(now).time_for(self.bytes)
    }

    /// What the edge's cap leaves the shard at present.
    pub(super) fn set_share(&mut self, share: Rate) {
        self.share = share;
    }

    /// The share of the cap, or no bound, while nothing was measured.
    fn rate(&self, now: Instant) -> Rate {
        let passed = now.saturating_since(self.sample_from);
        let found = match self.rate {
            Some(rate) => rate,
            None if passed >= SATURATED_AFTER && self.sample_bytes > 0 => {
                measured(self.sample_bytes, passed)
            }
            None => Rate::MAX,
        };
        // The cap counts bytes on the wire, and what is owed more than those.
        let owed_per_byte = self.owed_per_byte.or_else(|| self.sample_ratio()).unwrap_or(1.0);
        found.min(self.share.scaled(owed_per_byte).max(Rate::LEAST))
    }

    /// Whether one more request is taken in.
    ///
    /// # Errors
    /// When to come again: when the queue will have room, after those who were refused before.
    pub(in crate::session::server) fn admit(
        &mut self,
        now: Instant,
        candidate: Candidate,
    ) -> Result<(), Duration> {
        let full = self.requests >= self.requests_max;
        let (wait, allowed) = (self.wait(now), self.allowed(candidate));
        if !full && (candidate.repair || wait <= allowed) {
            return Ok(());
        }
        let room = now + wait.saturating_sub(allowed).max(RETRY_MIN);
        let turn = self.booked.max(room).min(now + RETRY_MAX);
        self.booked = turn + self.rate(now).time_for(candidate.bytes);
        Err(turn.saturating_since(now))
    }

    /// How long a request may have to wait: half of its deadline, within bounds, as all are served side by side and
    /// others come meanwhile. From sessions that are being served already half of the queue is kept free.
    fn allowed(&self, candidate: Candidate) -> Duration {
        let allowed = match candidate.deadline {
            Duration::ZERO => self.bound,
            deadline => (deadline / 2).clamp(self.bound / DEADLINE_PART, self.bound),
        };
        if candidate.further { allowed / 2 } else { allowed }
    }
}

fn measured(bytes: u64, time: Duration) -> Rate {
    Rate::of(bytes, time.max(Duration::from_nanos(1))).unwrap_or_default().max(Rate::LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_millis(500);
    const MIB: u64 = 1 << 20;
    const WANTED: Candidate =
        Candidate { bytes: MIB, deadline: Duration::ZERO, further: false, repair: false };

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(1_000_000_000 + millis * 1_000_000)
    }

    /// A shard that has sent 100 MiB/s for a second with trains waiting all the time, and owes so many MiB.
    fn busy(owed: u64) -> Overload {
        let mut overload = Overload::new(BOUND, 1000);
        overload.recount(Owed::default(), Owed { bytes: owed * MIB, requests: 1 });
        overload.train_waits(at(0));
        (1..=100).for_each(|turn| overload.sent(at(turn * 10), MIB, MIB));
        overload
    }

    #[test]
    fn what_could_not_be_served_in_time_is_refused() {
        assert!(busy(49).admit(at(1000), WANTED).is_ok());
        assert_eq!(busy(49).wait(at(1000)).as_millis(), 490);
        let mut full = busy(60);
        let retry = full.admit(at(1000), WANTED).expect_err("600 ms");
        assert_eq!(retry.as_millis(), 100);
        let next = full.admit(at(1000), WANTED).expect_err("600 ms");
        assert_eq!(next.as_millis(), 110, "after the first one's megabyte");
        let last = (0..1000).map(|_| full.admit(at(1000), WANTED).expect_err("full")).last();
        assert_eq!(last, Some(RETRY_MAX));
    }

    #[test]
    fn a_queue_that_waits_for_its_clients_paths_refuses_nobody() {
        let mut overload = busy(1000);
        overload.nothing_waits();
        assert!(overload.admit(at(1001), WANTED).is_ok());
        overload.train_waits(at(1001));
        assert!(overload.admit(at(1010), WANTED).is_ok(), "a moment's backlog");
        assert!(overload.admit(at(1021), WANTED).is_err());
    }

    #[test]
    fn a_thread_without_time_to_spare_is_saturated_though_no_train_waits() {
        let mut overload = Overload::new(BOUND, 1000);
        overload.recount(Owed::default(), Owed { bytes: 60 * MIB, requests: 1 });
        overload.set_pressed(at(0), true);
        for turn in 1..=100 {
            overload.train_waits(at(turn * 10 - 1));
            overload.sent(at(turn * 10), MIB, MIB);
            overload.nothing_waits();
        }
        assert!(overload.admit(at(1000), WANTED).is_err());
        overload.set_pressed(at(1001), false);
        assert!(overload.admit(at(1002), WANTED).is_ok());
    }

    #[test]
    fn a_shorter_deadline_and_a_further_request_may_wait_less() {
        let soon = Candidate { deadline: Duration::from_millis(200), ..WANTED };
        let sooner = Candidate { deadline: Duration::from_millis(1), ..WANTED };
        let later = Candidate { deadline: Duration::from_secs(60), ..WANTED };
        let further = Candidate { further: true, ..WANTED };
        let admits = |owed, candidate| busy(owed).admit(at(1000), candidate).is_ok();
        assert!(admits(10, soon) && !admits(11, soon));
        assert!(admits(3, sooner) && !admits(4, sooner));
        assert!(admits(50, later) && !admits(51, later));
        assert!(admits(25, further) && !admits(26, further));
        assert!(admits(1000, Candidate { repair: true, ..WANTED }));
    }

    #[test]
    fn requests_are_bounded_whatever_they_want() {
        let mut overload = Overload::new(BOUND, 10);
        overload.recount(Owed::default(), Owed { bytes: 10, requests: 10 });
        let repair = Candidate { repair: true, ..WANTED };
        assert_eq!(overload.admit(at(0), repair), Err(RETRY_MIN));
        overload.recount(Owed { bytes: 10, requests: 10 }, Owed { bytes: 9, requests: 9 });
        assert_eq!(overload.admit(at(0), repair), Ok(()));
    }

    #[test]
    fn the_rate_follows_what_is_really_sent() {
        let mut overload = busy(30);
        assert_eq!(overload.wait(at(1000)).as_millis(), 300);
        // Half as fast from now on.
        (1..=25).for_each(|turn| overload.sent(at(1000 + turn * 20), MIB, MIB));
        let wait = overload.wait(at(1500)).as_millis();
        assert!((550..=600).contains(&wait), "{wait}");
    }

    #[test]
    fn a_rate_that_is_not_measured_yet_is_taken_from_what_was_sent_so_far() {
        let mut overload = Overload::new(BOUND, 1000);
        overload.recount(Owed::default(), Owed { bytes: 100 * MIB, requests: 1 });
        overload.train_waits(at(0));
        overload.sent(at(10), MIB, MIB);
        assert!(overload.admit(at(19), WANTED).is_ok());
        overload.sent(at(20), MIB, MIB);
        assert_eq!(overload.wait(at(20)).as_millis(), 1000);
        assert!(overload.admit(at(20), WANTED).is_err());
    }

    #[test]
    fn what_the_edges_cap_leaves_the_shard_counts_at_once() {
        let mut overload = busy(30);
        overload.set_share(Rate::new(25 * MIB));
        assert_eq!(overload.wait(at(1000)).as_millis(), 1200);
        assert!(overload.admit(at(1000), WANTED).is_err());
        overload.set_share(Rate::MAX);
        assert_eq!(overload.wait(at(1000)).as_millis(), 300);
    }

    #[test]
    fn the_cap_is_compared_by_the_bytes_it_counts() {
        // Short ranges: of eight bytes that are owed one leaves, and the cap is what they wait for.
        let short = |overload: &mut Overload, from: u64| {
            (1..=100).for_each(|turn| overload.sent(at(from + turn * 10), MIB, MIB / 8));
        };
        let mut overload = Overload::new(BOUND, 1000);
        overload.recount(Owed::default(), Owed { bytes: 30 * MIB, requests: 1 });
        overload.train_waits(at(0));
        overload.set_share(Rate::new(100 * MIB / 8));
        overload.sent(at(10), MIB, MIB / 8);
        overload.sent(at(20), MIB, MIB / 8);
        assert_eq!(overload.wait(at(20)).as_millis(), 300, "of the first sample");
        short(&mut overload, 20);
        assert_eq!(overload.wait(at(1020)).as_millis(), 300);
        overload.set_share(Rate::new(50 * MIB / 8));
        assert_eq!(overload.wait(at(1020)).as_millis(), 600, "half of it is another shard's");
    }
}
