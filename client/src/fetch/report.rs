//! What a fetch says of itself, while it runs and at its end.

use hdrhistogram::Histogram;
use serde::Serialize;
use std::net::SocketAddr;
use std::time::Duration;

/// The longest time a histogram tells apart, µs: ten minutes.
const LONGEST: u64 = 600_000_000;

/// How far a fetch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Bytes of the title in the part file, all of them verified.
    pub bytes: u64,
    /// Bytes of the title that have come: those in the part file, and those of segments still on their way. An
    /// estimate, for showing how fast it goes.
    pub come: u64,
    /// Bytes of the title; 0 as long as the manifest has not come.
    pub total: u64,
    /// Edges with an open session.
    pub edges_open: usize,
    /// Segments read back from an earlier part file and still being checked.
    pub rechecking: u32,
}

/// What a fetch is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Sessions and manifest.
    Connecting,
    /// Segments.
    Fetching,
    /// The last sync and the rename.
    Finishing,
}

/// Times, in microseconds with three digits.
#[derive(Clone, Debug)]
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST, 3).expect("constant bounds are valid"))
    }
}

impl Times {
    /// Takes a time in; longer ones than ten minutes count as ten minutes.
    pub fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_micros()).unwrap_or(LONGEST).max(1));
    }

    /// Takes all of `other` in.
    pub fn add(&mut self, other: &Self) {
        // Both have the bounds of `default`.
        self.0.add(&other.0).expect("equal bounds");
    }

    /// The figures to print.
    #[must_use]
    pub fn quantiles(&self) -> Quantiles {
        let at = |quantile| if self.0.is_empty() { 0 } else { self.0.value_at_quantile(quantile) };
        Quantiles {
            count: self.0.len(),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: if self.0.is_empty() { 0 } else { self.0.max() },
        }
    }
}

/// A distribution of times, microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// How many.
    pub count: u64,
    /// Half are at most this.
    pub p50_us: u64,
    /// Nine of ten.
    pub p90_us: u64,
    /// 99 of 100.
    pub p99_us: u64,
    /// 999 of 1000.
    pub p999_us: u64,
    /// The longest.
    pub max_us: u64,
}

/// What one edge contributed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EdgeShare {
    /// The edge.
    pub address: SocketAddr,
    /// Segments that it sent and that were right.
    pub segments: u32,
    /// Bytes of data that it sent, once each.
    pub bytes: u64,
    /// Segments that it sent and that were wrong.
    pub wrong: u32,
    /// Smoothed round trip, microseconds.
    pub rtt_us: Option<u64>,
    /// Handshakes begun.
    pub handshakes: u64,
}

/// The end of a fetch.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The set.
    pub set: String,
    /// The title's name in the manifest.
    pub name: String,
    /// True length of the title, bytes.
    pub bytes: u64,
    /// Segments of the title.
    pub segments: u32,
    /// Segments that an earlier fetch had left.
    pub resumed_segments: u32,
    /// From the first HELLO to the file's name.
    pub seconds: f64,
    /// Bytes of title fetched now, per second.
    pub goodput_bytes_per_second: f64,
    /// From the first HELLO to the first byte of a segment, microseconds.
    pub start_us: u64,
    /// From a request to the first byte of its segment.
    pub first_byte: Quantiles,
    /// From a request to the last byte of its segment.
    pub segment_time: Quantiles,
    /// Bytes asked for again, of all bytes of data.
    pub retransmitted_share: f64,
    /// The largest datagram received, bytes of UDP payload.
    pub datagram_bytes: usize,
    /// The driver.
    pub io: String,
    /// What each edge contributed.
    pub edges: Vec<EdgeShare>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_nothing_are_zero() {
        assert_eq!(Times::default().quantiles(), Quantiles::default());
    }

    #[test]
    fn quantiles_are_within_a_thousandth() {
        let mut times = Times::default();
        (1..=1000).for_each(|n| times.record(Duration::from_micros(n * 100)));
        let found = times.quantiles();
        assert!(found.p50_us.abs_diff(50_000) <= 50, "{found:?}");
        assert!(found.p999_us.abs_diff(99_900) <= 100, "{found:?}");
        assert_eq!(found.count, 1000);
    }

    #[test]
    fn a_time_beyond_the_scale_is_kept_as_the_longest() {
        let mut times = Times::default();
        times.record(Duration::from_secs(100_000));
        assert_eq!(times.quantiles().count, 1);
    }
}
