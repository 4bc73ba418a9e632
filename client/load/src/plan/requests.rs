//! Requests without viewers: single segments at a rate, spread over sessions that are open all the time.

use segcast_proto::time::Duration;

use super::popularity::Popularity;
use super::random::Draws;
use super::workload::{Arrivals, EVENTS_MAX, PhaseKind, PlanError, Target};
use super::{Plan, Request, Viewing};

const STREAM: u64 = 2;

/// Time for the sessions to open before the first request: they come in its first half.
pub(super) fn lead(sessions: u32) -> Duration {
    (Duration::from_millis(500) + Duration::from_millis(1) * sessions).min(Duration::from_secs(30))
}

/// The sessions that the requests are spread over.
pub(super) fn sessions(plan: &Plan, lead: Duration) -> Vec<Viewing> {
    let sessions = plan.workload.sessions;
    let (until, title, first) = (plan.end, 0, 0);
    let one = |seat| Viewing { at: lead / 2 * seat / sessions, until, seat, title, first };
    (0..sessions).map(one).collect()
}

/// All requests of a plan, as they come.
pub(super) fn requests(plan: &Plan) -> Result<Vec<Request>, PlanError> {
    let law = Popularity::new(plan.titles.len(), plan.workload.zipf);
    let mut draws = Draws::new(plan.workload.seed, STREAM);
    let mut all: Vec<Request> = Vec::new();
    let mut before = 0.0;
    for (phase, begin) in plan.workload.phases.iter().zip(&plan.begins) {
        let Target::RequestsPerSecond(rate) = phase.target else { continue };
        let from = if phase.kind == PhaseKind::Ramp { before } else { rate };
        before = rate;
        let curve = Curve { from, to: rate, seconds: phase.duration.as_secs_f64() };
        // Of a process of rate 1, stretched so that the phase's rate comes out (time-change theorem).
        let mut events =
            if plan.workload.arrivals == Arrivals::Fixed { 0.5 } else { draws.exponential() };
        while events < curve.total() {
            let at = *begin + Duration::from_secs_f64(curve.time_of(events));
            let title = law.draw(&mut draws);
            let segment = draws.below(plan.titles[title].segments);
            let seat = draws.below(plan.workload.sessions);
            all.push(Request { at, seat, title: title as u16, segment });
            if all.len() > EVENTS_MAX {
                return Err(PlanError::TooLarge);
            }
            events +=
                if plan.workload.arrivals == Arrivals::Fixed { 1.0 } else { draws.exponential() };
        }
    }
    Ok(all)
}

/// A rate that changes evenly.
struct Curve {
    from: f64,
    to: f64,
    seconds: f64,
}

impl Curve {
    /// Events in all.
    fn total(&self) -> f64 {
        f64::midpoint(self.from, self.to) * self.seconds
    }

    /// When so many events have been: the root of from·t + slope·t²/2 = events.
    fn time_of(&self, events: f64) -> f64 {
        let slope = (self.to - self.from) / self.seconds;
        let root = (self.from * self.from + 2.0 * slope * events).max(0.0).sqrt();
        // This form has no difference of near numbers when the slope is small.
        (2.0 * events / (self.from + root)).clamp(0.0, self.seconds)
    }
}
