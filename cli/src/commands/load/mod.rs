//! `segcast load`: loads an edge with many sessions, and says what became of every segment.

mod again;
mod args;
mod calibrate;
mod reporting;
mod rights;

pub(crate) use args::LoadArgs;
use args::LoadCommand;
use reporting::Reporting;
use rights::Rights;
use segcast_client::access::EdgeAddress;
use segcast_client::connection::ConnectionConfig;
use segcast_client::fetch;
use segcast_config::ExitCode;
use segcast_config::amount::rounded;
use segcast_load::plan::{Plan, Target, Title};
use segcast_load::run::{self, Subject};
use segcast_proto::segment::manifest::Manifest;

use crate::commands::edges::edges;
use crate::failure::Interrupted;
use crate::interrupt::Interrupt;
use crate::{logging, output, words};

/// Runs the command.
pub(crate) fn run(args: &LoadArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        Some(LoadCommand::Calibrate(args)) => calibrate::run(args),
        Some(LoadCommand::Report(args)) => again::run(args),
        None => load(args),
    }
}

fn load(args: &LoadArgs) -> anyhow::Result<ExitCode> {
    logging::start(&args.log, "warn")?;
    let interrupt = Interrupt::install()?;
    let seed = args.manner.seed.map_or_else(draw_seed, Ok)?;
    let workload = args.workload(seed);
    workload.check()?;
    let addresses = edges(args.edge.as_slice(), args.edge_key.as_slice())?.concat();
    let rights = Rights::new(&args.rights, &workload)?;
    let config = args.run_config();
    let Some((manifests, edge)) = manifests(addresses, &rights, args, &interrupt)? else {
        return Err(Interrupted(interrupt.exit_code()).into());
    };
    let handles = rights.titles.iter().zip(&manifests);
    let titles = handles.map(|((handle, _), manifest)| Title::of(*handle, manifest.root()));
    let plan = Plan::new(workload, titles.collect())?;
    output::note(line(&plan));
    let subject = Subject { edge, manifests: &manifests, access: &rights.access };
    let mut reporting = Reporting::start(&args.report, &plan, edge.address, &config)?;
    let ran = run::run(&plan, &subject, &config, &mut reporting.recorder, interrupt.flag())?;
    reporting.finish(&ran, &interrupt)
}

/// The plan in one line.
fn line(plan: &Plan) -> String {
    let phases = plan.workload.phases.iter().map(|phase| {
        let target = match phase.target {
            Target::Sessions(sessions) => words::count(sessions.into(), "session"),
            Target::RequestsPerSecond(rate) => format!("{rate} requests/s"),
        };
        format!("{target} for {}", rounded::duration(phase.duration))
    });
    format!(
        "plan {}, seed {}: {}",
        &plan.hash[..16],
        plan.workload.seed,
        phases.collect::<Vec<_>>().join(", then ")
    )
}

/// The manifests of all titles, checked with the center's key, and which of the edge's addresses answered; none when a
/// signal came first.
fn manifests(
    mut edge: Vec<EdgeAddress>,
    rights: &Rights,
    args: &LoadArgs,
    interrupt: &Interrupt,
) -> anyhow::Result<Option<(Vec<Manifest>, EdgeAddress)>> {
    let config = args.run_config();
    let connection =
        ConnectionConfig { io: config.io, gro: config.gro, ..ConnectionConfig::default() };
    let mut manifests = Vec::new();
    for (_, set) in &rights.titles {
        let flag = interrupt.flag();
        match fetch::manifest(&edge, &rights.access[0], Some(*set), connection.clone(), flag) {
            Ok((manifest, answered)) => {
                manifests.push(manifest);
                edge = vec![answered];
            }
            Err(fetch::FetchError::Stopped { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some((manifests, edge[0])))
}

fn draw_seed() -> anyhow::Result<u64> {
    let seed = getrandom::u64();
    seed.map_err(|error| anyhow::anyhow!("the system gives no randomness: {error}"))
}
