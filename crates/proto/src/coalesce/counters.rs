//! What the owner of sets did, and what it refused.

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Segments sent to a group.
    pub sends: u64,
    /// Bytes of those, UDP payload.
    pub bytes: u64,
    /// Segments that nobody but who asked lacked: they went by unicast.
    pub alone: u64,
    /// Sets that got a channel.
    pub opened: u64,
    /// Channels that were split.
    pub splits: u64,
    /// Channels that were closed into their neighbour.
    pub merges: u64,
    /// Times that a set's channels were closed since most members lost much.
    pub broken: u64,
    /// Sets that were to have a channel when all were in use; counted at each try.
    pub channels_refused: u64,
    /// Members for whom there was no room.
    pub members_refused: u64,
    /// Segments for which a channel's queue had no room: they went by unicast.
    pub jobs_refused: u64,
}
