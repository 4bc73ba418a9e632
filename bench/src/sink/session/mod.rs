//! One session of the generator: the real protocol from handshake to close, by `proto`'s own parts, except that most of
//! what it receives it sees by its head alone.

mod asked;
mod opening;
mod receive;
mod send;

use std::time::Duration;

use anyhow::Context as _;
use asked::Asked;
use opening::Opening;
pub(super) use receive::Train;
use segcast_proto::crypto::{Opener, Sealer, Suite};
use segcast_proto::handshake::{StaticSecret, Welcomed};
use segcast_proto::ids::ReceiverIndex;
use segcast_proto::limits::REQUESTS_MAX;
use segcast_proto::session::client::{Backoff, Reports};
use segcast_proto::time::Instant;
use segcast_proto::wire::code::Code;

use super::head::HeadReader;
use super::seen::Seen;
use super::title::Title;

/// Packets back from the highest that are told from repeats by the product's own window; [`Seen`] tells all.
const WINDOW: usize = 16_384;
/// A request that nobody acknowledged goes again, and a server that says nothing is asked again, after this at the least,
/// and at the most: as in docs/protocol, section 14, a wait in vain is doubled.
const REPEAT: Duration = Duration::from_millis(200);
const REPEAT_MAX: Duration = Duration::from_secs(2);

/// What all sessions have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) title: Title,
    pub(super) segments: u32,
    pub(super) segment_bytes: u32,
    /// Every so many segments one is read.
    pub(super) spread: u32,
    /// Bytes of each range that a REQUEST asks for, since no train goes beyond a range; none: whole segments.
    pub(super) range_bytes: Option<u32>,
    /// Segments asked for at once.
    pub(super) outstanding: usize,
    /// What the client says it can take beyond what it received.
    pub(super) room_bytes: u64,
    /// The largest datagram, bytes of UDP payload.
    pub(super) datagram_max: usize,
    /// DATA packets after which a REPORT is due, and the longest time after the first of them.
    pub(super) report_packets: u32,
    pub(super) report_after: Duration,
    pub(super) edge_public: [u8; 32],
}

/// Who a session is.
pub(super) struct Identity {
    pub(super) secret: StaticSecret,
    pub(super) token: Vec<u8>,
    /// Its handshake's randomness, and the seed of its order of segments.
    pub(super) seed: [u8; 32],
}

/// What a session saw.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Trains of two datagrams or more.
    pub(super) trains: u64,
    /// DATA datagrams that came singly.
    pub(super) singles: u64,
    /// DATA datagrams, in trains and singly.
    pub(super) datagrams: u64,
    /// Bytes of the title in them.
    pub(super) bytes: u64,
    /// Requests, repeats not counted; and those that the server refused.
    pub(super) requests: u64,
    pub(super) refused: u64,
    /// The longest time between two trains while segments were asked for.
    pub(super) longest_wait: Duration,
}

/// One session.
pub(super) struct Session {
    number: u32,
    opening: Option<Opening>,
    open: Option<Open>,
    pub(super) tally: Tally,
}

/// What an open session holds.
struct Open {
    /// When to send a PULSE: until it is answered. The server forgets a handshake after which nothing comes for 5 s
    /// (docs/protocol, section 5), and a session may have nothing to ask for so long.
    pulse: Option<Instant>,
    sealer: Sealer,
    opener: Opener,
    head: HeadReader,
    server: ReceiverIndex,
    reports: Reports,
    /// DATA packets since the last REPORT, and when the next is due at the latest.
    unreported: u32,
    report_due: Option<Instant>,
    seen: Seen,
    asked: Vec<Asked>,
    /// Cancelled ones that are finished: trains of them may still be on their way.
    gone: Vec<Asked>,
    outstanding: usize,
    /// The segment that is asked for in pieces, and where the next one begins.
    rest: Option<(u32, u32)>,
    last_id: u32,
    /// Highest request that the server is known to have.
    highest: u32,
    cancels: Vec<u32>,
    /// SplitMix64: the session's own order of segments.
    order: u64,
    heard: Instant,
    /// How long to wait for the server to say something: falls slowly to what its trains leave between them.
    patience: Duration,
    last_train: Option<Instant>,
    /// After a refusal nothing is asked for until then (docs/protocol, section 14).
    backoff: Backoff,
    held: Option<Instant>,
}

impl Session {
    /// A session that has not begun; the server will name it by `number`.
    pub(super) fn new(number: u32) -> Self {
        Self { number, opening: None, open: None, tally: Tally::default() }
    }

    /// Begins the handshake.
    pub(super) fn begin(
        &mut self,
        now: Instant,
        plan: &Plan,
        who: &Identity,
    ) -> anyhow::Result<()> {
        self.opening = Some(Opening::new(now, self.number, plan, who)?);
        Ok(())
    }

    /// Whether both ends know that it is open.
    pub(super) fn is_open(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.pulse.is_none())
    }

    /// Whether the server has anything to do for it.
    pub(super) fn is_waiting(&self) -> bool {
        self.opening.is_some() || self.open.as_ref().is_some_and(|open| !open.asked.is_empty())
    }

    /// Packets seen; numbers below the highest that were not.
    pub(super) fn numbers(&self) -> (u64, u64) {
        let seen = self.open.as_ref().map(|open| &open.seen);
        seen.map_or((0, 0), |seen| (seen.count(), seen.end() - seen.count()))
    }

    /// Gives up what was asked for; nothing is asked for until [`Self::resume`].
    pub(super) fn pause(&mut self) {
        let Some(open) = &mut self.open else { return };
        open.outstanding = 0;
        open.last_train = None;
        open.cancel_all();
    }

    /// Asks for segments from now on.
    pub(super) fn resume(&mut self, plan: &Plan) {
        let Some(open) = &mut self.open else { return };
        open.gone.clear();
        // No segment is asked for twice at once: of a small title there are not so many.
        let segments = plan.segments.div_ceil(plan.spread) as usize;
        open.outstanding = plan.outstanding.min(REQUESTS_MAX).min(segments);
        open.ask(plan);
    }

    /// When something is to be sent although nothing came.
    pub(super) fn due(&self) -> Instant {
        if let Some(opening) = &self.opening {
            return opening.due();
        }
        let Some(open) = &self.open else { return Instant::FAR_FUTURE };
        let due = |at: Option<Instant>| at.unwrap_or(Instant::FAR_FUTURE);
        let due = due(open.report_due).min(due(open.pulse)).min(due(open.held));
        if open.asked.is_empty() { due } else { due.min(open.heard + open.patience) }
    }

    fn welcomed(&mut self, now: Instant, welcomed: Welcomed, order: u64) -> anyhow::Result<()> {
        let number = self.number;
        let code = welcomed.payload.code;
        anyhow::ensure!(code == Code::Ok, "session {number} was refused: {}", code.name());
        self.opening = None;
        self.open = Some(Open {
            pulse: Some(now),
            sealer: Sealer::new(Suite::Aes128Gcm, welcomed.to_server, now),
            head: HeadReader::new(&welcomed.from_server),
            opener: Opener::new(Suite::Aes128Gcm, welcomed.from_server, WINDOW),
            server: welcomed.server_index,
            reports: Reports::default(),
            unreported: 0,
            report_due: None,
            seen: Seen::default(),
            asked: Vec::with_capacity(REQUESTS_MAX),
            gone: Vec::new(),
            outstanding: 0,
            rest: None,
            last_id: 0,
            highest: 0,
            cancels: Vec::new(),
            order,
            heard: now,
            patience: REPEAT,
            last_train: None,
            backoff: Backoff::default(),
            held: None,
        });
        Ok(())
    }

    fn open(&mut self) -> anyhow::Result<&mut Open> {
        let number = self.number;
        self.open.as_mut().with_context(|| format!("session {number} is not open"))
    }
}
