//! What becomes of a session that falls silent: it rests, its client is asked whether it lives, and it ends.

use super::challenge::Challenge;
use super::state::Session;
use super::work::Work;
use crate::session::server::holds::Holds;
use crate::session::server::send::overload::{Overload, Owed};
use crate::session::server::waiters::Waiters;
use crate::time::{Duration, Instant};

/// A session that is silent for this long drops its cipher contexts (some 600 bytes each, 120 ns to build again),
/// and its queue where no rate model lies beside it. Soon, so that a stream of short visits does not hold much.
pub(in crate::session::server) const REST_AFTER: Duration = Duration::from_secs(1);
/// A session without work for this long also drops its rate model.
const IDLE_AFTER: Duration = Duration::from_secs(5);
/// A session that is silent for this long may be dead: a client that waits for something asks at least every 2 s …
pub(in crate::session::server) const DOUBT_AFTER: Duration = Duration::from_secs(2);
/// … and it is, when it has not answered for so long, asked about once a second.
const DEAD_AFTER: Duration = Duration::from_secs(3);

impl Session {
    /// Whether its token is over, and the clock difference that a token's validity allows.
    pub(in crate::session::server) fn token_has_ended(&self, now: Instant) -> bool {
        now >= self.ends
    }

    /// How long nothing authentic has come from its client.
    pub(in crate::session::server) fn silence(&self, now: Instant) -> Duration {
        now.saturating_since(self.heard)
    }

    /// Drops what an idle session does not need.
    ///
    /// A client that waits for something asks at least every 2 s (section 14). One that has been silent for
    /// [`IDLE_AFTER`] is gone: its requests count as finished, and should it come back, it asks anew for what is missing.
    pub(in crate::session::server) fn rest(
        &mut self,
        now: Instant,
        overload: &mut Overload,
        waiters: &mut Waiters,
        holds: &mut Holds,
    ) {
        let owed = self.owed();
        if self.silence(now) >= IDLE_AFTER {
            self.unwant_all(holds);
        }
        self.drop_idle(now);
        if self.work.is_none() {
            overload.recount(owed, Owed::default());
            waiters.leave_all(self.index().slot());
        }
    }

    fn drop_idle(&mut self, now: Instant) {
        if now.saturating_since(self.heard) >= IDLE_AFTER
            && let Some(mut work) = self.work.take()
        {
            work.queue.ids().for_each(|id| self.window.finish(id));
            self.rtt = work.sender.take().map(|sender| sender.min_rtt()).or(self.rtt);
        }
        if self.work.as_ref().is_some_and(|work| !work.is_quiet()) {
            return;
        }
        self.sealer.hibernate();
        self.opener.hibernate(now);
        if self.work.as_ref().is_none_or(|work| work.is_idle(now))
            && let Some(sender) = self.work.take().and_then(|work| work.sender)
        {
            self.rtt = Some(sender.min_rtt());
        }
    }

    /// Asks its client whether it lives, with `secret`; false: it was asked long enough.
    pub(in crate::session::server) fn doubt(&mut self, now: Instant, secret: [u8; 8]) -> bool {
        if self.doubted <= self.heard {
            self.doubted = now;
        } else if now.saturating_since(self.doubted) >= DEAD_AFTER {
            return false;
        }
        self.challenge = Some(Box::new(Challenge::of_life(self.path, secret, now)));
        true
    }
}

impl Work {
    /// Whether no request is left, and none was taken in or served for so long. What its client says beside that, and
    /// asks in vain, does not count: it could go on for ever.
    pub(super) fn is_served_for(&self, now: Instant, time: Duration) -> bool {
        let nothing_left = self.queue.is_empty() && self.refusals.is_empty();
        nothing_left && now.saturating_since(self.served) >= time
    }

    fn is_quiet(&self) -> bool {
        let asked = self.queue.is_empty() && self.refusals.is_empty() && self.pulses.is_empty();
        asked && self.status.due.is_none()
    }

    fn is_idle(&self, now: Instant) -> bool {
        let after = if self.sender.is_some() { IDLE_AFTER } else { REST_AFTER };
        now.saturating_since(self.used) >= after
    }
}
