//! What a viewer's session tells, and what follows: segments that came or were refused, sessions that opened or went.

use segcast_proto::session::client::{ClientEvent, ClientStats, Fetched};
use segcast_proto::time::{Duration, Instant};

use super::{HOLD_LEAST, Link, RETRY_FIRST, RETRY_LAST, Viewer};
use crate::record::{Failure, Unoffered};
use crate::run::setting::Setting;
use crate::run::tally::{Came, End, Tally};

impl Viewer {
    pub(super) fn on_event(
        &mut self,
        setting: &Setting<'_>,
        now: Instant,
        event: ClientEvent,
        tally: &mut Tally,
    ) {
        match event {
            ClientEvent::Open => self.on_open(setting, now, tally),
            ClientEvent::Object(mut fetched) => {
                if self.on_leaves(setting, now, fetched.object, &fetched.bytes) {
                    return;
                }
                self.compute(fetched.object, &mut fetched.bytes);
                self.on_object(setting, &fetched, tally);
                setting.buffers.give_back(fetched.bytes);
            }
            ClientEvent::ObjectRefused { handle, object, code, retry_after } => {
                self.hold = now + retry_after;
                if !setting.is_paced() {
                    self.hold = self.hold.max(now + HOLD_LEAST);
                }
                if let Some(segment) = self.take(handle, object) {
                    self.note_free(now);
                    self.end_segment(segment, End::Refused(code), now, tally);
                }
            }
            ClientEvent::Refused { code, retry_after } => {
                self.lose(now, retry_after, End::Refused(code), Failure::SessionClosed, tally);
            }
            ClientEvent::Closed { .. } => {
                let end = End::NeverOffered(Unoffered::NoSession);
                self.lose(now, Duration::ZERO, end, Failure::SessionClosed, tally);
            }
            ClientEvent::TimedOut => {
                let end = End::NeverOffered(Unoffered::NoSession);
                self.lose(now, Duration::ZERO, end, Failure::SessionLost, tally);
            }
            ClientEvent::Unresponsive | ClientEvent::PulseReply { .. } => {}
        }
    }

    fn on_open(&mut self, setting: &Setting<'_>, now: Instant, tally: &mut Tally) {
        let Link::Opening(since) = self.link else { return };
        (self.link, self.possible, self.retry) = (Link::Open, now, RETRY_FIRST);
        let phase = setting.phase_at(self.wanted);
        if let Some(groups) = self.watching.as_mut().and_then(|watching| watching.groups.as_mut()) {
            groups.on_session();
        }
        tally.opened(phase, now.saturating_since(since), now.saturating_since(self.wanted));
        if !setting.is_paced() {
            // What waited may have been given up on.
            self.fill(setting, now, tally);
        }
    }

    fn on_object(&mut self, setting: &Setting<'_>, fetched: &Fetched, tally: &mut Tally) {
        let Some(segment) = self.take(fetched.handle, fetched.object) else { return };
        self.note_free(fetched.complete);
        let came = Came {
            intended: segment.intended,
            asked: fetched.asked,
            first_byte: fetched.first_byte,
            last_byte: fetched.complete + setting.config.late,
        };
        let end = if !setting.is_right(&segment, &fetched.bytes) {
            End::Failed(Failure::WrongBytes)
        } else if fetched.complete > segment.deadline {
            End::Late
        } else {
            End::Complete
        };
        if matches!(end, End::Complete | End::Late) {
            tally.came(segment.phase, segment.class, &came);
        } else {
            tally.unserved(fetched.complete.saturating_since(fetched.asked));
        }
        self.end_known(segment, end, fetched.complete, tally);
        if !setting.is_paced() {
            self.fill(setting, fetched.complete, tally);
        }
    }

    /// The session has gone. What waits ends as `waiting`, what was asked for has failed.
    fn lose(
        &mut self,
        now: Instant,
        retry_after: Duration,
        waiting: End,
        failure: Failure,
        tally: &mut Tally,
    ) {
        self.link = Link::Waiting(now + retry_after.max(self.retry));
        self.retry = (self.retry * 2).min(RETRY_LAST);
        self.possible = Instant::FAR_FUTURE;
        self.end_waiting(waiting, tally);
        self.end_asked(now, End::Failed(failure), tally);
    }

    pub(super) fn reopen(&mut self, setting: &Setting<'_>, now: Instant, tally: &mut Tally) {
        tally.wire(self.wire());
        match setting.session(self.viewing.seat, self.index) {
            Ok(session) => {
                self.session = session;
                (self.link, self.wanted) = (Link::Opening(now), now);
                self.counted = ClientStats::default();
                if !setting.is_paced() {
                    self.fill(setting, now, tally);
                }
            }
            Err(error) => {
                tracing::debug!(%error, "a session could not begin again");
                self.link = Link::Waiting(now + RETRY_LAST);
            }
        }
    }
}
