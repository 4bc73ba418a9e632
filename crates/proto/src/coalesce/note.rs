//! What the sessions' shards tell the shard that owns a set.

use crate::ids::ReceiverIndex;
use crate::time::{Duration, Instant};

/// A hold ends so long before unicast would have to begin.
pub const UNICAST_MARGIN: Duration = Duration::from_millis(150);
/// What a segment is taken to need by unicast, at least …
pub const UNICAST_MIN: Duration = Duration::from_millis(100);
/// … and at most.
pub const UNICAST_MAX: Duration = Duration::from_secs(4);
/// A path that is not known yet is taken to carry so many times the title's rate.
pub const UNKNOWN_PATH: u32 = 4;

/// A session that may hear the groups of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// The shard that has it.
    pub shard: u8,
    /// Its name there.
    pub session: ReceiverIndex,
}

/// What the owner has to know of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetFacts {
    /// Segments of the set.
    pub segments: u32,
    /// A stored segment, bytes: a multiple of a symbol; the last one is no longer.
    pub segment_bytes: u32,
    /// Source symbols of a segment: k.
    pub symbols: u16,
    /// Parity symbols of a segment that could be sent: m. 0 where none can.
    pub parity: u16,
    /// How long a segment plays. `None`: it is no title with a running time, and goes at the rate of bulk sets.
    pub playing: Option<Duration>,
}

/// One message of a session's shard to the owner; a set's name goes with each. A lost one costs bytes, never a deadline:
/// what is held ends by the session's own timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// Its first request of the set that a group may serve.
    Hears {
        /// Who.
        member: Member,
    },
    /// The session ended, or gave the set up.
    Gone {
        /// Who.
        member: Member,
    },
    /// What a member listens to, and what it lacks: on change, and now and then.
    Member {
        /// Who.
        member: Member,
        /// The first segment that it lacks and will need.
        position: u32,
        /// So many segments from there on it can store.
        window: u32,
        /// Bit i: it listens to the i-th channel of those that the set has now, counted as [`super::Channel`]s are.
        listening: u32,
        /// It loses more than [`GROUP_LOSSY`](crate::limits::GROUP_LOSSY) of what a channel brings.
        lossy: bool,
    },
    /// A listening member's request is held for this segment. Told again when the earliest deadline of the shard moves
    /// forward by 50 ms or more, and when the first waiter gets company.
    Want {
        /// The segment.
        segment: u32,
        /// The earliest deadline in the shard.
        deadline: Instant,
        /// How long one unicast of the segment takes to whom that deadline belongs.
        unicast: Duration,
        /// Whom the deadline belongs to.
        member: Member,
        /// Requests that are held for it in the shard: at least 1.
        waiters: u16,
    },
    /// No request of the shard is held for the segment any longer.
    Unwant {
        /// The segment.
        segment: u32,
        /// The shard.
        shard: u8,
    },
    /// A member heard a segment that was sent, but not all of it.
    Lack {
        /// The segment.
        segment: u32,
        /// Who.
        member: Member,
        /// Symbols that it lacks.
        symbols: u16,
        /// When it needs them.
        deadline: Instant,
    },
}
