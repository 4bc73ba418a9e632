//! Sending: answers, and by turns with them messages and each session's trains.

use super::overload::Owed;
use super::schedule::Turn;
use crate::ids::{ObjectNumber, SetIndex};
use crate::session::server::Endpoint;
use crate::session::server::door::answers::{self, ANSWER_MAX};
use crate::session::server::event::{Path, SendTicket, ServerEvent, Transmit};
use crate::session::server::session::ending::Ending;
use crate::session::server::session::notices::Notice;
use crate::session::server::source::SegmentSource;
use crate::time::{Duration, Instant};

/// No timer is set sooner than this, so that a session whose turn comes to nothing does not make the shard spin.
const TIMER_MIN: Duration = Duration::from_micros(50);
/// Turns that may come to nothing in one call: some 50 µs. Such a session leaves the lists until its timer or its
/// client wakes it.
const TURNS_MAX: usize = 1024;
/// The outcome of one step: written, nothing to do, or the session ends.
pub(super) type Step = Result<Option<Written>, Ending>;

/// What a step wrote.
pub(super) struct Written {
    pub(super) len: usize,
    pub(super) datagram_bytes: usize,
    pub(super) datagrams: usize,
    pub(super) data: Option<(SetIndex, ObjectNumber)>,
    /// Set when it goes elsewhere than to the session's path.
    pub(super) path: Option<Path>,
}

impl Written {
    fn message(len: usize) -> Self {
        Self { len, datagram_bytes: len, datagrams: 1, data: None, path: None }
    }
}

impl Endpoint {
    /// Writes the next train or message into `out` (at least [`TRAIN_MAX`](crate::limits::TRAIN_MAX) bytes). `None`: nothing to send
    /// before [`Self::poll_timeout`] or the next `handle_*`.
    pub fn poll_transmit<S: SegmentSource>(
        &mut self,
        now: Instant,
        source: &S,
        out: &mut [u8],
    ) -> Option<Transmit> {
        // By turns, or a flood of HELLOs would hold up everything else.
        if !core::mem::take(&mut self.answered)
            && let Some(answer) = self.answers.pop()
        {
            return Some(self.send_answer(&answer, out));
        }
        for _ in 0..TURNS_MAX {
            // The shard's cap holds back trains only: messages are small, and clients wait for them.
            let Some(turn) = self.schedule.next(self.egress.free_at() <= now) else { break };
            let slot = turn.slot();
            match self.turn(now, turn, source, out) {
                Ok(Some(transmit)) => {
                    self.sent(now, turn, transmit.len);
                    return Some(transmit);
                }
                // With a pause, or the same session would come up again in this loop.
                Ok(None) => self.plan(now, slot, TIMER_MIN),
                Err(ending) => self.close_session(now, slot, ending),
            }
        }
        if !self.schedule.waiting().trains {
            self.overload.nothing_waits();
        }
        let answer = self.answers.pop()?;
        Some(self.send_answer(&answer, out))
    }

    fn send_answer(&mut self, answer: &answers::Answer, out: &mut [u8]) -> Transmit {
        let packet = answer.packet();
        out[..packet.len()].copy_from_slice(packet);
        self.answered = true;
        self.counters.datagrams_out += 1;
        self.counters.bytes_out += packet.len() as u64;
        Transmit {
            path: answer.path,
            len: packet.len(),
            datagram_bytes: packet.len(),
            datagrams: 1,
            data: None,
            ticket: SendTicket::new(crate::ids::ReceiverIndex(0), packet.len()),
        }
    }

    /// One session's turn.
    fn turn<S: SegmentSource>(
        &mut self,
        now: Instant,
        turn: Turn,
        source: &S,
        out: &mut [u8],
    ) -> Result<Option<Transmit>, Ending> {
        let written = match turn {
            Turn::Train(slot) => self.train(now, slot, source, out)?,
            Turn::Notice(slot) => self.message(now, slot, source, out)?,
        };
        let Some(written) = written else { return Ok(None) };
        let Some(session) = self.table.session_mut(turn.slot()) else { return Ok(None) };
        session.count_datagrams(written.datagrams);
        self.counters.datagrams_out += written.datagrams as u64;
        self.counters.bytes_out += written.len as u64;
        Ok(Some(Transmit {
            path: written.path.unwrap_or(session.path()),
            len: written.len,
            datagram_bytes: written.datagram_bytes,
            datagrams: written.datagrams,
            data: written.data,
            ticket: SendTicket::new(session.index(), written.datagram_bytes),
        }))
    }

    /// The most pressing message of a session, if it has one; else a probe of larger datagrams, if one is due.
    fn message<S: SegmentSource>(
        &mut self,
        now: Instant,
        slot: u32,
        source: &S,
        out: &mut [u8],
    ) -> Step {
        let Some(session) = self.table.session_mut(slot) else { return Ok(None) };
        let Some(notice) = session.next_notice(now, source, &mut self.egress, &self.overload)
        else {
            if let Some(len) = session.group_key(now, out)? {
                self.counters.group_keys += 1;
                return Ok(Some(Written::message(len)));
            }
            return Ok(session.size_probe(now, out)?.map(Written::message));
        };
        self.counters.challenges += u64::from(notice.is_challenge());
        let len = session.seal_notice(now, &notice, out)?;
        Ok(Some(Written { path: notice.path, ..Written::message(len) }))
    }

    /// After a turn that sent something.
    fn sent(&mut self, now: Instant, turn: Turn, bytes: usize) {
        let slot = turn.slot();
        if let Turn::Train(_) = turn {
            let session = self.table.session_mut(slot);
            let due = session.and_then(|session| session.train_due(now));
            if due.is_some_and(|due| due <= now) {
                self.schedule.sent(slot, bytes, now);
            } else {
                self.schedule.sent_last(slot, bytes);
            }
        }
        self.plan(now, slot, Duration::ZERO);
    }

    /// Puts a session where it belongs after anything that happened to it: into the lists what it can send after
    /// `pause`, and into the wheel when it comes back otherwise.
    pub(in crate::session::server) fn plan(&mut self, now: Instant, slot: u32, pause: Duration) {
        let Some(session) = self.table.session_mut(slot) else { return };
        session.recount(&mut self.overload);
        let mut timer = session.timer();
        if session.has_notice(now) {
            if pause.is_zero() {
                self.schedule.notice(slot);
            } else {
                timer = now;
            }
        }
        match session.train_due(now) {
            Some(due) if due <= now && pause.is_zero() => {
                self.schedule.join(slot, now);
                self.overload.train_waits(now);
            }
            Some(due) => timer = timer.min(due),
            None => {}
        }
        let set = timer < Instant::FAR_FUTURE;
        self.schedule.wait(slot, set.then(|| timer.max(now + TIMER_MIN)));
    }

    /// Ends a session: CLOSE goes out (unless the client began), the slot is free, the record is an event.
    pub(in crate::session::server) fn close_session(
        &mut self,
        now: Instant,
        slot: u32,
        ending: Ending,
    ) {
        let Some(mut session) = self.table.close(slot) else { return };
        self.schedule.close(slot);
        self.waiters.leave_all(slot);
        session.leave_groups(&mut self.holds);
        self.overload.recount(session.owed(), Owed::default());
        if !ending.by_client {
            let mut packet = [0; ANSWER_MAX];
            // Into the queue of answers: its slot is free before the packet leaves.
            let close = Notice::close(ending.code);
            if let Ok(len) = session.seal_notice(now, &close, &mut packet) {
                self.answers.push(answers::Answer::new(session.path(), &packet[..len]));
            }
        }
        self.clients.remove(session.client_public());
        self.counters.sessions_closed += 1;
        let record = session.record(ending, now);
        self.events.push_back(ServerEvent::SessionClosed(Box::new(record)));
    }
}
