//! What a session counts.

use std::ops::AddAssign;

/// The largest of what came: beside counters that add up, this one keeps the larger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Largest(pub usize);

impl AddAssign for Largest {
    fn add_assign(&mut self, other: Self) {
        self.0 = self.0.max(other.0);
    }
}

/// What a session counted.
#[derive(Clone, Copy, Debug, Default, derive_more::AddAssign)]
pub struct ClientStats {
    /// Authentic packets.
    pub datagrams_in: u64,
    /// Their bytes, of UDP payload.
    pub bytes_in: u64,
    /// Packets sent.
    pub datagrams_out: u64,
    /// Bytes of DATA that were new.
    pub data_bytes: u64,
    /// Bytes of DATA that had been received before.
    pub duplicate_bytes: u64,
    /// Bytes asked for again.
    pub repair_bytes: u64,
    /// DATA packets asked for again, because they were lost, damaged or late. One that is lost again counts again.
    pub repair_datagrams: u64,
    /// DATA packets that brought nothing new: what had been asked for again came twice, as the first was only late.
    pub needless_datagrams: u64,
    /// REQUESTs sent, repeats included.
    pub requests: u64,
    /// Requests that the server refused, also such as were no longer wanted.
    pub refused: u64,
    /// Times that the server put the handshake off.
    pub deferred: u64,
    /// REPORTs sent.
    pub reports: u64,
    /// Authentic packets that came after one with a higher sequence number.
    pub reordered: u64,
    /// Datagrams dropped because their tag is wrong: damaged or forged.
    pub corrupt: u64,
    /// Datagrams dropped because their sequence number had come before.
    pub replayed: u64,
    /// Datagrams dropped for another reason: malformed, for another session, of no known epoch, older than the window
    /// against replay.
    pub stray: u64,
    /// DATA not taken, because it would leave its object in more pieces than losses ever do.
    pub scattered: u64,
    /// Probe timeouts.
    pub timeouts: u64,
    /// Handshakes begun.
    pub handshakes: u64,
    /// The largest datagram received, bytes.
    pub datagram_bytes: Largest,
}

impl ClientStats {
    /// DATA packets that did not come, or came damaged: what was asked for again, less what came after all.
    #[must_use]
    pub fn lost_datagrams(&self) -> u64 {
        self.repair_datagrams.saturating_sub(self.needless_datagrams)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_add_up_and_the_largest_stays() {
        let one = |datagrams_in, bytes| ClientStats {
            datagrams_in,
            datagram_bytes: Largest(bytes),
            ..ClientStats::default()
        };
        let mut all = one(3, 1200);
        all += one(4, 1452);
        all += one(5, 1300);
        assert_eq!((all.datagrams_in, all.datagram_bytes), (12, Largest(1452)));
    }
}
