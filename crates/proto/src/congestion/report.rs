//! What a report says, what is made of it, and how it gives a lie away.

use crate::time::{Duration, Instant};

/// What the sender needs of a REPORT (docs/protocol, section 7.2).
#[derive(Clone, Copy, Debug)]
pub struct FeedbackView<'a> {
    /// Send time of the packet with the highest sequence number received, as sent in its frame header.
    pub echo: u32,
    /// Between its arrival and the report, as the client says.
    pub echo_delay: Duration,
    /// Bytes the client can take beyond what it received.
    pub room_bytes: u64,
    /// Packets with ECN CE so far, modulo 2^32.
    pub ce_count: u32,
    /// Received sequence numbers, inclusive (low, high) pairs, newest first, not overlapping; at least one.
    pub ranges: &'a [(u64, u64)],
}

/// What a report told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportOutcome {
    /// Bytes that this report says arrived.
    pub newly_delivered_bytes: u64,
    /// Bytes given up with this report.
    pub newly_lost_bytes: u64,
    /// Round trip without the client's delay, if the report tells one.
    pub rtt_sample: Option<Duration>,
}

/// Why a report cannot be true: the session is closed with `LYING_REPORT` (docs/protocol, section 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lie {
    /// It covers a sequence number that was never sent.
    #[error("a report covers sequence number {0}, which was never sent")]
    NeverSent(u64),
    /// It covers a skipped sequence number.
    #[error("a report covers a skipped sequence number between {0} and {1}")]
    Skipped(u64, u64),
    /// Its echo is not the send time of the packet with the highest number.
    #[error("a report echoes {echo}, which is not the send time of packet {number}")]
    BadEcho {
        /// The highest number reported.
        number: u64,
        /// What was echoed.
        echo: u32,
    },
    /// No range, or ranges that overlap or are out of order.
    #[error("a report has no ranges, or its ranges are out of order")]
    Malformed,
}

/// The round trip without the client's delay; `None` when the delay is longer than the whole.
pub(super) fn rtt_sample(now: Instant, report: &FeedbackView<'_>) -> Option<Duration> {
    let whole = now.wire_micros().wrapping_sub(report.echo);
    let delay = u32::try_from(report.echo_delay.as_micros()).ok()?;
    let micros = whole.checked_sub(delay)?;
    // Half the circle: an echo a unit after now is rounding, not an hour.
    (whole < 1 << 31).then(|| Duration::from_micros(u64::from(micros.max(1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(now_micros: u64, echo: u32, delay: u64) -> Option<Duration> {
        let view = FeedbackView {
            echo,
            echo_delay: Duration::from_micros(delay),
            room_bytes: 0,
            ce_count: 0,
            ranges: &[],
        };
        rtt_sample(Instant::from_nanos(now_micros * 1000), &view)
    }

    #[test]
    fn the_delay_is_taken_off_and_what_cannot_be_is_no_sample() {
        assert_eq!(sample(50_000, 10_000, 3000), Some(Duration::from_micros(37_000)));
        assert_eq!(sample((1 << 32) + 5, u32::MAX, 0), Some(Duration::from_micros(6)));
        assert_eq!(sample(50_000, 10_000, 40_001), None);
        assert_eq!(sample(50_000, 50_001, 0), None);
        assert_eq!(sample(50_000, 10_000, 1 << 40), None);
    }
}
