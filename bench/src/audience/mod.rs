//! `audience`: viewers who watch one title, made by the load generator as `segcast load --play` makes them, against the
//! shipped edge on the loopback: by unicast, and by groups that the generator joins once for all of them. What viewers see,
//! what the edge sends for what is delivered, and what each delivered byte costs both, by the number of viewers.

mod run;
mod title;

use std::time::Duration;

use run::{Mode, Row};
use title::Watched;

use crate::measure::{CoresArgs, OutputArgs, Table, build_binary, digits};

/// What a dry run says of bytes to groups must be so near to what is then sent.
const DRY_RUN_WITHIN: f64 = 0.1;

/// Arguments of `audience`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Viewers, who all see the whole title
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 10, 100, 1000])]
    viewers: Vec<u32>,
    /// How they are served, one after the other
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["off", "on"])]
    multicast: Vec<Mode>,
    /// Running time of the title, s
    #[arg(long, default_value_t = 60.0)]
    playing: f64,
    /// Viewers come by chance within so many seconds [default: the running time]
    #[arg(long)]
    within: Option<f64>,
    /// The title's own rate, Mbit/s
    #[arg(long, default_value_t = 1.0)]
    rate: f64,
    /// Bytes of a segment, KiB
    #[arg(long, default_value_t = 144)]
    segment: u32,
    /// From when a viewer comes to the first picture, at the soonest, s
    #[arg(long, default_value_t = 2.0)]
    startup: f64,
    /// Of arrivals and requests
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What may go to groups in all, Mbit/s
    #[arg(long, default_value_t = 2000)]
    group_rate: u32,
    #[command(flatten)]
    cores: CoresArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl Args {
    fn playing(&self) -> Duration {
        Duration::from_secs_f64(self.playing)
    }

    fn within(&self) -> Duration {
        Duration::from_secs_f64(self.within.unwrap_or(self.playing).max(0.1))
    }
}

/// Runs `audience`.
///
/// # Errors
/// When something is missing on this machine, a run fails, a viewer was not served, or a dry run was wrong.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let binary = build_binary()?;
    let bits_per_second = args.rate * 1e6;
    let title = Watched::new(args.playing(), bits_per_second, args.segment << 10, args.seed)?;
    let mut rows = Vec::new();
    for &viewers in &args.viewers {
        for &mode in &args.multicast {
            eprintln!("{viewers} viewers, multicast {mode}");
            rows.push(run::measure(args, &binary, &title, viewers, mode)?);
        }
    }
    args.output.print(&rows, &table(&rows))?;
    for row in &rows {
        let (viewers, mode) = (row.viewers, row.multicast);
        anyhow::ensure!(row.lost.is_empty(), "{viewers} viewers, {mode}: {:?}", row.lost);
        if row.multicast == Mode::DryRun {
            compare(row, &rows)?;
        }
    }
    Ok(())
}

/// A dry run with what was then sent to groups for as many viewers.
fn compare(dry: &Row, rows: &[Row]) -> anyhow::Result<()> {
    let is_its = |row: &&Row| row.viewers == dry.viewers && row.multicast == Mode::On;
    let Some(on) = rows.iter().find(is_its).filter(|on| on.group > 0.0) else { return Ok(()) };
    let off_by = dry.would_group / on.group - 1.0;
    eprintln!(
        "{} viewers: a dry run says {:+.1} % of what goes to groups",
        dry.viewers,
        100.0 * off_by
    );
    anyhow::ensure!(
        off_by.abs() <= DRY_RUN_WITHIN,
        "{} viewers: {:.3} titles by group, and the dry run said {:.3}",
        dry.viewers,
        on.group,
        dry.would_group
    );
    Ok(())
}

fn table(rows: &[Row]) -> Table {
    let heads = [
        "viewers",
        "multicast",
        "start-up ms",
        "p99",
        "stalls",
        "late",
        "titles sent",
        "by group",
        "would",
        "gain",
        "edge ns/B",
        "load ns/B",
    ];
    let mut table = Table::new(heads);
    for row in rows {
        let would =
            if row.multicast == Mode::DryRun { digits(row.would_group) } else { String::new() };
        table.row([
            row.viewers.to_string(),
            row.multicast.to_string(),
            digits(row.start_up_ms[0]),
            digits(row.start_up_ms[1]),
            row.stalls.to_string(),
            format!("{} of {}", row.late, row.deadlines),
            digits(row.sent),
            digits(row.group),
            would,
            digits(row.gain),
            digits(row.edge_ns_per_byte),
            digits(row.load_ns_per_byte),
        ]);
    }
    table
}
