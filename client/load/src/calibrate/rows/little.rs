//! C5: Little's law where so much is under way that chance explains nothing: sixteen segments at any time, each for some
//! twenty milliseconds.

use segcast_proto::time::Duration;
use serde_json::json;

use super::super::CalibrateError;
use super::super::generator::ClosedLoop;
use super::super::lab::Lab;
use super::super::responder::Behaviour;
use super::super::row::Row;

const SESSIONS: u32 = 4;
/// Requests under way in each.
const WINDOW: u16 = 4;
/// The responder's limit, bytes in a second: sixteen segments of 72 KiB take 20 ms.
const PACE: u64 = 60_000_000;
/// The two sides may differ by this share, besides what sampling explains.
const ERROR_MAX: f64 = 0.02;

pub(super) fn row(lab: &mut Lab<'_>) -> Result<Row, CalibrateError> {
    let title = lab.small();
    let duration = Duration::from_millis(lab.pick(3000, 1000));
    let load = ClosedLoop { duration, sessions: SESSIONS, window: WINDOW };
    let plan = load.plan(lab.config.seed, &title)?;
    let behaviour = Behaviour { rate: Some(PACE), ..lab.plain() };
    let (measured, _) = lab.trial("Little's law", &title, (behaviour, true), &plan)?;
    let little = lab.ran.last().and_then(|ran| ran.little.clone());
    let asked = SESSIONS * u32::from(WINDOW);
    let says = little.as_ref().map_or("nothing was under way".to_owned(), |little| {
        format!(
            "{:.3} under way as another thread saw it, {:.3} by rate and service time, {asked} at a time asked for: \
             {:.2} % apart, {:.2} % by chance (at most {} % more)",
            little.counted,
            little.computed,
            little.error * 100.0,
            little.noise * 100.0,
            ERROR_MAX * 100.0
        )
    });
    let holds = little.as_ref().and_then(|little| little.holds(ERROR_MAX));
    Ok(Row {
        id: "C5",
        name: "Little's law, known load".to_owned(),
        passed: holds == Some(true),
        says,
        figures: json!({
            "little": little, "asked_at_a_time": asked, "segments": measured.total.ledger.complete,
        }),
    })
}
