//! The edge's cap on what it sends, as one shard sees it, and how loaded the edge says it is.

use std::sync::Arc;

use super::cap::EgressCap;
use crate::rate::Rate;
use crate::time::{Duration, Instant};

/// Window over which the load is measured.
const WINDOW: Duration = Duration::from_millis(500);

/// Paces a shard's DATA by slices of the edge's cap, and measures the edge's rate.
#[derive(Debug)]
pub(in crate::session::server) struct Egress {
    cap: Option<Arc<EgressCap>>,
    /// When DATA may go next.
    free_at: Instant,
    /// Bytes that may then leave before the next slice.
    left: u64,
    /// What the shard gets of the cap as long as others want it as much as now.
    share: Rate,
    window_start: Instant,
    /// Of all shards, up to the window's begin.
    window_base: u64,
    /// Of all shards, in the last full window.
    rate: Rate,
}

impl Egress {
    pub(in crate::session::server) fn new(cap: Option<Arc<EgressCap>>) -> Self {
        Self {
            share: cap.as_ref().map_or(Rate::MAX, |cap| cap.rate()),
            cap,
            free_at: Instant::ZERO,
            left: 0,
            window_start: Instant::ZERO,
            window_base: 0,
            rate: Rate::ZERO,
        }
    }

    /// When DATA may go next; at most `now`: at once.
    pub(in crate::session::server) fn free_at(&self) -> Instant {
        self.free_at
    }

    /// How fast the cap lets the shard send at present; [`Rate::MAX`] without a cap.
    pub(super) fn share(&self) -> Rate {
        self.share
    }

    /// Notes bytes that were sent. A train leaves whole: what it took beyond the shard's slice is paid with the next one.
    pub(super) fn sent(&mut self, now: Instant, bytes: u64) {
        let Some(cap) = &self.cap else { return };
        if bytes < self.left {
            self.left -= bytes;
            return;
        }
        let debt = bytes - self.left;
        let taken = debt + cap.slice();
        self.free_at = cap.take(now, taken) + cap.rate().time_for(debt);
        self.left = cap.slice();
        let waits = self.free_at.saturating_since(now);
        self.share = Rate::of(taken, waits).unwrap_or(Rate::MAX).min(cap.rate());
    }

    /// Share of the cap that the edge uses, of 10 000; 0 without a cap.
    pub(in crate::session::server) fn load(&mut self, now: Instant) -> u16 {
        self.roll(now);
        let Some(cap) = &self.cap else { return 0 };
        let cap = cap.rate().bytes_per_second().max(1);
        (self.rate.bytes_per_second().saturating_mul(10_000) / cap).min(10_000) as u16
    }

    /// How long DATA asked for now would wait for the cap, milliseconds.
    pub(in crate::session::server) fn queue_ms(&self, now: Instant) -> u32 {
        let wait = self.free_at().saturating_since(now).as_millis();
        u32::try_from(wait).unwrap_or(u32::MAX)
    }

    /// Begins a new window, if one is over.
    pub(in crate::session::server) fn roll(&mut self, now: Instant) {
        let passed = now.saturating_since(self.window_start);
        if let Some(cap) = &self.cap
            && passed >= WINDOW
        {
            let bytes = cap.bytes();
            self.rate = Rate::of(bytes.wrapping_sub(self.window_base), passed).unwrap_or_default();
            (self.window_start, self.window_base) = (now, bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: Instant = Instant::from_nanos(1_000_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn shards<const N: usize>(bytes_per_second: u64) -> [Egress; N] {
        let cap = Arc::new(EgressCap::new(Rate::new(bytes_per_second)));
        std::array::from_fn(|_| Egress::new(Some(Arc::clone(&cap))))
    }

    /// For a second, whichever shard may send next sends a train of its length, `apart` after its last one at the soonest.
    fn sent_in_a_second<const N: usize>(
        shards: &mut [Egress; N],
        trains: [(u64, Duration); N],
    ) -> [u64; N] {
        let (mut bytes, mut ready) = ([0; N], [BEGIN; N]);
        loop {
            let due = |shard: usize| shards[shard].free_at().max(ready[shard]);
            // Among equals always the same one: it must not have more of the cap for it.
            let next = (0..N).min_by_key(|&shard| due(shard)).expect("there are shards");
            let now = due(next);
            if now >= BEGIN + SECOND {
                return bytes;
            }
            let (len, apart) = trains[next];
            shards[next].sent(now, len);
            bytes[next] += len;
            ready[next] = now + apart;
        }
    }

    #[test]
    fn a_cap_spaces_trains_and_shows_as_load() {
        let [mut egress] = shards(1_000_000);
        let mut now = BEGIN;
        egress.roll(now);
        egress.sent(now, 0);
        for _ in 0..20 {
            egress.sent(now, 50_000);
            assert!((49..=50).contains(&egress.queue_ms(now)));
            now = egress.free_at();
        }
        assert_eq!(egress.load(now), 10_000);
    }

    /// Trains of 64 KiB below 500 MB/s, each sent `late` after it may leave: bytes in a second.
    fn sent_late(late: Duration) -> u64 {
        let [mut egress] = shards(500_000_000);
        let (mut now, mut bytes) = (BEGIN, 0);
        while now.saturating_since(BEGIN) < SECOND {
            egress.sent(now, 65_536);
            bytes += 65_536;
            now = now.max(egress.free_at() + late);
        }
        bytes
    }

    #[test]
    fn a_thread_that_wakes_late_uses_the_cap_in_full_and_no_more() {
        // A millisecond's worth before the cap is felt, and the last train.
        let most = 500_000_000 + 500_000 + 65_536;
        for micros in [0, 30, 500, 900] {
            let bytes = sent_late(Duration::from_micros(micros));
            assert!((499_000_000..=most).contains(&bytes), "{bytes} at {micros} µs");
        }
        // Beyond that what was not sent is gone: a pause is not followed by a burst as long.
        assert!(sent_late(Duration::from_millis(5)) < 200_000_000);
    }

    #[test]
    fn a_lone_shard_has_the_whole_cap_and_the_idle_one_says_how_loaded_the_edge_is() {
        let mut edge = shards::<2>(100_000_000);
        edge[1].roll(BEGIN);
        let never = Duration::from_secs(60);
        let [busy, idle] = sent_in_a_second(&mut edge, [(65_536, Duration::ZERO), (0, never)]);
        assert!((99_000_000..=100_300_000).contains(&busy), "{busy}");
        assert_eq!((idle, edge[0].share()), (0, Rate::new(100_000_000)));
        assert!(edge[1].load(BEGIN + SECOND) > 9_900);
    }

    #[test]
    fn busy_shards_share_the_cap_by_bytes_whatever_their_trains() {
        for trains in [[65_536, 65_536], [65_536, 3000], [1200, 65_536]] {
            let mut edge = shards::<2>(100_000_000);
            let sent = sent_in_a_second(&mut edge, trains.map(|len| (len, Duration::ZERO)));
            for bytes in sent {
                assert!((48_000_000..=52_000_000).contains(&bytes), "{sent:?} in {trains:?}");
            }
            assert!(sent.iter().sum::<u64>() <= 100_400_000, "{sent:?}");
            let [one, other] = edge.map(|shard| shard.share().bytes_per_second());
            assert!((45_000_000..=55_000_000).contains(&one), "{one}, {other} in {trains:?}");
        }
    }

    #[test]
    fn what_a_shard_does_not_use_another_has() {
        let mut edge = shards::<4>(100_000_000);
        // 12 KB each millisecond; the second one wants more than is left.
        let dribble = (12_000, Duration::from_millis(1));
        let sent =
            sent_in_a_second(&mut edge, [dribble, (65_536, Duration::ZERO), dribble, dribble]);
        assert!(sent[1] >= 63_000_000, "{sent:?}");
        assert!(sent[0] >= 11_000_000 && sent[3] >= 11_000_000, "{sent:?}");
        assert!(sent.iter().sum::<u64>() <= 100_500_000, "{sent:?}");
    }

    #[test]
    fn without_a_cap_nothing_waits() {
        let mut egress = Egress::new(None);
        egress.sent(Instant::ZERO, u64::MAX / 2);
        assert_eq!((egress.free_at(), egress.load(Instant::ZERO)), (Instant::ZERO, 0));
        assert_eq!(egress.share(), Rate::MAX);
    }
}
