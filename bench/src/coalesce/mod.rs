//! `coalesce`: what an edge sends for many viewers of one title, in virtual time: the production [`Coalescer`] with model
//! viewers, beside the logarithm that theory allows and a greedy run on the same arrivals that takes no time to send.
//!
//! [`Coalescer`]: segcast_proto::coalesce::Coalescer

mod crowd;
mod greedy;
mod model;
mod plan;

use crowd::Crowd;
use model::{Done, Model};
use plan::Plan;
use serde::Serialize;

use crate::measure::{OutputArgs, Table, digits};

/// Arguments of `coalesce`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Viewers at once, on average
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 10, 100, 1000])]
    viewers: Vec<u32>,
    /// Without the rows under loss, from random places and of a crowd
    #[arg(long)]
    quick: bool,
    /// A row of so many titles that are not alike, the one of rank r watched in proportion to r^-0.8: 1000 take minutes
    #[arg(long, value_name = "N")]
    titles: Option<u32>,
    /// With --titles: viewers at once of all of them, on average
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    titles_viewers: u32,
    /// Of arrivals, requests and losses
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    output: OutputArgs,
}

/// One row.
#[derive(Debug, Serialize)]
struct Row {
    plan: Plan,
    /// Bytes sent by the title's bytes that play in the same time.
    streams: f64,
    group: f64,
    unicast: f64,
    /// By the logarithm of one more than the viewers at once, summed over titles; of a crowd, by one title.
    bound: f64,
    /// The same, by what the greedy run sends.
    greedy: f64,
    /// What the first of the two must not be above; without viewers from elsewhere, where it is no bound.
    must_be: f64,
    missed: u64,
    deadlines: u64,
    channels: usize,
}

/// Runs `coalesce`.
///
/// # Errors
/// When a row is above what it must be, or a deadline was missed without loss.
pub fn run(args: &Args) -> anyhow::Result<()> {
    eprintln!("seed {}", args.seed);
    let rows: Vec<Row> = plans(args).map(|plan| measure(plan, args.seed)).collect();
    args.output.print(&rows, &table(&rows))?;
    for row in &rows {
        let judged = if row.plan.elsewhere > 0.0 { row.greedy } else { row.bound };
        let name = row.plan.name();
        anyhow::ensure!(judged <= row.must_be, "{name}: {judged:.3}, at most {}", row.must_be);
        let allowed = if row.plan.loss > 0.0 { row.deadlines as f64 * 1e-5 } else { 0.0 };
        anyhow::ensure!(row.missed as f64 <= allowed, "{name}: {} deadlines missed", row.missed);
    }
    Ok(())
}

fn plans(args: &Args) -> impl Iterator<Item = Plan> {
    let plain = args.viewers.iter().map(|viewers| Plan::plain(*viewers));
    let lossy = args.viewers.iter().map(|viewers| Plan { loss: 0.02, ..Plan::plain(*viewers) });
    let elsewhere = [Plan { elsewhere: 0.5, ..Plan::plain(1000) }, Plan::crowd(1000)];
    let more = lossy.chain(elsewhere).filter(|_| !args.quick);
    let catalogue = args.titles.filter(|titles| *titles > 1);
    let catalogue = catalogue.map(|titles| Plan { titles, ..Plan::plain(args.titles_viewers) });
    plain.chain(more).chain(catalogue)
}

fn measure(plan: Plan, seed: u64) -> Row {
    eprintln!("{}", plan.name());
    let (mut done, mut greedy, mut bound) = (Done::default(), 0, 0.0);
    for (number, plan) in (0..).zip(plan.by_title()) {
        let seed = seed + number;
        let crowd = Crowd::new(&plan, seed);
        greedy += greedy::sends(&plan, &crowd);
        done.add(&Model::new(plan, crowd, seed).run());
        bound += if plan.crowd.is_some() { 1.0 } else { plan.viewers.ln_1p() };
    }
    let title = f64::from(plan::SEGMENTS) * f64::from(plan::SEGMENT_BYTES);
    let titles = if plan.crowd.is_some() { 1.0 } else { plan.window() / plan::PLAYING };
    let streams = |bytes: f64| bytes / (title * titles);
    let sent = done.group + done.unicast + done.control;
    Row {
        streams: streams(sent),
        group: streams(done.group),
        unicast: streams(done.unicast),
        bound: streams(sent) / bound,
        greedy: sent / (greedy as f64 * f64::from(plan::SEGMENT_BYTES)),
        must_be: plan.must_be(),
        missed: done.missed,
        deadlines: done.deadlines,
        channels: done.channels,
        plan,
    }
}

fn table(rows: &[Row]) -> Table {
    let heads =
        ["viewers", "streams", "group", "unicast", "bound", "greedy", "≤", "missed", "channels"];
    let mut table = Table::new(heads);
    for row in rows {
        let missed = format!("{} of {}", row.missed, row.deadlines);
        let [streams, group, unicast, bound, greedy] =
            [row.streams, row.group, row.unicast, row.bound, row.greedy].map(digits);
        let (must_be, channels) = (format!("{:.2}", row.must_be), row.channels.to_string());
        let name = row.plan.name();
        table.row([name, streams, group, unicast, bound, greedy, must_be, missed, channels]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viewers_who_come_together_are_sent_little_more_than_one_title_and_miss_nothing() {
        let row = measure(Plan::crowd(8), 1);
        assert!((1.0..1.15).contains(&row.streams), "{row:?}");
        assert!(row.missed == 0 && row.group > 0.9 * row.streams, "{row:?}");
    }

    #[test]
    fn a_viewer_alone_has_all_by_unicast() {
        let row = measure(Plan::crowd(1), 1);
        assert!(row.group == 0.0 && row.missed == 0 && row.streams < 1.04, "{row:?}");
    }
}
