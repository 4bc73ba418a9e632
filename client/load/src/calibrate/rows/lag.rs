//! C2: how late requests go out when there is nothing else to do, as nobody answers.

use segcast_proto::time::Duration;
use serde_json::json;

use super::super::CalibrateError;
use super::super::generator::OpenLoop;
use super::super::lab::Lab;
use super::super::responder::Behaviour;
use super::super::row::Row;
use super::{all_classes, ms, quantile};

/// Requests in a second; with so many sessions none has more than 64 of them under way before the end.
const RATE: f64 = 1000.0;
const SESSIONS: u32 = 96;
/// The part of the requests that must have gone out: a session that wants a segment again, which nobody sends, waits.
const SENT_LEAST: f64 = 0.95;
/// Nothing comes: no need to wait for it.
const TIMEOUT: Duration = Duration::from_millis(2500);

pub(super) fn row(lab: &mut Lab<'_>) -> Result<Row, CalibrateError> {
    let title = lab.small();
    let duration = Duration::from_millis(lab.pick(2000, 1100));
    let plan = OpenLoop { rate: RATE, warm: None, duration, sessions: SESSIONS, timeout: TIMEOUT }
        .plan(lab.config.seed, &title)?;
    let behaviour = Behaviour { mute: true, ..lab.plain() };
    let (measured, _) = lab.trial("lag", &title, (behaviour, true), &plan)?;
    let lag = all_classes(&measured.total).send_lag;
    let (sent, planned) = (lag.histogram().len(), plan.requests.len() as u64);
    let quantiles = [0.5, 0.99, 0.999].map(|q| quantile(&lag, q));
    let limit = lab.config.lag_limit;
    let judged = quantiles[2].or(quantiles[1]);
    let figure = |time: Option<Duration>| time.map(ms);
    let word = |time: Option<Duration>| time.map_or("-".to_owned(), |time| format!("{}", ms(time)));
    Ok(Row {
        id: "C2",
        name: format!("send lag at {RATE} requests/s without answers"),
        passed: sent as f64 >= planned as f64 * SENT_LEAST
            && judged.is_some_and(|lag| lag <= limit),
        says: format!(
            "p50 {} / p99 {} / p99.9 {} ms of {sent} requests (at most {} ms)",
            word(quantiles[0]),
            word(quantiles[1]),
            word(quantiles[2]),
            ms(limit)
        ),
        figures: json!({
            "planned": planned, "sent": sent, "limit_ms": ms(limit),
            "p50_ms": figure(quantiles[0]), "p99_ms": figure(quantiles[1]), "p999_ms": figure(quantiles[2]),
        }),
    })
}
