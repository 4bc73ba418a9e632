//! C10: the same twice. Two runs with one seed may differ by the band, and no comparison may be claimed that is smaller.

use super::super::CalibrateError;
use super::super::generator;
use super::super::lab::Lab;
use super::super::report::Row;
use super::all_classes;
use segcast_proto::time::Duration;
use serde_json::json;

/// Requests in a second.
const RATE: f64 = 400.0;
const SESSIONS: u32 = 8;
const TIMEOUT: Duration = Duration::from_secs(10);
/// The band is never less: a histogram's three digits, and what no one would claim.
const BAND_LEAST: f64 = 0.01;

/// What one run came to.
#[derive(Clone, Copy, Debug)]
struct Run {
    intended: u64,
    complete: u64,
    /// Mean of the response times to the last byte, µs.
    response: f64,
}

pub(super) fn row(lab: &mut Lab<'_>) -> Result<Row, CalibrateError> {
    let repeats = lab.pick(6, 4);
    let before = (0..repeats).map(|_| run(lab)).collect::<Result<Vec<_>, _>>()?;
    let (a, b) = (run(lab)?, run(lab)?);
    let band = band(&before);
    let difference = (a.response - b.response).abs() / f64::midpoint(a.response, b.response);
    let all_same = before
        .iter()
        .chain([&a, &b])
        .all(|run| run.intended == a.intended && run.complete == a.complete);
    Ok(Row {
        id: "C10",
        name: "A/A: the same seed twice".to_owned(),
        passed: all_same && difference <= band,
        says: format!(
            "response times differ by {:.1} %, band {:.1} % (twice the spread of {repeats} runs before); \
             {} of {} segments each time",
            difference * 100.0,
            band * 100.0,
            a.complete,
            a.intended
        ),
        figures: json!({
            "difference": difference, "band": band, "repeats": repeats, "intended": a.intended,
            "mean_response_us": [a.response, b.response],
            "mean_response_before_us": before.iter().map(|run| run.response).collect::<Vec<_>>(),
        }),
    })
}

/// Twice the largest difference between two of the runs, as a part of their median.
fn band(runs: &[Run]) -> f64 {
    let mut all: Vec<f64> = runs.iter().map(|run| run.response).collect();
    all.sort_by(f64::total_cmp);
    let (Some(first), Some(last)) = (all.first(), all.last()) else { return BAND_LEAST };
    (2.0 * (last - first) / all[all.len() / 2]).max(BAND_LEAST)
}

fn run(lab: &mut Lab<'_>) -> Result<Run, CalibrateError> {
    let title = lab.small();
    let duration = Duration::from_millis(lab.pick(1000, 300));
    let plan = generator::open_loop(lab.config.seed, &title, (RATE, duration), SESSIONS, TIMEOUT)?;
    let (measured, _) = lab.trial("A/A", &title, (lab.fast(), true), &plan)?;
    let response = all_classes(&measured.total).ttlb.response;
    Ok(Run {
        intended: measured.total.ledger.intended,
        complete: measured.total.ledger.complete,
        response: response.histogram().mean(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_band_is_twice_the_spread_and_never_nothing() {
        let run = |response| Run { intended: 1, complete: 1, response };
        assert!((band(&[run(100.0), run(110.0), run(95.0)]) - 0.3).abs() < 1e-9);
        assert!((band(&[run(100.0), run(100.0)]) - BAND_LEAST).abs() < 1e-9);
    }
}
