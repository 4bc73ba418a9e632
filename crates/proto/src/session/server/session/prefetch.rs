//! What of a session the processor may be asked to fetch before its turn comes: each step reads what the one before
//! asked for.

use super::state::Session;
use crate::session::server::source::{Object, SegmentSource};

/// As many datagrams' plaintext as a train cannot ask for itself.
const DATAGRAMS: usize = 2;

impl Session {
    /// Asks for what the session has to do.
    pub(in crate::session::server) fn prefetch_work<S: SegmentSource>(&self, source: &S) {
        if let Some(work) = self.work.as_deref() {
            source.prefetch_value(work);
        }
    }

    /// Asks for the cipher's context and the oldest request.
    pub(in crate::session::server) fn prefetch_request<S: SegmentSource>(&self, source: &S) {
        if let Some(context) = self.sealer.cached_context() {
            source.prefetch_value(context);
        }
        if let Some(request) = self.work.as_ref().and_then(|work| work.queue.front()) {
            source.prefetch_value(request);
        }
    }

    /// Asks for the first bytes that the session will seal.
    pub(in crate::session::server) fn prefetch_plaintext<S: SegmentSource>(&self, source: &S) {
        let Some(work) = self.work.as_deref() else { return };
        let Some((request, range)) = work.queue.most_urgent().and_then(|at| work.queue.peek(at))
        else {
            return;
        };
        if let Object::Ready(bytes) = source.object(request.set, request.object) {
            let end = bytes.len().min(range.end as usize);
            let first = range.start as usize
                ..end.min(range.start as usize + DATAGRAMS * self.size.current());
            source.prefetch(bytes.get(first).unwrap_or_default());
        }
    }
}
