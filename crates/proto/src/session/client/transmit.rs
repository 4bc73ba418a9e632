//! What the session sends, one datagram at a time.

use super::ClientSession;
use super::groups::NumberedReport;
use super::transport::{Message, Transport};
use crate::ids::{ObjectNumber, SetHandle};
use crate::limits::DATAGRAM_BASE;
use crate::time::Instant;
use crate::wire::close::Close;
use crate::wire::group_report::GroupReport;
use crate::wire::header::FrameHeader;
use crate::wire::packet_type::PacketType;
use crate::wire::path::PathProof;
use crate::wire::pulse::Pulse;
use crate::wire::report::Report;
use crate::wire::request::Request;

const EMPTY_FRAME: FrameHeader =
    FrameHeader { set_handle: SetHandle::FIRST, object: ObjectNumber(0), offset: 0, send_time: 0 };

/// The largest payload of a client's message: a REQUEST with all its ranges.
const PAYLOAD_MAX: usize = Request::LEN_MAX;
const _: () = assert!(PAYLOAD_MAX >= Report::LEN_MAX && PAYLOAD_MAX >= Close::LEN_MAX);
const _: () = assert!(PAYLOAD_MAX >= GroupReport::LEN_MAX);

impl ClientSession {
    /// Writes the next datagram into `out` (at least 1200 bytes); gives its length. `None`: nothing to send
    /// before [`Self::poll_timeout`] or the next `handle_*`.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        debug_assert!(out.len() >= DATAGRAM_BASE);
        let len = self.next_datagram(now, out)?;
        self.stats.datagrams_out += 1;
        Some(len)
    }

    fn next_datagram(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        if let Some(code) = self.closing.take() {
            let close = Close::new(code);
            return self.transport.as_mut()?.send(
                now,
                PacketType::Close,
                EMPTY_FRAME,
                out,
                |buf| close.encode(buf).ok(),
            );
        }
        if self.ended {
            return None;
        }
        if let Some(packet) = self.hello.as_mut().and_then(|hello| hello.poll(now)) {
            out.get_mut(..packet.len())?.copy_from_slice(packet);
            return Some(packet.len());
        }
        self.message(now, out)
            .or_else(|| self.cancellation(now, out))
            .or_else(|| self.report(now, out))
            .or_else(|| self.group_report(now, out))
            .or_else(|| self.request(now, out))
    }

    fn message(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        let transport = self.transport.as_mut()?;
        match transport.messages.pop_front()? {
            Message::PathResponse(secret) => {
                let proof = PathProof(secret);
                transport.send(now, PacketType::PathResponse, EMPTY_FRAME, out, |buf| {
                    proof.encode(buf).ok()
                })
            }
            Message::Pulse { handle, object } => {
                transport.pulse_number = transport.pulse_number.wrapping_add(1);
                let offset = transport.pulse_number;
                let frame = FrameHeader { set_handle: handle, object, offset, send_time: 0 };
                transport.send(now, PacketType::Pulse, frame, out, |buf| Pulse.encode(buf).ok())
            }
        }
    }

    fn cancellation(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        let transport = self.transport.as_mut()?;
        let id = transport.requests.next_cancel(now)?;
        let frame = FrameHeader { offset: id.0, ..EMPTY_FRAME };
        transport.send(now, PacketType::Cancel, frame, out, |_| Some(0))
    }

    fn report(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        let room = self.config.room_bytes;
        let transport = self.transport.as_mut()?;
        if transport.reports.due()? > now {
            return None;
        }
        let (number, report) = transport.reports.take(now, room)?;
        self.stats.reports += 1;
        let frame = FrameHeader { offset: number, ..EMPTY_FRAME };
        transport.send(now, PacketType::Report, frame, out, |buf| report.encode(buf).ok())
    }

    fn group_report(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        let transport = self.transport.as_mut()?;
        let (handle, NumberedReport { number, position, report }) =
            transport.group_reports.pop_first()?;
        let object = ObjectNumber(position);
        let frame = FrameHeader { set_handle: handle, object, offset: number, send_time: 0 };
        transport.send(now, PacketType::GroupReport, frame, out, |buf| report.encode(buf).ok())
    }

    fn request(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        let transport = self.transport.as_mut()?;
        let request = transport.requests.next_to_send(transport.requests_max)?;
        request.asked.get_or_insert(now);
        request.sent = Some(now);
        request.sends += 1;
        if request.sends == 1 {
            transport.quiet = 0;
        }
        let (handle, object) = request.key;
        let frame = FrameHeader { set_handle: handle, object, offset: request.id.0, send_time: 0 };
        let deadline = request.deadline.saturating_since(now).as_millis();
        let message = Request {
            deadline_ms: u32::try_from(deadline).unwrap_or(u32::MAX),
            flags: request.flags,
            ranges: request.ranges,
        };
        self.stats.requests += 1;
        transport.send(now, PacketType::Request, frame, out, |buf| message.encode(buf).ok())
    }
}

impl Transport {
    /// Encodes and seals one message. `None` also when the keys are exhausted: the server will end it.
    fn send(
        &mut self,
        now: Instant,
        packet_type: PacketType,
        frame: FrameHeader,
        out: &mut [u8],
        encode: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Option<usize> {
        let mut payload = [0; PAYLOAD_MAX];
        let len = encode(&mut payload)?;
        let frame = FrameHeader { send_time: now.wire_micros(), ..frame };
        let sealed =
            self.sealer.seal(now, 0, packet_type, self.server, &frame, payload.get(..len)?, out);
        sealed.ok().map(|(len, _)| len)
    }
}
