//! What only a session with something to do needs: boxed, and dropped when the session rests.

use super::requests::RequestQueue;
use crate::congestion::Sender;
use crate::ids::{ObjectNumber, RequestId};
use crate::session::server::send::overload::Owed;
use crate::time::{Duration, Instant};
use crate::wire::code::Code;
use std::collections::VecDeque;

/// STATUS follows a REQUEST within this (section 9).
pub(in crate::session::server) const STATUS_DELAY: Duration = Duration::from_millis(1);

/// What only a session with something to do needs.
pub(in crate::session::server) struct Work {
    pub(in crate::session::server) queue: RequestQueue,
    pub(in crate::session::server) refusals: VecDeque<Refusal>,
    pub(in crate::session::server) pulses: VecDeque<PulseAsked>,
    pub(in crate::session::server) status: StatusTimer,
    /// Made with the first DATA.
    pub(in crate::session::server) sender: Option<Sender>,
    /// First sequence number the sender knows.
    pub(in crate::session::server) sender_base: u64,
    /// Number of the newest REPORT; older ones that arrive late say nothing new.
    pub(in crate::session::server) last_report: u32,
    pub(in crate::session::server) used: Instant,
    /// What overload control counts for the session.
    pub(in crate::session::server) owed: Owed,
}

/// A REFUSE to be sent.
#[derive(Clone, Copy, Debug)]
pub(in crate::session::server) struct Refusal {
    pub(in crate::session::server) id: RequestId,
    pub(in crate::session::server) handle: u32,
    pub(in crate::session::server) object: ObjectNumber,
    pub(in crate::session::server) code: Code,
    pub(in crate::session::server) retry_after_ms: u32,
}

/// A PULSE to be answered.
#[derive(Clone, Copy, Debug)]
pub(in crate::session::server) struct PulseAsked {
    pub(in crate::session::server) handle: u32,
    pub(in crate::session::server) object: ObjectNumber,
    pub(in crate::session::server) number: u32,
    pub(in crate::session::server) echo: u32,
}

/// When STATUS is due, and how often it will be repeated (section 9).
#[derive(Clone, Copy, Debug)]
pub(in crate::session::server) struct StatusTimer {
    pub(in crate::session::server) due: Option<Instant>,
    pub(in crate::session::server) repeats: u8,
}

impl StatusTimer {
    /// STATUS is due at `at` or earlier.
    pub(in crate::session::server) fn by(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }
}

impl Work {
    /// Nothing to do yet.
    pub(in crate::session::server) fn new(now: Instant) -> Self {
        Self {
            queue: RequestQueue::default(),
            refusals: VecDeque::new(),
            pulses: VecDeque::new(),
            status: StatusTimer { due: None, repeats: 0 },
            sender: None,
            sender_base: 0,
            last_report: 0,
            used: now,
            owed: Owed::default(),
        }
    }
}
