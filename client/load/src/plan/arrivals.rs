//! Viewers: which seats are taken when, and who sits on them one after another.

use segcast_proto::time::Duration;

use super::random::{Draws, scattered};
use super::workload::{Arrivals, EVENTS_MAX, PhaseKind, PlanError, Target};
use super::{Plan, Viewing, boundary_before, nth, popularity::Popularity};

/// At full speed, new viewers of a phase come within this time, or a tenth of the phase.
const SPREAD_MAX: Duration = Duration::from_secs(1);

/// The draws of seats; each seat then has a stream of its own, from [`SEAT_STREAMS`] on.
const OPENING_STREAM: u64 = 1;
const SEAT_STREAMS: u64 = 1 << 32;

/// A seat and when it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Taken {
    seat: u32,
    from: Duration,
    to: Duration,
}

/// All viewings of a plan, as they come.
pub(super) fn viewings(plan: &Plan) -> Result<Vec<Viewing>, PlanError> {
    let law = Popularity::new(plan.titles.len(), plan.workload.zipf);
    let mut viewings = Vec::new();
    for (stream, taken) in (SEAT_STREAMS..).zip(seats(plan)) {
        sit(plan, &law, stream, taken, &mut viewings)?;
    }
    viewings.sort_by_key(|viewing| (viewing.at, viewing.seat));
    Ok(viewings)
}

/// The viewers of one seat, one after another.
fn sit(
    plan: &Plan,
    law: &Popularity,
    stream: u64,
    taken: Taken,
    viewings: &mut Vec<Viewing>,
) -> Result<(), PlanError> {
    let mut draws = Draws::new(plan.workload.seed, stream);
    let mut at = taken.from;
    let mut is_first = true;
    while at < taken.to {
        let title = law.draw(&mut draws);
        let first = draws.below(plan.titles[title].segments);
        if is_first {
            at = snap(plan, taken.seat, title, at);
        }
        let until = match plan.workload.watch {
            None => taken.to,
            Some(watch) => at + length(plan, watch, is_first, &mut draws),
        };
        let until = until.min(taken.to);
        if at < until {
            let title = title as u16;
            viewings.push(Viewing { at, until, seat: taken.seat, title, first });
        }
        if viewings.len() > EVENTS_MAX {
            return Err(PlanError::TooLarge);
        }
        (at, is_first) = (until.max(at), false);
    }
    Ok(())
}

/// How long a viewing is. The first one on a seat began before the run, as it were: what is left of it.
fn length(plan: &Plan, watch: Duration, is_first: bool, draws: &mut Draws) -> Duration {
    let part = match plan.workload.arrivals {
        // What is left of an exponential time is exponential.
        Arrivals::Poisson => draws.exponential(),
        Arrivals::Fixed | Arrivals::Aligned { .. } if is_first => draws.unit(),
        Arrivals::Fixed | Arrivals::Aligned { .. } => 1.0,
    };
    watch.mul_f64(part).max(Duration::from_micros(1))
}

/// Live viewers who come together come just after a boundary.
fn snap(plan: &Plan, seat: u32, title: usize, at: Duration) -> Duration {
    let Arrivals::Aligned { jitter } = plan.workload.arrivals else { return at };
    let Some(cadence) = plan.titles[title].cadence(plan.workload.pace) else { return at };
    let before = boundary_before(at, cadence);
    let boundary = if nth(cadence, before) == at { before } else { before + 1 };
    nth(cadence, boundary)
        + jitter.mul_f64(scattered(plan.workload.seed, u64::from(seat), boundary))
}

/// Which seats are taken from when to when: the targets of all phases.
fn seats(plan: &Plan) -> Vec<Taken> {
    let mut draws = Draws::new(plan.workload.seed, OPENING_STREAM);
    let mut all = Vec::new();
    // The entry in `all` of each seat that is taken now.
    let mut now: Vec<usize> = Vec::new();
    for (phase, &begin) in plan.workload.phases.iter().zip(&plan.begins) {
        let Target::Sessions(target) = phase.target else { continue };
        let (target, before) = (target as usize, now.len());
        let is_ramp = phase.kind == PhaseKind::Ramp;
        let window = if is_ramp { phase.duration } else { spread(plan, phase.duration) };
        for time in times(plan, target.saturating_sub(before), window, &mut draws) {
            let seat = now.len() as u32;
            now.push(all.len());
            all.push(Taken { seat, from: begin + time, to: plan.end });
        }
        let leaving = before.saturating_sub(target);
        for index in 0..leaving {
            let part = if is_ramp {
                phase.duration * index as u32 / leaving as u32
            } else {
                Duration::ZERO
            };
            if let Some(last) = now.pop() {
                all[last].to = (begin + part).max(all[last].from);
            }
        }
    }
    all
}

/// In what time those who come at once at the beginning of a phase come.
fn spread(plan: &Plan, phase: Duration) -> Duration {
    let pace = plan.workload.pace;
    if matches!(plan.workload.arrivals, Arrivals::Aligned { .. }) {
        // Their jitter spreads them.
        return Duration::ZERO;
    }
    match plan.titles.iter().filter_map(|title| title.cadence(pace)).max() {
        Some(cadence) => cadence.min(phase / 2),
        None => (phase / 10).min(SPREAD_MAX),
    }
}

/// `count` times within `window`, ascending. Those of a Poisson process, once their number is known, are uniform.
fn times(plan: &Plan, count: usize, window: Duration, draws: &mut Draws) -> Vec<Duration> {
    let mut parts: Vec<f64> = match plan.workload.arrivals {
        Arrivals::Poisson => (0..count).map(|_| draws.unit()).collect(),
        Arrivals::Fixed | Arrivals::Aligned { .. } => {
            (0..count).map(|n| n as f64 / count as f64).collect()
        }
    };
    parts.sort_by(f64::total_cmp);
    parts.iter().map(|part| window.mul_f64(*part)).collect()
}
