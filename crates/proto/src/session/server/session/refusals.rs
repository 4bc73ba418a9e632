//! Requests that are not served: a REFUSE says why, and when to come again.

use super::requests::Queued;
use super::state::Session;
use super::work::{Refusal, STATUS_DELAY};
use crate::faults::{Fault, planted};
use crate::limits::REQUESTS_MAX;
use crate::time::{Duration, Instant};
use crate::wire::FrameHeader;
use crate::wire::code::Code;

/// Why a request is not taken in.
pub(super) struct Refused {
    pub(super) code: Code,
    /// When to come again; zero: not said.
    pub(super) retry_after: Duration,
}

impl From<Code> for Refused {
    fn from(code: Code) -> Self {
        Self { code, retry_after: Duration::ZERO }
    }
}

impl Session {
    /// Queues a REFUSE; the request is finished.
    pub(super) fn refuse(&mut self, now: Instant, frame: &FrameHeader, refused: &Refused) {
        // Rounded up: who comes a moment early is refused again.
        let millis = refused.retry_after.as_nanos().div_ceil(1_000_000);
        self.push_refusal(
            now,
            Refusal {
                id: frame.request(),
                handle: frame.set_handle,
                object: frame.object,
                code: refused.code,
                retry_after_ms: u32::try_from(millis).unwrap_or(u32::MAX),
            },
        );
    }

    /// Queues a REFUSE for a request that was taken in and cannot be served.
    pub(super) fn refuse_queued(&mut self, now: Instant, request: &Queued, code: Code) {
        let Queued { id, handle, object, .. } = *request;
        self.push_refusal(now, Refusal { id, handle, object, code, retry_after_ms: 0 });
    }

    /// Queues a REFUSE. A client that does not take them in loses the surplus: STATUS still says `finished`.
    fn push_refusal(&mut self, now: Instant, refusal: Refusal) {
        self.window.finish(refusal.id);
        let work = self.work(now);
        if work.refusals.len() < REQUESTS_MAX && !planted(Fault::RefusalDropped) {
            work.refusals.push_back(refusal);
        }
        work.status.by(now + STATUS_DELAY);
    }
}
