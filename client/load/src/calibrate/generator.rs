//! The generator under calibration, `segcast load`'s own: it carries a plan out against a responder, and what it recorded is
//! added up.

use super::CalibrateError;
use super::title::Title;
use crate::plan::{self, Arrivals, Pace, Phase, PhaseKind, Plan, Target, Workload};
use crate::record::Interval;
use crate::run::{self, Observer, RunConfig, Subject};
use segcast_client::access::EdgeAddress;
use segcast_proto::time::Duration;
use segcast_sysio::probe::IoKind;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;

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

/// Requests at fixed times: `rate` in a second, for `duration`.
pub(super) fn open_loop(
    seed: u64,
    title: &Title,
    (rate, duration): (f64, Duration),
    sessions: u32,
    timeout: Duration,
) -> Result<Plan, CalibrateError> {
    let phases = vec![phase(duration, Target::RequestsPerSecond(rate))];
    let workload = Workload { timeout, ..workload(seed, phases, sessions, 64) };
    Ok(Plan::new(workload, vec![plan::Title::of(0, title.manifest().root())])?)
}

/// The same with a phase of `warm` before it, at the same rate.
pub(super) fn warm_open_loop(
    seed: u64,
    title: &Title,
    (rate, warm, duration): (f64, Duration, Duration),
    sessions: u32,
    timeout: Duration,
) -> Result<Plan, CalibrateError> {
    let phases = [warm, duration].map(|d| phase(d, Target::RequestsPerSecond(rate)));
    let workload = Workload { timeout, ..workload(seed, phases.to_vec(), sessions, 64) };
    Ok(Plan::new(workload, vec![plan::Title::of(0, title.manifest().root())])?)
}

/// `sessions` that ask for a segment as soon as the last one has come, with `window` under way in each.
pub(super) fn closed_loop(
    seed: u64,
    title: &Title,
    duration: Duration,
    (sessions, window): (u32, u16),
) -> Result<Plan, CalibrateError> {
    let phases = vec![phase(duration, Target::Sessions(sessions))];
    let workload = workload(seed, phases, sessions, window);
    Ok(Plan::new(workload, vec![plan::Title::of(0, title.manifest().root())])?)
}

fn phase(duration: Duration, target: Target) -> Phase {
    Phase { kind: PhaseKind::Steady, duration, target }
}

fn workload(seed: u64, phases: Vec<Phase>, sessions: u32, window: u16) -> Workload {
    Workload {
        seed,
        phases,
        sessions,
        arrivals: Arrivals::Fixed,
        pace: Pace::Full,
        watch: None,
        zipf: 0.0,
        deadline: None,
        timeout: TIMEOUT,
        window,
        verify_one_in: 1,
    }
}
