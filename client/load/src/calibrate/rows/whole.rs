//! C5 and C11: what must hold in every trial, whatever it was for.

use segcast_proto::time::Duration;
use serde_json::json;

use super::super::lab::{Lab, Ran};
use super::super::row::Row;
use crate::result::LITTLE_ERROR_MAX;

/// A run may be shorter than planned by this: it ends when nothing more can come.
const EARLY: Duration = Duration::from_millis(20);
/// It may be longer than planned and its timeout together by this.
const LATE: Duration = Duration::from_secs(2);

/// Two rows, over all trials before.
pub(super) fn rows(lab: &Lab<'_>) -> Vec<Row> {
    vec![little(&lab.ran), sanity(&lab.ran)]
}

fn little(all: &[Ran]) -> Row {
    let known = |ran: &Ran| {
        let little = ran.little.clone()?;
        Some((little.holds(LITTLE_ERROR_MAX)?, little.error - little.noise, ran.name.clone()))
    };
    let judged: Vec<_> = all.iter().filter_map(known).collect();
    let worst = judged.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    let (worst, name) = worst.map_or((0.0, ""), |(_, worst, name)| (worst.max(0.0), name.as_str()));
    Row {
        id: "C5",
        name: "Little's law, all trials".to_owned(),
        passed: !judged.is_empty() && judged.iter().all(|(holds, ..)| *holds),
        says: format!(
            "under way as seen = rate x service time within {:.2} % and chance in {} of {} trials (at most {} %; worst: {name})",
            worst * 100.0,
            judged.len(),
            all.len(),
            LITTLE_ERROR_MAX * 100.0
        ),
        figures: json!({ "worst": worst, "judged": judged.len(), "trials": all.len() }),
    }
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
    use crate::record::Ledger;
    use crate::result::Little;

    fn ran() -> Ran {
        let second = Duration::from_secs(1);
        let (counted, computed, error, noise) = (2.0, 2.0, 0.0, 0.01);
        Ran {
            name: "one".to_owned(),
            planned: second,
            seconds: 1.0,
            ledger: Ledger { intended: 2, complete: 2, ..Ledger::default() },
            little: Some(Little { counted, computed, error, noise }),
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
        let with = |error, noise| {
            let little = Little { counted: 2.0, computed: 2.0, error, noise };
            Ran { little: Some(little), ..ran() }
        };
        assert!(!little(&[ran(), with(0.12, 0.01)]).passed);
        assert!(little(&[ran(), with(0.12, 0.03)]).passed, "chance explains it");
        assert!(!little(&[with(0.05, 0.3)]).passed, "nothing was seen well enough");
    }
}
