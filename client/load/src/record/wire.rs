//! Datagrams as the generator saw them, and the generator's own health.

use super::Flight;
use segcast_proto::time::Duration;

/// Datagrams and bytes, one class each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wire {
    /// Authentic datagrams that came.
    pub datagrams_in: u64,
    /// Their bytes of UDP payload.
    pub bytes_in: u64,
    /// Datagrams sent.
    pub datagrams_out: u64,
    /// Bytes of segments that were new.
    pub data_bytes: u64,
    /// Bytes of segments that had come before.
    pub duplicate_bytes: u64,
    /// Bytes of segments that were asked for again.
    pub repair_bytes: u64,
    /// The largest datagram that came, bytes of UDP payload.
    pub datagram_bytes: usize,
    /// DATA datagrams that had to be asked for again: lost on the way, or dropped as damaged.
    pub lost_datagrams: u64,
    /// Datagrams that came a second time, bit for bit (a replayed sequence number).
    pub duplicate_datagrams: u64,
    /// Datagrams that came after a later one.
    pub reordered_datagrams: u64,
    /// Datagrams that failed authentication.
    pub corrupt_datagrams: u64,
    /// Datagrams dropped for another reason: malformed, of no session.
    pub stray_datagrams: u64,
    /// Datagrams that the kernel dropped before the generator could read them (`SO_RXQ_OVFL`, socket(7)).
    pub overflow_datagrams: u64,
}

impl Wire {
    /// Takes all of `other` in.
    pub fn add(&mut self, other: &Self) {
        self.datagrams_in += other.datagrams_in;
        self.bytes_in += other.bytes_in;
        self.datagrams_out += other.datagrams_out;
        self.data_bytes += other.data_bytes;
        self.duplicate_bytes += other.duplicate_bytes;
        self.repair_bytes += other.repair_bytes;
        self.datagram_bytes = self.datagram_bytes.max(other.datagram_bytes);
        self.lost_datagrams += other.lost_datagrams;
        self.duplicate_datagrams += other.duplicate_datagrams;
        self.reordered_datagrams += other.reordered_datagrams;
        self.corrupt_datagrams += other.corrupt_datagrams;
        self.stray_datagrams += other.stray_datagrams;
        self.overflow_datagrams += other.overflow_datagrams;
    }
}

/// How the thread itself fared in one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Health {
    /// CPU time of the thread.
    pub cpu: Duration,
    /// How long the interval was.
    pub wall: Duration,
    /// Segments under way, summed over time, as another thread saw them. Over wall time it is the L of Little's law,
    /// which has to equal arrivals per second times the mean service time.
    pub flight: Flight,
    /// Sum of the service times of segments that were asked for and did not come: those of the others are in the
    /// histograms.
    pub unserved_time: Duration,
    /// Sessions that were open at its end.
    pub sessions_open: u64,
}

impl Health {
    /// Takes all of `other` in, of another thread or another second. `sessions_open` adds up over threads only: the
    /// caller sets it when he adds seconds.
    pub fn add(&mut self, other: &Self) {
        self.cpu += other.cpu;
        self.wall += other.wall;
        self.flight.add(&other.flight);
        self.unserved_time += other.unserved_time;
        self.sessions_open += other.sessions_open;
    }
}
