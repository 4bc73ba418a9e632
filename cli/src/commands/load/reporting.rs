//! What a load is held against and where its result goes: objectives, views, files, exit codes.

use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use clap::{Args, ValueEnum};
use segcast_config::ExitCode;
use segcast_config::amount;
use segcast_load::collector::Collector;
use segcast_load::others::Watch;
use segcast_load::plan::{PhaseKind, Plan};
use segcast_load::recorder::Recorder;
use segcast_load::report::{self, Hlog};
use segcast_load::result::{About, Clock, End, Extent, LoadResult, PhaseAbout, Verdict};
use segcast_load::run::{Ran, RunConfig};
use segcast_load::server::{Sampler, ServerTarget};
use segcast_load::slo::Slo;
use segcast_load::view::{Display, Progress};

use crate::interrupt::Interrupt;

/// Objectives and reports.
#[derive(Args, Debug)]
#[command(next_help_heading = "Objectives and reports")]
pub(super) struct ReportArgs {
    /// What has to be reached, such as ttfb.p99<=20ms, steady:loss<=0.1% or goodput>=2Gbit/s; repeatable. A metric without samples is not reached, a percentile with too few is not judged
    #[arg(long, value_name = "OBJECTIVE")]
    slo: Vec<Slo>,
    /// Store the result, from which all reports can be made again (schema: client/load/schema)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write every second's histograms as an HDR interval log
    #[arg(long, value_name = "FILE")]
    hlog: Option<PathBuf>,
    /// Write a report with plots, one file that needs nothing else
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// How to show the run while it goes on, on standard error
    #[arg(long, value_enum, default_value = "auto")]
    progress: ProgressArg,
    /// The server's process, on this machine: its CPU time, memory and faults join the result
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
    /// The edge's metrics page, such as http://127.0.0.1:4871/metrics: its counters join the result
    #[arg(long, value_name = "URL")]
    server_metrics: Option<String>,
    /// The send lag (99.9 %, or the highest percentile that can be told) above which the run is the generator's and not the server's
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = amount::read_duration)]
    lag_limit: Duration,
    /// The share of this machine's processors that other programs may use before an objective that was missed is not judged
    #[arg(long, value_name = "SHARE", default_value = "3%", value_parser = parse_share)]
    others_limit: f64,
}

/// `3%` as 0.03.
fn parse_share(text: &str) -> Result<f64, String> {
    let percent = text.trim().strip_suffix('%').and_then(|number| number.trim().parse().ok());
    let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
    percent
        .map(|percent: f64| percent / 100.0)
        .ok_or_else(|| format!("{text:?} is no share such as 3%"))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ProgressArg {
    /// A screen on a terminal, a line a second elsewhere
    Auto,
    /// A screen
    Tui,
    /// A line a second
    Plain,
    /// A JSON object a second
    Json,
    /// Nothing
    None,
}

impl From<ProgressArg> for Progress {
    fn from(arg: ProgressArg) -> Self {
        match arg {
            ProgressArg::Auto => Self::Auto,
            ProgressArg::Tui => Self::Tui,
            ProgressArg::Plain => Self::Plain,
            ProgressArg::Json => Self::Json,
            ProgressArg::None => Self::None,
        }
    }
}

/// Everything that has to be there before a run begins.
pub(super) struct Reporting {
    slos: Vec<Slo>,
    json: Option<(PathBuf, File)>,
    html: Option<(PathBuf, File)>,
    /// Where what is recorded goes.
    pub(super) recorder: Recorder,
}

impl Reporting {
    /// Checks objectives and files, measures the clock, looks at the server for the first time.
    pub(super) fn start(
        args: &ReportArgs,
        plan: &Plan,
        server: SocketAddr,
        config: &RunConfig,
    ) -> anyhow::Result<Self> {
        let about = about(args, plan, server, config)?;
        for slo in &args.slo {
            slo.check_phase(about.phases.iter().map(|phase| phase.name.as_str()))?;
        }
        let create = |path: &Option<PathBuf>| {
            path.as_ref().map(|path| Ok::<_, anyhow::Error>((path.clone(), new(path)?))).transpose()
        };
        let (json, html) = (create(&args.json)?, create(&args.html)?);
        let hlog = args.hlog.as_ref().map(|path| {
            Hlog::create(path, about.started).with_context(|| path.display().to_string())
        });
        let hlog = hlog.transpose()?;
        let clock = Clock::check();
        let target =
            ServerTarget { pid: args.server_pid, metrics_url: args.server_metrics.clone() };
        let asked = target.pid.is_some() || target.metrics_url.is_some();
        let phase = about.phases.first().map_or("", |phase| phase.name.as_str());
        let others = Watch::begin(target.pid, server, args.others_limit);
        let sampler = asked.then(|| Sampler::new(target, phase)).transpose()?;
        let display = Display::start(args.progress.into())?;
        let recorder = Recorder::new(Collector::new(about), clock, display);
        let recorder = recorder.with_hlog(hlog).with_server(sampler).with_others(others);
        Ok(Self { slos: args.slo.clone(), json, html, recorder })
    }

    /// Prints and stores the result.
    pub(super) fn finish(self, ran: &Ran, interrupt: &Interrupt) -> anyhow::Result<ExitCode> {
        let extent = if ran.stopped {
            Extent::Partial { why: format!("stopped after {:.1} s", ran.seconds) }
        } else {
            Extent::Complete
        };
        let end = End { wall: Duration::from_secs_f64(ran.seconds), extent };
        let (result, logged) = self.recorder.finish(&end, &self.slos);
        if let Some((path, file)) = self.json {
            write(&path, file, &(report::json(&result)? + "\n"))?;
        }
        if let Some((path, file)) = self.html {
            write(&path, file, &report::html(&result))?;
        }
        // Last: standard output may be full, and the files are what is kept.
        print(&report::text(&result))?;
        logged.context("the interval log")?;
        Ok(exit_code(&result, interrupt))
    }
}

/// A partial run ends as the signal that made it so; else the verdict decides.
fn exit_code(result: &LoadResult, interrupt: &Interrupt) -> ExitCode {
    if result.extent != Extent::Complete {
        return interrupt.exit_code();
    }
    match result.verdict {
        Verdict::Passed | Verdict::Measured => ExitCode::Success,
        Verdict::Failed => ExitCode::ObjectiveMissed,
        Verdict::Inconclusive => ExitCode::Inconclusive,
    }
}

fn about(
    args: &ReportArgs,
    plan: &Plan,
    server: SocketAddr,
    config: &RunConfig,
) -> anyhow::Result<About> {
    let gro = if config.gro { "on" } else { "off" };
    Ok(About {
        command: std::env::args().collect(),
        seed: plan.workload.seed,
        plan: serde_json::to_value(plan)?,
        plan_sha256: plan.hash.clone(),
        phases: phases(plan),
        threads: config.threads,
        servers: vec![server],
        offloads: format!("receive offload (UDP_GRO) {gro}"),
        started: SystemTime::now(),
        patience: plan.workload.timeout,
        lag_limit: args.lag_limit,
    })
}

/// Each phase by its kind; where one kind comes again, with a number: `steady`, `steady2`.
fn phases(plan: &Plan) -> Vec<PhaseAbout> {
    let all = &plan.workload.phases;
    let phases = all.iter().enumerate().map(|(place, phase)| {
        let name = match phase.kind {
            PhaseKind::Ramp => "ramp",
            PhaseKind::Steady => "steady",
            PhaseKind::Overload => "overload",
            PhaseKind::Recovery => "recovery",
        };
        let before = all[..place].iter().filter(|other| other.kind == phase.kind).count();
        let number = if before == 0 { String::new() } else { (before + 1).to_string() };
        PhaseAbout { name: format!("{name}{number}"), duration: phase.duration }
    });
    phases.collect()
}

pub(super) fn new(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| path.display().to_string())
}

pub(super) fn write(path: &Path, mut file: File, text: &str) -> anyhow::Result<()> {
    file.write_all(text.as_bytes()).with_context(|| path.display().to_string())
}

/// To standard output; nobody there is no failure.
pub(super) fn print(text: &str) -> io::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
