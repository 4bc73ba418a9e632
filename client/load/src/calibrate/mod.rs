//! Whether the generator can be trusted on this machine: it is set against a responder of known behaviour and has to say
//! exactly what that did, and its own limits are measured.

mod generator;
mod lab;
mod report;
mod responder;
mod row;
mod rows;
mod title;

use std::sync::atomic::AtomicBool;

use lab::Lab;
pub use report::{Calibration, Machine};
pub use responder::{Applied, FaultPlan, Freeze};
pub use row::Row;
pub use rows::Check;
use rustix::time::{ClockId, clock_gettime};
use segcast_proto::time::{Duration, Instant};
use segcast_sysio::SysError;
use segcast_sysio::clock::monotonic_nanoseconds;
use segcast_sysio::probe::IoKind;

/// The pause that a responder makes.
pub const FREEZE: Duration = Duration::from_millis(200);
/// How often it makes it, unless told otherwise.
pub const FREEZE_PERIOD: Duration = Duration::from_secs(10);
/// The same in a quick calibration.
pub const FREEZE_PERIOD_QUICK: Duration = Duration::from_secs(1);

/// What to calibrate.
#[derive(Clone, Debug)]
pub struct CalibrateConfig {
    /// All randomness comes from it.
    pub seed: u64,
    /// Shorter runs and fewer repeats: for CI. Not a calibration that may be relied on.
    pub quick: bool,
    /// Which driver, of both ends; none: the best one that works here.
    pub io: Option<IoKind>,
    /// How often the responder pauses, at least twice [`FREEZE`]; none: [`FREEZE_PERIOD`], or [`FREEZE_PERIOD_QUICK`].
    pub freeze_period: Option<Duration>,
    /// The latest that 99.9 % of requests may go out after their time: one hundredth of the response time that
    /// matters, 100 ms unless told otherwise.
    pub lag_limit: Duration,
    /// Only these checks; empty: all of them.
    pub only: Vec<Check>,
    /// For the test of this test: the responder hides one of the datagrams that it drops.
    pub lies: bool,
    /// For the test of this test: the generator writes down that each segment came so much later than it did.
    pub late: Duration,
}

impl Default for CalibrateConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            quick: false,
            io: None,
            freeze_period: None,
            lag_limit: Duration::from_millis(1),
            only: Vec::new(),
            lies: false,
            late: Duration::ZERO,
        }
    }
}

/// Why no calibration came about. A check that fails is none of these: it is a row.
#[derive(Debug, thiserror::Error)]
pub enum CalibrateError {
    /// The system refused a socket, a driver or a thread.
    #[error(transparent)]
    System(#[from] SysError),
    /// The generator could not run.
    #[error(transparent)]
    Run(#[from] crate::run::RunError),
    /// A plan of this program's own is wrong.
    #[error(transparent)]
    Plan(#[from] crate::plan::PlanError),
    /// A period that leaves no time between pauses.
    #[error("a pause of 200 ms in every {0:?}: the period must be 400ms to 60s")]
    Period(Duration),
    /// The caller asked to stop.
    #[error("stopped")]
    Stopped,
}

/// Runs the checks. `told` gets each row as it is done.
///
/// # Errors
/// [`CalibrateError`].
pub fn run(
    config: &CalibrateConfig,
    told: &mut dyn FnMut(&Row),
    stop: &AtomicBool,
) -> Result<Calibration, CalibrateError> {
    if let Some(period) = config.freeze_period
        && !(FREEZE * 2..=Duration::from_secs(60)).contains(&period)
    {
        return Err(CalibrateError::Period(period));
    }
    let mut lab = Lab::new(config, stop)?;
    let mut rows = Vec::new();
    for &check in Check::ALL {
        if !config.only.is_empty() && !config.only.contains(&check) {
            continue;
        }
        for row in check.run(&mut lab)? {
            told(&row);
            rows.push(row);
        }
    }
    Ok(Calibration::new(config, lab.io(), rows))
}

fn now() -> Instant {
    Instant::from_nanos(monotonic_nanoseconds())
}

/// Processor time of this thread (clock_gettime(2), CLOCK_THREAD_CPUTIME_ID).
fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}
