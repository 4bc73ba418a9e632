//! C6 and C8: exactly what the responder's fault layer did must be what the generator says, in every offload mode and each
//! in its own class.

use segcast_proto::time::Duration;
use serde_json::json;

use super::super::CalibrateError;
use super::super::generator::OpenLoop;
use super::super::lab::Lab;
use super::super::responder::{Behaviour, Deeds, FaultPlan};
use super::super::row::Row;
use crate::record::{Ledger, Wire};

/// Segments in a second: 19 200 datagrams, 23 MB. A socket buffer of the generator holds more than 100 ms of them.
const RATE: f64 = 300.0;
/// The responder's limit, bytes in a second: what piles up behind a loss comes out no faster.
const PACE: u64 = 60_000_000;
const SESSIONS: u32 = 4;
const TIMEOUT: Duration = Duration::from_secs(10);

/// Two rows for each mode.
pub(super) fn rows(lab: &mut Lab<'_>) -> Result<Vec<Row>, CalibrateError> {
    let mut rows = Vec::new();
    for (number, (gso, gro)) in
        (0..).zip([(true, true), (true, false), (false, true), (false, false)])
    {
        rows.extend(mode(lab, number, gso, gro)?);
    }
    Ok(rows)
}

/// So many of each, all different, so that one class taken for another shows.
fn fault_plan(lab: &Lab<'_>, number: u64) -> FaultPlan {
    let seed = lab.config.seed.wrapping_add(number);
    let (datagrams, scale) = lab.pick((36_000, 4), (12_000, 1));
    let (drop, duplicate, reorder, corrupt) = (97 * scale, 53 * scale, 41 * scale, 29 * scale);
    FaultPlan { seed, datagrams, drop, duplicate, reorder, corrupt }
}

fn mode(lab: &mut Lab<'_>, number: u64, gso: bool, gro: bool) -> Result<[Row; 2], CalibrateError> {
    let title = lab.small();
    let plan = fault_plan(lab, number);
    // A few more segments than have faults, so that the last repairs come whole.
    let duration = Duration::from_secs_f64((plan.datagrams / 64 + 12) as f64 / RATE);
    let load = OpenLoop { rate: RATE, warm: None, duration, sessions: SESSIONS, timeout: TIMEOUT };
    let load = load.plan(plan.seed, &title)?;
    let behaviour = Behaviour { gso, rate: Some(PACE), faults: Some(plan), ..lab.plain() };
    let word = |on| if on { "on" } else { "off" };
    let name = format!("GSO {}, GRO {}", word(gso), word(gro));
    let (measured, deeds) = lab.trial(&name, &title, (behaviour, gro), &load)?;
    let counts = Counts { plan, deeds, wire: measured.total.wire, ledger: measured.total.ledger };
    Ok([counts.loss(&name), counts.others(&name)])
}

struct Counts {
    plan: FaultPlan,
    deeds: Deeds,
    wire: Wire,
    ledger: Ledger,
}

impl Counts {
    /// Nothing else went wrong: all faults found their datagram, no socket was full, all segments came right. A
    /// session's last messages may come when it has left, and are astray: fewer than the rarest fault, so that a class
    /// which is counted there too shows.
    fn clean(&self) -> bool {
        let overflow = self.wire.overflow_datagrams + self.deeds.overflow + self.deeds.failures;
        self.deeds.faults_left == 0
            && overflow == 0
            && self.wire.stray_datagrams < u64::from(self.plan.corrupt)
            && self.ledger.complete + self.unoffered() == self.ledger.intended
    }

    /// A session that wants a segment twice at once has to wait with the second.
    fn unoffered(&self) -> u64 {
        self.ledger.never_offered.values().sum()
    }

    /// Damaged datagrams were lost too, but not on the way.
    fn lost_on_the_way(&self) -> u64 {
        self.wire.lost_datagrams.saturating_sub(self.wire.corrupt_datagrams)
    }

    fn loss(&self, mode: &str) -> Row {
        let dropped = self.deeds.applied.dropped.len() as u64;
        let (lost, n) = (self.lost_on_the_way(), self.deeds.applied.datagrams);
        let exact = lost == dropped && dropped == u64::from(self.plan.drop);
        let overflow = self.wire.overflow_datagrams;
        Row {
            id: "C6",
            name: format!("known loss, {mode}"),
            passed: exact && self.clean(),
            says: format!("{lost} lost of {n} datagrams; {dropped} dropped{}", self.unclean()),
            figures: json!({
                "datagrams": n, "planned": self.plan.drop, "dropped": dropped, "reported": lost,
                "overflow": overflow, "segments": self.ledger.complete,
            }),
        }
    }

    fn others(&self, mode: &str) -> Row {
        let applied = &self.deeds.applied;
        let classes = [
            (
                "duplicate",
                applied.duplicated.len(),
                self.wire.duplicate_datagrams,
                self.plan.duplicate,
            ),
            (
                "reordered",
                applied.reordered.len(),
                self.wire.reordered_datagrams,
                self.plan.reorder,
            ),
            ("corrupt", applied.corrupted.len(), self.wire.corrupt_datagrams, self.plan.corrupt),
        ];
        let exact = classes.iter().all(|&(_, done, reported, planned)| {
            done as u64 == reported && reported == u64::from(planned)
        });
        let words =
            classes.map(|(class, done, reported, _)| format!("{reported} {class} of {done}"));
        let figures = classes.map(|(class, done, reported, planned)| {
            (class.to_owned(), json!({ "planned": planned, "done": done, "reported": reported }))
        });
        Row {
            id: "C8",
            name: format!("known duplicates, reordering, damage, {mode}"),
            passed: exact && self.clean(),
            says: words.join(", ") + &self.unclean(),
            figures: figures.into_iter().collect::<serde_json::Map<_, _>>().into(),
        }
    }

    /// What else went wrong, in words.
    fn unclean(&self) -> String {
        if self.clean() {
            return String::new();
        }
        format!(
            "; {} faults not done, {} datagrams found a full socket, {} stray, {} sends failed, {} of {} segments came",
            self.deeds.faults_left,
            self.wire.overflow_datagrams + self.deeds.overflow,
            self.wire.stray_datagrams,
            self.deeds.failures,
            self.ledger.complete,
            self.ledger.intended
        )
    }
}
