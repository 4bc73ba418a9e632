//! The sessions of one fetch, kept alive: reconnects what was lost, gives up what refuses for good.

use segcast_proto::ids::ObjectNumber;
use segcast_proto::session::client::{Backoff, ClientEvent, Fetched};
use segcast_proto::time::{Duration, Instant};
use segcast_proto::wire::code::Code;
use segcast_proto::wire::pulse::PulseReply;

use super::error::{FetchError, Reason};
use super::patience::{Patience, RATE_LEAST};
use crate::access::fresh_seed;
use crate::connection::{Connections, now};

/// Sessions closed for breaking the protocol before the edge is given up: a bug is on one side, and it stays.
const VIOLATIONS_MAX: u32 = 3;

/// How it stands with one edge.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// The first handshake.
    Connecting,
    Open,
    /// Nothing has come for a while; the session tries again by itself.
    Unresponsive,
    /// Begins again at this time, after this.
    Waiting(Instant, String),
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
    pub(super) fn new(connections: Connections, patience: Duration) -> Self {
        let edge = || Edge {
            state: State::Connecting,
            sessions: Backoff::default(),
            requests: Backoff::default(),
            violations: 0,
        };
        let edges = (0..connections.len()).map(|_| edge()).collect();
        Self { connections, edges, patience: Patience::new(now(), patience) }
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
            if let Some(event) = self.translate(index, event) {
                events.push((index, event));
            }
        }
        let come = (0..self.edges.len()).map(|index| self.connections.stats(index).data_bytes);
        self.patience.turn(now(), come.sum());
        self.judge()
    }

    /// The edge refused a request; gives when it may be asked again, by its own word or later.
    pub(super) fn request_refused(&mut self, index: usize, retry_after: Duration) -> Instant {
        self.edges[index].requests.refused(now(), retry_after, random())
    }

    /// Gives an edge up for a reason that its session does not know.
    pub(super) fn give_up(&mut self, index: usize, reason: Reason) {
        self.edges[index].state = State::Refused(reason);
        self.connections.session(index).close();
    }

    fn translate(&mut self, index: usize, event: ClientEvent) -> Option<EdgeEvent> {
        let address = self.connections.edge(index).address;
        let edge = &mut self.edges[index];
        if matches!(edge.state, State::Refused(_)) {
            return None;
        }
        match event {
            ClientEvent::Open => {
                edge.state = State::Open;
                Some(EdgeEvent::Opened)
            }
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
    fn judge(&self) -> Result<(), FetchError> {
        let refused: Vec<_> = (0..self.edges.len())
            .filter_map(|index| match self.edges[index].state {
                State::Refused(reason) => Some((self.connections.edge(index).address, reason)),
                _ => None,
            })
            .collect();
        if refused.len() == self.edges.len() {
            return Err(FetchError::Refused(refused));
        }
        if self.patience.is_over() {
            let edges = (0..self.edges.len()).map(|index| {
                let state = match &self.edges[index].state {
                    State::Open if self.patience.came() > 0 => {
                        format!("connected, but sends less than {RATE_LEAST} bytes a second")
                    }
                    state => state.to_string(),
                };
                (self.connections.edge(index).address, state)
            });
            let (edges, patience) = (edges.collect(), self.patience.waited());
            return Err(FetchError::NoProgress { patience, edges });
        }
        Ok(())
    }
}

impl Edge {
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
            Self::Refused(reason) => write!(f, "given up: {reason}"),
        }
    }
}
