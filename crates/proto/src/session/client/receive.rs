//! What each datagram does to the session.

use rand_core::RngCore;

use super::config::{ClientEvent, GroupEvent};
use super::hello::HelloRtt;
use super::requests::{StatusRtt, Waits};
use super::stats::Largest;
use super::transport::{Message, Transport};
use super::{ClientSession, TIMEOUTS_UNRESPONSIVE};
use crate::crypto::{OpenError, Opened};
use crate::ids::RequestId;
use crate::time::{Duration, Instant};
use crate::wire::close::Close;
use crate::wire::code::Code;
use crate::wire::group_key::GroupKey;
use crate::wire::packet_type::PacketType;
use crate::wire::path::PathProof;
use crate::wire::pulse::PulseReply;
use crate::wire::refuse::Refuse;
use crate::wire::request::FLAG_HEARS;
use crate::wire::status::Status;
use crate::wire::{ClearHeader, FLAG_END, FrameHeader};

/// The ECN field's "congestion experienced" (RFC 3168, section 5).
const ECN_CE: u8 = 0b11;
/// The last epoch's key is kept for so many probe timeouts (section 3).
const PREVIOUS_EPOCH_TIMEOUTS: u32 = 3;
/// Most doublings of the reordering window: beyond, it is a round trip anyway.
const REORDERING_MAX: u32 = 4;

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug)]
enum Rejected {
    Corrupt,
    Replayed,
    Stray,
}

type Taken = Result<(), Rejected>;

impl From<OpenError> for Rejected {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Authentication => Self::Corrupt,
            OpenError::Replayed => Self::Replayed,
            OpenError::Decode(_)
            | OpenError::NotSealed
            | OpenError::UnknownEpoch
            | OpenError::TooOld => Self::Stray,
        }
    }
}

impl ClientSession {
    /// Takes a datagram in; it is decrypted in place. `ecn`: the two ECN bits it arrived with.
    pub fn handle_datagram(&mut self, now: Instant, ecn: u8, datagram: &mut [u8]) {
        let ended = self.ended;
        let taken =
            if ended { Err(Rejected::Stray) } else { self.take_datagram(now, ecn, datagram) };
        match taken {
            Ok(()) => {}
            Err(Rejected::Corrupt) => self.stats.corrupt += 1,
            Err(Rejected::Replayed) => self.stats.replayed += 1,
            Err(Rejected::Stray) => self.stats.stray += 1,
        }
    }

    fn take_datagram(&mut self, now: Instant, ecn: u8, datagram: &mut [u8]) -> Taken {
        let header = ClearHeader::decode(datagram).map_err(|_| Rejected::Stray)?;
        if header.receiver.0 != self.config.sender_index {
            return Err(Rejected::Stray);
        }
        match header.packet_type {
            PacketType::Cookie => {
                let rtt = self.hello.as_mut().and_then(|hello| hello.cookie(now, datagram));
                self.hello_rtt(rtt.ok_or(Rejected::Stray)?);
                Ok(())
            }
            PacketType::Defer => {
                let random = self.rng.next_u32();
                let hello = self.hello.as_mut().ok_or(Rejected::Stray)?;
                let taken = hello.defer(now, datagram, random);
                self.stats.deferred += u64::from(taken);
                taken.then_some(()).ok_or(Rejected::Stray)
            }
            PacketType::Welcome => self.take_welcome(now, datagram),
            _ => self.take_sealed(now, ecn, datagram),
        }
    }

    fn take_welcome(&mut self, now: Instant, datagram: &[u8]) -> Taken {
        let hello = self.hello.as_mut().ok_or(Rejected::Stray)?;
        let (welcomed, rtt) = hello.welcome(now, datagram).map_err(|_| Rejected::Stray)?;
        self.hello = None;
        self.hello_rtt(rtt);
        if welcomed.payload.code != Code::Ok {
            let retry_after = Duration::from_millis(u64::from(welcomed.payload.retry_after_ms));
            self.end(ClientEvent::Refused { code: welcomed.payload.code, retry_after });
            return Ok(());
        }
        self.transport = Some(Transport::new(now, &self.config, welcomed));
        let keys: Vec<_> = self.objects.keys().collect();
        for key in keys {
            let hears = self.objects.get(&key).is_some_and(|object| object.hears);
            self.request_missing(key, if hears { FLAG_HEARS } else { 0 });
        }
        self.events.push_back(ClientEvent::Open);
        Ok(())
    }

    fn hello_rtt(&mut self, HelloRtt { least, most }: HelloRtt) {
        if least == most {
            self.rtt.sample(most);
        } else {
            self.rtt.bound(least, most);
        }
    }

    fn take_sealed(&mut self, now: Instant, ecn: u8, datagram: &mut [u8]) -> Taken {
        let bytes = datagram.len();
        let transport = self.transport.as_mut().ok_or(Rejected::Stray)?;
        let lifetime = self.rtt.full_timeout() * PREVIOUS_EPOCH_TIMEOUTS;
        transport.opener.set_previous_epoch_lifetime(lifetime);
        let opened = transport.opener.open(now, datagram)?;
        let violation = opened.is_hasty && opened.epoch > transport.sealer.epoch();
        if violation {
            self.hello = None;
            self.closing = Some(Code::ProtocolViolation);
            self.end(ClientEvent::Closed { code: Code::ProtocolViolation, reason: String::new() });
            return Err(Rejected::Stray);
        }
        transport.sealer.on_peer_epoch(now, opened.epoch);
        transport.heard = now;
        if transport.timeouts >= TIMEOUTS_UNRESPONSIVE {
            // The old keys answered first.
            self.hello = None;
        }
        transport.timeouts = 0;
        if opened.header.packet_type != PacketType::Status {
            transport.quiet = 0;
        }
        let ce = ecn & ECN_CE == ECN_CE;
        let (sequence, send_time) = (opened.header.sequence, opened.frame.send_time);
        transport.reports.received(now, sequence, send_time, ce);
        let (requests, is_data) =
            (&transport.requests, opened.header.packet_type == PacketType::Data);
        let was_asked = |then| requests.was_asked_before(then);
        transport.gap.received(now, sequence, send_time, is_data, was_asked);
        self.stats.datagrams_in += 1;
        self.stats.bytes_in += bytes as u64;
        self.stats.datagram_bytes += Largest(bytes);
        self.stats.reordered += u64::from(!opened.is_highest);
        self.dispatch(now, &opened);
        Ok(())
    }

    fn dispatch(&mut self, now: Instant, opened: &Opened<'_>) {
        let (frame, payload) = (&opened.frame, opened.payload);
        match opened.header.packet_type {
            PacketType::Data => {
                let end = opened.header.flags & FLAG_END != 0;
                self.on_data(now, frame, payload, end);
            }
            PacketType::Status => self.on_status(now, frame.request(), payload),
            PacketType::Refuse => self.on_refuse(frame, payload),
            PacketType::PulseReply => self.on_pulse_reply(now, frame, payload),
            PacketType::PathChallenge => {
                if let (Ok(PathProof(secret)), Some(transport)) =
                    (PathProof::decode(payload), &mut self.transport)
                {
                    transport.post(Message::PathResponse(secret));
                }
            }
            PacketType::GroupKey if self.hears => self.on_group_key(frame, payload),
            PacketType::SizeProbe => {
                if let Some(transport) = &mut self.transport {
                    transport.reports.by(now);
                }
            }
            PacketType::Close => {
                let (code, reason) = Close::decode(payload)
                    .map_or((Code::ProtocolViolation, String::new()), |c| (c.code, c.reason));
                self.hello = None;
                self.end(ClientEvent::Closed { code, reason });
            }
            _ => self.stats.stray += 1,
        }
    }

    fn on_data(&mut self, now: Instant, frame: &FrameHeader, payload: &[u8], end: bool) {
        let key = (frame.set_handle, frame.object);
        let taken = self.objects.take(now, &key, frame.offset, payload, end);
        self.stats.data_bytes += u64::from(taken.new);
        self.stats.duplicate_bytes += u64::from(taken.duplicate);
        self.stats.scattered += u64::from(taken.scattered);
        if !end {
            self.sizes.note(payload.len() as u32);
        }
        if taken.duplicate > 0
            && taken.new == 0
            && self.stats.needless_datagrams < self.stats.repair_datagrams
        {
            self.stats.needless_datagrams += 1;
        }
        let Some(transport) = &mut self.transport else { return };
        transport.reports.data(now, self.rtt.report_delay());
        if taken.duplicate > 0 && taken.new == 0 && self.stats.repair_bytes > 0 {
            // A repair of something that was only late: wait longer before the next one.
            self.reordering = (self.reordering + 1).min(REORDERING_MAX);
        }
        if let Some(fetched) = taken.complete {
            transport.requests.forget(&key);
            self.events.push_back(ClientEvent::Object(fetched));
        }
    }

    fn on_status(&mut self, now: Instant, highest: RequestId, payload: &[u8]) {
        let Ok(status) = Status::decode(payload) else { return };
        let reordering = self.rtt.reordering(self.reordering);
        let Some(transport) = &mut self.transport else { return };
        let wait = Waits { reordering, answer: self.rtt.answer(reordering) };
        match transport.requests.status(now, highest, &status, wait) {
            Some(StatusRtt::Sample(rtt)) => self.rtt.sample(rtt),
            Some(StatusRtt::Bound(rtt)) => self.rtt.bound(rtt, rtt),
            None => {}
        }
    }

    fn on_refuse(&mut self, frame: &FrameHeader, payload: &[u8]) {
        let Ok(refuse) = Refuse::decode(payload) else { return };
        self.stats.refused += 1;
        let Some(transport) = &mut self.transport else { return };
        let Some(key) = transport.requests.key_of(frame.request()) else { return };
        transport.requests.forget(&key);
        self.objects.remove(&key);
        self.events.push_back(ClientEvent::ObjectRefused {
            handle: key.0,
            object: key.1,
            code: refuse.code,
            retry_after: Duration::from_millis(u64::from(refuse.retry_after_ms)),
        });
    }

    fn on_group_key(&mut self, frame: &FrameHeader, payload: &[u8]) {
        let Ok(key) = GroupKey::decode(payload) else {
            self.stats.stray += 1;
            return;
        };
        // One of a set at a time: each has all that those before had.
        let (set, serial, key) = (frame.set_handle, frame.offset, Box::new(key));
        let is_older =
            |event: &GroupEvent| matches!(event, GroupEvent::Key { handle, .. } if *handle == set);
        self.group_events.retain(|event| !is_older(event));
        self.group_events.push_back(GroupEvent::Key { handle: set, serial, key });
    }

    fn on_pulse_reply(&mut self, now: Instant, frame: &FrameHeader, payload: &[u8]) {
        let Ok(reply) = PulseReply::decode(payload) else { return };
        let micros = now.wire_micros().wrapping_sub(reply.echo);
        let rtt = Duration::from_micros(u64::from(micros));
        if rtt > Duration::from_secs(60) {
            // Not an echo of ours: clocks do not run backwards.
            return;
        }
        self.rtt.sample(rtt);
        let (handle, object) = (frame.set_handle, frame.object);
        self.events.push_back(ClientEvent::PulseReply { handle, object, reply, rtt });
    }
}
