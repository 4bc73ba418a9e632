//! What a calibration says: its rows, the machine that they hold for, a hash, and until when.

use procfs::{CpuInfo, Current};
use segcast_proto::crypto::hash::sha256;
use segcast_sysio::clock::unix_seconds;
use segcast_sysio::probe::IoKind;
use serde::Serialize;

use super::row::Row;
use super::{CalibrateConfig, Check};

/// A calibration holds for a week: kernels and neighbours change.
const HOLDS_SECONDS: u64 = 7 * 24 * 3600;

/// The machine that the figures hold for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Kernel release.
    pub kernel: String,
    /// Processor, as /proc/cpuinfo calls it.
    pub processor: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// What the kernel's clock counts.
    pub clocksource: String,
}

impl Machine {
    /// This one.
    #[must_use]
    pub fn here() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let cpu = CpuInfo::current().ok();
        let model = cpu.as_ref().and_then(|cpu| cpu.model_name(0)).unwrap_or_default();
        let source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
        Self {
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            processor: model.to_owned(),
            cores: segcast_sysio::cpu::allowed_cores().map_or(0, |cores| cores.len()),
            clocksource: read(source).trim().to_owned(),
        }
    }
}

/// The whole.
#[derive(Clone, Debug, Serialize)]
pub struct Calibration {
    /// The form of this document.
    pub format: &'static str,
    /// Of this program.
    pub version: &'static str,
    /// What all randomness came from.
    pub seed: u64,
    /// Shorter runs, fewer repeats.
    pub quick: bool,
    /// The driver.
    pub io: &'static str,
    /// Where.
    pub machine: Machine,
    /// When, Unix seconds.
    pub made: u64,
    /// Until when it holds, Unix seconds.
    pub expires: u64,
    /// Whether every check there is was made. Only then, and not quick, may a load be signed off with it.
    pub complete: bool,
    /// Whether all checks that were made passed.
    pub passed: bool,
    /// The checks.
    pub rows: Vec<Row>,
    /// SHA-256 of this document as JSON, with this field empty, in hex.
    pub hash: String,
}

impl Calibration {
    pub(super) fn new(config: &CalibrateConfig, io: IoKind, rows: Vec<Row>) -> Self {
        let made = unix_seconds();
        let mut this = Self {
            format: "segcast calibration 1",
            version: env!("CARGO_PKG_VERSION"),
            seed: config.seed,
            quick: config.quick,
            io: io.name(),
            machine: Machine::here(),
            made,
            expires: made + HOLDS_SECONDS,
            complete: Check::ALL
                .iter()
                .all(|check| config.only.is_empty() || config.only.contains(check)),
            passed: !rows.is_empty() && rows.iter().all(|row| row.passed),
            rows,
            hash: String::new(),
        };
        this.hash = this.digest();
        this
    }

    fn digest(&self) -> String {
        let json = serde_json::to_vec(self).expect("numbers and texts become JSON");
        hex::encode(sha256(&[&json]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(passed: bool) -> Calibration {
        let (name, says) = (String::new(), String::new());
        let row = Row { id: "C1", name, passed, says, figures: serde_json::Value::Null };
        Calibration::new(&CalibrateConfig::default(), IoKind::Mmsg, vec![row])
    }

    #[test]
    fn one_failed_row_fails_all_and_nothing_passes_nothing() {
        assert!(with(true).passed && !with(false).passed);
        let nothing = Calibration::new(&CalibrateConfig::default(), IoKind::Mmsg, Vec::new());
        assert!(!nothing.passed);
    }

    #[test]
    fn the_hash_is_that_of_the_document_without_it() {
        let one = with(true);
        let bare = Calibration { hash: String::new(), ..one.clone() };
        assert_eq!(bare.digest(), one.hash);
        assert_ne!(Calibration { seed: 2, ..bare }.digest(), one.hash);
    }
}
