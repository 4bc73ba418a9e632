//! Puts the numbers of the endpoint and of the driver into the shard's column.

use segcast_proto::session::server::Counters;
use segcast_sysio::driver::DriverStats;

use super::core::Core;
use crate::board::Values;
use crate::metric::{self, CodeMetric, Metric};

impl Core {
    /// Publishes everything that has changed.
    pub(super) fn publish(&mut self, driver: DriverStats) {
        from_endpoint(self.endpoint.counters(), &mut self.values);
        from_driver(&driver, &mut self.values);
        self.values[Metric::Sessions as usize] = self.endpoint.sessions() as u64;
        self.values[Metric::Pending as usize] = self.endpoint.pending() as u64;
        let (gauges, saturated) = (self.endpoint.gauges(), self.endpoint.is_saturated(self.now));
        self.values[Metric::RequestsWaiting as usize] = gauges.requests;
        self.values[Metric::OwedBytes as usize] = gauges.owed_bytes;
        self.values[Metric::Saturated as usize] = u64::from(saturated);
        self.gauges();
        if let Some(groups) = &self.groups {
            groups.publish(&mut self.values);
        }
        self.board.publish(usize::from(self.shard), &self.values, &mut self.published);
    }
}

fn from_endpoint(counters: &Counters, values: &mut Values) {
    for (metric, value) in [
        (Metric::DataBytes, counters.data_bytes),
        (Metric::RetransmittedBytes, counters.repaired_bytes),
        (Metric::Handshakes, counters.handshakes),
        (Metric::Cookies, counters.cookies),
        (Metric::Accepted, counters.welcomes),
        (Metric::Repeated, counters.repeats),
        (Metric::Replaced, counters.pending_replaced),
        (Metric::SessionsOpened, counters.sessions_opened),
        (Metric::Requests, counters.requests),
        (Metric::Reports, counters.reports),
        (Metric::Skipped, counters.skipped),
        (Metric::Challenges, counters.challenges),
        (Metric::PathChanges, counters.path_changes),
        (Metric::SizeRaised, counters.size_raised),
        (Metric::SizeReset, counters.size_reset),
        (Metric::Waits, counters.waits),
        (Metric::ObjectsFailed, counters.objects_failed),
        (Metric::HoldsByGroup, counters.holds_by_group),
        (Metric::HoldsAlone, counters.holds_alone),
        (Metric::HoldsLate, counters.holds_late),
        (Metric::HoldsEnded, counters.holds_ended),
    ] {
        values[metric as usize] = value;
    }
    for (number, value) in counters.dropped.iter().enumerate() {
        values[metric::dropped_at(number)] = *value;
    }
    for (metric, counts) in [
        (CodeMetric::HandshakesRefused, &counters.refusals),
        (CodeMetric::HandshakesDeferred, &counters.deferred),
        (CodeMetric::RequestsRefused, &counters.requests_refused),
    ] {
        values[metric.range()].copy_from_slice(counts.counts());
    }
}

fn from_driver(stats: &DriverStats, values: &mut Values) {
    for (metric, value) in [
        (Metric::DatagramsReceived, stats.datagrams_in),
        (Metric::BytesReceived, stats.bytes_in),
        (Metric::ReceiveOverflow, stats.receive_overflow),
        (Metric::Truncated, stats.truncated),
        (Metric::ReceiveErrors, stats.receive_errors),
        (Metric::ReceiveBuffersExhausted, stats.receive_buffers_exhausted),
        (Metric::DatagramsSent, stats.datagrams_out),
        (Metric::BytesSent, stats.bytes_out),
        (Metric::TrainsSent, stats.trains_out),
        (Metric::ZeroCopyTrains, stats.zero_copy_trains),
        (Metric::ZeroCopyCopied, stats.zero_copy_copied),
        (Metric::ZeroCopyRefused, stats.zero_copy_refused),
        (Metric::GsoRefused, stats.gso_refused),
        (Metric::FailedTooLarge, stats.failed_too_large),
        (Metric::FailedNoBuffers, stats.failed_no_buffers),
        (Metric::FailedOther, stats.failed_other),
        (Metric::SizeChanges, stats.size_changes),
        (Metric::SystemCalls, stats.system_calls),
    ] {
        values[metric as usize] = value;
    }
}
