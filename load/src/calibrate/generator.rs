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
}

/// What came of it: all threads, all seconds.
pub(super) struct Measured {
    pub(super) total: Interval,
    /// From the first intention on.
    pub(super) seconds: f64,
}

/// Adds all up.
#[derive(Default)]
struct Sum(Interval);

impl Observer for Sum {
    fn interval(&mut self, interval: &Interval) {
        self.0.times.add(&interval.times);
        self.0.ledger.add(&interval.ledger);
        self.0.wire.add(&interval.wire);
        self.0.playout.add(&interval.playout);
        self.0.health.add(&interval.health);
    }
}

/// Runs it.
pub(super) fn run(trial: &Trial<'_>, stop: &AtomicBool) -> Result<Measured, CalibrateError> {
    let (title, plan) = (trial.title, trial.plan);
    let edge = EdgeAddress { address: trial.address, public_key: title.edge_secret().public() };
    let access = [title.access()];
    let manifests = std::slice::from_ref(title.manifest());
    let subject = Subject { edge, manifests, access: &access };
    let config = RunConfig { io: Some(trial.io), gro: trial.gro, ..RunConfig::default() };
    let mut sum = Sum::default();
    let ran = run::run(plan, &subject, &config, &mut sum, stop)?;
    Ok(Measured { total: sum.0, seconds: ran.seconds })
}

/// Requests at fixed times: `rate` in a second, for `duration`.
pub(super) fn open_loop(
    seed: u64,
    title: &Title,
    (rate, duration): (f64, Duration),
    sessions: u32,
    timeout: Duration,
) -> Result<Plan, CalibrateError> {
    let phase = phase(duration, Target::RequestsPerSecond(rate));
    let workload = Workload { timeout, ..workload(seed, phase, sessions, 64) };
    Ok(Plan::new(workload, vec![plan::Title::of(0, title.manifest().root())])?)
}

/// `sessions` that ask for a segment as soon as the last one has come, with `window` under way in each.
pub(super) fn closed_loop(
    seed: u64,
    title: &Title,
    duration: Duration,
    (sessions, window): (u32, u16),
) -> Result<Plan, CalibrateError> {
    let phase = phase(duration, Target::Sessions(sessions));
    let workload = workload(seed, phase, sessions, window);
    Ok(Plan::new(workload, vec![plan::Title::of(0, title.manifest().root())])?)
}

fn phase(duration: Duration, target: Target) -> Phase {
    Phase { kind: PhaseKind::Steady, duration, target }
}

fn workload(seed: u64, phase: Phase, sessions: u32, window: u16) -> Workload {
    Workload {
        seed,
        phases: vec![phase],
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
