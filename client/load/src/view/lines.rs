//! A line per second, for files and pipes: words for people, JSON for programs.

use std::io::{self, Write};

use segcast_config::amount::rounded::{bit_rate, micros};

use super::{Snapshot, Times, View};
use crate::words::share;

/// Words.
#[derive(Debug)]
pub struct PlainLines<W>(W);

impl<W: Write + Send> PlainLines<W> {
    /// To `out`.
    pub fn new(out: W) -> Self {
        Self(out)
    }
}

impl<W: Write + Send> View for PlainLines<W> {
    fn show(&mut self, s: &Snapshot) -> io::Result<()> {
        let second = &s.second;
        let phase = if s.draining { "waiting for the last" } else { &s.phase };
        // One call: lines of several programs in one file are not torn.
        let line = format!(
            "{:>4} s  {phase} {}/{}: {}/s intended, {}/s complete, {}; ttfb {}, ttlb {}, lag {}; \
             {} late, {} lost, {} refused, {} failed, {} never offered so far; {} under way; thread {}\n",
            second.second + 1,
            s.phase_number,
            s.phases,
            second.intended,
            second.complete,
            bit_rate(second.data_bytes as f64 * 8.0),
            times(&s.ttfb),
            times(&s.ttlb),
            s.lag.max_us.map_or("-".into(), |us| format!("{} max", micros(us as f64))),
            s.ledger.late,
            s.ledger.lost,
            s.ledger.refused_in_all(),
            s.ledger.failed_in_all(),
            s.ledger.never_offered_in_all(),
            s.ledger.remainder,
            second.busiest_thread.map_or("-".into(), share),
        );
        self.0.write_all(line.as_bytes())
    }
}

/// The highest of median and 99 % that has samples enough.
fn times(times: &Times) -> String {
    let p99 = times.p99_us.map(|us| ("p99", us)).or_else(|| times.p50_us.map(|us| ("p50", us)));
    match p99.or_else(|| times.max_us.map(|us| ("max", us))) {
        Some((name, us)) => format!("{} {name}", micros(us as f64)),
        None => "-".into(),
    }
}

/// A JSON object and a line end.
#[derive(Debug)]
pub struct JsonLines<W>(W);

impl<W: Write + Send> JsonLines<W> {
    /// To `out`.
    pub fn new(out: W) -> Self {
        Self(out)
    }
}

impl<W: Write + Send> View for JsonLines<W> {
    fn show(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        let line = serde_json::to_string(snapshot)? + "\n";
        self.0.write_all(line.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::snapshots;

    #[test]
    fn each_second_is_one_line() {
        let snapshots = snapshots();
        let (mut plain, mut json) = (PlainLines::new(Vec::new()), JsonLines::new(Vec::new()));
        for snapshot in &snapshots {
            plain.show(snapshot).expect("memory takes all");
            json.show(snapshot).expect("memory takes all");
        }
        let plain = String::from_utf8(plain.0).expect("UTF-8");
        assert_eq!(plain.lines().count(), snapshots.len());
        assert!(plain.contains("   8 s  steady 2/4: 1400/s intended, 1400/s complete"), "{plain}");
        let json = String::from_utf8(json.0).expect("UTF-8");
        for (line, snapshot) in json.lines().zip(&snapshots) {
            let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(value["second"]["intended"], snapshot.second.intended);
            assert_eq!(value["ledger"]["complete"], snapshot.ledger.complete);
        }
        assert_eq!(json.lines().count(), snapshots.len());
    }

    #[test]
    fn a_phase_goes_from_its_beginning_to_its_end() {
        let snapshots = snapshots();
        let of =
            |second: usize| (snapshots[second].phase.as_str(), snapshots[second].phase_progress);
        assert_eq!(of(0), ("ramp", 0.25));
        assert_eq!(of(3), ("ramp", 1.0));
        assert_eq!(of(9), ("steady", 0.5));
        assert_eq!(of(26), ("recovery", 1.0));
        assert!(!snapshots[26].draining);
    }
}
