//! The board as Prometheus sees it: every row of the table of metrics, and the state of the process.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use segcast_proto::session::server::{ByCode, DropReason};

use super::format::Format;
use super::listener::Ended;
use crate::board::Board;
use crate::metric::{CodeMetric, METRICS, dropped_at};

/// A sample: what tells it from others of its family, and its value.
type Sample<'a> = (Option<(&'a str, &'a str)>, u64);

/// Shows a [`Board`] to Prometheus.
#[derive(Debug)]
pub(super) struct BoardCollector {
    pub(super) board: Arc<Board>,
    pub(super) ended: Arc<Ended>,
    pub(super) format: Format,
}

impl Collector for BoardCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for rows in METRICS.chunk_by(|a, b| a.name == b.name) {
            let Some(first) = rows.first() else { continue };
            let samples = rows.iter().map(|row| (row.label, self.board.sum(row.metric as usize)));
            self.family(&mut encoder, (first.kind, first.name, first.help), samples)?;
        }
        self.counted_by_label(&mut encoder)?;
        let help = "Page faults in which a shard waited for a disk";
        let faults = [(None, self.board.major_faults())];
        self.family(&mut encoder, (MetricType::Counter, "major_faults", help), faults)?;
        let help = "Reloads that kept the old configuration, as the new one was wrong";
        let failed = [(None, self.board.reloads_failed())];
        self.family(&mut encoder, (MetricType::Counter, "reloads_failed", help), failed)?;
        if let Some(io) = self.board.io() {
            let help = "1 for the driver that moves the datagrams";
            let driver = [(Some(("driver", io)), 1)];
            self.family(&mut encoder, (MetricType::Gauge, "io_driver", help), driver)?;
        }
        let ready = self.board.not_ready().is_none();
        for (name, help, value) in [
            ("shards", "Serving threads", self.board.shards() as u64),
            ("ready", "1 when new clients are welcome", u64::from(ready)),
            ("draining", "1 while draining", u64::from(self.board.draining())),
        ] {
            self.family(&mut encoder, (MetricType::Gauge, name, help), [(None, value)])?;
        }
        Ok(())
    }
}

impl BoardCollector {
    fn counted_by_label(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let dropped = DropReason::ALL.iter().enumerate().map(|(number, reason)| {
            (Some(("reason", reason.label())), self.board.sum(dropped_at(number)))
        });
        let help = "Datagrams dropped by the protocol";
        self.family(encoder, (MetricType::Counter, "dropped_datagrams", help), dropped)?;
        for (metric, name, help) in CodeMetric::ALL {
            let by_code = metric.range().zip(ByCode::codes());
            let samples =
                by_code.map(|(place, code)| (Some(("code", code.name())), self.board.sum(place)));
            self.family(encoder, (MetricType::Counter, name, help), samples)?;
        }
        let help = "Records of closed sessions that could not be written to the session log";
        let unwritten = [(None, self.board.unwritten())];
        let kind = MetricType::Counter;
        self.family(encoder, (kind, "session_records_unwritten", help), unwritten)?;
        let ended = [
            (Some(("cause", "displaced")), self.ended.displaced.load(Ordering::Relaxed)),
            (Some(("cause", "timed_out")), self.ended.timed_out.load(Ordering::Relaxed)),
        ];
        let help = "Connections to the admin address ended before their answer was";
        self.family(encoder, (MetricType::Counter, "admin_connections_ended", help), ended)
    }

    /// One family: kind, name without suffix, help, and its samples.
    fn family<'a>(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        (kind, name, help): (MetricType, &str, &str),
        samples: impl IntoIterator<Item = Sample<'a>>,
    ) -> fmt::Result {
        // OpenMetrics names a counter's family without the suffix of its samples; in the older text both are one name.
        let text = self.format == Format::Text;
        let suffixed = text && matches!(kind, MetricType::Counter);
        let name = if suffixed { Cow::from(format!("{name}_total")) } else { Cow::from(name) };
        let kind_of_samples = if suffixed { MetricType::Gauge } else { kind };
        let mut family = encoder.encode_descriptor(&name, help, None, kind)?;
        for (label, value) in samples {
            match label {
                Some(label) => put(&mut family.encode_family(&[label])?, kind_of_samples, value)?,
                None => put(&mut family, kind_of_samples, value)?,
            }
        }
        Ok(())
    }
}

fn put(encoder: &mut MetricEncoder<'_>, kind: MetricType, value: u64) -> fmt::Result {
    match kind {
        MetricType::Counter => encoder.encode_counter::<NoLabelSet, _, u64>(&value, None),
        _ => encoder.encode_gauge(&value),
    }
}
