//! What a run of the sink came to.

use std::time::Duration;

use segcast_proto::limits::OVERHEAD;
use serde::Serialize;

use super::Args;
use super::accounts::Accounts;
use super::session::Tally;
use crate::measure::{Band, Cores, CpuUse, Repeats, Table, digits};

/// Share of the requests above which refusals make a figure void: they cost the server time in which it serves nothing.
const REFUSED_MAX: f64 = 0.01;

/// Everything that `sink --json` prints.
#[derive(Debug, Serialize)]
pub struct Run {
    /// Where server and generator ran.
    pub cores: Cores,
    /// UDP payload of a full datagram, bytes.
    pub datagram_bytes: usize,
    /// Size of the title, MiB.
    pub title_mib: u64,
    /// One train in so many was compared.
    pub sample: u32,
    /// DATA packets after which a client reported.
    pub report_packets: u32,
    /// Datagrams in each range that was asked for; none: whole segments.
    pub train: Option<u32>,
    /// One segment in so many was read.
    pub spread: u32,
    /// The cap of every client's token.
    pub rate_cap_kbits: Option<u32>,
    /// Flags of the server that are not the default.
    pub server_flags: Vec<String>,
    /// Of everything random.
    pub seed: u64,
    /// One for each binary.
    pub outcomes: Vec<Outcome>,
}

/// What one server came to. Figures are medians of the repeats, with their bands.
#[derive(Debug, Default, Serialize)]
pub struct Outcome {
    /// Which server.
    pub label: String,
    /// Sessions at once.
    pub sessions: usize,
    /// The yardstick: 10^9 bytes of the title per CPU-second, sealed by the cipher alone.
    pub seal_only_gb_per_cpu_s: Band,
    /// The same, served.
    pub served_gb_per_cpu_s: Band,
    /// Served by sealed, each repeat with its own.
    pub ratio: Band,
    /// CPU time of the server for each DATA datagram.
    pub ns_per_datagram: Band,
    /// CPU time of the server for each byte of the title.
    pub ns_per_byte: Band,
    /// DATA datagrams in a send.
    pub train_datagrams_mean: Band,
    /// 10^9 bytes of the title per second of the clock.
    pub served_gb_per_s: Band,
    /// Share of the time that the server's core was busy, by /proc/stat; and by the server's own clock.
    pub core_busy: Band,
    /// See `core_busy`.
    pub server_busy: Band,
    /// Share of the time that the generator had something to do. Above 0.9 it may have held the server back.
    pub generator_busy: Band,
    /// Jain's index of the sessions' bytes in a repeat: 1 when all got the same.
    pub jain: Band,
    /// The longest time between two trains of one session, ms.
    pub longest_wait_ms: Band,
    /// Requests while it was measured, and those of them that the server refused for now (docs/protocol, 7.4).
    pub requests: u64,
    /// See `requests`.
    pub refused: u64,
    /// So many were refused that no figure is of a server that serves all the time.
    pub void: bool,
    /// Trains handed over without copying; `None`: the server does not count them.
    pub zc_trains: Option<u64>,
    /// Of those, copied all the same.
    pub zc_copied: Option<u64>,
    /// Trains that the filter let pass: these the device copies.
    pub trains_passed: u64,
    /// Page faults in which a shard waited for a disk.
    pub major_faults: u64,
    /// Datagrams that the server lost before it saw them.
    pub receive_lost: u64,
    #[serde(flatten)]
    pub(super) accounts: Accounts,
}

/// One measured piece of serving.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    used: CpuUse,
    generator_busy: Duration,
    bytes: u64,
    datagrams: u64,
    sends: u64,
    requests: u64,
    refused: u64,
    jain: f64,
    longest_wait: Duration,
}

impl Window {
    pub(super) fn new(used: CpuUse, busy: Duration, before: &[Tally], after: &[Tally]) -> Self {
        let of = |field: fn(&Tally) -> u64| {
            let pairs = before.iter().zip(after);
            pairs.map(move |(before, after)| field(after) - field(before))
        };
        let bytes: Vec<u64> = of(|tally| tally.bytes).collect();
        Self {
            used,
            generator_busy: busy,
            bytes: bytes.iter().sum(),
            datagrams: of(|tally| tally.datagrams).sum(),
            sends: of(|tally| tally.trains + tally.singles).sum(),
            requests: of(|tally| tally.requests).sum(),
            refused: of(|tally| tally.refused).sum(),
            jain: jain(&bytes),
            longest_wait: after.iter().map(|tally| tally.longest_wait).max().unwrap_or_default(),
        }
    }
}

/// Whether so many of the requests were refused that the server did not serve all the time.
fn is_void(refused: u64, requests: u64) -> bool {
    refused as f64 > requests as f64 * REFUSED_MAX
}

/// Jain's fairness index (1984): 1 when all are equal, 1/n when one has everything.
fn jain(values: &[u64]) -> f64 {
    let sum: f64 = values.iter().map(|&value| value as f64).sum();
    let squares: f64 = values.iter().map(|&value| (value as f64).powi(2)).sum();
    if squares > 0.0 { sum * sum / (values.len() as f64 * squares) } else { 0.0 }
}

/// What all repeats gave.
#[derive(Debug, Default)]
pub(super) struct Collected {
    windows: Vec<(Window, f64)>,
}

impl Collected {
    pub(super) fn push(&mut self, window: Window, seal_only: f64) {
        self.windows.push((window, seal_only));
    }

    pub(super) fn outcome(&self) -> Outcome {
        let band = |value: &dyn Fn(&Window, f64) -> f64| {
            let values: Repeats =
                self.windows.iter().map(|(w, sealed)| value(w, *sealed)).collect();
            values.band().unwrap_or_default()
        };
        let served = |w: &Window| w.bytes as f64 / w.used.seconds() / 1e9;
        let share = |part: f64, w: &Window| part / w.used.elapsed_s;
        let sum = |value: fn(&Window) -> u64| self.windows.iter().map(|(w, _)| value(w)).sum();
        let (requests, refused): (u64, u64) = (sum(|w| w.requests), sum(|w| w.refused));
        Outcome {
            seal_only_gb_per_cpu_s: band(&|_, sealed| sealed),
            served_gb_per_cpu_s: band(&|w, _| served(w)),
            ratio: band(&|w, sealed| served(w) / sealed),
            ns_per_datagram: band(&|w, _| w.used.seconds() * 1e9 / w.datagrams as f64),
            ns_per_byte: band(&|w, _| w.used.seconds() * 1e9 / w.bytes as f64),
            train_datagrams_mean: band(&|w, _| w.datagrams as f64 / w.sends as f64),
            served_gb_per_s: band(&|w, _| w.bytes as f64 / w.used.elapsed_s / 1e9),
            core_busy: band(&|w, _| share(w.used.core_busy_s, w)),
            server_busy: band(&|w, _| share(w.used.seconds(), w)),
            generator_busy: band(&|w, _| share(w.generator_busy.as_secs_f64(), w)),
            requests,
            refused,
            void: is_void(refused, requests),
            jain: band(&|w, _| w.jain),
            longest_wait_ms: band(&|w, _| w.longest_wait.as_secs_f64() * 1e3),
            ..Outcome::default()
        }
    }
}

impl Run {
    pub(super) fn new(args: &Args, cores: Cores) -> Self {
        Self {
            cores,
            datagram_bytes: args.datagram,
            title_mib: args.title,
            sample: args.sample,
            report_packets: args.report_packets,
            train: args.train,
            spread: args.spread,
            rate_cap_kbits: args.rate_cap,
            server_flags: args.server_flag.clone(),
            seed: args.seed,
            outcomes: Vec::new(),
        }
    }

    /// For people.
    #[must_use]
    pub fn table(&self) -> Table {
        let mut table = Table::new(["sink", ""]);
        for outcome in &self.outcomes {
            self.rows(outcome, &mut table);
        }
        table
    }

    fn rows(&self, o: &Outcome, table: &mut Table) {
        let count = |value: Option<u64>| {
            value.map_or_else(|| "not counted by this server".to_owned(), |value| value.to_string())
        };
        let payload = self.datagram_bytes - OVERHEAD;
        let datagram = format!("{} bytes, {payload} of the title", self.datagram_bytes);
        let busy = digits(o.generator_busy.median * 100.0);
        let note = if o.generator_busy.median > 0.9 { " % — IT MAY LIMIT" } else { " %" };
        let void = if o.void { " — VOID: try --server-flag=--egress-queue=60s" } else { "" };
        let rows = [
            ("server", o.label.clone()),
            ("sessions", o.sessions.to_string()),
            ("datagram", datagram),
            ("sealed alone, GB per CPU-second", o.seal_only_gb_per_cpu_s.to_string()),
            ("served, GB per CPU-second", o.served_gb_per_cpu_s.to_string()),
            ("ratio", o.ratio.to_string()),
            ("ns per datagram", o.ns_per_datagram.to_string()),
            ("datagrams in a train", o.train_datagrams_mean.to_string()),
            ("served, GB per second", o.served_gb_per_s.to_string()),
            ("server busy, by its clock", o.server_busy.to_string()),
            ("its core busy, by /proc/stat", o.core_busy.to_string()),
            ("generator busy", format!("{busy}{note}")),
            ("requests refused", format!("{} of {}{void}", o.refused, o.requests)),
            ("fairness (Jain)", o.jain.to_string()),
            ("longest wait for a train, ms", o.longest_wait_ms.to_string()),
            ("trains without copy", count(o.zc_trains)),
            ("of them copied all the same", count(o.zc_copied)),
            ("trains that passed, all compared", o.trains_passed.to_string()),
            ("major faults", o.major_faults.to_string()),
        ];
        for (name, value) in rows {
            table.row([name.to_owned(), value]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_void_when_more_than_a_hundredth_was_refused() {
        assert!(!is_void(0, 0) && !is_void(1, 100) && is_void(2, 100) && is_void(1, 0));
    }

    #[test]
    fn jains_index_is_one_for_equals_and_one_nth_for_one_that_has_all() {
        assert_eq!(jain(&[5, 5, 5, 5]), 1.0);
        assert_eq!(jain(&[8, 0, 0, 0]), 0.25);
        assert_eq!(jain(&[0, 0]), 0.0);
    }
}
