//! Datagrams as the generator saw them, and the generator's own health.

use derive_more::AddAssign;
use segcast_proto::session::client::Largest;
use segcast_proto::time::Duration;
use serde::{Deserialize, Serialize};

use super::Flight;

/// Datagrams as the generator saw them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, AddAssign, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
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
    /// Bytes of segments that were asked for again. Not stored.
    #[serde(skip)]
    pub repair_bytes: u64,
    /// The largest datagram that came, bytes of UDP payload. Not stored.
    #[serde(skip)]
    pub datagram_bytes: Largest,
    /// DATA datagrams that had to be asked for again.
    pub lost_datagrams: u64,
    /// Datagrams that came a second time, bit for bit.
    pub duplicate_datagrams: u64,
    /// Datagrams that came after a later one.
    pub reordered_datagrams: u64,
    /// Datagrams that failed authentication.
    pub corrupt_datagrams: u64,
    /// Datagrams dropped for another reason.
    pub stray_datagrams: u64,
    /// Datagrams that the kernel dropped before the generator could read them (SO_RXQ_OVFL).
    pub overflow_datagrams: u64,
    /// Datagrams that came to groups: each once for all viewers of a thread.
    #[serde(default)]
    pub group_datagrams: u64,
    /// Their bytes of UDP payload.
    #[serde(default)]
    pub group_bytes: u64,
    /// Bytes of segments that groups brought, for all viewers together.
    #[serde(default)]
    pub heard_bytes: u64,
}

/// How the thread itself fared in one interval.
/// It adds up over threads and over seconds, but for `sessions_open`, which adds up over threads only: who adds seconds
/// sets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, AddAssign)]
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
