//! The sessions of one fetch, kept alive: reconnects what was lost, gives up what refuses for good.
//!
//! An edge whose name has several addresses is tried at each, one after the other in short steps (RFC 8305, section 5); the
//! first that answers is used, and the others stand by until it falls silent. What ends an edge ends it at all of them.

use segcast_proto::ids::ObjectNumber;
use segcast_proto::session::client::{Backoff, ClientEvent, Fetched};
use segcast_proto::time::{Duration, Instant};
use segcast_proto::wire::code::Code;
use segcast_proto::wire::pulse::PulseReply;

use super::error::{FetchError, Reason};
use super::patience::{Patience, RATE_LEAST};
use super::silence::Silence;
use crate::access::fresh_seed;
use crate::connection::{Connections, now};

/// Sessions closed for breaking the protocol before the edge is given up: a bug is on one side, and it stays.
const VIOLATIONS_MAX: u32 = 3;

/// Between attempts at two addresses of one name (RFC 8305, section 8: "Connection Attempt Delay").
const STAGGER: Duration = Duration::from_millis(250);

/// How it stands with one address of an edge.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// The first handshake.
    Connecting,
    Open,
    /// Nothing has come for a while; the session tries again by itself.
    Unresponsive,
    /// Begins again at this time, after this.
    Waiting(Instant, String),
    /// Another address of the same edge is used.
    StandBy,
    /// Never again.
    Refused(Reason),
}

struct Edge {
    state: State,
    /// Of its sessions.
    sessions: Backoff,
    /// Of requests.
    requests: Backoff,
    violations: u32,
    /// The first address of the same edge.
    first: usize,
    silence: Silence,
}

/// What a fetch needs to know of its edges.
#[derive(Debug)]
pub(super) enum EdgeEvent {
    /// It can be asked.
    Opened,
    /// It does not answer; what it owes may come elsewhere sooner.
    Silent,
    /// Its session is gone with all it owed; another one will begin.
    Lost,
    /// It will not be asked again.
    GivenUp,
    /// It sent a complete object.
    Object(Box<Fetched>),
    /// It cannot deliver an object.
    ObjectRefused(ObjectNumber, Code, Duration),
    /// It answered a pulse.
    Pulse(PulseReply),
}

/// Sessions with all edges.
pub(super) struct Edges {
    connections: Connections,
    edges: Vec<Edge>,
    patience: Patience,
}

impl Edges {
    /// `addresses`: how many of the connections each edge has, in their order.
    pub(super) fn new(
        connections: Connections,
        addresses: impl IntoIterator<Item = usize>,
        patience: Duration,
    ) -> Self {
        let mut edges = Vec::with_capacity(connections.len());
        for count in addresses {
            let first = edges.len();
            edges.extend((0..count).map(|_| Edge::new(first)));
        }
        assert_eq!(edges.len(), connections.len(), "each connection is of an edge");
        let mut this = Self { connections, edges, patience: Patience::new(now(), patience) };
        for index in 0..this.edges.len() {
            if this.edges[index].first != index {
                this.stand_by(index);
            }
        }
        (0..this.edges.len()).for_each(|index| this.try_others(index));
        this
    }

    pub(super) fn connections(&mut self) -> &mut Connections {
        &mut self.connections
    }

    /// Edges with an open session.
    pub(super) fn open(&self) -> usize {
        self.edges.iter().filter(|edge| edge.state == State::Open).count()
    }

    pub(super) fn is_open(&self, index: usize) -> bool {
        self.edges[index].state == State::Open
    }

    /// Whether something came from this address; where an edge has none such, whether it is its first.
    pub(super) fn is_used(&self, index: usize) -> bool {
        let came = |index: usize| self.connections.stats(index).data_bytes > 0;
        let first = self.edges[index].first;
        came(index) || index == first && !self.siblings(index).any(came)
    }

    /// For each address, the first one of the same edge.
    pub(super) fn firsts(&self) -> Vec<usize> {
        self.edges.iter().map(|edge| edge.first).collect()
    }

    /// Whether the edge of this address is never asked again.
    pub(super) fn is_given_up(&self, index: usize) -> bool {
        let is_refused = |index: usize| matches!(self.edges[index].state, State::Refused(_));
        is_refused(index) || self.siblings(index).any(is_refused)
    }

    /// The other addresses of the same edge.
    fn siblings(&self, index: usize) -> impl Iterator<Item = usize> + use<> {
        let first = self.edges[index].first;
        let count = self.edges[first..].iter().take_while(|edge| edge.first == first).count();
        (first..first + count).filter(move |other| *other != index)
    }

    /// `index` is not needed: another address of its edge is used.
    fn stand_by(&mut self, index: usize) {
        self.edges[index].state = State::StandBy;
        self.connections.session(index).close();
    }

    /// `index` does not answer, or not yet: its edge may at another address.
    fn try_others(&mut self, index: usize) {
        let mut at = now();
        for other in self.siblings(index) {
            at += STAGGER;
            if self.edges[other].state == State::StandBy {
                self.edges[other].state = State::Waiting(at, "does not answer".into());
            }
        }
    }

    /// `index` is open: whatever its edge's other addresses would bring, one session is enough.
    fn opened(&mut self, index: usize, events: &mut Vec<(usize, EdgeEvent)>) {
        if self.siblings(index).any(|other| self.is_open(other)) {
            return self.stand_by(index);
        }
        self.edges[index].state = State::Open;
        for other in self.siblings(index) {
            self.stand_by(other);
            events.push((other, EdgeEvent::Lost));
        }
        events.push((index, EdgeEvent::Opened));
    }

    /// Something was achieved: patience begins anew.
    pub(super) fn note_progress(&mut self) {
        self.patience.renew();
    }

    /// One turn of the sessions; what happened is added to `events`.
    pub(super) fn turn(
        &mut self,
        limit: Duration,
        events: &mut Vec<(usize, EdgeEvent)>,
    ) -> Result<(), FetchError> {
        let at = now();
        let mut wait = limit;
        for index in 0..self.edges.len() {
            if let State::Waiting(until, _) = self.edges[index].state {
                if until <= at {
                    self.connections.reopen(index)?;
                    self.edges[index].state = State::Connecting;
                } else {
                    wait = wait.min(until.saturating_since(at));
                }
            }
        }
        self.connections.turn(wait)?;
        while let Some((index, event)) = self.connections.poll_event() {
            if matches!(self.edges[index].state, State::Refused(_) | State::StandBy) {
                continue;
            }
            if matches!(event, ClientEvent::Open) {
                self.opened(index, events);
            } else if let Some(event) = self.translate(index, event) {
                match event {
                    EdgeEvent::Silent | EdgeEvent::Lost => self.try_others(index),
                    EdgeEvent::GivenUp => self.leave_others(index),
                    _ => {}
                }
                events.push((index, event));
            }
        }
        let come = (0..self.edges.len()).map(|index| self.connections.stats(index).data_bytes);
        self.patience.turn(now(), come.sum());
        self.listen_to_silence(self.patience.waited());
        self.judge()
    }

    /// Asks the network about those who do not answer while nothing comes from anybody.
    fn listen_to_silence(&mut self, waited: Duration) {
        for (index, edge) in self.edges.iter_mut().enumerate() {
            if matches!(edge.state, State::Connecting | State::Unresponsive | State::Waiting(..)) {
                edge.silence.lasts(self.connections.edge(index), waited);
            }
        }
    }

    /// The edge refused a request; gives when it may be asked again, by its own word or later.
    pub(super) fn request_refused(&mut self, index: usize, retry_after: Duration) -> Instant {
        self.edges[index].requests.refused(now(), retry_after, random())
    }

    /// Gives an edge up, at all its addresses, for a reason that its session does not know.
    pub(super) fn give_up(&mut self, index: usize, reason: Reason) {
        self.edges[index].state = State::Refused(reason);
        self.connections.session(index).close();
        self.leave_others(index);
    }

    /// `index` is given up: its edge would say the same at another address.
    fn leave_others(&mut self, index: usize) {
        self.siblings(index).for_each(|other| self.stand_by(other));
    }

    fn translate(&mut self, index: usize, event: ClientEvent) -> Option<EdgeEvent> {
        let address = self.connections.edge(index).address;
        let edge = &mut self.edges[index];
        match event {
            ClientEvent::Open => Some(EdgeEvent::Opened),
            ClientEvent::Unresponsive => {
                tracing::debug!(edge = %address, "no answer, connecting again");
                edge.state = State::Unresponsive;
                Some(EdgeEvent::Silent)
            }
            ClientEvent::TimedOut => Some(edge.wait(Duration::ZERO, "no answer".into())),
            ClientEvent::Refused { code, retry_after } => {
                Some(edge.ended(code, retry_after, code.to_string()))
            }
            ClientEvent::Closed { code, reason } => {
                tracing::debug!(edge = %address, %code, reason, "session closed");
                Some(edge.ended(code, Duration::ZERO, format!("{code} {reason}")))
            }
            ClientEvent::Object(fetched) => {
                // However short it is.
                self.patience.renew();
                edge.sessions.served();
                edge.requests.served();
                Some(EdgeEvent::Object(fetched))
            }
            ClientEvent::ObjectRefused { object, code, retry_after, .. } => {
                Some(EdgeEvent::ObjectRefused(object, code, retry_after))
            }
            ClientEvent::PulseReply { reply, .. } => Some(EdgeEvent::Pulse(reply)),
        }
    }

    /// Ends the fetch when no edge is left, or none got anywhere for too long.
    fn judge(&mut self) -> Result<(), FetchError> {
        let refused: Vec<_> = (0..self.edges.len())
            .filter_map(|index| match self.edges[index].state {
                State::Refused(reason) => Some((self.connections.edge(index).address, reason)),
                _ => None,
            })
            .collect();
        if (0..self.edges.len()).all(|index| self.is_given_up(index)) {
            return Err(FetchError::Refused(refused));
        }
        if self.patience.is_over() {
            // With a short patience nobody was asked yet: the answer of this machine comes at once.
            self.listen_to_silence(Duration::MAX);
            self.listen_to_silence(Duration::MAX);
            let edges = (0..self.edges.len()).filter(|i| self.edges[*i].state != State::StandBy);
            let edges = edges.map(|i| (self.connections.edge(i).address, self.standing(i)));
            let (edges, patience) = (edges.collect(), self.patience.waited());
            return Err(FetchError::NoProgress { patience, edges });
        }
        Ok(())
    }

    /// How it stands with an address that brings nothing, for people.
    fn standing(&self, index: usize) -> String {
        let edge = &self.edges[index];
        match &edge.state {
            State::Open if self.patience.came() > 0 => {
                format!("connected, but sends less than {RATE_LEAST} bytes a second")
            }
            State::Connecting | State::Unresponsive | State::Waiting(..) => {
                let why = edge.silence.why(self.connections.not_sent(index));
                why.map_or(edge.state.to_string(), |why| format!("{} ({why})", edge.state))
            }
            state => state.to_string(),
        }
    }
}

impl Edge {
    fn new(first: usize) -> Self {
        Self {
            state: State::Connecting,
            sessions: Backoff::default(),
            requests: Backoff::default(),
            violations: 0,
            first,
            silence: Silence::default(),
        }
    }

    fn wait(&mut self, at_least: Duration, why: String) -> EdgeEvent {
        self.state = State::Waiting(self.sessions.refused(now(), at_least, random()), why);
        EdgeEvent::Lost
    }

    /// The session ended with `code`: for good, or to be begun again?
    fn ended(&mut self, code: Code, retry_after: Duration, why: String) -> EdgeEvent {
        if matches!(code, Code::ProtocolViolation | Code::LyingReport) {
            self.violations += 1;
        }
        if code.refuses_token() || self.violations >= VIOLATIONS_MAX {
            self.state = State::Refused(Reason::Code(code));
            return EdgeEvent::GivenUp;
        }
        self.wait(retry_after, why)
    }
}

/// Spreads clients that were refused together. Without randomness they come together, no more.
fn random() -> u32 {
    let [a, b, c, d, ..] = fresh_seed().unwrap_or_default();
    u32::from_be_bytes([a, b, c, d])
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connecting => f.write_str("does not answer"),
            Self::Open => f.write_str("connected, but sends nothing"),
            Self::Unresponsive => f.write_str("stopped answering"),
            Self::Waiting(_, why) => f.write_str(why),
            Self::StandBy => f.write_str("not used"),
            Self::Refused(reason) => write!(f, "given up: {reason}"),
        }
    }
}
