//! What only a session with something to do needs: boxed, and dropped when the session rests.

use std::collections::VecDeque;

use super::requests::RequestQueue;
use crate::congestion::Sender;
use crate::ids::{ObjectNumber, RequestId, SetHandle};
use crate::session::server::send::overload::Owed;
use crate::time::{Duration, Instant};
use crate::wire::code::Code;

/// STATUS follows a REQUEST within this (section 9).
pub(super) const STATUS_DELAY: Duration = Duration::from_millis(1);

/// What only a session with something to do needs.
pub(super) struct Work {
    pub(super) queue: RequestQueue,
    pub(super) refusals: VecDeque<Refusal>,
    pub(super) pulses: VecDeque<PulseAsked>,
    pub(super) status: StatusTimer,
    /// Made with the first DATA.
    pub(super) sender: Option<Sender>,
    /// First sequence number the sender knows.
    pub(super) sender_base: u64,
    pub(super) used: Instant,
    /// When a request was taken in last, or DATA for one was sent or under way.
    pub(super) served: Instant,
    /// What overload control counts for the session.
    pub(super) owed: Owed,
}

/// A REFUSE to be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    pub(super) id: RequestId,
    pub(super) handle: SetHandle,
    pub(super) object: ObjectNumber,
    pub(super) code: Code,
    pub(super) retry_after_ms: u32,
}

/// A PULSE to be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct PulseAsked {
    pub(super) handle: SetHandle,
    pub(super) object: ObjectNumber,
    pub(super) number: u32,
    pub(super) echo: u32,
}

/// When STATUS is due, and how often it will be repeated (section 9).
#[derive(Clone, Copy, Debug)]
pub(super) struct StatusTimer {
    pub(super) due: Option<Instant>,
    pub(super) repeats: u8,
}

impl StatusTimer {
    /// STATUS is due at `at` or earlier.
    pub(super) fn by(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }
}

impl Work {
    /// Nothing to do yet.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            queue: RequestQueue::default(),
            refusals: VecDeque::new(),
            pulses: VecDeque::new(),
            status: StatusTimer { due: None, repeats: 0 },
            sender: None,
            sender_base: 0,
            used: now,
            served: now,
            owed: Owed::default(),
        }
    }
}
