//! C7: a responder that stands still for a while must show in what viewers would have waited. A closed loop does not
//! show it: while it waits, it asks for nothing ("coordinated omission").

use segcast_proto::time::Duration;
use serde_json::{Value, json};

use super::super::generator::{ClosedLoop, OpenLoop};
use super::super::lab::Lab;
use super::super::responder::{Behaviour, Freeze};
use super::super::row::Row;
use super::super::{CalibrateError, FREEZE};
use super::{all_classes, ms, quantile};
use crate::record::Times;

/// Requests in a second, open loop.
const RATE: f64 = 500.0;
/// The responder's limit, bytes in a second: five times what is asked for, so that a pause is soon made up for.
const PACE: u64 = 200_000_000;
const SESSIONS: u32 = 8;
/// Sessions of the closed loop; each has one request under way.
const CLOSED: u32 = 2;
const TIMEOUT: Duration = Duration::from_secs(10);
/// A quantile that should show a pause must show this part of what arithmetic says.
const SHOWN: f64 = 0.8;
/// One that should not may show this part of a pause.
const HIDDEN: f64 = 0.25;

/// The quantiles of one run, with what each has to be for the check.
struct Seen {
    samples: u64,
    freezes: u32,
    p99: Option<Duration>,
    p999: Option<Duration>,
}

impl Seen {
    fn of(times: &Times, freezes: u32) -> Self {
        let samples = times.histogram().len();
        Self { samples, freezes, p99: quantile(times, 0.99), p999: quantile(times, 0.999) }
    }

    fn figures(&self) -> Value {
        json!({
            "samples": self.samples, "freezes": self.freezes,
            "p99_ms": self.p99.map(ms), "p999_ms": self.p999.map(ms),
        })
    }

    fn words(&self) -> String {
        let word =
            |time: Option<Duration>| time.map_or("-".to_owned(), |t| format!("{:.1}", ms(t)));
        format!("p99 {} / p99.9 {} ms of {}", word(self.p99), word(self.p999), self.samples)
    }
}

pub(super) fn row(lab: &mut Lab<'_>) -> Result<Row, CalibrateError> {
    let title = lab.small();
    let freeze = Freeze { period: lab.freeze_period(), length: FREEZE };
    let behaviour = Behaviour { freeze: Some(freeze), rate: Some(PACE), ..lab.plain() };
    let duration = freeze.period * 2 + freeze.period / 8 + FREEZE;
    let seed = lab.config.seed;
    let load = OpenLoop { rate: RATE, warm: None, duration, sessions: SESSIONS, timeout: TIMEOUT };
    let plan = load.plan(seed, &title)?;
    let (measured, deeds) = lab.trial("stall, open loop", &title, (behaviour, true), &plan)?;
    let open = Seen::of(&all_classes(&measured.total).ttlb.response, deeds.freezes);
    let plan = ClosedLoop { duration, sessions: CLOSED, window: 1 }.plan(seed, &title)?;
    let (measured, deeds) = lab.trial("stall, closed loop", &title, (behaviour, true), &plan)?;
    let closed = Seen::of(&all_classes(&measured.total).ttlb.response, deeds.freezes);

    let expected = |q| expected(q, open.freezes, duration);
    let shows = |seen: Option<Duration>, q| seen.is_none_or(|s| s >= expected(q).mul_f64(SHOWN));
    let shown = open.p99.is_some() && shows(open.p99, 0.99) && shows(open.p999, 0.999);
    let hidden = hides(&closed, 0.99, closed.p99) && hides(&closed, 0.999, closed.p999);
    Ok(Row {
        id: "C7",
        name: format!("known stall, {} ms every {} s", ms(FREEZE), freeze.period.as_secs_f64()),
        passed: open.freezes >= 2 && closed.freezes >= 2 && shown && hidden,
        says: format!(
            "open loop {} ({:.0} / {:.0} expected); closed loop {}",
            open.words(),
            ms(expected(0.99)),
            ms(expected(0.999)),
            closed.words()
        ),
        figures: json!({
            "freeze_ms": ms(FREEZE), "period_s": freeze.period.as_secs_f64(),
            "open": open.figures(), "closed": closed.figures(),
            "expected_p99_ms": ms(expected(0.99)), "expected_p999_ms": ms(expected(0.999)),
        }),
    })
}

/// What a quantile of the response time must be at least: who comes at a random moment of a pause waits for what is left
/// of it.
fn expected(q: f64, freezes: u32, duration: Duration) -> Duration {
    let share = (FREEZE * freezes).as_secs_f64() / duration.as_secs_f64();
    let beyond = (1.0 - q) / share;
    if beyond >= 1.0 { Duration::ZERO } else { FREEZE.mul_f64(1.0 - beyond) }
}

/// Whether a closed loop's quantile hides the pauses, where it can: each pause meets one request of each session, and
/// those must be far fewer than the quantile leaves out.
fn hides(seen: &Seen, q: f64, value: Option<Duration>) -> bool {
    let met = f64::from(CLOSED * seen.freezes);
    let can = met * 2.0 < seen.samples as f64 * (1.0 - q);
    value.is_none_or(|value| !can || value <= FREEZE.mul_f64(HIDDEN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantiles_of_a_pause_are_those_of_random_moments_in_it() {
        let twenty = Duration::from_secs(20);
        assert_eq!(expected(0.99, 2, twenty).as_millis(), 100);
        assert_eq!(expected(0.999, 2, twenty).as_millis(), 190);
        assert_eq!(expected(0.5, 2, twenty), Duration::ZERO);
    }

    #[test]
    fn a_closed_loop_that_shows_pauses_is_no_closed_loop() {
        let seen = |samples| Seen { samples, freezes: 2, p99: None, p999: None };
        assert!(hides(&seen(20_000), 0.999, Some(Duration::from_millis(5))));
        assert!(!hides(&seen(20_000), 0.999, Some(Duration::from_millis(150))));
        assert!(hides(&seen(2000), 0.999, Some(Duration::from_millis(150))), "too few to hide in");
    }
}
