//! Asks for what the next sessions will need while a train is sealed: with a thousand sessions none of it is in the cache.
//!
//! Each step finds the address of the next one, so a session is looked at four times, a turn apart: where it lies, what
//! it has to do, the cipher's context and the request, and the first bytes to seal.

use crate::session::server::Endpoint;
use crate::session::server::session::state::Session;
use crate::session::server::source::SegmentSource;

impl Endpoint {
    /// Looks ahead; nothing that is found here is relied on.
    pub(super) fn look_ahead<S: SegmentSource>(&self, source: &S) {
        let [fourth, third, second, next] = [3, 2, 1, 0].map(|turns| self.upcoming(turns));
        if let Some(session) = fourth {
            source.prefetch_value(session);
        }
        if let Some(session) = third {
            session.prefetch_work(source);
        }
        if let Some(session) = second {
            session.prefetch_request(source);
        }
        if let Some(session) = next {
            session.prefetch_plaintext(source);
        }
    }

    /// Who is to send a train after so many others.
    fn upcoming(&self, turns: usize) -> Option<&Session> {
        self.table.session(self.schedule.upcoming(turns)?)
    }
}
