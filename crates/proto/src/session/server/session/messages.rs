//! What each authentic message does to its session (section 7).
//!
//! A client may send anything that its keys seal: what breaks the protocol ends the session, what asks for too much is
//! refused, and what comes twice or late changes nothing.

use std::collections::VecDeque;

use super::challenge::Challenge;
use super::ending::Ending;
use super::pace::Pace;
use super::refusals::Refused;
use super::requests::Queued;
use super::size::SizeChange;
use super::state::{Session, Totals};
use super::window::Arrival;
use super::work::{PulseAsked, STATUS_DELAY};
use crate::congestion::FeedbackView;
use crate::crypto::{Opened, hash};
use crate::faults::{Fault, planted};
use crate::ids::RequestId;
use crate::limits::REPORT_RANGES_MAX;
use crate::session::server::counters::Counters;
use crate::session::server::event::{Asked, Path};
use crate::session::server::holds::Holds;
use crate::session::server::send::overload::{Candidate, Overload, TRAIN_COST};
use crate::session::server::source::{Object, SegmentSource};
use crate::session::server::waiters::Waiters;
use crate::time::{Duration, Instant};
use crate::wire::close::Close;
use crate::wire::code::Code;
use crate::wire::pulse::Pulse;
use crate::wire::report::Report;
use crate::wire::request::{FLAG_REPAIR, Request};
use crate::wire::{FrameHeader, PacketType};

/// Pulses that wait for their answer; more are dropped (the client asks again).
const PULSES_MAX: usize = 4;

/// What a message handler needs beyond its session.
pub(in crate::session::server) struct Context<'a> {
    pub(in crate::session::server) now: Instant,
    pub(in crate::session::server) requests_per_second: u32,
    pub(in crate::session::server) draining: bool,
    pub(in crate::session::server) multicast: bool,
    pub(in crate::session::server) counters: &'a mut Counters,
    pub(in crate::session::server) overload: &'a mut Overload,
    pub(in crate::session::server) waiters: &'a mut Waiters,
    pub(in crate::session::server) holds: &'a mut Holds,
    /// Where requests are told, if they are.
    pub(in crate::session::server) asked: Option<&'a mut VecDeque<Asked>>,
}

impl Session {
    /// Notes that a packet of `bytes` bytes from `path` was authentic, and challenges a new address with `secret`.
    ///
    /// Only the newest packet can begin a challenge: an old one that someone sends again from elsewhere does not move the
    /// session.
    pub(in crate::session::server) fn on_heard(
        &mut self,
        now: Instant,
        path: Path,
        bytes: usize,
        is_highest: bool,
        secret: impl FnOnce() -> [u8; 8],
    ) {
        self.heard = now;
        if path == self.path {
            return;
        }
        if planted(Fault::AddressNotProven) {
            self.move_to(now, path);
            return;
        }
        match &mut self.challenge {
            Some(challenge) if challenge.path == path => challenge.heard(bytes),
            _ if is_highest => {
                self.challenge = Some(Box::new(Challenge::new(path, secret(), bytes, now)));
            }
            _ => {}
        }
    }

    /// Acts on an authentic packet that came from `path`.
    ///
    /// # Errors
    ///
    /// Why the session must end.
    pub(in crate::session::server) fn on_packet<S: SegmentSource>(
        &mut self,
        path: Path,
        opened: &Opened<'_>,
        source: &S,
        context: Context<'_>,
    ) -> Result<(), Ending> {
        let now = context.now;
        // Changes of keys must not cost more than packets do (section 3).
        if opened.is_hasty && opened.epoch > self.sealer.epoch() {
            return Err(Code::ProtocolViolation.into());
        }
        self.sealer.on_peer_epoch(now, opened.epoch);
        let packet_type = opened.header.packet_type;
        if packet_type != PacketType::Report && self.on_life(now) {
            context.counters.size_reset += 1;
        }
        match packet_type {
            PacketType::Request => return self.on_request(opened, source, context),
            PacketType::Report => return self.on_report(opened, context),
            PacketType::GroupReport => return self.on_group_report(opened, context),
            PacketType::Pulse => self.on_pulse(now, &opened.frame, opened.payload),
            PacketType::PathResponse => self.on_path_response(path, opened.payload, context),
            PacketType::Cancel => self.on_cancel(now, opened.frame.request(), context),
            PacketType::Close => return Err(on_close(opened.payload)),
            _ => {}
        }
        Ok(())
    }

    /// Any packet but a REPORT: sending that had stopped for want of reports begins again. Every train of a second was
    /// lost then; where datagrams are larger than the base they may be the reason, so they become small again. Says
    /// whether they did.
    fn on_life(&mut self, now: Instant) -> bool {
        let Some(sender) = self.work.as_mut().and_then(|work| work.sender.as_mut()) else {
            return false;
        };
        let reset = sender.is_stopped() && self.size.black_hole(now);
        sender.on_peer_packet(now);
        if reset {
            sender.set_datagram_bytes(self.size.current());
        }
        reset
    }

    /// REQUEST: queues work, or refuses it.
    fn on_request<S: SegmentSource>(
        &mut self,
        opened: &Opened<'_>,
        source: &S,
        mut context: Context<'_>,
    ) -> Result<(), Ending> {
        let now = context.now;
        let pace = self.bucket.take(context.requests_per_second, now);
        if pace == Pace::Flood {
            context.counters.floods += 1;
            return Err(Code::Flood.into());
        }
        let frame = &opened.frame;
        if frame.request() == RequestId::NONE {
            return Err(Code::ProtocolViolation.into());
        }
        // STATUS has no bits for ids below its window: what is not finished stays in it.
        let no_place = self.window.would_lose(frame.request());
        if !no_place && self.window.receive(frame.request()) != Arrival::New {
            self.work(now).status.by(now);
            return Ok(());
        }
        self.totals.requests += 1;
        context.counters.requests += 1;
        let taken = match pace {
            Pace::TooFast(wait) => Err(Refused { code: Code::TooManyRequests, retry_after: wait }),
            _ if no_place => Err(Code::TooManyRequests.into()),
            _ => self.enqueue(opened, source, &mut context),
        };
        if let Err(refused) = taken {
            context.counters.requests_refused.add(refused.code);
            self.refuse(now, frame, &refused);
        }
        self.work(now).status.by(now + STATUS_DELAY);
        Ok(())
    }

    /// Takes a request into the queue, if the shard can serve it in time, and does not drain: then only what was begun
    /// is finished.
    fn enqueue<S: SegmentSource>(
        &mut self,
        opened: &Opened<'_>,
        source: &S,
        context: &mut Context<'_>,
    ) -> Result<(), Refused> {
        let now = context.now;
        let frame = &opened.frame;
        let request = Request::decode(opened.payload).map_err(|_| Code::BadRequest)?;
        let set = self.sets.get(frame.set_handle).ok_or(Code::UnknownSet)?;
        let len = match source.object(set, frame.object) {
            Object::Ready(bytes) => bytes.len() as u32,
            Object::NotResident { len } => len,
            // Refused in its turn.
            Object::Damaged | Object::PastEnd | Object::Absent => 0,
        };
        let deadline = Duration::from_millis(u64::from(request.deadline_ms));
        let repair = request.flags & FLAG_REPAIR != 0;
        let held = self.hears(frame, set, &request, len, source, context);
        let mut candidate = self.candidate(&request, len, deadline);
        let bytes = candidate.bytes - TRAIN_COST * request.ranges.len().max(1) as u64;
        if context.draining && !candidate.repair {
            return Err(Code::Draining.into());
        }
        // The segment is kept ready for others in any case.
        candidate.repair |= held.as_ref().is_some_and(|held| held.has_company);
        context
            .overload
            .admit(now, candidate)
            .map_err(|retry_after| Refused { code: Code::Overloaded, retry_after })?;
        let queued = match &held {
            Some(held) => Queued::new(frame, set, held.deadline, repair).held(held.lead),
            None => Queued::new(frame, set, now + deadline, repair),
        };
        let work = self.work(now);
        if !work.queue.push(queued, request.ranges.iter(), len) {
            return Err(Code::TooManyRequests.into());
        }
        work.served = now;
        if let Some(held) = held {
            self.on_held(&held, context);
        }
        if let Some(asked) = &mut context.asked {
            let (session, object, rate) = (self.index(), frame.object, self.known_rate());
            let deadline = now + deadline;
            asked.push_back(Asked { session, set, object, bytes, repair, deadline, rate });
        }
        Ok(())
    }

    /// What a request asks of the shard. Whether it is a repair is the client's word: it counts as far as as much was sent
    /// to it that could have been lost.
    fn candidate(&self, request: &Request, len: u32, deadline: Duration) -> Candidate {
        let ranges = request.ranges.iter();
        let asked = ranges.map(|r| u64::from(r.end.min(len).saturating_sub(r.start))).sum();
        let asked = if request.ranges.is_empty() { u64::from(len) } else { asked };
        // Of what was sent once, what was sent again, or is going to be, is not to be repaired any more.
        let Totals { bytes, repaired, .. } = self.totals;
        let repairs = self.work.as_ref().map_or(0, |work| work.queue.repairs());
        let bytes = bytes + self.groups.as_ref().map_or(0, |groups| groups.served);
        let lost_at_most = bytes.saturating_sub(2 * repaired + repairs);
        let repair = request.flags & FLAG_REPAIR != 0 && asked <= lost_at_most;
        let bytes = asked + TRAIN_COST * request.ranges.len().max(1) as u64;
        let held = self.work.as_ref().map_or(0, |work| work.queue.held_len());
        let further = self.owed().requests as usize > held;
        Candidate { bytes, deadline, further, repair }
    }

    /// REPORT: feeds the rate model, and closes the session of a liar.
    fn on_report(&mut self, opened: &Opened<'_>, context: Context<'_>) -> Result<(), Ending> {
        let now = context.now;
        let report = Report::decode(opened.payload).map_err(|_| Code::ProtocolViolation)?;
        context.counters.reports += 1;
        let lie = |counters: &mut Counters| {
            counters.lies += 1;
            Ending::from(Code::LyingReport)
        };
        // Nobody can have received what was not sent.
        let highest = report.ranges.highest().unwrap_or(0);
        if highest >= self.sealer.next_sequence() {
            return Err(lie(context.counters));
        }
        if !is_above(opened.frame.offset, self.last_report) {
            return Ok(());
        }
        self.last_report = opened.frame.offset;
        // Also where there is no rate model: the next one begins with it.
        self.room = u64::from(report.room_kib) * 1024;
        let Some(work) = self.work.as_mut() else { return Ok(()) };
        let Some(sender) = work.sender.as_mut() else { return Ok(()) };
        sender.set_room(self.room);
        let mut ranges = [(0, 0); REPORT_RANGES_MAX];
        let mut count = 0;
        // What was sent before this rate model began says nothing to it.
        for (low, high) in report.ranges.iter().filter(|&(_, high)| high >= work.sender_base) {
            ranges[count] = (low.max(work.sender_base), high);
            count += 1;
        }
        if count == 0 {
            return Ok(());
        }
        work.used = now;
        if sender.in_flight() > 0 {
            work.served = now;
        }
        let view = FeedbackView {
            echo: report.echo,
            echo_delay: Duration::from_micros(u64::from(report.echo_delay_us)),
            room_bytes: self.room,
            ce_count: report.ce_count,
            ranges: &ranges[..count],
        };
        if sender.on_report(now, &view).is_err() && !planted(Fault::SkipsNotChecked) {
            return Err(lie(context.counters));
        }
        let lost_trains = sender.lost_trains_in_a_row();
        if let Some(change) = self.size.reported(now, &ranges[..count], lost_trains) {
            match change {
                SizeChange::Raised(_) => context.counters.size_raised += 1,
                SizeChange::Reset => context.counters.size_reset += 1,
            }
            sender.set_datagram_bytes(self.size.current());
        }
        Ok(())
    }

    /// PULSE: queues its answer, unless that would be larger.
    fn on_pulse(&mut self, now: Instant, frame: &FrameHeader, payload: &[u8]) {
        if Pulse::decode(payload).is_err() {
            return;
        }
        let asked = PulseAsked {
            handle: frame.set_handle,
            object: frame.object,
            number: frame.offset,
            echo: frame.send_time,
        };
        let pulses = &mut self.work(now).pulses;
        if pulses.len() < PULSES_MAX {
            pulses.push_back(asked);
        }
    }

    /// PATH_RESPONSE: moves the session to the address that it came from, if it answers the challenge that went there.
    fn on_path_response(&mut self, path: Path, payload: &[u8], context: Context<'_>) {
        let Some(challenge) = &self.challenge else { return };
        let response = payload.get(..challenge.secret.len()).unwrap_or(&[]);
        if challenge.path != path || !hash::constant_time_eq(response, &challenge.secret) {
            return;
        }
        self.challenge = None;
        // A challenge at the proven address asked whether the client lives.
        if path != self.path {
            self.move_to(context.now, path);
            context.counters.path_changes += 1;
        }
    }

    /// CANCEL: the request is finished, also one that comes later because it was overtaken.
    fn on_cancel(&mut self, now: Instant, id: RequestId, context: Context<'_>) {
        if !self.window.would_lose(id) {
            self.window.cancel(id);
        }
        let slot = self.index().slot();
        let work = self.work(now);
        work.status.by(now + STATUS_DELAY);
        let Some(Queued { set, object, .. }) = work.queue.cancel(id) else { return };
        if !work.queue.waits_for(set, object) {
            context.waiters.leave(slot, (set, object));
        }
        self.unwant(set, object, context.holds);
    }
}

/// Whether REPORT `number` was sent after REPORT `last`: they wrap (RFC 1982, section 3.2).
fn is_above(number: u32, last: u32) -> bool {
    (1..1 << 31).contains(&number.wrapping_sub(last))
}

/// CLOSE: the client is gone. One that cannot be read still ends the session: it was authentic.
fn on_close(payload: &[u8]) -> Ending {
    let code = Close::decode(payload).map_or(Code::ClientDone, |close| close.code);
    Ending { code, by_client: true }
}
