//! What the demo measured, as a table for people and as JSON for programs.

use super::DemoArgs;
use crate::units;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use segcast_center::ingest::PackReport;
use segcast_client::fetch::{Quantiles, Report};
use segcast_client::load::LoadReport;
use serde::Serialize;
use std::time::Duration;

/// Everything that `segcast demo --json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    set: String,
    bytes: u64,
    segments: u32,
    segment_bytes: u32,
    /// The one client that wrote a file: its copy was the same byte for byte.
    fetch: Report,
    sessions: u16,
    seconds: f64,
    goodput_bits_per_second: f64,
    segments_per_second: f64,
    first_byte: Quantiles,
    segment_time: Quantiles,
    edge_cpu_seconds: f64,
    edge_cores_per_gigabit: f64,
    retransmitted_share: f64,
    io: String,
    datagram_bytes: usize,
}

impl Figures {
    pub(super) fn new(
        args: &DemoArgs,
        packed: &PackReport,
        fetched: &Report,
        load: &LoadReport,
        cpu: Duration,
    ) -> Self {
        let seconds = load.elapsed.as_secs_f64();
        let bits = load.bytes as f64 * 8.0;
        Self {
            set: packed.set.to_string(),
            bytes: packed.geometry.true_length(),
            segments: packed.geometry.segments(),
            segment_bytes: packed.geometry.segment_bytes(),
            fetch: fetched.clone(),
            sessions: args.sessions,
            seconds,
            goodput_bits_per_second: bits / seconds,
            segments_per_second: load.segments as f64 / seconds,
            first_byte: load.first_byte.quantiles(),
            segment_time: load.segment_time.quantiles(),
            edge_cpu_seconds: cpu.as_secs_f64(),
            edge_cores_per_gigabit: if bits > 0.0 { cpu.as_secs_f64() / (bits / 1e9) } else { 0.0 },
            retransmitted_share: share(load.repair_bytes, load.bytes),
            io: load.io.clone(),
            datagram_bytes: load.datagram_bytes,
        }
    }

    /// A table that fits 80 columns.
    pub(super) fn table(&self) -> String {
        let times = |q: &Quantiles| {
            let us = |us| units::duration(Duration::from_micros(us));
            format!("{} / {} / {}", us(q.p50_us), us(q.p99_us), us(q.p999_us))
        };
        let rows = [
            ("sessions", format!("{} for {:.1} s", self.sessions, self.seconds)),
            ("goodput", units::bit_rate(self.goodput_bits_per_second)),
            ("segments per second", units::three_digits(self.segments_per_second)),
            ("first byte, p50 / p99 / p99.9", times(&self.first_byte)),
            ("whole segment, p50 / p99 / p99.9", times(&self.segment_time)),
            (
                "server cores per Gbit/s",
                format!(
                    "{:.3} ({} per core)",
                    self.edge_cores_per_gigabit,
                    units::bit_rate(1e9 / self.edge_cores_per_gigabit.max(1e-9))
                ),
            ),
            ("retransmitted", format!("{:.3} %", self.retransmitted_share * 100.0)),
            ("io driver", self.io.clone()),
            ("datagram", format!("{} bytes", self.datagram_bytes)),
        ];
        let mut table = Table::new();
        table.load_preset(UTF8_BORDERS_ONLY);
        table.set_header(["measured on loopback", ""]);
        for (name, value) in rows {
            table.add_row([name.to_owned(), value]);
        }
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table.to_string()
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
