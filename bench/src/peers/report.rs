//! The comparison's figures: medians over rounds, ratios within a round, and what was missing.

use serde::Serialize;

use super::cell::Outcome;
use super::link::LinkKind;
use super::objects::{OBJECT_BYTES, OBJECTS};
use crate::measure::{Band, Repeats, Table, digits};

/// The versions that were built in.
const LOCK_FILE: &str = include_str!("../../../Cargo.lock");

/// From here on something else must have run on the server's core.
const CORE_SHARED: f64 = 1.15;

/// Which cell of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Cell {
    /// The link.
    pub(super) link: LinkKind,
    /// Concurrent requests.
    pub(super) concurrent: u16,
    /// The server.
    pub(super) server: String,
}

/// All that was measured.
#[derive(Debug)]
pub(super) struct Report {
    conditions: Conditions,
    bare: Vec<(LinkKind, Samples)>,
    cells: Vec<(Cell, Samples)>,
    missing: Vec<Missing>,
    failed: Vec<Missing>,
}

/// Under what conditions.
#[derive(Clone, Debug, Serialize)]
struct Conditions {
    object_bytes: usize,
    objects: u32,
    datagram_max: u16,
    cipher: &'static str,
    runs: u16,
    seconds: f64,
    warm_up_seconds: f64,
}

/// What could not be measured, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Missing {
    what: String,
    why: String,
}

/// One cell in all rounds.
#[derive(Debug, Default)]
struct Samples {
    gb_per_cpu_s: Repeats,
    gb_per_s: Repeats,
    ratio_to_bare: Repeats,
    server_core_busy: Repeats,
    client_core_busy: Repeats,
    /// The core's busy time over what the figure is divided by.
    core_to_process: Repeats,
    compared: u64,
}

/// A cell's medians and bands.
#[derive(Clone, Debug, Serialize)]
struct CellFigures {
    #[serde(flatten)]
    cell: Cell,
    gb_per_cpu_s: Option<Band>,
    gb_per_s: Option<Band>,
    ratio_to_bare: Option<Band>,
    server_core_busy: f64,
    client_core_busy: f64,
    core_busy_to_process_time: f64,
    objects_compared: u64,
}

/// Everything, for programs.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figures {
    conditions: Conditions,
    cells: Vec<CellFigures>,
    missing: Vec<Missing>,
    failed: Vec<Missing>,
}

impl Samples {
    fn push(&mut self, outcome: &Outcome, bare: Option<f64>) {
        let (server, figure) = (&outcome.server, outcome.gb_per_cpu_s());
        self.gb_per_cpu_s.push(figure);
        self.gb_per_s.push(outcome.gb_per_s());
        if let Some(bare) = bare {
            self.ratio_to_bare.push(figure / bare);
        }
        self.server_core_busy.push(server.core_busy_s / server.elapsed_s);
        self.client_core_busy.push(outcome.client_core_busy);
        self.core_to_process.push(server.core_busy_s / server.seconds());
        self.compared += outcome.compared;
    }

    fn figures(&self, cell: Cell) -> CellFigures {
        CellFigures {
            cell,
            gb_per_cpu_s: self.gb_per_cpu_s.band(),
            gb_per_s: self.gb_per_s.band(),
            ratio_to_bare: self.ratio_to_bare.band(),
            server_core_busy: self.server_core_busy.median(),
            client_core_busy: self.client_core_busy.median(),
            core_busy_to_process_time: self.core_to_process.median(),
            objects_compared: self.compared,
        }
    }
}

impl Report {
    /// Nothing measured yet.
    pub(super) fn new(datagram_max: u16, runs: u16, seconds: f64, warm_up_seconds: f64) -> Self {
        let conditions = Conditions {
            object_bytes: OBJECT_BYTES,
            objects: OBJECTS,
            datagram_max,
            cipher: "AES-128-GCM",
            runs,
            seconds,
            warm_up_seconds,
        };
        Self { conditions, bare: vec![], cells: vec![], missing: vec![], failed: vec![] }
    }

    /// Something is not there on this machine.
    pub(super) fn missing(&mut self, what: &str, why: &anyhow::Error) {
        note(&mut self.missing, what.to_owned(), why);
    }

    /// A round of the bare loop.
    pub(super) fn bare(&mut self, link: LinkKind, outcome: &Outcome) {
        samples(&mut self.bare, link).push(outcome, None);
    }

    /// A round of a cell; `bare` is the loop's figure in the same round.
    pub(super) fn add(&mut self, cell: Cell, bare: Option<f64>, outcome: anyhow::Result<Outcome>) {
        match outcome {
            Ok(outcome) => samples(&mut self.cells, cell).push(&outcome, bare),
            Err(error) => {
                let Cell { link, concurrent, server } = cell;
                let what = format!("{server}, {}, {concurrent} concurrent", link.name());
                note(&mut self.failed, what, &error);
            }
        }
    }

    /// For programs.
    #[must_use]
    pub(super) fn figures(&self) -> Figures {
        let bare = self.bare.iter().map(|(link, samples)| {
            let server = "bare loop".to_owned();
            samples.figures(Cell { link: *link, concurrent: 1, server })
        });
        let cells = self.cells.iter().map(|(cell, samples)| samples.figures(cell.clone()));
        Figures {
            conditions: self.conditions.clone(),
            cells: bare.chain(cells).collect(),
            missing: self.missing.clone(),
            failed: self.failed.clone(),
        }
    }

    /// For people.
    #[must_use]
    pub(super) fn table(&self) -> Table {
        let mut table = Table::new([
            "link, concurrent, server",
            "GB per CPU-s of the server",
            "of the bare loop",
            "GB/s",
            "server core busy",
            "client core busy",
        ]);
        let percent = |share: f64| format!("{:.0} %", 100.0 * share);
        for figures in self.figures().cells {
            let Cell { link, concurrent, server } = &figures.cell;
            table.row([
                format!("{}, {concurrent:2}, {server}", link.name()),
                figures.gb_per_cpu_s.map_or_else(String::new, |band| band.to_string()),
                figures.ratio_to_bare.map_or_else(String::new, |band| digits(band.median)),
                figures.gb_per_s.map_or_else(String::new, |band| digits(band.median)),
                percent(figures.server_core_busy),
                percent(figures.client_core_busy),
            ]);
        }
        for Missing { what, why } in self.missing.iter().chain(&self.failed) {
            let empty = String::new;
            table.row([what.clone(), why.clone(), empty(), empty(), empty(), empty()]);
        }
        table
    }

    /// Whether all that is there could be measured. Warns where the server's core was busy with something else: the
    /// receiver's work that interrupts an idle core counts there too, so a little is no fault.
    ///
    /// # Errors
    /// When a cell failed.
    pub(super) fn verdict(&self) -> anyhow::Result<()> {
        for figures in self.figures().cells {
            let (shared, Cell { link, concurrent, server }) =
                (figures.core_busy_to_process_time, &figures.cell);
            if shared > CORE_SHARED {
                eprintln!(
                    "{server}, {}, {concurrent} concurrent: its core was busy {shared:.2} times as long as the server: \
                     was the machine quiet?",
                    link.name()
                );
            }
        }
        match self.failed.first() {
            None => Ok(()),
            Some(Missing { what, why }) => {
                anyhow::bail!("{} cells failed, first {what}: {why}", self.failed.len())
            }
        }
    }
}

/// The samples of `key`, in the order in which keys came first.
fn samples<Key: PartialEq>(all: &mut Vec<(Key, Samples)>, key: Key) -> &mut Samples {
    let at = match all.iter().position(|(other, _)| *other == key) {
        Some(at) => at,
        None => {
            all.push((key, Samples::default()));
            all.len() - 1
        }
    };
    &mut all[at].1
}

/// Notes each reason once.
fn note(list: &mut Vec<Missing>, what: String, why: &anyhow::Error) {
    let missing = Missing { what, why: format!("{why:#}") };
    if !list.contains(&missing) {
        list.push(missing);
    }
}

/// A crate's name and the version that was built in.
#[must_use]
pub(super) fn with_version(name: &str) -> String {
    let entry = format!("name = \"{name}\"\nversion = \"");
    let version = LOCK_FILE.split_once(&entry).and_then(|(_, rest)| rest.split('"').next());
    format!("{name} {}", version.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::CpuUse;

    fn outcome(bytes: u64) -> Outcome {
        let server = CpuUse { process_s: 0.5, ksoftirqd_s: 0.0, core_busy_s: 0.5, elapsed_s: 1.0 };
        Outcome { bytes, objects: 1, compared: 1, server, client_core_busy: 0.9 }
    }

    #[test]
    fn a_cell_has_the_median_of_its_rounds_and_of_its_ratios() {
        let mut report = Report::new(1452, 3, 1.0, 1.0);
        let cell = Cell { link: LinkKind::Loopback, concurrent: 16, server: "x".into() };
        for (bytes, bare) in [(1_000_000_000, 4.0), (2_000_000_000, 4.0), (3_000_000_000, 12.0)] {
            report.add(cell.clone(), Some(bare), Ok(outcome(bytes)));
        }
        let figures = report.figures();
        let band = figures.cells[0].gb_per_cpu_s.unwrap();
        assert_eq!((band.min, band.median, band.max), (2.0, 4.0, 6.0));
        assert_eq!(figures.cells[0].ratio_to_bare.unwrap().median, 0.5);
        assert_eq!(figures.cells[0].objects_compared, 3);
        report.verdict().unwrap();
    }

    #[test]
    fn what_failed_is_named_once_and_is_no_success() {
        let mut report = Report::new(1452, 2, 1.0, 1.0);
        let cell = Cell { link: LinkKind::Veth, concurrent: 1, server: "quinn".into() };
        for _ in 0..2 {
            report.add(cell.clone(), None, Err(anyhow::anyhow!("no route")));
        }
        report.missing("nginx", &anyhow::anyhow!("not installed"));
        assert_eq!((report.failed.len(), report.missing.len()), (1, 1));
        assert!(report.table().to_string().contains("quinn, veth, 1 concurrent"));
        assert!(report.verdict().unwrap_err().to_string().contains("no route"));
    }

    #[test]
    fn versions_come_from_the_lock_file() {
        let named = with_version("quinn");
        assert!(named.starts_with("quinn 0.11"), "{named}");
    }
}
