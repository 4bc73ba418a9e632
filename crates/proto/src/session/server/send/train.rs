//! One train: whether the rate model allows it, what the most urgent request wants, and what the shard counts of it.

use rand_core::RngCore;

use super::lookahead::look_ahead;
use super::transmit::{Step, Written};
use crate::session::server::Endpoint;
use crate::session::server::session::data::{Next, Piece};
use crate::session::server::source::SegmentSource;
use crate::time::Instant;

impl Endpoint {
    /// One train of the most urgent request.
    pub(super) fn train<S: SegmentSource>(
        &mut self,
        now: Instant,
        slot: u32,
        source: &S,
        out: &mut [u8],
    ) -> Step {
        let rng = &mut self.rng;
        let Some(session) = self.table.session_mut(slot) else { return Ok(None) };
        if !session.has_data() {
            return Ok(None);
        }
        session.begin_sending(now, || {
            let mut key = [0; 16];
            rng.fill_bytes(&mut key);
            key
        });
        session.share_rate_cap(&self.clients);
        let waited = self.schedule.waited(slot, now);
        let Some(budget) = session.train_budget(now, waited) else { return Ok(None) };
        let Some(piece) = self.next_piece(now, slot, source) else { return Ok(None) };
        // The next sessions' memory comes while this one's bytes are sealed.
        look_ahead(&self.schedule, &self.table, source);
        let Some(session) = self.table.session_mut(slot) else { return Ok(None) };
        self.counters.skipped += u64::from(session.skip());
        let train = session.seal_train(now, &piece, budget, source, out)?;
        self.egress.sent(now, train.len as u64);
        self.overload.set_share(self.egress.share());
        self.overload.sent(now, train.owed, train.len as u64);
        self.counters.trains += 1;
        self.counters.data_bytes += train.payload;
        self.counters.repaired_bytes += if train.repair { train.payload } else { 0 };
        Ok(Some(Written {
            len: train.len,
            datagram_bytes: train.datagram_bytes,
            datagrams: train.datagrams,
            data: Some((train.set, train.object)),
            path: None,
        }))
    }

    /// Notes bytes that left to groups: they count in what the edge may send, and in how loaded it is.
    pub fn sent_to_group(&mut self, now: Instant, bytes: u64) {
        self.egress.sent(now, bytes);
        self.overload.set_share(self.egress.share());
        self.overload.sent(now, 0, bytes);
    }

    /// What the session in `slot` is to be sent next. Requests that cannot be served wait for their object or are
    /// refused.
    fn next_piece<'a, S: SegmentSource>(
        &mut self,
        now: Instant,
        slot: u32,
        source: &'a S,
    ) -> Option<Piece<'a>> {
        let session = self.table.session_mut(slot)?;
        loop {
            match session.next_piece(now, source)? {
                Next::Piece(piece) => return Some(piece),
                Next::Waits { set, object } => {
                    self.counters.waits += 1;
                    self.waiters.join(slot, (set, object));
                }
                Next::Refused(code) => self.counters.requests_refused.add(code),
            }
        }
    }
}
