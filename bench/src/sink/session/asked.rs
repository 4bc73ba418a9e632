//! The segments that a session asked for, and how far each of them was sent.

use std::ops::Range;

use anyhow::Context as _;
use segcast_proto::limits::REQUESTS_MAX;
use segcast_proto::time::Instant;
use segcast_proto::wire::status::Status;

use super::{Open, Plan, REPEAT};

/// One request. Every byte of its segment must be sent once: the server repeats nothing that was not asked for again.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) id: u32,
    pub(super) segment: u32,
    /// Bytes of it that were sent, from its beginning.
    sent_to: u32,
    /// What was sent beyond: single datagrams come by another way than trains, and may be overtaken.
    ahead: Vec<Range<u32>>,
    pub(super) cancelled: bool,
    /// When the request went out last; none: it is to go.
    pub(super) sent: Option<Instant>,
    sends: u32,
}

impl Asked {
    /// Bytes of the segment were sent; false when some of them were sent before.
    fn cover(&mut self, sent: Range<u32>) -> bool {
        let twice = |piece: &Range<u32>| piece.start < sent.end && sent.start < piece.end;
        if sent.start < self.sent_to || self.ahead.iter().any(twice) {
            return false;
        }
        self.ahead.push(sent);
        while let Some(at) = self.ahead.iter().position(|piece| piece.start == self.sent_to) {
            self.sent_to = self.ahead.swap_remove(at).end;
        }
        true
    }

    /// Whether the server may know of it.
    pub(super) fn was_sent(&self) -> bool {
        self.sends > 0
    }
}

impl Open {
    /// Asks for as many segments as may be outstanding, in the session's own order.
    pub(super) fn ask(&mut self, plan: &Plan) {
        while self.asked.len() < self.outstanding {
            let oldest = self.asked.iter().map(|asked| asked.id).min();
            if oldest.is_some_and(|oldest| (self.last_id + 1 - oldest) as usize >= REQUESTS_MAX) {
                return;
            }
            let segment = self.draw(plan.segments);
            self.last_id += 1;
            self.asked.push(Asked {
                id: self.last_id,
                segment,
                sent_to: 0,
                ahead: Vec::new(),
                cancelled: false,
                sent: None,
                sends: 0,
            });
        }
    }

    /// A segment that is not under way.
    fn draw(&mut self, segments: u32) -> u32 {
        loop {
            self.order = self.order.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.order;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let segment = (((z >> 32) * u64::from(segments)) >> 32) as u32;
            if self.asked.iter().all(|asked| asked.segment != segment) {
                return segment;
            }
        }
    }

    /// The request to send now.
    pub(super) fn next_to_send(&mut self, now: Instant) -> Option<&Asked> {
        let asked = self.asked.iter_mut().find(|asked| asked.sent.is_none())?;
        asked.sent = Some(now);
        asked.sends += 1;
        Some(asked)
    }

    /// Bytes of a segment were sent, from `offset` on.
    pub(super) fn cover(
        &mut self,
        plan: &Plan,
        segment: u32,
        offset: u32,
        bytes: u32,
    ) -> anyhow::Result<()> {
        let asked = self.asked.iter_mut().find(|asked| asked.segment == segment);
        let Some(asked) = asked else {
            anyhow::bail!("segment {segment} was sent and not asked for");
        };
        let end = offset.checked_add(bytes).filter(|&end| end <= plan.segment_bytes);
        let end = end.with_context(|| format!("segment {segment} was sent past its end"))?;
        anyhow::ensure!(
            asked.cover(offset..end),
            "bytes {offset} to {end} of segment {segment} were sent twice for one request"
        );
        Ok(())
    }

    /// A STATUS came: finished requests go, lost ones are repeated.
    pub(super) fn status(
        &mut self,
        now: Instant,
        plan: &Plan,
        highest: u32,
        status: &Status,
    ) -> anyhow::Result<()> {
        let mut early = None;
        self.asked.retain_mut(|asked| {
            let Some(back) = highest.checked_sub(asked.id) else { return true };
            let bit = 1_u64.checked_shl(back).unwrap_or(0);
            if status.received & bit == 0 && back < 64 {
                let overtaken = asked.sent.is_some_and(|at| now.saturating_since(at) > REPEAT);
                asked.sent = asked.sent.filter(|_| !overtaken);
                return true;
            }
            let finished = back >= 64 || status.finished & bit != 0;
            if finished && !asked.cancelled && asked.sent_to != plan.segment_bytes {
                early = Some((asked.segment, asked.sent_to));
            }
            !finished
        });
        if let Some((segment, sent_to)) = early {
            anyhow::bail!("segment {segment} was finished and only {sent_to} bytes sent in order");
        }
        self.ask(plan);
        Ok(())
    }

    /// Nothing came for long: the oldest request goes again.
    pub(super) fn probe(&mut self, now: Instant) {
        self.heard = now;
        if let Some(oldest) = self.asked.first_mut() {
            oldest.sent = None;
            if oldest.cancelled {
                self.cancels.push(oldest.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_may_be_overtaken_and_never_come_twice() {
        let mut asked = Asked {
            id: 1,
            segment: 0,
            sent_to: 0,
            ahead: Vec::new(),
            cancelled: false,
            sent: None,
            sends: 1,
        };
        assert!(asked.cover(0..10));
        assert!(asked.cover(30..40) && asked.cover(20..30));
        assert_eq!((asked.sent_to, asked.ahead.len()), (10, 2));
        assert!(!asked.cover(5..11) && !asked.cover(35..50) && !asked.cover(15..21));
        assert!(asked.cover(10..20));
        assert_eq!((asked.sent_to, asked.ahead.len()), (40, 0));
    }
}
