//! What a session sends: HELLO, PULSE, then CANCEL, REPORT and REQUEST, one datagram at a time.

use std::ops::Range;

use anyhow::Context as _;
use segcast_proto::ids::{ObjectNumber, SetHandle};
use segcast_proto::time::Instant;
use segcast_proto::wire::request::Request;
use segcast_proto::wire::{ByteRanges, FrameHeader, PacketType, Pulse};

use super::{Open, Plan, REPEAT, Session};

/// When segments are needed, from the request on: all alike, so that they are served in the order of asking.
const DEADLINE_MS: u32 = 1000;
const EMPTY: FrameHeader =
    FrameHeader { set_handle: SetHandle::FIRST, object: ObjectNumber(0), offset: 0, send_time: 0 };

impl Session {
    /// Writes the next datagram into `out`; gives its length.
    pub(in crate::sink) fn poll(
        &mut self,
        now: Instant,
        plan: &Plan,
        out: &mut [u8],
    ) -> anyhow::Result<Option<usize>> {
        let number = self.number;
        if let Some(opening) = &mut self.opening {
            let hello = opening.poll(now).with_context(|| format!("session {number}"))?;
            return Ok(hello.map(|hello| {
                out[..hello.len()].copy_from_slice(hello);
                hello.len()
            }));
        }
        let Some(open) = &mut self.open else { return Ok(None) };
        let sent = open.poll(now, plan, out).with_context(|| format!("session {number}"));
        self.tally.requests = open.last_id.into();
        sent
    }
}

impl Open {
    pub(super) fn poll(
        &mut self,
        now: Instant,
        plan: &Plan,
        out: &mut [u8],
    ) -> anyhow::Result<Option<usize>> {
        self.ask_again(now, plan);
        if self.pulse.is_some_and(|at| at <= now) {
            self.pulse = Some(now + REPEAT);
            return self.seal(now, PacketType::Pulse, EMPTY, &[0; Pulse::LEN], out);
        }
        if !self.asked.is_empty() && now >= self.heard + self.patience {
            self.check_finished(now)?;
            self.probe(now);
            self.report_due = Some(now);
        }
        if let Some(id) = self.cancels.pop() {
            let frame = FrameHeader { offset: id, ..EMPTY };
            return self.seal(now, PacketType::Cancel, frame, &[], out);
        }
        if self.report_due.is_some_and(|due| due <= now) {
            (self.report_due, self.unreported) = (None, 0);
            if let Some((number, report)) = self.reports.take(now, plan.room_bytes) {
                let mut payload = [0; 256];
                let len = report.encode(&mut payload)?;
                let frame = FrameHeader { offset: number, ..EMPTY };
                return self.seal(now, PacketType::Report, frame, &payload[..len], out);
            }
        }
        let next = self.next_to_send(now);
        let Some(asked) = next else { return Ok(None) };
        let ranges = ranges(plan, asked.span.clone());
        let request = Request { deadline_ms: DEADLINE_MS, flags: 0, ranges };
        let mut payload = [0; Request::LEN_MAX];
        let len = request.encode(&mut payload)?;
        let frame = FrameHeader { object: ObjectNumber(asked.segment), offset: asked.id, ..EMPTY };
        self.seal(now, PacketType::Request, frame, &payload[..len], out)
    }

    fn seal(
        &mut self,
        now: Instant,
        packet_type: PacketType,
        frame: FrameHeader,
        payload: &[u8],
        out: &mut [u8],
    ) -> anyhow::Result<Option<usize>> {
        let frame = FrameHeader { send_time: now.wire_micros(), ..frame };
        let (len, _) = self.sealer.seal(now, 0, packet_type, self.server, &frame, payload, out)?;
        Ok(Some(len))
    }
}

/// The ranges that a request names.
fn ranges(plan: &Plan, span: Range<u32>) -> ByteRanges {
    let mut ranges = ByteRanges::WHOLE;
    if let Some(bytes) = plan.range_bytes {
        let fit = span.clone().step_by(bytes as usize).all(|start| {
            let end = (start + bytes).min(span.end);
            ranges.push(start..end)
        });
        assert!(fit, "a piece has no more ranges than a request can name");
    }
    ranges
}
