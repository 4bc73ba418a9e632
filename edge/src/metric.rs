//! The table of metrics: one row for each number that a shard publishes and `/metrics` shows.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use segcast_proto::session::server::{ByCode, DropReason};
use segcast_proto::wire::code::Code;

use crate::board::Board;

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) metric: Metric,
    kind: MetricType,
    /// The name without prefix and without `_total`.
    name: &'static str,
    /// What distinguishes rows of one name, which stand together.
    label: Option<(&'static str, &'static str)>,
    help: &'static str,
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
    Repeated: Counter "handshakes_repeated" "Handshakes answered once more, because their HELLO came again before its session began";
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
    RecordsDropped: Counter "session_records_dropped" "Records of closed sessions lost because the log fell behind";
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
    const ALL: [(Self, &'static str, &'static str); 4] = [
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

/// Where sessions closed with `code` are counted.
pub(crate) fn closed_at(code: Code) -> usize {
    CodeMetric::SessionsClosed.range().start + ByCode::place(code)
}

/// Shows a [`Board`] to Prometheus.
#[derive(Debug)]
pub(crate) struct BoardCollector(pub(crate) Arc<Board>);

impl Collector for BoardCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for rows in METRICS.chunk_by(|a, b| a.name == b.name) {
            let Some(first) = rows.first() else { continue };
            let mut family = encoder.encode_descriptor(first.name, first.help, None, first.kind)?;
            for row in rows {
                let value = self.0.sum(row.metric as usize);
                match row.label {
                    Some(label) => one(family.encode_family(&[label])?, row.kind, value)?,
                    None => put(&mut family, row.kind, value)?,
                }
            }
        }
        self.dropped(&mut encoder)?;
        self.by_code(&mut encoder)?;
        let help = "Page faults in which a shard waited for a disk";
        let faults = encoder.encode_descriptor("major_faults", help, None, MetricType::Counter)?;
        one(faults, MetricType::Counter, self.0.major_faults())?;
        if let Some(io) = self.0.io() {
            let help = "1 for the driver that moves the datagrams";
            let mut family =
                encoder.encode_descriptor("io_driver", help, None, MetricType::Gauge)?;
            one(family.encode_family(&[("driver", io)])?, MetricType::Gauge, 1)?;
        }
        state(&mut encoder, "shards", "Serving threads", self.0.shards() as u64)?;
        let ready = u64::from(self.0.not_ready().is_none());
        state(&mut encoder, "ready", "1 when new clients are welcome", ready)?;
        state(&mut encoder, "draining", "1 while draining", u64::from(self.0.draining()))
    }
}

impl BoardCollector {
    fn dropped(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Datagrams dropped by the protocol";
        let mut family =
            encoder.encode_descriptor("dropped_datagrams", help, None, MetricType::Counter)?;
        for (number, reason) in DropReason::ALL.iter().enumerate() {
            let value = self.0.sum(dropped_at(number));
            let label = [("reason", reason.label())];
            one(family.encode_family(&label)?, MetricType::Counter, value)?;
        }
        Ok(())
    }

    fn by_code(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        for (metric, name, help) in CodeMetric::ALL {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (place, code) in metric.range().zip(ByCode::codes()) {
                let label = [("code", code.name())];
                one(family.encode_family(&label)?, MetricType::Counter, self.0.sum(place))?;
            }
        }
        Ok(())
    }
}

fn state(e: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    one(e.encode_descriptor(name, help, None, MetricType::Gauge)?, MetricType::Gauge, value)
}

fn one(mut encoder: MetricEncoder<'_>, kind: MetricType, value: u64) -> fmt::Result {
    put(&mut encoder, kind, value)
}

fn put(encoder: &mut MetricEncoder<'_>, kind: MetricType, value: u64) -> fmt::Result {
    match kind {
        MetricType::Counter => encoder.encode_counter::<NoLabelSet, _, u64>(&value, None),
        _ => encoder.encode_gauge(&i64::try_from(value).unwrap_or(i64::MAX)),
    }
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
