//! What each authentic message does to its session (section 7).

use super::ending::Ending;
use super::pace::Pace;
use super::requests::{Arrival, Queued};
use super::size::SizeChange;
use super::state::{NO_SET, PULSES_MAX, PulseAsked, Refusal, Session};
use crate::congestion::FeedbackView;
use crate::crypto::{Opened, hash};
use crate::faults::{Fault, planted};
use crate::ids::RequestId;
use crate::limits::{REPORT_RANGES_MAX, REQUESTS_MAX, TOKEN_LEEWAY};
use crate::session::server::counters::Counters;
use crate::session::server::event::Path;
use crate::session::server::send::overload::{Candidate, Overload};
use crate::session::server::source::{Object, SegmentSource};
use crate::time::{Duration, Instant};
use crate::wire::close::Close;
use crate::wire::code::Code;
use crate::wire::header::FrameHeader;
use crate::wire::report::Report;
use crate::wire::request::{FLAG_REPAIR, Request};

/// STATUS follows a REQUEST within this (section 9).
const STATUS_DELAY: Duration = Duration::from_millis(1);

/// What a message handler needs beyond its session.
pub(in crate::session::server) struct Context<'a> {
    pub(in crate::session::server) now: Instant,
    pub(in crate::session::server) unix_time: u64,
    pub(in crate::session::server) requests_per_second: u32,
    pub(in crate::session::server) counters: &'a mut Counters,
    pub(in crate::session::server) overload: &'a mut Overload,
}

/// Why a request is not taken in, and when to come again; zero: not said.
type Refused = (Code, Duration);

/// Any packet but a REPORT: sending that had stopped for want of reports begins again. Every train of a second was
/// lost then; where datagrams are larger than the base they may be the reason, so they become small again. Says
/// whether they did.
pub(in crate::session::server) fn on_life(session: &mut Session, now: Instant) -> bool {
    let Some(sender) = session.work.as_mut().and_then(|work| work.sender.as_mut()) else {
        return false;
    };
    let reset = sender.is_stopped() && session.size.black_hole(now);
    sender.on_peer_packet(now);
    if reset {
        sender.set_datagram_bytes(session.size.current());
    }
    reset
}

/// REQUEST: queues work, or refuses it.
pub(in crate::session::server) fn on_request<S: SegmentSource>(
    session: &mut Session,
    opened: &Opened<'_>,
    source: &S,
    context: Context<'_>,
) -> Result<(), Ending> {
    let now = context.now;
    let pace = session.bucket.take(context.requests_per_second, now);
    if pace == Pace::Flood {
        context.counters.floods += 1;
        return Err(Code::Flood.into());
    }
    if context.unix_time > session.expires.saturating_add(TOKEN_LEEWAY.as_secs()) {
        return Err(Code::TokenEnded.into());
    }
    let frame = &opened.frame;
    if frame.request() == RequestId::NONE {
        return Err(Code::ProtocolViolation.into());
    }
    let arrival = session.window.receive(frame.request());
    if arrival != Arrival::New {
        session.work(now).status.by(now);
        return Ok(());
    }
    session.totals.requests += 1;
    context.counters.requests += 1;
    let taken = match pace {
        Pace::TooFast(wait) => Err((Code::TooManyRequests, wait)),
        _ => enqueue(session, now, opened, source, context.overload),
    };
    if let Err(refused) = taken {
        context.counters.requests_refused.add(refused.0);
        refuse(session, now, frame, refused);
    }
    let lowest = session.window.highest.window_start();
    let work = session.work(now);
    while work.queue.expire(lowest).is_some() {}
    work.status.by(now + STATUS_DELAY);
    Ok(())
}

fn enqueue<S: SegmentSource>(
    session: &mut Session,
    now: Instant,
    opened: &Opened<'_>,
    source: &S,
    overload: &mut Overload,
) -> Result<(), Refused> {
    let frame = &opened.frame;
    let refused = |code| (code, Duration::ZERO);
    let request = Request::decode(opened.payload).map_err(|_| refused(Code::BadRequest))?;
    let set = session.sets.get(frame.set_handle).unwrap_or(NO_SET);
    if set == NO_SET {
        return Err(refused(Code::UnknownSet));
    }
    let len = match source.object(set, frame.object) {
        Object::Ready(bytes) => bytes.len() as u32,
        Object::NotResident { len } => len,
        // Refused in its turn.
        Object::Damaged | Object::PastEnd | Object::Absent => 0,
    };
    let deadline = Duration::from_millis(u64::from(request.deadline_ms));
    let repair = request.flags & FLAG_REPAIR != 0;
    let candidate = candidate(session, &request, len, deadline);
    overload.admit(now, candidate).map_err(|wait| (Code::Overloaded, wait))?;
    let names = (frame.request(), frame.set_handle, set);
    let queued = Queued::new(names, frame.object, now + deadline, repair);
    let taken = session.work(now).queue.push(queued, request.ranges.iter(), len);
    if taken { Ok(()) } else { Err(refused(Code::TooManyRequests)) }
}

/// What a request asks of the shard. Whether it is a repair is the client's word: it counts as far as as much was sent
/// to it that could have been lost.
fn candidate(session: &Session, request: &Request, len: u32, deadline: Duration) -> Candidate {
    let ranges = request.ranges.iter();
    let asked = ranges.map(|r| u64::from(r.end.min(len).saturating_sub(r.start))).sum();
    let bytes = if request.ranges.is_empty() { u64::from(len) } else { asked };
    let sent = session.totals.bytes.saturating_sub(session.totals.repaired);
    let repair = request.flags & FLAG_REPAIR != 0 && bytes <= sent;
    Candidate { bytes, deadline, further: session.owed().requests > 0, repair }
}

/// Queues a REFUSE; the request is finished.
fn refuse(session: &mut Session, now: Instant, frame: &FrameHeader, (code, wait): Refused) {
    let (id, handle, object) = (frame.request(), frame.set_handle, frame.object);
    // Rounded up: who comes a moment early is refused again.
    let retry_after_ms = u32::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX);
    push_refusal(session, now, Refusal { id, handle, object, code, retry_after_ms });
}

/// Queues a REFUSE. A client that does not take them in loses the surplus: STATUS still says `finished`.
pub(in crate::session::server) fn push_refusal(
    session: &mut Session,
    now: Instant,
    refusal: Refusal,
) {
    session.window.finish(refusal.id);
    let work = session.work(now);
    if work.refusals.len() < REQUESTS_MAX && !planted(Fault::RefusalDropped) {
        work.refusals.push_back(refusal);
    }
    work.status.by(now + STATUS_DELAY);
}

/// REPORT: feeds the rate model, and closes the session of a liar.
pub(in crate::session::server) fn on_report(
    session: &mut Session,
    opened: &Opened<'_>,
    context: Context<'_>,
) -> Result<(), Ending> {
    let now = context.now;
    let report = Report::decode(opened.payload).map_err(|_| Code::ProtocolViolation)?;
    context.counters.reports += 1;
    session.room = u64::from(report.room_kib) * 1024;
    let lie = |counters: &mut Counters| {
        counters.lies += 1;
        Ending::from(Code::LyingReport)
    };
    let highest = report.ranges.highest().unwrap_or(0);
    if highest >= session.sealer.next_sequence() {
        return Err(lie(context.counters));
    }
    let Some(work) = session.work.as_mut() else { return Ok(()) };
    let Some(sender) = work.sender.as_mut() else { return Ok(()) };
    if opened.frame.offset <= work.last_report {
        return Ok(());
    }
    work.last_report = opened.frame.offset;
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
    sender.set_room(session.room);
    let view = FeedbackView {
        echo: report.echo,
        echo_delay: Duration::from_micros(u64::from(report.echo_delay_us)),
        room_bytes: session.room,
        ce_count: report.ce_count,
        ranges: &ranges[..count],
    };
    if sender.on_report(now, &view).is_err() && !planted(Fault::SkipsNotChecked) {
        return Err(lie(context.counters));
    }
    let lost_trains = sender.lost_trains_in_a_row();
    if let Some(change) = session.size.reported(now, &ranges[..count], lost_trains) {
        match change {
            SizeChange::Raised(_) => context.counters.size_raised += 1,
            SizeChange::Reset => context.counters.size_reset += 1,
        }
        sender.set_datagram_bytes(session.size.current());
    }
    Ok(())
}

/// PULSE: queues its answer.
pub(in crate::session::server) fn on_pulse(
    session: &mut Session,
    now: Instant,
    frame: &FrameHeader,
) {
    let asked = PulseAsked {
        handle: frame.set_handle,
        object: frame.object,
        number: frame.offset,
        echo: frame.send_time,
    };
    let pulses = &mut session.work(now).pulses;
    if pulses.len() < PULSES_MAX {
        pulses.push_back(asked);
    }
}

/// CANCEL: the request is finished, also one that comes later because it was overtaken.
pub(in crate::session::server) fn on_cancel(session: &mut Session, now: Instant, id: RequestId) {
    session.window.cancel(id);
    let work = session.work(now);
    work.queue.cancel(id);
    work.status.by(now + STATUS_DELAY);
}

/// Whether a PATH_RESPONSE from `path` proves it.
pub(in crate::session::server) fn answers_challenge(
    session: &Session,
    path: Path,
    payload: &[u8],
) -> bool {
    let Some(challenge) = &session.challenge else { return false };
    let response = payload.get(..challenge.secret.len()).unwrap_or(&[]);
    challenge.path == path && hash::constant_time_eq(response, &challenge.secret)
}

/// CLOSE: the client is gone. One that cannot be read still ends the session: it was authentic.
pub(in crate::session::server) fn on_close(payload: &[u8]) -> Ending {
    let code = Close::decode(payload).map_or(Code::ClientDone, |close| close.code);
    Ending { code, by_client: true }
}
