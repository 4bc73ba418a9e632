//! The table of metrics: one row for each number that a shard publishes and `/metrics` shows.

use std::ops::Range;

use prometheus_client::metrics::MetricType;
use segcast_proto::session::server::{ByCode, DropReason};
use segcast_proto::wire::code::Code;

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) metric: Metric,
    pub(crate) kind: MetricType,
    /// The name without prefix and without `_total`.
    pub(crate) name: &'static str,
    /// What distinguishes rows of one name, which stand together.
    pub(crate) label: Option<(&'static str, &'static str)>,
    pub(crate) help: &'static str,
}

macro_rules! metrics {
    ($($metric:ident: $kind:ident $name:literal $({$label:ident = $value:literal})? $help:literal;)*) => {
        /// What is counted; the position in [`METRICS`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Metric { $($metric),* }

        /// Every metric.
        pub(crate) const METRICS: &[Row] = &[$(Row {
            metric: Metric::$metric,
            kind: MetricType::$kind,
            name: $name,
            label: metrics!(@label $($label $value)?),
            help: $help,
        }),*];
    };
    (@label) => { None };
    (@label $label:ident $value:literal) => { Some((stringify!($label), $value)) };
}

metrics! {
    Turns: Counter "turns" "Turns of the shards' loops";
    DatagramsReceived: Counter "received_datagrams" "Datagrams received";
    BytesReceived: Counter "received_bytes" "UDP payload received";
    ReceiveOverflow: Counter "receive_lost" {cause = "socket_buffer_full"} "Datagrams lost before the edge saw them";
    Truncated: Counter "receive_lost" {cause = "too_large"} "Datagrams lost before the edge saw them";
    ReceiveErrors: Counter "receive_lost" {cause = "error"} "Datagrams lost before the edge saw them";
    ReceiveBuffersExhausted: Counter "receive_buffers_exhausted" "Times that all receive buffers of a shard were full";
    DatagramsSent: Counter "sent_datagrams" "Datagrams that the kernel took";
    BytesSent: Counter "sent_bytes" "UDP payload that the kernel took";
    TrainsSent: Counter "sent_trains" "Trains that the kernel took whole";
    ZeroCopyTrains: Counter "zero_copy_trains" "Of the trains sent, those handed over without copying";
    ZeroCopyCopied: Counter "zero_copy_copied" "Of the trains handed over without copying, those that the kernel copied all the same";
    ZeroCopyRefused: Counter "zero_copy_refused" "Trains refused without copying, and sent again with it";
    GsoRefused: Counter "gso_refused" "Trains that a route refused and that went out singly";
    FailedTooLarge: Counter "send_failures" {cause = "too_large"} "Sends that the kernel refused";
    FailedNoBuffers: Counter "send_failures" {cause = "no_memory"} "Sends that the kernel refused";
    FailedOther: Counter "send_failures" {cause = "other"} "Sends that the kernel refused";
    NoSendBuffer: Counter "send_buffer_waits" "Turns that had no free send buffer";
    SizeChanges: Counter "size_changes" "Times that a socket's datagram size was changed, one system call each";
    SystemCalls: Counter "system_calls" "System calls of the drivers: with the ring one a turn, and the changes of size";
    DataBytes: Counter "data_bytes" "Segment and manifest bytes sent";
    RetransmittedBytes: Counter "retransmitted_bytes" "Of the data bytes, those sent again because they were lost";
    Handshakes: Counter "handshakes" "Noise handshakes computed";
    Cookies: Counter "cookies" "Addresses that had to be proven by cookie";
    Accepted: Counter "handshakes_accepted" "Handshakes answered with a session";
    Repeated: Counter "handshakes_repeated" "Handshakes answered once more, because their HELLO came again: before its session began, or refused as before";
    Replaced: Counter "handshakes_replaced" "Unfinished handshakes that made place for a newer one of their client";
    SessionsOpened: Counter "sessions_opened" "Sessions opened";
    Sessions: Gauge "sessions" "Open sessions";
    Pending: Gauge "pending_handshakes" "Unfinished handshakes";
    Requests: Counter "requests" "Requests for segments and pages";
    RequestsWaiting: Gauge "waiting_requests" "Requests that are not finished";
    OwedBytes: Gauge "owed_bytes" "Bytes that waiting requests want, as far as the paths of their sessions carry them in time";
    Saturated: Gauge "saturated_shards" "Shards that are themselves what bounds how fast they send";
    Reports: Counter "reports" "Reports of clients";
    Skipped: Counter "skipped_numbers" "Sequence numbers skipped to catch lying reports";
    Challenges: Counter "path_challenges" "Challenges sent to new addresses of clients, and to silent sessions whose place is wanted";
    PathChanges: Counter "path_changes" "Client addresses changed";
    SizeRaised: Counter "path_size_raised" "Datagram size raised after a probe";
    SizeReset: Counter "path_size_reset" "Datagram size fallen back to 1200";
    MailStray: Counter "mail" {kind = "stray"} "Datagrams that crossed from one shard to another";
    MailHandoff: Counter "mail" {kind = "handoff"} "Datagrams that crossed from one shard to another";
    MailStrayDropped: Counter "mail_dropped" {kind = "stray"} "Datagrams lost because another shard's mailbox was full";
    MailHandoffDropped: Counter "mail_dropped" {kind = "handoff"} "Datagrams lost because another shard's mailbox was full";
    MailQueued: Gauge "mail_queued" "Datagrams in the mailboxes";
    Waits: Counter "segment_waits" "Times that requests had to wait for a segment to be read in";
    PopulateReady: Counter "populated" {result = "ready"} "Segments read in, or found in memory, by the helper threads";
    PopulateFailed: Counter "populated" {result = "failed"} "Segments read in, or found in memory, by the helper threads";
    PopulateWaiting: Gauge "populate_waiting" "Segments that are being read in";
    LockedBytes: Gauge "locked_bytes" "Segments locked in memory";
    FaultedTrains: Counter "faulted_trains" "Sealed trains thrown away because their segment could not be read";
    ObjectsFailed: Counter "segments_failed" "Segments that failed while they were served";
    GroupBytes: Counter "group_bytes" "UDP payload sent to multicast groups";
    GroupSends: Counter "group_sends" "Segments sent to a multicast group";
    GroupBroken: Counter "group_circuit_breaks" "Times that a set's groups were closed for a while since most members lost more than a tenth";
    GroupLost: Counter "group_lost_datagrams" "Datagrams left out of what was sent to groups: their segment was not in memory, or cannot be read";
    HoldsByGroup: Counter "holds" {end = "group"} "Requests that waited for a group, by what ended the wait; those that a group served, over group_sends, are the gain";
    HoldsAlone: Counter "holds" {end = "alone"} "Requests that waited for a group, by what ended the wait; those that a group served, over group_sends, are the gain";
    HoldsLate: Counter "holds" {end = "late"} "Requests that waited for a group, by what ended the wait; those that a group served, over group_sends, are the gain";
    HoldsEnded: Counter "holds" {end = "no_group"} "Requests that waited for a group, by what ended the wait; those that a group served, over group_sends, are the gain";
    GroupMembers: Gauge "group_members" "Sessions that hear a multicast group, once for each set";
    GroupChannels: Gauge "group_channels" "Multicast groups in use";
    GroupNotesDropped: Counter "group_notes_dropped" "Notes about groups lost because another shard's mailbox, or a shard's own queue, was full";
    RecordsDropped: Counter "session_records_dropped" "Records of closed sessions lost because the session log fell behind";
}

/// What is counted once for each code (docs/protocol, section 14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodeMetric {
    HandshakesRefused,
    HandshakesDeferred,
    RequestsRefused,
    SessionsClosed,
}

impl CodeMetric {
    /// Each with its name and what it counts.
    pub(crate) const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::HandshakesRefused, "handshakes_refused", "Handshakes answered with a refusal"),
        (
            Self::HandshakesDeferred,
            "handshakes_deferred",
            "Handshakes put off before any work on them",
        ),
        (Self::RequestsRefused, "requests_refused", "Requests refused"),
        (Self::SessionsClosed, "sessions_closed", "Sessions closed, by either side"),
    ];

    /// Its places in a shard's column.
    pub(crate) const fn range(self) -> Range<usize> {
        let first = FIRST_BY_CODE + self as usize * ByCode::LEN;
        first..first + ByCode::LEN
    }
}

/// Values in a shard's column: the metrics, then dropped datagrams by reason, then what is counted by code.
pub(crate) const VALUES: usize = FIRST_BY_CODE + CodeMetric::ALL.len() * ByCode::LEN;
const FIRST_DROPPED: usize = METRICS.len();
const FIRST_BY_CODE: usize = FIRST_DROPPED + DropReason::ALL.len();

/// Where datagrams dropped for a reason are counted, in the order of [`DropReason::ALL`].
pub(crate) const fn dropped_at(reason: usize) -> usize {
    FIRST_DROPPED + reason
}

/// Where requests refused with `code` are counted.
pub(crate) fn refused_at(code: Code) -> usize {
    CodeMetric::RequestsRefused.range().start + ByCode::place(code)
}

/// Where sessions closed with `code` are counted.
pub(crate) fn closed_at(code: Code) -> usize {
    CodeMetric::SessionsClosed.range().start + ByCode::place(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_stands_at_its_own_index_and_families_stand_together() {
        let mut families = Vec::new();
        for (index, row) in METRICS.iter().enumerate() {
            assert_eq!(row.metric as usize, index);
            if families.last() != Some(&row.name) {
                assert!(!families.contains(&row.name), "{} is torn apart", row.name);
                families.push(row.name);
            }
        }
    }

    #[test]
    fn what_is_counted_by_code_fills_the_column_to_its_end() {
        let mut next = FIRST_BY_CODE;
        for (metric, ..) in CodeMetric::ALL {
            assert_eq!(metric.range().start, next);
            next = metric.range().end;
        }
        assert_eq!(next, VALUES);
        assert_eq!(ByCode::codes().count(), ByCode::LEN);
        assert_eq!(closed_at(Code::Unknown(999)), VALUES - 1);
    }
}
