//! How many handshakes a shard works on, and how many sessions a client has.

use crate::time::{Duration, Instant};
use std::collections::BTreeMap;

/// Share of a shard's time, in percent, from which on cookies are demanded (section 5).
const COOKIE_PERCENT: u32 = 5;
/// Share beyond which HELLOs are dropped, so that sessions go on.
const DROP_PERCENT: u32 = 50;
/// How long a quiet shard may save up its share.
const SAVING: Duration = Duration::from_millis(500);

/// What to do with a HELLO whose mac1 is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HelloVerdict {
    /// Work on it.
    Work,
    /// Work on it only with a valid cookie.
    WithCookie,
    /// Too many, cookie or not.
    Drop,
}

/// Two allowances of handshake time that refill with time: one without cookies, one with.
#[derive(Debug)]
pub(super) struct HandshakeBudget {
    cost: Duration,
    free: Allowance,
    hard: Allowance,
}

impl HandshakeBudget {
    /// A full budget for handshakes that cost `cost` each.
    pub(super) fn new(cost: Duration, now: Instant) -> Self {
        let cost = cost.max(Duration::from_nanos(1));
        let allowance = |percent| Allowance::new(percent, now);
        Self { cost, free: allowance(COOKIE_PERCENT), hard: allowance(DROP_PERCENT) }
    }

    /// Says what to do with a HELLO now.
    pub(super) fn verdict(&mut self, now: Instant) -> HelloVerdict {
        if !self.hard.has(now, self.cost) {
            HelloVerdict::Drop
        } else if self.free.has(now, self.cost) {
            HelloVerdict::Work
        } else {
            HelloVerdict::WithCookie
        }
    }

    /// Notes that a handshake was worked on.
    pub(super) fn spend(&mut self) {
        self.free.spend(self.cost);
        self.hard.spend(self.cost);
    }
}

#[derive(Debug)]
struct Allowance {
    percent: u32,
    saved: Duration,
    at: Instant,
}

impl Allowance {
    fn new(percent: u32, now: Instant) -> Self {
        Self { percent, saved: SAVING * percent / 100, at: now }
    }

    fn has(&mut self, now: Instant, cost: Duration) -> bool {
        let earned = now.saturating_since(self.at).min(SAVING) * self.percent / 100;
        self.saved = (self.saved + earned).min(SAVING * self.percent / 100);
        self.at = self.at.max(now);
        self.saved >= cost
    }

    fn spend(&mut self, cost: Duration) {
        self.saved = self.saved.saturating_sub(cost);
    }
}

/// Names a client while it has sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientId(u32);

/// Open sessions by client. A session finds its client by key once, when it opens, and by number from then on.
#[derive(Debug, Default)]
pub(super) struct ClientCounts {
    by_key: BTreeMap<[u8; 32], ClientId>,
    open: Vec<u16>,
    free: Vec<ClientId>,
}

impl ClientCounts {
    /// How many sessions `client` has.
    pub(super) fn of(&self, client: &[u8; 32]) -> u16 {
        self.by_key.get(client).map_or(0, |id| self.sharing(*id))
    }

    /// How many sessions share what this client was granted; at least 1.
    pub(super) fn sharing(&self, client: ClientId) -> u16 {
        self.open.get(client.0 as usize).copied().unwrap_or(0).max(1)
    }

    /// One more session of `client`.
    pub(super) fn add(&mut self, client: &[u8; 32]) -> ClientId {
        let next = ClientId(self.open.len() as u32);
        let id = *self.by_key.entry(*client).or_insert_with(|| self.free.pop().unwrap_or(next));
        if id == next {
            self.open.push(0);
        }
        let count = &mut self.open[id.0 as usize];
        *count = count.saturating_add(1);
        id
    }

    /// One session less.
    pub(super) fn remove(&mut self, client: &[u8; 32]) {
        let Some(&id) = self.by_key.get(client) else { return };
        let count = &mut self.open[id.0 as usize];
        *count -= 1;
        if *count == 0 {
            self.by_key.remove(client);
            self.free.push(id);
        }
    }
}

/// Requests a session may make: a bucket of one second's worth.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestBucket {
    tokens: u32,
    at: Instant,
}

impl RequestBucket {
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        Self { tokens: per_second, at: now }
    }

    /// Takes one token; false: there is none.
    pub(super) fn take(&mut self, per_second: u32, now: Instant) -> bool {
        let nanos = now.saturating_since(self.at).as_nanos().min(1_000_000_000) as u64;
        let earned = (nanos * u64::from(per_second) / 1_000_000_000) as u32;
        if earned > 0 {
            self.tokens = self.tokens.saturating_add(earned).min(per_second);
            self.at = now;
        }
        let had = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        had
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_begin_at_a_twentieth_of_the_time_and_drops_at_half() {
        let now = Instant::ZERO;
        let mut budget = HandshakeBudget::new(Duration::from_millis(1), now);
        let mut verdicts = [0; 3];
        for _ in 0..400 {
            let verdict = budget.verdict(now);
            verdicts[verdict as usize] += 1;
            if verdict != HelloVerdict::Drop {
                budget.spend();
            }
        }
        assert_eq!(verdicts, [25, 225, 150]);
        assert_eq!(budget.verdict(now + Duration::from_secs(1)), HelloVerdict::Work);
    }

    #[test]
    fn a_bucket_refills_at_its_rate() {
        let mut bucket = RequestBucket::new(10, Instant::ZERO);
        let taken = (0..100).filter(|_| bucket.take(10, Instant::ZERO)).count();
        assert_eq!(taken, 10);
        let later = Instant::ZERO + Duration::from_millis(500);
        assert_eq!((0..100).filter(|_| bucket.take(10, later)).count(), 5);
    }

    #[test]
    fn a_client_without_sessions_takes_no_place() {
        let mut counts = ClientCounts::default();
        counts.add(&[1; 32]);
        counts.add(&[1; 32]);
        counts.remove(&[1; 32]);
        assert_eq!(counts.of(&[1; 32]), 1);
        counts.remove(&[1; 32]);
        assert!(counts.by_key.is_empty());
        counts.add(&[2; 32]);
        assert_eq!(counts.open.len(), 1, "its number is given out again");
    }

    #[test]
    fn sessions_know_by_number_how_many_share_with_them() {
        let mut counts = ClientCounts::default();
        let (one, other) = (counts.add(&[1; 32]), counts.add(&[2; 32]));
        assert_eq!(counts.add(&[1; 32]), one);
        assert_eq!((counts.sharing(one), counts.sharing(other)), (2, 1));
        counts.remove(&[1; 32]);
        assert_eq!((counts.sharing(one), counts.of(&[1; 32])), (1, 1));
    }
}
