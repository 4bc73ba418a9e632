//! Asks for what the next sessions will need while a train is sealed: with a thousand sessions none of it is in the cache.
//!
//! Each step finds the address of the next one, so a session is looked at four times, a turn apart: where it lies, what
//! it has to do, the cipher's context and the request, and the first bytes to seal.

use crate::session::server::Endpoint;
use crate::session::server::session::state::Session;
use crate::session::server::source::{Object, SegmentSource};

/// As many datagrams' plaintext as a train cannot ask for itself.
const DATAGRAMS: usize = 2;

impl Endpoint {
    /// Looks ahead; nothing that is found here is relied on.
    pub(in crate::session::server) fn look_ahead<S: SegmentSource>(&self, source: &S) {
        let [fourth, third, second, next] = [3, 2, 1, 0].map(|turns| self.upcoming(turns));
        if let Some(session) = fourth {
            source.prefetch_value(session);
        }
        if let Some(work) = third.and_then(|session| session.work.as_deref()) {
            source.prefetch_value(work);
        }
        if let Some(session) = second {
            if let Some(context) = session.sealer.cached_context() {
                source.prefetch_value(context);
            }
            if let Some(request) = session.work.as_ref().and_then(|work| work.queue.front()) {
                source.prefetch_value(request);
            }
        }
        if let Some(session) = next {
            prefetch_plaintext(session, source);
        }
    }

    /// Who is to send a train after so many others.
    fn upcoming(&self, turns: usize) -> Option<&Session> {
        self.table.session(self.schedule.upcoming(turns)?)
    }
}

/// Asks for the first bytes that the session will seal.
fn prefetch_plaintext<S: SegmentSource>(session: &Session, source: &S) {
    let Some(work) = session.work.as_deref() else { return };
    let Some((request, range)) = work.queue.most_urgent().and_then(|at| work.queue.peek(at)) else {
        return;
    };
    if let Object::Ready(bytes) = source.object(request.set, request.object) {
        let end = bytes.len().min(range.end as usize);
        let first = range.start as usize
            ..end.min(range.start as usize + DATAGRAMS * session.size.current());
        source.prefetch(bytes.get(first).unwrap_or_default());
    }
}
