//! What happens when reports stay away: the rate halves for each probe timeout, and sending stops after a second
//! (docs/protocol, section 14; the spirit of RFC 8085, section 3.1.1, and RFC 3448, section 4.4).

use crate::rate::Rate;
use crate::time::{Duration, Instant};

/// Sending stops when nothing was heard for this long.
const STOP: Duration = Duration::from_secs(1);
/// The rate is halved at most so often: a 65 536th is standstill on any path.
const HALVINGS_MAX: u32 = 16;

/// The silence timer. It runs while data is unreported.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Silence {
    /// Since when a report has been due; `None`: no data is unreported.
    since: Option<Instant>,
    next: Option<Instant>,
    /// Probe timeouts in a row.
    timeouts: u32,
    stopped: bool,
    /// What was sent up to here has been unreported for a probe timeout.
    overdue: Option<Instant>,
}

impl Silence {
    /// Data left: a report is due from now on, if none was.
    pub(super) fn on_sent(&mut self, now: Instant, timeout: Duration) {
        if self.since.is_none() && !self.stopped {
            self.since = Some(now);
            self.next = Some(now + timeout);
        }
    }

    /// A valid report came; `due`: data is still unreported.
    pub(super) fn on_report(&mut self, now: Instant, timeout: Duration, due: bool) {
        *self = Self::default();
        if due {
            self.on_sent(now, timeout);
        }
    }

    /// Returns whether a timeout has passed. A path whose timeout is longer than a second gets one of them.
    pub(super) fn on_timer(&mut self, now: Instant, timeout: Duration) -> bool {
        let (Some(since), Some(next)) = (self.since, self.next) else { return false };
        if now < next {
            return false;
        }
        self.timeouts += 1;
        self.overdue = Some(now - timeout);
        self.stopped = now.saturating_since(since) >= STOP;
        self.next = (!self.stopped).then(|| (now + timeout).min((since + STOP).max(now)));
        true
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next
    }

    pub(super) fn stopped(&self) -> bool {
        self.stopped
    }

    pub(super) fn overdue(&self) -> Option<Instant> {
        self.overdue
    }

    /// `rate` after the halvings.
    pub(super) fn slowed(&self, rate: Rate) -> Rate {
        rate.halved(self.timeouts.min(HALVINGS_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(300);

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn the_rate_halves_and_stops_after_a_second() {
        let mut silence = Silence::default();
        assert!(!silence.on_timer(at(5000), TIMEOUT), "nothing is due");
        silence.on_sent(at(0), TIMEOUT);
        silence.on_sent(at(200), TIMEOUT);
        assert_eq!(silence.deadline(), Some(at(300)));
        assert!(!silence.on_timer(at(299), TIMEOUT));
        for (ms, rate) in [(300, 500), (600, 250), (900, 125)] {
            assert!(silence.on_timer(at(ms), TIMEOUT));
            assert_eq!(silence.slowed(Rate::new(1000)), Rate::new(rate));
            assert!(!silence.stopped());
        }
        assert_eq!(silence.deadline(), Some(at(1000)));
        assert!(silence.on_timer(at(1000), TIMEOUT) && silence.stopped());
        assert_eq!(silence.deadline(), None);
    }

    #[test]
    fn a_report_ends_the_silence() {
        let mut silence = Silence::default();
        silence.on_sent(at(0), TIMEOUT);
        silence.on_timer(at(1000), TIMEOUT);
        silence.on_report(at(1001), TIMEOUT, false);
        assert_eq!(
            (silence.slowed(Rate::new(1000)), silence.stopped(), silence.deadline()),
            (Rate::new(1000), false, None)
        );
        silence.on_report(at(1001), TIMEOUT, true);
        assert_eq!(silence.deadline(), Some(at(1301)));
    }
}
