//! Time and trouble: timers, idle sessions, drain, objects that become ready or fail, sends that failed.

use rand_core::RngCore;

use super::Endpoint;
use super::counters;
use super::event::{SendFailure, SendTicket};
use super::session::idle::{DOUBT_AFTER, REST_AFTER};
use crate::faults::{Fault, planted};
use crate::ids::{ObjectNumber, SetIndex};
use crate::time::{Duration, Instant};
use crate::wire::code::Code;

/// A session that asked for something and then fell silent for this long does not hold up a drain.
const DRAIN_SILENCE: Duration = Duration::from_secs(3);
/// Slots looked at in one step of the walk over all slots.
const STEP: u32 = 512;
/// Timers that fire in one call.
const TIMERS_MAX: usize = 1024;
/// Steps come at most this often, and at least that often.
const STEP_MIN: Duration = Duration::from_millis(10);
const STEP_MAX: Duration = Duration::from_secs(1);

/// The walk that finds idle sessions without a timer for each.
#[derive(Debug)]
pub(super) struct Upkeep {
    at: u32,
    next: Instant,
}

impl Upkeep {
    pub(super) fn new(now: Instant) -> Self {
        Self { at: 0, next: now + STEP_MAX }
    }
}

impl Endpoint {
    /// When to call [`Self::handle_timeout`], at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        // What stands in the lists after a `poll_transmit` waits for the shard's own cap, if for anything.
        let waiting = self.schedule.waiting();
        let trains = waiting.trains.then(|| self.egress.free_at());
        let at_once = waiting.notices || !self.telling.is_empty();
        let list = if at_once { Some(Instant::ZERO) } else { trains };
        let times = [list, self.schedule.next_due(), self.table.next_pending_end()];
        let walk = (self.table.sessions() > 0).then_some(self.upkeep.next);
        times.into_iter().flatten().chain(walk).min()
    }

    /// Lets the timers that are due fire; a bounded number in one call.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.table.expire_pending(now);
        self.tell_members(now);
        for _ in 0..TIMERS_MAX {
            let Some(slot) = self.schedule.pop_due(now) else { break };
            let Some(session) = self.table.session_mut(slot) else { continue };
            session.on_timer(now);
            session.on_group_timer(now, &mut self.holds, &mut self.counters);
            self.plan(now, slot, Duration::ZERO);
        }
        if self.upkeep.next <= now {
            self.walk(now);
        }
    }

    /// One step of the walk over all slots: rests idle sessions, closes silent ones and those whose token has ended, drains.
    fn walk(&mut self, now: Instant) {
        self.egress.roll(now);
        let slots = self.table.len();
        for _ in 0..STEP.min(slots) {
            let slot = self.upkeep.at % slots.max(1);
            self.upkeep.at = slot + 1;
            let idle_timeout = self.config.idle_timeout;
            let (draining, cut) = (self.draining, self.cut);
            let Some(session) = self.table.session_mut(slot) else { continue };
            let silent = session.silence(now);
            if session.token_has_ended(now) {
                self.close_session(now, slot, Code::TokenEnded.into());
            } else if silent >= idle_timeout {
                self.close_session(now, slot, Code::Idle.into());
            } else if cut || draining && (session.is_served(now) || silent >= DRAIN_SILENCE) {
                self.close_session(now, slot, Code::Draining.into());
            } else if silent >= DOUBT_AFTER && self.clients.wants_more(session.client(), now) {
                self.doubt(now, slot);
            } else if silent >= REST_AFTER {
                session.rest(now, &mut self.overload, &mut self.waiters, &mut self.holds);
            }
        }
        let pace = STEP_MAX * STEP / slots.max(STEP);
        let pace = if self.draining { STEP_MIN } else { pace };
        self.upkeep.next = now + pace.clamp(STEP_MIN, STEP_MAX);
    }

    /// A client that may have no more sessions wants one: does the one in `slot` live? It takes its own place back
    /// when its client vanished, and never that of a session that answers.
    fn doubt(&mut self, now: Instant, slot: u32) {
        let mut secret = [0; 8];
        self.rng.fill_bytes(&mut secret);
        let Some(session) = self.table.session_mut(slot) else { return };
        if session.doubt(now, secret) {
            self.plan(now, slot, Duration::ZERO);
        } else {
            self.close_session(now, slot, Code::Idle.into());
        }
    }

    /// Refuses new sessions and new requests, finishes what was asked for, repairs too, then closes each session with
    /// DRAINING.
    pub fn drain(&mut self, now: Instant) {
        self.draining = true;
        self.upkeep.next = now;
        self.close_groups(now);
    }

    /// Ends a drain that takes too long: closes the sessions that are left with DRAINING, 51 200 a second.
    pub fn cut(&mut self, now: Instant) {
        self.cut = true;
        self.drain(now);
    }

    /// An object that was asked for by [`Self::next_object`] is resident now, or its set is gone: those who wait for it
    /// are served in their turn as the source then says.
    pub fn object_ready(&mut self, now: Instant, set: SetIndex, object: ObjectNumber) {
        if planted(Fault::WaitersForgotten) {
            return;
        }
        for slot in self.waiters.take((set, object)) {
            let Some(session) = self.table.session_mut(slot) else { continue };
            if session.on_object_ready(set, object) {
                self.plan(now, slot, Duration::ZERO);
            }
        }
    }

    /// An object could not be read: those who wait for it are refused. The caller's source says `Damaged`
    /// from now on, so that the others learn it in their turn.
    pub fn object_failed(&mut self, now: Instant, set: SetIndex, object: ObjectNumber) {
        self.counters.objects_failed += 1;
        for slot in self.waiters.take((set, object)) {
            let Some(session) = self.table.session_mut(slot) else { continue };
            for _ in 0..session.on_object_failed(now, set, object) {
                self.counters.requests_refused.add(Code::SegmentUnavailable);
            }
            self.plan(now, slot, Duration::ZERO);
        }
    }

    /// A transmit could not be sent. Its datagrams count as lost; the client asks for them again.
    pub fn handle_send_failure(&mut self, now: Instant, ticket: SendTicket, failure: SendFailure) {
        if failure == SendFailure::Other {
            self.counters.send_failures += 1;
            return;
        }
        let Some(session) = self.table.session_mut(ticket.slot()) else { return };
        if session.on_too_large(now, ticket.datagram_bytes()) {
            self.counters.size_reset += 1;
        }
        self.plan(now, ticket.slot(), Duration::ZERO);
    }

    /// Gauges that are not counted as things happen.
    #[must_use]
    pub fn gauges(&self) -> counters::Gauges {
        counters::Gauges {
            sessions: self.table.sessions() as u64,
            pending: self.table.pending() as u64,
            waiting_objects: self.waiters.objects() as u64,
            requests: u64::from(self.overload.owed().requests),
            owed_bytes: self.overload.owed().bytes,
            held_segments: self.holds.segments() as u64,
        }
    }

    /// Whether the shard, not the paths of its sessions, decides how fast they are served.
    #[must_use]
    pub fn is_saturated(&self, now: Instant) -> bool {
        self.overload.is_saturated(now)
    }

    /// Tells whether the shard's thread has had no time to spare lately: then it may be saturated although no train
    /// waits for long, as reports and requests wait in the sockets.
    pub fn set_pressed(&mut self, now: Instant, pressed: bool) {
        self.overload.set_pressed(now, pressed);
    }
}
