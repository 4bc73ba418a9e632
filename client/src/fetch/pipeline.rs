//! Joins a schedule to the sessions: turns asks into requests and events into what the schedule knows.

use segcast_proto::ids::{ObjectNumber, SetHandle};
use segcast_proto::limits::REQUESTS_MAX;
use segcast_proto::session::client::{self, Fetched};
use segcast_proto::time::Duration;
use segcast_proto::wire::code::Code;

use super::edges::{EdgeEvent, Edges};
use super::error::{FetchError, Reason};
use super::schedule::Schedule;
use crate::connection::now;

/// A request that the session has no room for is tried again after this.
const FULL_WAIT: Duration = Duration::from_millis(5);

/// What the numbers of a schedule mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbering {
    /// Number n is manifest page n + first.
    Pages {
        /// The first page.
        first: u16,
    },
    /// Number n is segment n, of so many bytes.
    Segments {
        /// Bytes of a segment.
        bytes: u32,
    },
}

impl Numbering {
    fn object(self, number: u32) -> ObjectNumber {
        match self {
            Self::Pages { first } => ObjectNumber(ObjectNumber::page(first).0 + number),
            Self::Segments { .. } => ObjectNumber(number),
        }
    }

    fn number(self, object: ObjectNumber) -> Option<u32> {
        match self {
            Self::Pages { first } => object.as_page()?.checked_sub(first).map(u32::from),
            Self::Segments { .. } => object.as_segment(),
        }
    }

    fn len(self) -> Option<u32> {
        match self {
            Self::Pages { .. } => None,
            Self::Segments { bytes } => Some(bytes),
        }
    }

    fn name(self, number: u32) -> String {
        match self {
            Self::Pages { first } => format!("manifest page {}", u32::from(first) + number),
            Self::Segments { .. } => format!("segment {number}"),
        }
    }
}

/// A complete object that an edge sent, not yet verified.
pub(super) struct Arrived {
    pub(super) number: u32,
    pub(super) edge: usize,
    pub(super) fetched: Box<Fetched>,
}

/// One schedule at work.
pub(super) struct Pipeline {
    pub(super) schedule: Schedule,
    numbering: Numbering,
    handle: SetHandle,
    /// The session by which groups are heard: its requests may be served by one.
    pub(super) hears: Option<usize>,
}

impl Pipeline {
    /// Begins with the edges that are open already, and without those that were given up before.
    pub(super) fn new(
        mut schedule: Schedule,
        numbering: Numbering,
        handle: SetHandle,
        edges: &mut Edges,
    ) -> Self {
        for index in 0..edges.connections().len() {
            if edges.is_open(index) {
                schedule.opened(index, REQUESTS_MAX as u32);
            } else if edges.is_given_up(index) {
                schedule.ban(index);
            }
        }
        Self { schedule, numbering, handle, hears: None }
    }

    /// Asks for as much as edges and window allow.
    pub(super) fn pump(&mut self, edges: &mut Edges) {
        let at = now();
        for index in 0..edges.connections().len() {
            let busy = self.schedule.outstanding(index) > 0;
            let received = edges.connections().stats(index).data_bytes;
            let total = received.saturating_sub(self.schedule.wrong_bytes(index));
            let rtt = edges.connections().rtt(index);
            let meter = self.schedule.meter(index);
            meter.observe(at, total, busy);
            meter.set_rtt(rtt.unwrap_or(Duration::ZERO));
        }
        for overdue in self.schedule.take_overdue(at) {
            let object = self.numbering.object(overdue.segment);
            edges.connections().session(overdue.edge).cancel(self.handle, object);
        }
        while let Some(ask) = self.schedule.ask(at) {
            let object = self.numbering.object(ask.segment);
            let session = edges.connections().session(ask.edge);
            let asked = match self.numbering.len() {
                Some(bytes) if self.hears == Some(ask.edge) => {
                    let mut room = vec![0; bytes as usize];
                    session.fetch_hearing(at, self.handle, object, &mut room, ask.deadline)
                }
                len => session.fetch(at, self.handle, object, len, ask.deadline),
            };
            match asked {
                Ok(()) => {}
                Err(client::FetchError::Ended) => self.schedule.lost(ask.edge),
                Err(error) => {
                    tracing::debug!(%error, object = object.0, "request postponed");
                    self.schedule.postponed(ask.segment, ask.edge, at + FULL_WAIT);
                }
            }
        }
    }

    /// Takes an event in; gives back an object that must now be verified.
    pub(super) fn on_event(
        &mut self,
        edges: &mut Edges,
        index: usize,
        event: EdgeEvent,
    ) -> Result<Option<Arrived>, FetchError> {
        match event {
            EdgeEvent::Opened => self.schedule.opened(index, REQUESTS_MAX as u32),
            EdgeEvent::Lost => self.schedule.lost(index),
            EdgeEvent::GivenUp => self.schedule.ban(index),
            EdgeEvent::Silent => self.on_silent(edges, index),
            EdgeEvent::Pulse(reply) => {
                let queue = Duration::from_millis(u64::from(reply.queue_ms));
                self.schedule.meter(index).set_queue(queue);
            }
            EdgeEvent::ObjectRefused(object, code, after) => {
                if let Some(number) = self.numbering.number(object) {
                    self.on_refused(edges, index, number, code, after)?;
                }
            }
            EdgeEvent::Object(fetched) => {
                let number = self.numbering.number(fetched.object);
                let number = number.filter(|number| self.schedule.arrived(*number, index));
                return Ok(number.map(|number| Arrived { number, edge: index, fetched }));
            }
        }
        Ok(None)
    }

    /// The bytes of `number` were wrong: another edge is asked.
    pub(super) fn on_wrong(&mut self, edges: &mut Edges, number: u32) -> Result<(), FetchError> {
        let (edge, another) = self.schedule.wrong(number);
        if let Some(index) = edge.filter(|edge| self.schedule.is_banned(*edge)) {
            let edge = edges.connections().edge(index).address;
            tracing::warn!(%edge, "wrong bytes again and again: it is asked for nothing more");
            edges.give_up(index, Reason::WrongBytes);
        }
        if another { Ok(()) } else { Err(self.no_edge_left(number, Reason::WrongBytes)) }
    }

    /// `index` does not answer. Where others can help, they get what it owes; else its session goes on trying.
    fn on_silent(&mut self, edges: &mut Edges, index: usize) {
        if edges.open() == 0 {
            return;
        }
        for number in self.schedule.owed_by(index) {
            let object = self.numbering.object(number);
            edges.connections().session(index).cancel(self.handle, object);
        }
        self.schedule.lost(index);
    }

    fn on_refused(
        &mut self,
        edges: &mut Edges,
        index: usize,
        number: u32,
        code: Code,
        after: Duration,
    ) -> Result<(), FetchError> {
        let edge = edges.connections().edge(index).address;
        tracing::debug!(%edge, %code, number, "request refused");
        if is_for_now(code) || !after.is_zero() {
            let until = edges.request_refused(index, after);
            self.schedule.postponed(number, index, until);
            return Ok(());
        }
        let another = self.schedule.refused(number, index);
        if code == Code::UnknownSet {
            self.schedule.ban(index);
            edges.give_up(index, Reason::Code(code));
        }
        if another { Ok(()) } else { Err(self.no_edge_left(number, Reason::Code(code))) }
    }

    fn no_edge_left(&self, number: u32, last: Reason) -> FetchError {
        FetchError::NoEdgeLeft { object: self.numbering.name(number), last }
    }
}

/// Whether an edge that refuses a request with `code` may serve it later. A code that is not known is treated like BUSY
/// (docs/protocol, section 14).
fn is_for_now(code: Code) -> bool {
    matches!(
        code,
        Code::TooManyRequests | Code::Busy | Code::Overloaded | Code::Draining | Code::Unknown(_)
    )
}
