//! C9: two generators at once offer the same load as one alone, and what they recorded adds up to what the responder did. A
//! generator that was what limited would offer more by two.

use segcast_proto::time::Duration;
use serde_json::json;

use super::super::CalibrateError;
use super::super::generator::{Measured, OpenLoop};
use super::super::lab::Lab;
use super::super::responder::Deeds;
use super::super::row::Row;
use super::all_classes;
use crate::plan::Plan;
use crate::record::Interval;
use crate::result::generator::CPU_SHARE_MAX;

/// Requests in a second, in all.
const RATE: f64 = 800.0;
/// Of each generator.
const SESSIONS: u32 = 8;
const TIMEOUT: Duration = Duration::from_secs(10);
/// Two may differ from one by this share of the goodput.
const DIFFERENCE_MAX: f64 = 0.02;

/// What some generators did at once.
struct Side {
    /// Everything that they recorded.
    merged: Interval,
    planned: u64,
    /// Bytes of segments in a second of the longest one.
    goodput: f64,
    /// The largest share of a CPU that one of them used.
    busiest: f64,
    deeds: Deeds,
}

pub(super) fn row(lab: &mut Lab<'_>) -> Result<Row, CalibrateError> {
    let (one, two) = (side(lab, 1)?, side(lab, 2)?);
    let difference = (two.goodput / one.goodput - 1.0).abs();
    let p50 =
        |side: &Side| all_classes(&side.merged).ttlb.response.histogram().value_at_quantile(0.5);
    let wrong: Vec<String> = [&one, &two].into_iter().filter_map(Side::complaint).collect();
    let says = format!(
        "{} segments, {:.1} MB/s, p50 {} \u{b5}s by one; {}, {:.1} MB/s, p50 {} \u{b5}s by two: {:.2} % apart (at most {} %){}",
        one.merged.ledger.complete,
        one.goodput / 1e6,
        p50(&one),
        two.merged.ledger.complete,
        two.goodput / 1e6,
        p50(&two),
        difference * 100.0,
        DIFFERENCE_MAX * 100.0,
        wrong.first().map_or(String::new(), |wrong| format!("; {wrong}"))
    );
    Ok(Row {
        id: "C9",
        name: "two generators at once".to_owned(),
        passed: wrong.is_empty() && difference <= DIFFERENCE_MAX,
        says,
        figures: json!({
            "difference": difference, "wrong": wrong,
            "one": one.figures(), "two": two.figures(),
        }),
    })
}

/// Runs `count` generators, each with its part of the load and a seed of its own.
fn side(lab: &mut Lab<'_>, count: u32) -> Result<Side, CalibrateError> {
    let title = lab.small();
    let duration = Duration::from_millis(lab.pick(3000, 500));
    let seed = lab.config.seed;
    let plan = |number: u32| {
        let load = OpenLoop {
            rate: RATE / f64::from(count),
            warm: None,
            duration,
            sessions: SESSIONS,
            timeout: TIMEOUT,
        };
        load.plan(seed.wrapping_add(number.into()), &title)
    };
    let plans = (0..count).map(plan).collect::<Result<Vec<Plan>, _>>()?;
    let name = format!("{count} at once");
    let (all, deeds) = lab.trials(&name, &title, (lab.plain(), true), &plans)?;
    let mut merged = Interval::default();
    all.iter().for_each(|measured| merged.add(&measured.total));
    let seconds = all.iter().map(|measured| measured.seconds).fold(0.0, f64::max);
    let busy = |measured: &Measured| {
        let health = measured.total.health;
        health.cpu.as_secs_f64() / health.wall.as_secs_f64()
    };
    Ok(Side {
        planned: plans.iter().map(|plan| plan.requests.len() as u64).sum(),
        goodput: merged.wire.data_bytes as f64 / seconds,
        busiest: all.iter().map(busy).fold(0.0, f64::max),
        merged,
        deeds,
    })
}

impl Side {
    /// What does not add up.
    fn complaint(&self) -> Option<String> {
        let (ledger, wire) = (&self.merged.ledger, &self.merged.wire);
        let times = all_classes(&self.merged).ttlb.response.histogram().len();
        let unoffered: u64 = ledger.never_offered.values().sum();
        let came = wire.data_bytes + wire.duplicate_bytes;
        if ledger.intended != self.planned || ledger.complete + unoffered != self.planned {
            return Some(format!("{} planned, {} came", self.planned, ledger.complete));
        }
        if times != ledger.complete {
            return Some(format!("{times} times of {} segments", ledger.complete));
        }
        if wire.overflow_datagrams + self.deeds.overflow > 0 {
            return Some("datagrams found a full socket".to_owned());
        }
        if came != self.deeds.data_bytes {
            return Some(format!("{came} bytes came of {} that were sent", self.deeds.data_bytes));
        }
        (self.busiest > CPU_SHARE_MAX).then(|| format!("one used {:.2} of a CPU", self.busiest))
    }

    fn figures(&self) -> serde_json::Value {
        json!({
            "planned": self.planned, "complete": self.merged.ledger.complete, "goodput": self.goodput,
            "busiest": self.busiest, "sent_bytes": self.deeds.data_bytes,
            "came_bytes": self.merged.wire.data_bytes,
        })
    }
}
