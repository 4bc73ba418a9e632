//! C3: the generator's own maximum, against a responder that has nothing else to do.

use std::sync::Arc;

use segcast_proto::time::Duration;
use serde_json::json;

use super::super::CalibrateError;
use super::super::generator::{ClosedLoop, OpenLoop};
use super::super::lab::{BUSY, Lab};
use super::super::row::Row;
use super::super::title::Title;
use super::{all_classes, ms, quantile};

/// Sessions of the open loop: so many that one hardly ever wants a segment that it is fetching already.
const SESSIONS: u32 = 128;
/// Shares of it that are tried in an open loop, highest first.
const SHARES: [f64; 5] = [0.9, 0.8, 0.7, 0.6, 0.5];
/// "Offered within 0.1 % of intended" (RFC 9971 calls that load Max Load).
const OFFERED_LEAST: f64 = 0.999;
const TIMEOUT: Duration = Duration::from_secs(5);

/// One row for the smallest segments, one for those of the default size.
pub(super) fn rows(lab: &mut Lab<'_>) -> Result<Vec<Row>, CalibrateError> {
    let (small, full) = (lab.small(), lab.full());
    Ok(vec![row(lab, "smallest segments", &small)?, row(lab, "full segments", &full)?])
}

fn row(lab: &mut Lab<'_>, name: &str, title: &Arc<Title>) -> Result<Row, CalibrateError> {
    let duration = Duration::from_millis(lab.pick(1500, 400));
    // Enough under way to find the most there is to get.
    let plan = ClosedLoop { duration, sessions: 4, window: 4 }.plan(lab.config.seed, title)?;
    let fast = (lab.fast(), true);
    let (most, deeds) = lab.trial(&format!("most, {name}"), title, fast, &plan)?;
    let health = most.total.health;
    let wall = health.wall.as_secs_f64();
    let rate = most.total.ledger.complete as f64 / wall;
    let bytes = f64::from(plan.titles[0].segment_bytes);
    let busy = health.cpu.as_secs_f64() / wall;
    let responder = deeds.cpu.as_secs_f64() / wall;
    let mut found = None;
    for share in SHARES {
        if found.is_none() && holds(lab, name, title, rate * share, duration)? {
            found = Some(rate * share);
        }
    }
    let max = found.unwrap_or(0.0);
    let limited = match (busy >= BUSY, responder >= BUSY) {
        (true, _) => "the generator was busy all the time",
        (false, true) => "at least: the responder was busy first",
        (false, false) => "neither was busy all the time",
    };
    Ok(Row {
        id: "C3",
        name: format!("Max Load, {name}"),
        passed: found.is_some(),
        says: format!(
            "{max:.0} requests/s, {:.2} GB/s offered in full; closed loop {rate:.0}/s, {:.2} GB/s ({limited})",
            max * bytes / 1e9,
            rate * bytes / 1e9,
        ),
        figures: json!({
            "max_load_per_second": max, "max_load_gb_per_second": max * bytes / 1e9,
            "closed_per_second": rate, "closed_gb_per_second": rate * bytes / 1e9,
            "segment_bytes": bytes, "generator_cores": busy, "responder_cores": responder,
            "generator_limited": busy >= BUSY,
        }),
    })
}

/// Whether `rate` is offered and served in full.
fn holds(
    lab: &mut Lab<'_>,
    name: &str,
    title: &Arc<Title>,
    rate: f64,
    duration: Duration,
) -> Result<bool, CalibrateError> {
    let plan = OpenLoop { rate, warm: None, duration, sessions: SESSIONS, timeout: TIMEOUT }
        .plan(lab.config.seed, title)?;
    let (measured, _) =
        lab.trial(&format!("{name} at {rate:.0}/s"), title, (lab.fast(), true), &plan)?;
    let ledger = &measured.total.ledger;
    let times = all_classes(&measured.total);
    let offered = times.send_lag.histogram().len() as f64 / ledger.intended.max(1) as f64;
    // What is only offered because a backlog grows is not offered at that rate.
    let prompt = quantile(&times.send_lag, 0.99).is_none_or(|lag| ms(lag) < ms(duration) / 20.0);
    Ok(offered >= OFFERED_LEAST
        && prompt
        && ledger.complete as f64 >= offered * ledger.intended as f64 - 0.5)
}
