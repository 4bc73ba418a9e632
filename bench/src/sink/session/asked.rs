//! What a session asked for, segments or pieces of them, and how far each of them was sent.

use std::ops::Range;
use std::time::Duration;

use anyhow::Context as _;
use segcast_proto::limits::{RANGES_MAX, REQUESTS_MAX};
use segcast_proto::time::Instant;
use segcast_proto::wire::status::Status;

use super::{Open, Plan, REPEAT, REPEAT_MAX};

/// Bytes of a finished request that come later than this after the server said so were never sent.
const LATE: Duration = Duration::from_secs(2);

/// One request. Every byte of its span must be sent once: the server repeats nothing that was not asked for again.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) id: u32,
    pub(super) segment: u32,
    /// The bytes of the segment that it asks for.
    pub(super) span: Range<u32>,
    /// How far they were sent, from the span's beginning.
    sent_to: u32,
    /// What was sent beyond: single datagrams come by another way than trains, and may be overtaken.
    ahead: Vec<Range<u32>>,
    pub(super) cancelled: bool,
    /// When the server said that all of it is sent, if some of it has not come yet.
    finished: Option<Instant>,
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

    fn is_complete(&self) -> bool {
        self.sent_to == self.span.end
    }

    /// Makes it go again; `highest`: of the requests that the server is known to have. A cancelled one up to there is
    /// cancelled again; one beyond may never have come, and then a CANCEL alone says nothing to the server.
    fn repeat(&mut self, now: Instant, highest: u32, cancels: &mut Vec<u32>) {
        if self.cancelled && self.id <= highest {
            self.sent = Some(now);
            cancels.push(self.id);
        } else {
            self.sent = None;
        }
    }
}

impl Open {
    /// Asks for as many segments as may be outstanding, in the session's own order.
    pub(super) fn ask(&mut self, plan: &Plan) {
        if self.held.is_some() {
            return;
        }
        while self.asked.len() < self.outstanding {
            let oldest = self.asked.iter().map(|asked| asked.id).min();
            if oldest.is_some_and(|oldest| (self.last_id + 1 - oldest) as usize >= REQUESTS_MAX) {
                return;
            }
            let (segment, span) = self.next_piece(plan);
            self.last_id += 1;
            self.asked.push(Asked {
                id: self.last_id,
                segment,
                sent_to: span.start,
                span,
                ahead: Vec::new(),
                cancelled: false,
                finished: None,
                sent: None,
                sends: 0,
            });
        }
    }

    /// What to ask for next: the rest of the last segment, or a new one, as much of it as one request can name.
    fn next_piece(&mut self, plan: &Plan) -> (u32, Range<u32>) {
        let rest = self.rest.take();
        let (segment, start) = rest.unwrap_or_else(|| (self.draw(plan), 0));
        let most = plan.range_bytes.map_or(u32::MAX, |bytes| bytes * RANGES_MAX as u32);
        let end = start.saturating_add(most).min(plan.segment_bytes);
        self.rest = (end < plan.segment_bytes).then_some((segment, end));
        (segment, start..end)
    }

    /// A segment that is not under way.
    fn draw(&mut self, plan: &Plan) -> u32 {
        let segments = u64::from(plan.segments.div_ceil(plan.spread));
        loop {
            let segment = ((u64::from(self.random()) * segments) >> 32) as u32 * plan.spread;
            if self.asked.iter().all(|asked| asked.segment != segment) {
                return segment;
            }
        }
    }

    fn random(&mut self) -> u32 {
        self.order = self.order.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.order;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z >> 32) as u32
    }

    /// The server refused a request for now: it is forgotten, and nothing is asked for until it may be. False when it was not
    /// one of those that wait: its REFUSE came twice, or late.
    pub(super) fn refused(&mut self, now: Instant, id: u32, retry_after: Duration) -> bool {
        let before = self.asked.len();
        self.asked.retain(|asked| asked.id != id);
        let random = self.random();
        self.held = Some(self.backoff.refused(now, retry_after, random));
        self.asked.len() < before
    }

    /// Asks on when a refusal's time is over.
    pub(super) fn ask_again(&mut self, now: Instant, plan: &Plan) {
        if self.held.is_some_and(|until| until <= now) {
            self.held = None;
            self.ask(plan);
        }
    }

    /// The request to send now. One that was cancelled goes again only where the server may not know of it: then its
    /// CANCEL follows, which would mean nothing without it.
    pub(super) fn next_to_send(&mut self, now: Instant) -> Option<&Asked> {
        let Self { asked, cancels, .. } = self;
        let asked = asked.iter_mut().find(|asked| asked.sent.is_none())?;
        asked.sent = Some(now);
        asked.sends += 1;
        if asked.cancelled {
            cancels.push(asked.id);
        }
        Some(asked)
    }

    /// Gives up all requests; they stay until the server has said that they are finished.
    pub(super) fn cancel_all(&mut self) {
        self.rest = None;
        let Self { asked, cancels, heard, .. } = self;
        // What was never sent needs no goodbye.
        asked.retain(|asked| asked.sends > 0);
        for asked in asked.iter_mut().filter(|a| !a.cancelled && a.finished.is_none()) {
            asked.cancelled = true;
            // What was to be repeated need not be.
            asked.sent.get_or_insert(*heard);
            cancels.push(asked.id);
        }
    }

    /// Bytes of a segment were sent, from `offset` on.
    pub(super) fn cover(
        &mut self,
        plan: &Plan,
        segment: u32,
        offset: u32,
        bytes: u32,
    ) -> anyhow::Result<()> {
        let mut known = self.asked.iter_mut().chain(&mut self.gone);
        let is_of = |asked: &&mut Asked| asked.segment == segment && asked.span.contains(&offset);
        let Some(asked) = known.find(is_of) else {
            anyhow::bail!("byte {offset} of segment {segment} was sent and not asked for");
        };
        let end = offset.checked_add(bytes).filter(|&end| end <= asked.span.end);
        let end =
            end.with_context(|| format!("segment {segment}: sent past what was asked for"))?;
        anyhow::ensure!(
            asked.cover(offset..end),
            "bytes {offset} to {end} of segment {segment} were sent twice for one request"
        );
        if asked.finished.is_some() && asked.is_complete() {
            let id = asked.id;
            self.asked.retain(|asked| asked.id != id);
            self.backoff.served();
            self.ask(plan);
        }
        Ok(())
    }

    /// A STATUS came: finished requests go, lost ones are repeated. A cancelled one may be finished although it was never
    /// received: CANCEL is enough for that, if the server knows of a later one.
    pub(super) fn status(
        &mut self,
        now: Instant,
        plan: &Plan,
        highest: u32,
        status: &Status,
    ) -> anyhow::Result<()> {
        self.highest = self.highest.max(highest);
        let Self { asked, cancels, gone, backoff, .. } = self;
        asked.retain_mut(|asked| {
            let Some(back) = highest.checked_sub(asked.id) else { return true };
            let has = |map: u64| 1_u64.checked_shl(back).is_none_or(|bit| map & bit != 0);
            if has(status.finished) {
                asked.finished.get_or_insert(now);
                if asked.cancelled {
                    gone.push(asked.clone());
                } else if asked.is_complete() {
                    backoff.served();
                }
                return !asked.cancelled && !asked.is_complete();
            }
            let overtaken = asked.sent.is_some_and(|at| now.saturating_since(at) > REPEAT);
            if !has(status.received) && overtaken {
                asked.repeat(now, highest, cancels);
            }
            true
        });
        self.check_finished(now)?;
        self.ask(plan);
        Ok(())
    }

    /// What is finished has come. STATUS may overtake the last train: a send that finds its socket's buffer full waits,
    /// and the next one may not have to.
    pub(super) fn check_finished(&self, now: Instant) -> anyhow::Result<()> {
        for asked in &self.asked {
            let late = asked.finished.is_some_and(|at| now.saturating_since(at) > LATE);
            let (segment, sent_to) = (asked.segment, asked.sent_to);
            anyhow::ensure!(
                !late,
                "segment {segment} was finished and only {sent_to} bytes sent in order"
            );
        }
        Ok(())
    }

    /// Nothing came for long: the oldest request goes again.
    pub(super) fn probe(&mut self, now: Instant) {
        self.heard = now;
        self.patience = (self.patience * 2).min(REPEAT_MAX);
        let Self { asked, cancels, highest, .. } = self;
        if let Some(oldest) = asked.first_mut() {
            oldest.repeat(now, *highest, cancels);
        }
    }
}

#[cfg(test)]
mod tests {
    use segcast_proto::crypto::{Opener, Sealer, Secret, Suite};
    use segcast_proto::ids::ReceiverIndex;
    use segcast_proto::session::client::{Backoff, Reports};
    use segcast_proto::wire::PacketType;

    use super::super::HeadReader;
    use super::super::{Seen, Title, WINDOW};
    use super::*;

    const PLAN: Plan = Plan {
        title: Title::new(1),
        segments: 100,
        segment_bytes: 1 << 20,
        spread: 1,
        range_bytes: None,
        outstanding: 3,
        room_bytes: 1 << 30,
        datagram_max: 1440,
        report_packets: 32,
        report_after: REPEAT,
        edge_public: [0; 32],
    };

    /// A session that asks, and a server that opens what the session sends.
    fn asking() -> (Open, Opener) {
        let (up, down) = (|| Secret::new([1; 32]), Secret::new([2; 32]));
        let now = Instant::ZERO;
        let mut open = Open {
            pulse: None,
            sealer: Sealer::new(Suite::Aes128Gcm, up(), now),
            head: HeadReader::new(&down),
            opener: Opener::new(Suite::Aes128Gcm, down, WINDOW),
            server: ReceiverIndex(5),
            reports: Reports::default(),
            unreported: 0,
            report_due: None,
            seen: Seen::default(),
            asked: Vec::new(),
            gone: Vec::new(),
            outstanding: PLAN.outstanding,
            rest: None,
            last_id: 0,
            highest: 0,
            cancels: Vec::new(),
            order: 7,
            heard: now,
            patience: REPEAT,
            last_train: None,
            backoff: Backoff::default(),
            held: None,
        };
        open.ask(&PLAN);
        (open, Opener::new(Suite::Aes128Gcm, up(), WINDOW))
    }

    /// What the session sends now: kinds of packets, and the requests that they are about.
    fn sent(open: &mut Open, server: &mut Opener, now: Instant) -> Vec<(PacketType, u32)> {
        let (mut out, mut all) = ([0; 1280], Vec::new());
        while let Some(len) = open.poll(now, &PLAN, &mut out).unwrap() {
            let opened = server.open(now, &mut out[..len]).unwrap();
            all.push((opened.header.packet_type, opened.frame.offset));
        }
        all
    }

    /// STATUS with these maps for ids from `highest` down.
    fn status(open: &mut Open, now: Instant, highest: u32, received: u64, finished: u64) {
        let status = Status { received, finished, next_sequence: 0 };
        open.heard = now;
        open.status(now, &PLAN, highest, &status).unwrap();
    }

    #[test]
    fn a_cancelled_request_that_may_never_have_come_goes_again_with_its_cancel() {
        use PacketType::{Cancel, Request};
        let (mut open, mut server) = asking();
        let mut now = Instant::ZERO;
        assert_eq!(sent(&mut open, &mut server, now), [(Request, 1), (Request, 2), (Request, 3)]);
        open.outstanding = 0;
        open.cancel_all();
        assert_eq!(sent(&mut open, &mut server, now), [(Cancel, 3), (Cancel, 2), (Cancel, 1)]);
        // REQUEST 1 was lost, and of 2 and 3 everything: the server knows of none of them.
        status(&mut open, now, 0, 0, 0);
        for round in 0..3 {
            now += REPEAT * (1 << round);
            let again = sent(&mut open, &mut server, now);
            assert_eq!(again, [(Request, 1), (Cancel, 1)], "round {round}");
        }
        status(&mut open, now, 1, 1, 1);
        now += REPEAT_MAX;
        assert_eq!(sent(&mut open, &mut server, now), [(Request, 2), (Cancel, 2)]);
        // Now 2 is lost and 3 comes, but no CANCEL: that of 2 alone is enough.
        status(&mut open, now, 3, 0b101, 0b100);
        now += REPEAT_MAX;
        assert_eq!(sent(&mut open, &mut server, now), [(Cancel, 2)]);
        status(&mut open, now, 3, 0b101, 0b110);
        now += REPEAT_MAX;
        assert_eq!(sent(&mut open, &mut server, now), [(Cancel, 3)]);
        status(&mut open, now, 3, 0b101, 0b111);
        assert!(open.asked.is_empty());
    }

    #[test]
    fn what_was_refused_is_asked_for_anew_and_not_before_its_time() {
        use PacketType::Request;
        let (mut open, mut server) = asking();
        let mut now = Instant::ZERO;
        assert_eq!(sent(&mut open, &mut server, now).len(), 3);
        let wait = Duration::from_millis(700);
        assert!(open.refused(now, 2, wait) && open.refused(now, 1, wait));
        assert!(!open.refused(now, 2, wait), "the same REFUSE again");
        now += wait - Duration::from_millis(1);
        // The third is still under way; nothing new is asked for beside it.
        status(&mut open, now, 3, 0b111, 0b110);
        assert_eq!(sent(&mut open, &mut server, now), []);
        assert_eq!(open.asked.iter().map(|asked| asked.id).collect::<Vec<_>>(), [3]);
        // A quarter of the wait is added at the most.
        now += wait / 4 + Duration::from_millis(1);
        open.heard = now;
        assert_eq!(sent(&mut open, &mut server, now), [(Request, 4), (Request, 5)]);
    }

    #[test]
    fn a_segment_is_asked_for_in_as_many_requests_as_its_ranges_need() {
        let (mut open, _) = asking();
        let plan = Plan { range_bytes: Some(4 * 1392), ..PLAN };
        let pieces: Vec<_> = (0..6).map(|_| open.next_piece(&plan)).collect();
        for pieces in pieces.chunks(3) {
            let segment = pieces[0].0;
            let spans = pieces.iter().map(|(of, span)| (*of, span.start, span.end));
            let most = 64 * 4 * 1392;
            let cut = [0, most, 2 * most, PLAN.segment_bytes];
            assert!(spans.eq(cut.windows(2).map(|cut| (segment, cut[0], cut[1]))), "{pieces:?}");
        }
    }

    #[test]
    fn bytes_may_be_overtaken_and_never_come_twice() {
        let mut asked = Asked {
            id: 1,
            segment: 0,
            span: 0..100,
            sent_to: 0,
            ahead: Vec::new(),
            cancelled: false,
            finished: None,
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
