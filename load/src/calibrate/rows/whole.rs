//! C5 and C11: what must hold in every trial, whatever it was for.

use super::super::lab::{Lab, Ran};
use super::super::report::Row;
use segcast_proto::time::Duration;
use serde_json::json;

/// Little's law: time under way, summed one way and the other, may differ by this part.
const LITTLE_MAX: f64 = 0.01;
/// A run may be shorter than planned by this: it ends when nothing more can come.
const EARLY: Duration = Duration::from_millis(20);
/// It may be longer than planned and its timeout together by this.
const LATE: Duration = Duration::from_secs(2);

/// Two rows, over all trials before.
pub(super) fn rows(lab: &Lab<'_>) -> Vec<Row> {
    vec![little(&lab.ran), sanity(&lab.ran)]
}

fn little(all: &[Ran]) -> Row {
    let judged: Vec<_> = all.iter().filter_map(|ran| Some((deviation(ran)?, &ran.name))).collect();
    let worst = judged.iter().max_by(|a, b| a.0.total_cmp(&b.0));
    let (worst, name) = worst.map_or((0.0, ""), |(worst, name)| (*worst, name.as_str()));
    Row {
        id: "C5",
        name: "Little's law".to_owned(),
        passed: !judged.is_empty() && worst <= LITTLE_MAX,
        says: format!(
            "in flight = rate x service time within {:.2} % in {} trials (at most {} %; worst: {name})",
            worst * 100.0,
            judged.len(),
            LITTLE_MAX * 100.0
        ),
        figures: json!({ "worst": worst, "trials": judged.len() }),
    }
}

/// How far the two sums are from each other. None where segments have no end of their own: nobody answered.
fn deviation(ran: &Ran) -> Option<f64> {
    let (a, b) = (ran.health.in_flight_time.as_secs_f64(), ran.health.service_time.as_secs_f64());
    (ran.ledger.complete > 0 && a.max(b) > 0.0).then(|| (a - b).abs() / a.max(b))
}

fn sanity(all: &[Ran]) -> Row {
    let wrong: Vec<String> = all.iter().filter_map(complaint).collect();
    let intended: u64 = all.iter().map(|ran| ran.ledger.intended).sum();
    let says = match wrong.first() {
        None => format!(
            "{} trials took their time, and {intended} segments have one end each",
            all.len()
        ),
        Some(first) => format!("{} of {} trials: {first}", wrong.len(), all.len()),
    };
    Row {
        id: "C11",
        name: "sums and times".to_owned(),
        passed: wrong.is_empty() && !all.is_empty(),
        says,
        figures: json!({ "trials": all.len(), "intended": intended, "wrong": wrong }),
    }
}

fn complaint(ran: &Ran) -> Option<String> {
    let (name, planned) = (&ran.name, ran.planned);
    let wall = Duration::from_secs_f64(ran.seconds.max(0.0));
    if ran.ledger.in_flight() != 0 {
        return Some(format!("{name}: {} segments have no end", ran.ledger.in_flight()));
    }
    if ran.ledger.intended == 0 || !ran.ledger.failed.is_empty() {
        return Some(format!("{name}: {:?}", ran.ledger));
    }
    let possible = planned.saturating_sub(EARLY)..=planned + ran.timeout + LATE;
    if !possible.contains(&wall) {
        return Some(format!("{name}: took {wall:?} for {planned:?}"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Health, Ledger};

    fn ran() -> Ran {
        let second = Duration::from_secs(1);
        let health = Health {
            wall: second,
            in_flight_time: second,
            service_time: second,
            ..Health::default()
        };
        let ledger = Ledger { intended: 2, complete: 2, ..Ledger::default() };
        Ran {
            name: "one".to_owned(),
            planned: second,
            seconds: 1.0,
            ledger,
            health,
            timeout: second,
        }
    }

    #[test]
    fn a_sound_trial_has_no_complaint_and_each_fault_has_one() {
        assert_eq!(complaint(&ran()), None);
        assert!(little(&[ran()]).passed && sanity(&[ran()]).passed);
        assert!(!little(&[]).passed && !sanity(&[]).passed);
        let mut short = ran();
        short.seconds /= 2.0;
        let mut open = ran();
        open.ledger.complete = 1;
        for wrong in [short, open] {
            assert!(complaint(&wrong).is_some());
            assert!(!sanity(&[ran(), wrong]).passed);
        }
        let mut off = ran();
        off.health.in_flight_time = Duration::from_millis(985);
        assert!(!little(&[ran(), off]).passed);
    }
}
