//! What an endpoint counts. Plain integers: one shard, one thread.

use super::event::DropReason;
use crate::wire::code::Code;

/// Monotonic counters of one endpoint, and a few gauges.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Datagrams handed in.
    pub datagrams_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Datagrams written.
    pub datagrams_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
    /// Trains of DATA.
    pub trains: u64,
    /// DATA payload bytes.
    pub data_bytes: u64,
    /// DATA payload bytes that answered repair requests.
    pub repaired_bytes: u64,
    /// Noise message 1 computations.
    pub handshakes: u64,
    /// Handshakes handed to another shard.
    pub handoffs: u64,
    /// WELCOMEs that accepted.
    pub welcomes: u64,
    /// WELCOMEs sent again, for a HELLO that was answered already.
    pub repeats: u64,
    /// Pending handshakes that made place for another one of their client.
    pub pending_replaced: u64,
    /// WELCOMEs that refused.
    pub refusals: ByCode,
    /// HELLOs answered by DEFER.
    pub deferred: ByCode,
    /// COOKIEs sent.
    pub cookies: u64,
    /// Sessions opened.
    pub sessions_opened: u64,
    /// Sessions closed.
    pub sessions_closed: u64,
    /// Of those, for a lying report.
    pub lies: u64,
    /// Of those, for a flood of requests.
    pub floods: u64,
    /// REQUESTs taken in.
    pub requests: u64,
    /// REQUESTs refused.
    pub requests_refused: ByCode,
    /// REPORTs taken in.
    pub reports: u64,
    /// Sequence numbers skipped on purpose.
    pub skipped: u64,
    /// Address challenges sent, those to silent sessions included.
    pub challenges: u64,
    /// Address changes completed.
    pub path_changes: u64,
    /// Path size raised after a probe.
    pub size_raised: u64,
    /// Path size reset after a black hole or a send refused for its size.
    pub size_reset: u64,
    /// Times requests had to wait for an object that was not resident.
    pub waits: u64,
    /// Objects that failed while they were served.
    pub objects_failed: u64,
    /// GROUP_KEYs sent.
    pub group_keys: u64,
    /// GROUP_REPORTs taken in.
    pub group_reports: u64,
    /// Notes to the owners of sets that were dropped: too many waited.
    pub group_notes_dropped: u64,
    /// Requests that were held for a group.
    pub holds: u64,
    /// Of those, served by one.
    pub holds_by_group: u64,
    /// Woken: nobody else wants the segment.
    pub holds_alone: u64,
    /// Woken by their own timer: nothing was heard of the owner in time.
    pub holds_late: u64,
    /// Woken: the session does not hear the group, or it is closed.
    pub holds_ended: u64,
    /// Sends that failed otherwise.
    pub send_failures: u64,
    /// Datagrams dropped, by [`DropReason`] in the order of its `ALL`.
    pub dropped: [u64; DropReason::ALL.len()],
}

impl Counters {
    /// Counts a dropped datagram.
    pub(super) fn drop(&mut self, reason: DropReason) {
        self.dropped[reason as usize] += 1;
    }

    /// How many datagrams were dropped for `reason`.
    #[must_use]
    pub fn dropped_for(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }
}

/// One count for each code (section 14), and one for codes without a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByCode([u64; Self::LEN]);

impl ByCode {
    /// How many counts there are.
    pub const LEN: usize = Code::ALL.len() + 1;

    /// Where `code` is counted: at its place in [`Code::ALL`], or after it.
    #[must_use]
    pub fn place(code: Code) -> usize {
        Code::ALL.iter().position(|known| *known == code).unwrap_or(Code::ALL.len())
    }

    /// What is counted, in the order of the counts.
    pub fn codes() -> impl Iterator<Item = Code> {
        Code::ALL.iter().copied().chain([Code::Unknown(u16::MAX)])
    }

    /// All counts.
    #[must_use]
    pub const fn counts(&self) -> &[u64; Self::LEN] {
        &self.0
    }

    /// The count of one code.
    #[must_use]
    pub fn of(&self, code: Code) -> u64 {
        self.0[Self::place(code)]
    }

    pub(super) fn add(&mut self, code: Code) {
        self.0[Self::place(code)] += 1;
    }
}

impl Default for ByCode {
    fn default() -> Self {
        Self([0; Self::LEN])
    }
}

/// What there is now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gauges {
    /// Open sessions.
    pub sessions: u64,
    /// Pending handshakes.
    pub pending: u64,
    /// Objects that requests wait for, or that are being read in.
    pub waiting_objects: u64,
    /// Requests that are not finished.
    pub requests: u64,
    /// Bytes that they want, as far as the paths of their sessions can carry them in time.
    pub owed_bytes: u64,
    /// Segments that requests of listening members are held for.
    pub held_segments: u64,
}
