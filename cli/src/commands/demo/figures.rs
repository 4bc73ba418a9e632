//! What the demo measured, as a table for people and as JSON for programs.

use std::time::Duration;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use segcast_center::ingest::PackReport;
use segcast_client::fetch::{Quantiles, Report};
use segcast_config::amount::rounded;
use serde::Serialize;

use super::measure::Measured;

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
    /// Over the whole load: with the opening of its sessions, and until its last segments had come.
    edge_cpu_seconds: f64,
    edge_cores_per_gigabit: f64,
    retransmitted_share: f64,
    io: &'static str,
    datagram_bytes: usize,
}

impl Figures {
    pub(super) fn new(
        sessions: u16,
        packed: &PackReport,
        fetched: &Report,
        measured: &Measured,
    ) -> Self {
        Self {
            set: packed.set.to_string(),
            bytes: packed.geometry.true_length(),
            segments: packed.geometry.segments(),
            segment_bytes: packed.geometry.segment_bytes(),
            fetch: fetched.clone(),
            sessions,
            seconds: measured.seconds(),
            goodput_bits_per_second: measured.goodput_bits_per_second(),
            segments_per_second: measured.segments_per_second(),
            first_byte: measured.first_byte(),
            segment_time: measured.segment_time(),
            edge_cpu_seconds: measured.edge.cpu_s,
            edge_cores_per_gigabit: measured.edge.cores_per_gigabit.unwrap_or(0.0),
            retransmitted_share: measured.retransmitted_share(),
            io: measured.ran.io,
            datagram_bytes: measured.datagram_bytes(),
        }
    }

    /// A table that fits 80 columns.
    pub(super) fn table(&self) -> String {
        let times = |q: &Quantiles| {
            let us = |us| rounded::duration(Duration::from_micros(us));
            format!("{} / {} / {}", us(q.p50_us), us(q.p99_us), us(q.p999_us))
        };
        let rows = [
            ("sessions", format!("{} for {:.1} s", self.sessions, self.seconds)),
            ("goodput", rounded::bit_rate(self.goodput_bits_per_second)),
            ("segments per second", rounded::three_digits(self.segments_per_second)),
            ("first byte, p50 / p99 / p99.9", times(&self.first_byte)),
            ("whole segment, p50 / p99 / p99.9", times(&self.segment_time)),
            (
                "server cores per Gbit/s",
                format!(
                    "{:.3} ({} per core)",
                    self.edge_cores_per_gigabit,
                    rounded::bit_rate(1e9 / self.edge_cores_per_gigabit.max(1e-9))
                ),
            ),
            ("retransmitted", format!("{:.3} %", self.retransmitted_share * 100.0)),
            ("io driver", self.io.to_owned()),
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
