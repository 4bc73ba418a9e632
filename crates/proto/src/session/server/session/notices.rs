//! The messages of a session, most pressing first: PATH_CHALLENGE, REFUSE, PULSE_REPLY, STATUS, GROUP_KEY.
//!
//! Each is made as a [`Notice`] and sealed by one function; what a message needs to say is decided here only.

use zeroize::Zeroizing;

use super::ending::Ending;
use super::state::Session;
use super::work::{PulseAsked, Refusal};
use crate::crypto::SealError;
use crate::faults::{Fault, planted};
use crate::ids::{ObjectNumber, SetHandle};
use crate::limits::{DATAGRAM_MAX, OVERHEAD};
use crate::session::server::event::Path;
use crate::session::server::send::egress::Egress;
use crate::session::server::send::overload::Overload;
use crate::session::server::source::{Object, SegmentSource};
use crate::time::{Duration, Instant};
use crate::wire::close::Close;
use crate::wire::code::Code;
use crate::wire::pulse::{Presence, PulseReply};
use crate::wire::refuse::Refuse;
use crate::wire::status::Status;
use crate::wire::{EncodeError, FrameHeader, GroupKey, PacketType};

/// The longest payload of a message: a CLOSE with its reason.
const PAYLOAD_MAX: usize = Close::LEN_MAX;
const EMPTY_FRAME: FrameHeader =
    FrameHeader { set_handle: SetHandle::FIRST, object: ObjectNumber(0), offset: 0, send_time: 0 };

/// One message that is about to be sealed.
pub(in crate::session::server) struct Notice {
    packet_type: PacketType,
    frame: FrameHeader,
    /// Where it goes, if not to the session's path.
    pub(in crate::session::server) path: Option<Path>,
    payload: [u8; PAYLOAD_MAX],
    len: usize,
}

impl Notice {
    fn new(
        packet_type: PacketType,
        frame: FrameHeader,
        encode: impl FnOnce(&mut [u8]) -> Result<usize, EncodeError>,
    ) -> Self {
        let mut payload = [0; PAYLOAD_MAX];
        let Ok(len) = encode(&mut payload) else { unreachable!("messages fit by construction") };
        Self { packet_type, frame, path: None, payload, len }
    }

    /// Whether it is a PATH_CHALLENGE.
    pub(in crate::session::server) fn is_challenge(&self) -> bool {
        self.packet_type == PacketType::PathChallenge
    }

    /// CLOSE.
    pub(in crate::session::server) fn close(code: Code) -> Self {
        Self::new(PacketType::Close, EMPTY_FRAME, |buf| Close::new(code).encode(buf))
    }
}

impl Session {
    /// Seals a message into `out`; gives its length in bytes.
    ///
    /// # Errors
    ///
    /// The session must end: its keys are exhausted.
    pub(in crate::session::server) fn seal_notice(
        &mut self,
        now: Instant,
        notice: &Notice,
        out: &mut [u8],
    ) -> Result<usize, Ending> {
        self.seal(now, notice.packet_type, notice.frame, &notice.payload[..notice.len], out)
    }

    /// Seals one packet that is not DATA, tells the rate model of its number, and gives its length.
    fn seal(
        &mut self,
        now: Instant,
        packet_type: PacketType,
        frame: FrameHeader,
        payload: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Ending> {
        let frame = FrameHeader { send_time: now.wire_micros(), ..frame };
        let (len, sequence) = self
            .sealer
            .seal(now, 0, packet_type, self.client_index, &frame, payload, out)
            .map_err(seal_ending)?;
        if let Some(sender) = self.work.as_mut().and_then(|work| work.sender.as_mut()) {
            sender.on_control_sent(now, sequence);
        }
        Ok(len)
    }

    /// The most pressing message, if there is one.
    pub(in crate::session::server) fn next_notice<S: SegmentSource>(
        &mut self,
        now: Instant,
        source: &S,
        egress: &mut Egress,
        overload: &Overload,
    ) -> Option<Notice> {
        if let Some(notice) = self.path_challenge(now) {
            return Some(notice);
        }
        let work = self.work.as_mut()?;
        if let Some(refusal) = work.refusals.pop_front() {
            return Some(refuse(refusal));
        }
        if let Some(asked) = work.pulses.pop_front() {
            let set = self.sets.get(asked.handle);
            let held = match set.map(|set| source.object(set, asked.object)) {
                Some(Object::Ready(_)) => Presence::Yes,
                Some(Object::NotResident { .. }) => Presence::NotResident,
                _ => Presence::No,
            };
            let load = if overload.is_saturated(now) { 10_000 } else { egress.load(now) };
            let queue = overload.wait(now).as_millis();
            let queue_ms = u32::try_from(queue).unwrap_or(u32::MAX).max(egress.queue_ms(now));
            return Some(pulse_reply(asked, held, load, queue_ms));
        }
        work.status.due.is_some_and(|due| due <= now).then(|| self.status(now)).flatten()
    }

    fn path_challenge(&mut self, now: Instant) -> Option<Notice> {
        let challenge = self.challenge.as_mut().filter(|challenge| challenge.is_due(now))?;
        challenge.sent(now);
        let notice = Notice::new(PacketType::PathChallenge, EMPTY_FRAME, |buf| {
            buf[..challenge.secret.len()].copy_from_slice(&challenge.secret);
            Ok(challenge.secret.len())
        });
        Some(Notice { path: Some(challenge.path), ..notice })
    }

    fn status(&mut self, now: Instant) -> Option<Notice> {
        let rtt = self.rtt_or_default();
        let window = self.window;
        let next_sequence = self.sealer.next_sequence();
        let work = self.work.as_mut()?;
        // STATUS is not acknowledged: what may be the last word is said again.
        let repeat = work.status.repeats > 0 && !work.queue.has_work();
        work.status.due = repeat.then(|| now + rtt.max(Duration::from_millis(1)));
        work.status.repeats -= u8::from(repeat);
        let shift = u32::from(planted(Fault::StatusShifted));
        let (received, finished) = (window.received >> shift, window.finished >> shift);
        let payload = Status { received, finished, next_sequence };
        let frame = FrameHeader { offset: window.highest.0, ..EMPTY_FRAME };
        Some(Notice::new(PacketType::Status, frame, |buf| payload.encode(buf)))
    }

    /// Seals a GROUP_KEY into `out`, if one is due; gives its length.
    ///
    /// # Errors
    ///
    /// The session must end: its keys are exhausted.
    pub(in crate::session::server) fn group_key(
        &mut self,
        now: Instant,
        out: &mut [u8],
    ) -> Result<Option<usize>, Ending> {
        let sets = self.groups.as_mut().map(|groups| groups.sets.iter_mut());
        let mut due = sets.into_iter().flatten().filter_map(|m| Some((m.key_due(now)?, m)));
        let Some((serial, member)) = due.next() else { return Ok(None) };
        member.key_was_sent(now);
        let frame = FrameHeader { set_handle: member.handle, offset: serial, ..EMPTY_FRAME };
        let mut payload = Zeroizing::new([0; GroupKey::LEN_MAX]);
        let encoded = match member.key() {
            Some(key) => key.encode(&mut *payload),
            None => GroupKey::closed().encode(&mut *payload),
        };
        let Ok(len) = encoded else { unreachable!("the owner of a set makes what can be encoded") };
        self.seal(now, PacketType::GroupKey, frame, &payload[..len], out).map(Some)
    }

    /// Seals a probe for larger datagrams into `out`, where one is due while there is data to send; gives its length.
    ///
    /// # Errors
    ///
    /// The session must end: its keys are exhausted.
    pub(in crate::session::server) fn size_probe(
        &mut self,
        now: Instant,
        out: &mut [u8],
    ) -> Result<Option<usize>, Ending> {
        let sending = self.work.as_ref().is_some_and(|work| work.sender.is_some());
        let Some(size) = self.size.due(now).filter(|&size| sending && size <= out.len()) else {
            return Ok(None);
        };
        let interval = self.rtt_or_default() * 2 + Duration::from_millis(25);
        let sequence = self.sealer.next_sequence();
        // The zeros of the payload: sealed from a constant, not from the buffer.
        static ZEROS: [u8; DATAGRAM_MAX] = [0; DATAGRAM_MAX];
        let payload = ZEROS.get(..size - OVERHEAD).unwrap_or(&ZEROS);
        let len = self.seal(now, PacketType::SizeProbe, EMPTY_FRAME, payload, out)?;
        self.size.sent(now, sequence, size, interval);
        Ok(Some(len))
    }
}

pub(super) fn seal_ending(error: SealError) -> Ending {
    match error {
        SealError::Exhausted => Code::KeyExhausted.into(),
        SealError::NoRoom { .. } => unreachable!("the caller's buffer holds a train"),
    }
}

fn refuse(refusal: Refusal) -> Notice {
    let payload = Refuse { code: refusal.code, retry_after_ms: refusal.retry_after_ms };
    let frame = FrameHeader {
        set_handle: refusal.handle,
        object: refusal.object,
        offset: refusal.id.0,
        ..EMPTY_FRAME
    };
    Notice::new(PacketType::Refuse, frame, |buf| payload.encode(buf))
}

fn pulse_reply(asked: PulseAsked, held: Presence, load: u16, queue_ms: u32) -> Notice {
    let reply = PulseReply { echo: asked.echo, load, has_segment: held, queue_ms };
    let frame = FrameHeader {
        set_handle: asked.handle,
        object: asked.object,
        offset: asked.number,
        ..EMPTY_FRAME
    };
    Notice::new(PacketType::PulseReply, frame, |buf| reply.encode(buf))
}
