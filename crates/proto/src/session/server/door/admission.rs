//! How many handshakes a shard works on, and how many sessions a client has.

use crate::time::{Duration, Instant};
use std::collections::BTreeMap;

/// From this part of the handshakes allowed in a second on cookies are demanded (section 5).
const COOKIE_PART: u32 = 10;
/// How long a quiet shard may save up its share.
const SAVING: Duration = Duration::from_millis(500);
/// What a client that was put off is told to wait, at most: its patience is 10 s.
const PUT_OFF_MAX: Duration = Duration::from_secs(2);
/// A client that was refused one more session wants it for so long: it comes again at least every 2.5 s.
const WANTED_FOR: Duration = Duration::from_secs(10);

/// What to do with a HELLO whose mac1 is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session::server) enum HelloVerdict {
    /// Work on it.
    Work,
    /// Work on it only with a valid cookie.
    WithCookie,
    /// Too many: later, cookie or not.
    Later,
}

/// Two allowances of handshakes that refill with time: one without cookies, one with.
#[derive(Debug)]
pub(in crate::session::server) struct HandshakeBudget {
    /// Time between two handshakes at the most.
    pace: Duration,
    free: Allowance,
    hard: Allowance,
    /// Up to when those who were put off have been told to come again, one after the other.
    booked: Instant,
}

impl HandshakeBudget {
    /// A full budget for so many handshakes a second.
    pub(in crate::session::server) fn new(per_second: u32, now: Instant) -> Self {
        let pace = (Duration::from_secs(1) / per_second.max(1)).max(Duration::from_nanos(1));
        let (free, hard) = (Allowance::new(pace * COOKIE_PART, now), Allowance::new(pace, now));
        Self { pace, free, hard, booked: now }
    }

    /// Says what to do with a HELLO now.
    pub(in crate::session::server) fn verdict(&mut self, now: Instant) -> HelloVerdict {
        if !self.hard.has(now) {
            HelloVerdict::Later
        } else if self.free.has(now) {
            HelloVerdict::Work
        } else {
            HelloVerdict::WithCookie
        }
    }

    /// Notes that a handshake was worked on.
    pub(in crate::session::server) fn spend(&mut self) {
        self.free.spend();
        self.hard.spend();
    }

    /// When a client that is put off now should come again: after those who were put off before.
    pub(in crate::session::server) fn put_off(&mut self, now: Instant) -> Duration {
        let turn = (self.booked.max(now) + self.pace).min(now + PUT_OFF_MAX);
        self.booked = turn;
        turn.saturating_since(now)
    }
}

/// Handshakes saved up, as the time in which they are earned; at least one.
#[derive(Debug)]
struct Allowance {
    pace: Duration,
    saved: Duration,
    at: Instant,
}

impl Allowance {
    fn new(pace: Duration, now: Instant) -> Self {
        Self { pace, saved: SAVING.max(pace), at: now }
    }

    fn has(&mut self, now: Instant) -> bool {
        let earned = now.saturating_since(self.at);
        self.saved = (self.saved + earned).min(SAVING.max(self.pace));
        self.at = self.at.max(now);
        self.saved >= self.pace
    }

    fn spend(&mut self) {
        self.saved = self.saved.saturating_sub(self.pace);
    }
}

/// Names a client while it has sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session::server) struct ClientId(u32);

/// What is known of one client while it has sessions.
#[derive(Clone, Copy, Debug, Default)]
struct Client {
    open: u16,
    /// It was refused one more before this time.
    wants_more_until: Instant,
}

/// Open sessions by client. A session finds its client by key once, when it opens, and by number from then on.
#[derive(Debug, Default)]
pub(in crate::session::server) struct ClientCounts {
    by_key: BTreeMap<[u8; 32], ClientId>,
    clients: Vec<Client>,
    free: Vec<ClientId>,
}

impl ClientCounts {
    /// How many sessions `client` has.
    pub(in crate::session::server) fn of(&self, client: &[u8; 32]) -> u16 {
        self.by_key.get(client).map_or(0, |id| self.sharing(*id))
    }

    /// How many sessions share what this client was granted; at least 1.
    pub(in crate::session::server) fn sharing(&self, client: ClientId) -> u16 {
        self.clients.get(client.0 as usize).map_or(1, |client| client.open.max(1))
    }

    /// `client` was refused one more session, as it has too many.
    pub(in crate::session::server) fn refused(&mut self, client: &[u8; 32], now: Instant) {
        let Some(id) = self.by_key.get(client) else { return };
        self.clients[id.0 as usize].wants_more_until = now + WANTED_FOR;
    }

    /// Whether this client was refused one more session lately: then those of its sessions count that still live.
    pub(in crate::session::server) fn wants_more(&self, client: ClientId, now: Instant) -> bool {
        self.clients.get(client.0 as usize).is_some_and(|client| now < client.wants_more_until)
    }

    /// One more session of `client`.
    pub(in crate::session::server) fn add(&mut self, client: &[u8; 32]) -> ClientId {
        let next = ClientId(self.clients.len() as u32);
        let id = *self.by_key.entry(*client).or_insert_with(|| self.free.pop().unwrap_or(next));
        if id == next {
            self.clients.push(Client::default());
        }
        let client = &mut self.clients[id.0 as usize];
        client.open = client.open.saturating_add(1);
        id
    }

    /// One session less.
    pub(in crate::session::server) fn remove(&mut self, client: &[u8; 32]) {
        let Some(&id) = self.by_key.get(client) else { return };
        let known = &mut self.clients[id.0 as usize];
        known.open -= 1;
        if known.open == 0 {
            *known = Client::default();
            self.by_key.remove(client);
            self.free.push(id);
        }
    }
}

/// Whether a session asks too fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session::server) enum Pace {
    /// It does not.
    Right,
    /// It does; so long until it may ask again.
    TooFast(Duration),
    /// It does although it was told so as often as it may ask in a second.
    Flood,
}

/// Requests a session may make: a bucket of one second's worth, and as much debt.
#[derive(Clone, Copy, Debug)]
pub(in crate::session::server) struct RequestBucket {
    /// Below 0: debt.
    tokens: i64,
    at: Instant,
}

impl RequestBucket {
    pub(in crate::session::server) fn new(per_second: u32, now: Instant) -> Self {
        Self { tokens: i64::from(per_second), at: now }
    }

    /// Takes one token, on credit when there is none.
    pub(in crate::session::server) fn take(&mut self, per_second: u32, now: Instant) -> Pace {
        let most = i64::from(per_second);
        let nanos = now.saturating_since(self.at).as_nanos().min(2_000_000_000) as u64;
        let earned = (nanos * u64::from(per_second) / 1_000_000_000) as i64;
        if earned > 0 {
            self.tokens = (self.tokens + earned).min(most);
            self.at = now;
        }
        self.tokens = (self.tokens - 1).max(-most - 1);
        match self.tokens {
            0.. => Pace::Right,
            debt if debt < -most => Pace::Flood,
            debt => {
                let nanos = debt.unsigned_abs() * 1_000_000_000 / u64::from(per_second.max(1));
                Pace::TooFast(Duration::from_nanos(nanos))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_begin_at_a_tenth_and_beyond_the_whole_it_is_later() {
        let now = Instant::ZERO;
        let mut budget = HandshakeBudget::new(500, now);
        let mut verdicts = [0; 3];
        for _ in 0..400 {
            let verdict = budget.verdict(now);
            verdicts[verdict as usize] += 1;
            if verdict != HelloVerdict::Later {
                budget.spend();
            }
        }
        assert_eq!(verdicts, [25, 225, 150]);
        assert_eq!(budget.verdict(now + Duration::from_secs(1)), HelloVerdict::Work);
    }

    #[test]
    fn an_edge_of_one_handshake_a_minute_still_does_one() {
        let mut budget = HandshakeBudget::new(0, Instant::ZERO);
        assert_eq!(budget.verdict(Instant::ZERO), HelloVerdict::Work);
        budget.spend();
        assert_eq!(budget.verdict(Instant::ZERO), HelloVerdict::Later);
    }

    #[test]
    fn those_who_are_put_off_come_one_after_the_other() {
        let mut budget = HandshakeBudget::new(10, Instant::ZERO);
        let waits = [0; 3].map(|_| budget.put_off(Instant::ZERO).as_millis());
        assert_eq!(waits, [100, 200, 300]);
        let last = (0..100).map(|_| budget.put_off(Instant::ZERO)).last();
        assert_eq!(last, Some(PUT_OFF_MAX));
        let later = Instant::ZERO + Duration::from_secs(10);
        assert_eq!(budget.put_off(later).as_millis(), 100);
    }

    #[test]
    fn a_bucket_refills_at_its_rate() {
        let mut bucket = RequestBucket::new(10, Instant::ZERO);
        let mut take = |at| bucket.take(10, Instant::ZERO + Duration::from_millis(at));
        assert!((0..10).all(|_| take(0) == Pace::Right));
        assert_eq!(take(0), Pace::TooFast(Duration::from_millis(100)));
        assert_eq!(
            (take(100), take(199)),
            (Pace::TooFast(Duration::from_millis(100)), Pace::TooFast(Duration::from_millis(200)))
        );
        assert_eq!((take(700), take(700)), (Pace::Right, Pace::Right));
    }

    #[test]
    fn who_goes_on_asking_too_fast_is_a_flood() {
        let mut bucket = RequestBucket::new(10, Instant::ZERO);
        let mut take = |at| bucket.take(10, Instant::ZERO + Duration::from_secs(at));
        assert!((0..20).all(|_| take(0) != Pace::Flood));
        assert_eq!(take(0), Pace::Flood);
        assert_eq!(take(1), Pace::TooFast(Duration::from_millis(200)), "it pays its debt first");
        assert_eq!(take(9), Pace::Right);
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
        assert_eq!(counts.clients.len(), 1, "its number is given out again");
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

    #[test]
    fn who_was_refused_wants_more_for_a_while_and_while_it_has_sessions() {
        let (mut counts, now) = (ClientCounts::default(), Instant::ZERO);
        let (one, other) = (counts.add(&[1; 32]), counts.add(&[2; 32]));
        counts.refused(&[1; 32], now);
        counts.refused(&[3; 32], now);
        assert!(counts.wants_more(one, now) && !counts.wants_more(other, now));
        assert!(!counts.wants_more(one, now + WANTED_FOR));
        counts.remove(&[1; 32]);
        assert_eq!(counts.add(&[3; 32]), one);
        assert!(!counts.wants_more(one, now), "its number is another's now");
    }
}
