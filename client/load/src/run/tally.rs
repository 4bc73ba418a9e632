//! A thread's books: every count goes into the interval of its second and phase. Full intervals go to the observer and
//! come back empty; when none has come back, a second is simply longer, and nothing waits.

use rustix::time::{ClockId, clock_gettime};
use segcast_proto::time::{Duration, Instant};
use segcast_proto::wire::code::Code;

use super::exchange::Exchange;
use crate::record::{Class, Failure, Interval, Playout, Unoffered, Wire};

/// How an interval is long.
const SECOND: Duration = Duration::from_secs(1);

/// How a segment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Complete,
    Late,
    Lost,
    Refused(Code),
    Failed(Failure),
    NeverOffered(Unoffered),
}

/// When a segment that came was asked for, and came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Came {
    pub(super) intended: Instant,
    pub(super) asked: Instant,
    pub(super) first_byte: Instant,
    pub(super) last_byte: Instant,
}

/// One interval being filled for each phase.
pub(super) struct Tally {
    filling: Vec<Interval>,
    used: Vec<bool>,
    exchange: Exchange,
    begin: Instant,
    next: Instant,
    latest: usize,
    under_way: usize,
    wall_at: Instant,
    cpu_at: Duration,
}

impl Tally {
    /// The books of a thread for a run of so many phases that begins at `begin`.
    pub(super) fn new(exchange: Exchange, phases: usize, begin: Instant, now: Instant) -> Self {
        let filling = (0..phases).map(|phase| exchange.fresh(phase)).collect();
        Self {
            filling,
            used: vec![false; phases],
            exchange,
            begin,
            next: begin + SECOND,
            latest: 0,
            under_way: 0,
            wall_at: now,
            cpu_at: cpu_time(),
        }
    }

    fn of(&mut self, phase: usize) -> &mut Interval {
        self.used[phase] = true;
        &mut self.filling[phase]
    }

    /// A segment's time has come.
    pub(super) fn intended(&mut self, phase: usize) {
        self.of(phase).ledger.intended += 1;
    }

    /// A segment is asked for, `lag` after it could have been.
    pub(super) fn asked(&mut self, phase: usize, class: Class, lag: Duration) {
        self.of(phase).times.class_mut(class).send_lag.record(lag);
    }

    /// A segment has come; its times, whatever its end.
    pub(super) fn came(&mut self, phase: usize, class: Class, came: &Came) {
        let times = self.of(phase).times.class_mut(class);
        let Came { intended, asked, first_byte, last_byte } = *came;
        times.ttfb.service.record(first_byte.saturating_since(asked));
        times.ttfb.response.record(first_byte.saturating_since(intended));
        times.ttlb.service.record(last_byte.saturating_since(asked));
        times.ttlb.response.record(last_byte.saturating_since(intended));
    }

    /// A segment that was asked for ended `service` later, and did not come.
    pub(super) fn unserved(&mut self, service: Duration) {
        let latest = self.latest;
        self.of(latest).health.unserved_time += service;
    }

    /// A session that had `before` segments under way has `after` now: told as it happens to who looks at it.
    pub(super) fn under_way(&mut self, before: usize, after: usize) {
        self.under_way = (self.under_way + after).saturating_sub(before);
        self.exchange.tell(self.under_way);
    }

    /// The end of a segment.
    pub(super) fn ended(&mut self, phase: usize, end: End) {
        let ledger = &mut self.of(phase).ledger;
        match end {
            End::Complete => ledger.complete += 1,
            End::Late => ledger.late += 1,
            End::Lost => ledger.lost += 1,
            End::Refused(code) => *ledger.refused.entry(code).or_default() += 1,
            End::Failed(failure) => *ledger.failed.entry(failure).or_default() += 1,
            End::NeverOffered(cause) => *ledger.never_offered.entry(cause).or_default() += 1,
        }
    }

    /// A session has opened: after its first HELLO, and after it was wanted.
    pub(super) fn opened(&mut self, phase: usize, service: Duration, response: Duration) {
        let open = &mut self.of(phase).times.open;
        open.service.record(service);
        open.response.record(response);
    }

    /// What viewers see now.
    pub(super) fn playout(&mut self) -> &mut Playout {
        let latest = self.latest;
        &mut self.of(latest).playout
    }

    /// Datagrams.
    pub(super) fn wire(&mut self, wire: Wire) {
        let latest = self.latest;
        self.of(latest).wire += wire;
    }

    /// Whether phase `phase` has not begun.
    pub(super) fn is_before(&self, phase: usize) -> bool {
        self.latest < phase
    }

    /// Phase `phase` begins: time and work until `now` are those of the phase before. Sessions that are open are told
    /// where the second ends, once.
    pub(super) fn begin_phase(&mut self, now: Instant, phase: usize) {
        self.note_health(now, 0);
        self.latest = phase;
    }

    /// When the second ends.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Hands the second over, if the observer keeps up. `sessions_open`: now.
    pub(super) fn hand_over(&mut self, now: Instant, sessions_open: u64) {
        self.note_health(now, sessions_open);
        let second = now.saturating_since(self.begin).as_secs();
        self.next = self.begin + SECOND * u32::try_from(second + 1).unwrap_or(u32::MAX);
        for phase in 0..self.filling.len() {
            if std::mem::take(&mut self.used[phase])
                && !self.exchange.swap(&mut self.filling[phase], second)
            {
                self.used[phase] = true;
            }
        }
    }

    /// Hands everything over, whatever it takes: the end.
    pub(super) fn finish(mut self, now: Instant) {
        self.note_health(now, 0);
        for (interval, used) in self.filling.into_iter().zip(self.used) {
            if used {
                self.exchange.send(interval);
            }
        }
    }

    fn note_health(&mut self, now: Instant, sessions_open: u64) {
        let cpu = cpu_time();
        let spent = (cpu.saturating_sub(self.cpu_at), now.saturating_since(self.wall_at));
        (self.cpu_at, self.wall_at) = (cpu, now);
        let latest = self.latest;
        let health = &mut self.of(latest).health;
        health.cpu += spent.0;
        health.wall += spent.1;
        health.sessions_open = sessions_open;
    }
}

/// Processor time of this thread (clock_gettime(2), CLOCK_THREAD_CPUTIME_ID).
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::Observer;
    use super::super::exchange::Desk;
    use super::*;

    /// Phase, second, intentions less ends.
    #[derive(Default)]
    struct Seen(Vec<(usize, u32, i64)>);

    impl Observer for Seen {
        fn interval(&mut self, interval: &Interval) {
            self.0.push((interval.phase, interval.second, interval.ledger.in_flight()));
        }
    }

    #[test]
    fn a_second_goes_over_and_comes_back_and_without_one_it_is_longer() {
        let mut desk = Desk::new(1, 2);
        let exchange = desk.thread(0, 1);
        let at = |seconds: u64| Instant::from_nanos(seconds * 1_000_000_000);
        let mut tally = Tally::new(exchange, 2, at(0), at(0));
        tally.intended(0);
        tally.asked(0, Class::Start, Duration::ZERO);
        tally.hand_over(at(1), 1);
        // The one spare interval is with the observer: these two go together.
        tally.intended(1);
        tally.begin_phase(at(1), 1);
        tally.hand_over(at(2), 1);
        tally.ended(0, End::Complete);
        tally.finish(at(3));
        desk.close();
        let mut seen = Seen::default();
        desk.collect(&mut seen);
        assert_eq!(seen.0, [(0, 0, 1), (0, 1, -1), (1, 0, 1)]);
    }
}
