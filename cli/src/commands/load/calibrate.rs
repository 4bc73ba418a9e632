//! `segcast load calibrate`: the generator against a responder of known behaviour.

use std::time::Duration;

use clap::{Args, ValueEnum};
use segcast_config::ExitCode;
use segcast_config::amount;
use segcast_load::calibrate::{self, CalibrateConfig, CalibrateError, Calibration, Check, Row};

use super::super::io::IoArg;
use crate::failure::Interrupted;
use crate::interrupt::Interrupt;
use crate::logging::{self, LogArgs};
use crate::output;

/// Arguments of `segcast load calibrate`.
#[derive(Args, Debug)]
pub(crate) struct CalibrateArgs {
    /// Shorter runs and fewer repeats, for CI; no load can be signed off with it
    #[arg(long)]
    quick: bool,
    /// Print the result as one JSON object, with its hash and until when it holds
    #[arg(long)]
    json: bool,
    /// Where all randomness comes from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Which driver moves the datagrams
    #[arg(long, value_enum, default_value = "auto")]
    io: IoArg,
    /// How often the responder stands still for 200 ms: 400ms to 60s [default: 10s, with --quick 1s]
    #[arg(long, value_name = "TIME", value_parser = amount::read_duration)]
    freeze_period: Option<Duration>,
    /// How late 99.9 % of requests may go out at most: a hundredth of the response time that matters
    #[arg(long, value_name = "TIME", default_value = "1ms", value_parser = amount::read_duration)]
    lag_limit: Duration,
    /// Only these checks, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', value_name = "CHECK")]
    only: Vec<CheckArg>,
    /// The responder hides one of the datagrams that it drops: calibration must fail
    #[arg(long, hide = true)]
    lie: bool,
    /// The generator writes down that each segment came so much later than it did: calibration must fail
    #[arg(long, hide = true, value_name = "TIME", value_parser = amount::read_duration)]
    late: Option<Duration>,
    #[command(flatten)]
    log: LogArgs,
}

/// A check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CheckArg {
    /// C1: the clock
    Clock,
    /// C2: how late requests go out
    Lag,
    /// C3: the generator's own maximum
    Limit,
    /// C4: the cost of recording
    Record,
    /// C6 and C8: known loss, duplicates, reordering and damage
    Faults,
    /// C7: a known stall
    Stall,
    /// C5: Little's law with a known load
    Little,
    /// C9: two generators at once
    Agents,
    /// C10: the same twice, in pairs
    Repeat,
    /// C5 and C11: Little's law and sums, over the other checks' runs
    Whole,
}

impl From<CheckArg> for Check {
    fn from(arg: CheckArg) -> Self {
        match arg {
            CheckArg::Clock => Self::Clock,
            CheckArg::Lag => Self::Lag,
            CheckArg::Limit => Self::Limit,
            CheckArg::Record => Self::Record,
            CheckArg::Faults => Self::Faults,
            CheckArg::Stall => Self::Stall,
            CheckArg::Little => Self::Little,
            CheckArg::Agents => Self::Agents,
            CheckArg::Repeat => Self::Repeat,
            CheckArg::Whole => Self::Whole,
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &CalibrateArgs) -> anyhow::Result<ExitCode> {
    logging::start(&args.log, "warn")?;
    let interrupt = Interrupt::install()?;
    let config = CalibrateConfig {
        seed: args.seed,
        quick: args.quick,
        io: args.io.kind(),
        freeze_period: args.freeze_period,
        lag_limit: args.lag_limit,
        only: args.only.iter().map(|&check| check.into()).collect(),
        lies: args.lie,
        late: args.late.unwrap_or_default(),
    };
    let mut told = |row: &Row| {
        if !args.json {
            output::step(line(row));
        }
    };
    let calibration = match calibrate::run(&config, &mut told, interrupt.flag()) {
        Err(CalibrateError::Stopped) => return Err(Interrupted(interrupt.exit_code()).into()),
        result => result?,
    };
    if args.json {
        output::result(serde_json::to_string_pretty(&calibration)?)?;
    } else {
        output::result(summary(&calibration))?;
    }
    Ok(if calibration.passed { ExitCode::Success } else { ExitCode::Failure })
}

/// A row of the table.
fn line(row: &Row) -> String {
    let word = if row.passed { "pass" } else { "FAIL" };
    format!("{:<3}  {word}  {:<56}  {}", row.id, row.name, row.says)
}

/// The last lines.
fn summary(calibration: &Calibration) -> String {
    let machine = &calibration.machine;
    let failed = calibration.rows.iter().filter(|row| !row.passed).count();
    let verdict = match (failed, calibration.complete && !calibration.quick) {
        (0, true) => "calibrated".to_owned(),
        (0, false) => {
            "all of these passed; a load is signed off with a full calibration".to_owned()
        }
        (failed, _) => format!("NOT calibrated: {failed} failed"),
    };
    let left = calibration.expires.saturating_sub(calibration.made) / (24 * 3600);
    format!(
        "\n{verdict}\n{}, {} cores, Linux {}, clock {}, io {}, seed {}\nholds here for {left} days; hash {}",
        machine.processor,
        machine.cores,
        machine.kernel,
        machine.clocksource,
        calibration.io,
        calibration.seed,
        calibration.hash
    )
}
