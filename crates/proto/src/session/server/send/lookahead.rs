//! Asks for what the next sessions will need while a train is sealed: with a thousand sessions none of it is in the cache.
//!
//! Each step finds the address of the next one, so a session is looked at four times, a turn apart: where it lies, what
//! it has to do, the cipher's context and the request, and the first bytes to seal.

use super::schedule::Schedule;
use crate::session::server::door::table::Table;
use crate::session::server::source::SegmentSource;

/// Looks at the sessions whose turns come next; nothing that is found here is relied on.
pub(super) fn look_ahead<S: SegmentSource>(schedule: &Schedule, table: &Table, source: &S) {
    let upcoming = |turns| table.session(schedule.upcoming(turns)?);
    let [fourth, third, second, next] = [3, 2, 1, 0].map(upcoming);
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
