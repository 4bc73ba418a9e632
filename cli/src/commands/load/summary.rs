//! What a load did, in a few lines of text.

use crate::units;
use segcast_load::plan::{Plan, Target};
use segcast_load::record::{ClassTimes, Interval, Ledger, Pair, Playout, Times, Timings, Wire};
use segcast_load::run::{Observer, Ran};
use std::fmt::Write;
use std::time::Duration;

/// Everything that was recorded, added up.
#[derive(Default)]
pub(super) struct Summary {
    times: Timings,
    ledger: Ledger,
    wire: Wire,
    playout: Playout,
    cpu: Duration,
}

impl Observer for Summary {
    fn interval(&mut self, interval: &Interval) {
        self.times.add(&interval.times);
        self.ledger.add(&interval.ledger);
        self.wire.add(&interval.wire);
        self.playout.add(&interval.playout);
        self.cpu += interval.health.cpu;
    }
}

/// The plan in one line.
pub(super) fn plan_line(plan: &Plan) -> String {
    let phases = plan.workload.phases.iter().map(|phase| {
        let target = match phase.target {
            Target::Sessions(sessions) => units::count(sessions.into(), "session"),
            Target::RequestsPerSecond(rate) => format!("{rate} requests/s"),
        };
        format!("{target} for {}", units::duration(phase.duration))
    });
    format!(
        "plan {}, seed {}: {}",
        &plan.hash[..16],
        plan.workload.seed,
        phases.collect::<Vec<_>>().join(", then ")
    )
}

impl Summary {
    /// The text.
    pub(super) fn text(&self, plan: &Plan, ran: &Ran) -> String {
        let mut text = String::new();
        self.write(&mut text, plan, ran).expect("a string takes everything");
        text
    }

    fn write(&self, to: &mut String, plan: &Plan, ran: &Ran) -> std::fmt::Result {
        if ran.stopped {
            writeln!(to, "partial: the run was stopped after {:.1} s", ran.seconds)?;
        }
        let wall = ran.seconds.min(plan.end.as_secs_f64()).max(1e-9);
        let goodput = self.wire.data_bytes as f64 / wall;
        writeln!(to, "goodput      {} in {:.1} s", units::bit_rate(goodput), ran.seconds)?;
        self.write_ledger(to)?;
        for (name, class) in [("start", &self.times.start), ("next", &self.times.next)] {
            write_class(to, name, class)?;
        }
        write_pair(to, "open", &self.times.open)?;
        let playout = &self.playout;
        if let Some(ratio) = playout.rebuffer_ratio() {
            writeln!(
                to,
                "viewers      {} started, {} not; {} stalls, {:.3} % of the time; start-up {}",
                playout.started,
                playout.never_started,
                playout.stalls,
                ratio * 100.0,
                quantiles(&playout.startup)
            )?;
        }
        let wire = &self.wire;
        writeln!(
            to,
            "datagrams    {} came, {} lost, {} twice, {} overtaken, {} corrupt, {} stray, {} dropped here",
            wire.datagrams_in,
            wire.lost_datagrams,
            wire.duplicate_datagrams,
            wire.reordered_datagrams,
            wire.corrupt_datagrams,
            wire.stray_datagrams,
            wire.overflow_datagrams
        )?;
        let threads = ran.threads as f64 * ran.seconds;
        writeln!(
            to,
            "generator    {} {}, {:.0} % busy, io {}, GRO {}, {}",
            ran.threads,
            if ran.threads == 1 { "thread" } else { "threads" },
            self.cpu.as_secs_f64() / threads * 100.0,
            ran.io,
            if ran.gro { "on" } else { "off" },
            units::count(ran.sockets as u64, "socket")
        )
    }

    fn write_ledger(&self, to: &mut String) -> std::fmt::Result {
        let ledger = &self.ledger;
        writeln!(to, "intended     {}", ledger.intended)?;
        writeln!(to, "  complete   {}", ledger.complete)?;
        writeln!(to, "  late       {}", ledger.late)?;
        writeln!(to, "  lost       {}", ledger.lost)?;
        for (code, count) in &ledger.refused {
            writeln!(to, "  refused    {count} {}", code.name())?;
        }
        for (failure, count) in &ledger.failed {
            writeln!(to, "  failed     {count} {failure:?}")?;
        }
        for (cause, count) in &ledger.never_offered {
            writeln!(to, "  not asked  {count} {cause:?}")?;
        }
        writeln!(to, "  remainder  {}", ledger.in_flight())
    }
}

fn write_class(to: &mut String, name: &str, class: &ClassTimes) -> std::fmt::Result {
    write_pair(to, &format!("{name} ttfb"), &class.ttfb)?;
    write_pair(to, &format!("{name} ttlb"), &class.ttlb)?;
    if class.send_lag.histogram().is_empty() {
        return Ok(());
    }
    writeln!(to, "{name:<5} lag    {}", quantiles(&class.send_lag))
}

fn write_pair(to: &mut String, name: &str, pair: &Pair) -> std::fmt::Result {
    if pair.service.histogram().is_empty() {
        return Ok(());
    }
    let (service, response) = (quantiles(&pair.service), quantiles(&pair.response));
    writeln!(to, "{name:<12} service {service}; response {response}")
}

/// Median, 99th percentile and the longest.
fn quantiles(times: &Times) -> String {
    let histogram = times.histogram();
    let us = |us| units::duration(Duration::from_micros(us));
    let (p50, p99) = (histogram.value_at_quantile(0.5), histogram.value_at_quantile(0.99));
    format!("{} / {} / {} (p50, p99, max)", us(p50), us(p99), us(histogram.max()))
}
