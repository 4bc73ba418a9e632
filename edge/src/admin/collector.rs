//! The board as Prometheus sees it: every row of the table of metrics, and the state of the process.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use segcast_proto::session::server::{ByCode, DropReason};

use super::listener::Ended;
use crate::board::Board;
use crate::metric::{CodeMetric, METRICS, dropped_at};

/// Shows a [`Board`] to Prometheus.
#[derive(Debug)]
pub(super) struct BoardCollector {
    pub(super) board: Arc<Board>,
    pub(super) ended: Arc<Ended>,
}

impl Collector for BoardCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for rows in METRICS.chunk_by(|a, b| a.name == b.name) {
            let Some(first) = rows.first() else { continue };
            let mut family = encoder.encode_descriptor(first.name, first.help, None, first.kind)?;
            for row in rows {
                let value = self.board.sum(row.metric as usize);
                match row.label {
                    Some(label) => one(family.encode_family(&[label])?, row.kind, value)?,
                    None => put(&mut family, row.kind, value)?,
                }
            }
        }
        self.dropped(&mut encoder)?;
        self.by_code(&mut encoder)?;
        self.ended(&mut encoder)?;
        let help = "Page faults in which a shard waited for a disk";
        let faults = encoder.encode_descriptor("major_faults", help, None, MetricType::Counter)?;
        one(faults, MetricType::Counter, self.board.major_faults())?;
        if let Some(io) = self.board.io() {
            let help = "1 for the driver that moves the datagrams";
            let mut family =
                encoder.encode_descriptor("io_driver", help, None, MetricType::Gauge)?;
            one(family.encode_family(&[("driver", io)])?, MetricType::Gauge, 1)?;
        }
        state(&mut encoder, "shards", "Serving threads", self.board.shards() as u64)?;
        let ready = u64::from(self.board.not_ready().is_none());
        state(&mut encoder, "ready", "1 when new clients are welcome", ready)?;
        state(&mut encoder, "draining", "1 while draining", u64::from(self.board.draining()))
    }
}

impl BoardCollector {
    fn dropped(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Datagrams dropped by the protocol";
        let mut family =
            encoder.encode_descriptor("dropped_datagrams", help, None, MetricType::Counter)?;
        for (number, reason) in DropReason::ALL.iter().enumerate() {
            let value = self.board.sum(dropped_at(number));
            let label = [("reason", reason.label())];
            one(family.encode_family(&label)?, MetricType::Counter, value)?;
        }
        Ok(())
    }

    fn ended(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Connections to the admin address ended before their answer was";
        let name = "admin_connections_ended";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        let Ended { displaced, timed_out } = &*self.ended;
        for (cause, count) in [("displaced", displaced), ("timed_out", timed_out)] {
            let count = count.load(Ordering::Relaxed);
            one(family.encode_family(&[("cause", cause)])?, MetricType::Counter, count)?;
        }
        Ok(())
    }

    fn by_code(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        for (metric, name, help) in CodeMetric::ALL {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (place, code) in metric.range().zip(ByCode::codes()) {
                let label = [("code", code.name())];
                one(family.encode_family(&label)?, MetricType::Counter, self.board.sum(place))?;
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
