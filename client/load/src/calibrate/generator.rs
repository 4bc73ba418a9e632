//! The generator under calibration, `segcast load`'s own: it carries a plan out against a responder, and what it recorded is
//! added up.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;

use segcast_client::access::EdgeAddress;
use segcast_proto::ids::SetHandle;
use segcast_proto::time::Duration;
use segcast_sysio::probe::IoKind;

use super::CalibrateError;
use super::title::Title;
use crate::plan::{self, Phase, PhaseKind, Plan, Target, Workload};
use crate::record::Interval;
use crate::run::{self, Observer, RunConfig, Subject};

/// A closed loop waits for what it asked for; nothing takes so long here.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One run.
pub(super) struct Trial<'a> {
    pub(super) title: &'a Title,
    pub(super) address: SocketAddr,
    pub(super) plan: &'a Plan,
    pub(super) io: IoKind,
    /// Receive offload.
    pub(super) gro: bool,
    /// What is wrong with the times that it writes down.
    pub(super) late: Duration,
}

/// What came of it: all threads, all seconds.
pub(super) struct Measured {
    pub(super) total: Interval,
    /// What was intended in the last phase, all seconds.
    pub(super) last: Interval,
    /// From the first intention on.
    pub(super) seconds: f64,
}

/// Adds all up, and the last phase alone.
struct Sum {
    total: Interval,
    last: Interval,
}

impl Observer for Sum {
    fn interval(&mut self, interval: &Interval) {
        self.total.add(interval);
        if interval.phase == self.last.phase {
            self.last.add(interval);
        }
    }
}

/// Runs it.
pub(super) fn run(trial: &Trial<'_>, stop: &AtomicBool) -> Result<Measured, CalibrateError> {
    let (title, plan) = (trial.title, trial.plan);
    let edge = EdgeAddress { address: trial.address, public_key: title.edge_secret().public() };
    let access = [title.access()];
    let manifests = std::slice::from_ref(title.manifest());
    let subject = Subject { edge, manifests, access: &access };
    let config =
        RunConfig { io: Some(trial.io), gro: trial.gro, late: trial.late, ..RunConfig::default() };
    let last = Interval { phase: plan.workload.phases.len() - 1, ..Interval::default() };
    let mut sum = Sum { total: Interval::default(), last };
    let ran = run::run(plan, &subject, &config, &mut sum, stop)?;
    Ok(Measured { total: sum.total, last: sum.last, seconds: ran.seconds })
}

/// Requests at fixed times.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenLoop {
    /// Requests in a second.
    pub(super) rate: f64,
    /// A phase before the one that counts, at the same rate.
    pub(super) warm: Option<Duration>,
    pub(super) duration: Duration,
    pub(super) sessions: u32,
    /// From the intention to when a segment is lost.
    pub(super) timeout: Duration,
}

impl OpenLoop {
    pub(super) fn plan(&self, seed: u64, title: &Title) -> Result<Plan, CalibrateError> {
        let phases = self.warm.into_iter().chain([self.duration]);
        let phases = phases.map(|length| phase(length, Target::RequestsPerSecond(self.rate)));
        let all = Workload::at_full_speed(phases.collect(), self.sessions, self.timeout);
        plan(Workload { seed, window: 64, ..all }, title)
    }
}

/// Sessions that ask for a segment as soon as the last one has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClosedLoop {
    pub(super) duration: Duration,
    pub(super) sessions: u32,
    /// Segments under way in each.
    pub(super) window: u16,
}

impl ClosedLoop {
    pub(super) fn plan(&self, seed: u64, title: &Title) -> Result<Plan, CalibrateError> {
        let phases = vec![phase(self.duration, Target::Sessions(self.sessions))];
        let all = Workload::at_full_speed(phases, self.sessions, TIMEOUT);
        plan(Workload { seed, window: self.window, ..all }, title)
    }
}

fn phase(duration: Duration, target: Target) -> Phase {
    Phase { kind: PhaseKind::Steady, duration, target }
}

fn plan(workload: Workload, title: &Title) -> Result<Plan, CalibrateError> {
    Ok(Plan::new(workload, vec![plan::Title::of(SetHandle::FIRST, title.manifest().root())])?)
}
