//! The result as text: what stands on the terminal when a run has ended.

use std::fmt::Write;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use segcast_config::amount::rounded::{bit_rate, micros, size};

use crate::result::generator::Check;
use crate::result::{Basis, Latency, LoadResult, Quantity, Series, Span};
use crate::words::{count, share};

/// Lines for people; the first says the verdict, and whether the figures are void, partial or from one box.
#[must_use]
pub fn text(result: &LoadResult) -> String {
    let figures = result.figures.whatever_they_are_worth();
    let void = if result.is_void() { "VOID, not the server's: " } else { "" };
    let mut parts = vec![result.headline.clone()];
    if !result.objectives.is_empty() {
        parts.push(objectives(result).to_string());
    }
    parts.push(latency(&format!("{void}time, whole run"), &figures.all).to_string());
    parts.push(phases(&format!("{void}phase"), result).to_string());
    parts.push(ledger(void, &figures.all));
    parts.extend(wire(&figures.all));
    parts.push(generator(result));
    parts.extend(result.others.as_ref().map(|others| {
        format!("{others} (above {} what is missed is not judged)", share(others.limit))
    }));
    parts.extend(server(result).map(|table| table.to_string()));
    parts.extend(result.server.iter().flat_map(|server| server.problems.clone()));
    parts.push(fingerprint(result));
    let not_measured = result.not_measured.join("\n  - ");
    parts.push(format!("not measured\n  - {not_measured}"));
    parts.join("\n\n") + "\n"
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_BORDERS_ONLY);
    table.set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn objectives(result: &LoadResult) -> Table {
    let mut table = table(["objective", "found", "n", "met"]);
    for objective in &result.objectives {
        let met = if result.is_void() { "void" } else { yes(objective.met) };
        table.add_row([&objective.text, &objective.found, &count(objective.n), met]);
    }
    table
}

fn yes(holds: Option<bool>) -> &'static str {
    match holds {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "?",
    }
}

/// The percentiles that text shows; JSON and HTML have more.
const SHOWN: [f64; 4] = [50.0, 90.0, 99.0, 99.9];

fn latency(title: &str, span: &Span) -> Table {
    let mut table = table([title, "n", "p50", "p90", "p99", "p99.9", "max"]);
    for latency in span.latency.iter().filter(|latency| latency.n > 0) {
        let mut row = vec![latency.series().to_string(), count(latency.n)];
        row.extend(SHOWN.map(|p| cell(latency, p)));
        row.push(latency.max_us.map_or("-".into(), |us| micros(us as f64)));
        table.add_row(row);
    }
    table
}

fn cell(latency: &Latency, p: f64) -> String {
    latency.at(p).map_or("n too small".into(), |us| micros(us as f64))
}

fn phases(title: &str, result: &LoadResult) -> Table {
    let header = [title, "seconds", "intended", "complete", "goodput", "ttfb p99", "ttlb p99"];
    let mut table = table(header);
    let figures = result.figures.whatever_they_are_worth();
    for span in figures.phases.iter().chain([&figures.all]) {
        table.add_row([
            span.name.clone(),
            span.seconds.map_or("-".into(), |seconds| format!("{seconds:.1}")),
            count(span.ledger.intended),
            complete(span),
            span.goodput_bits_per_second.map_or("-".into(), bit_rate),
            worst(span, Quantity::Ttfb),
            worst(span, Quantity::Ttlb),
        ]);
    }
    table
}

fn complete(span: &Span) -> String {
    match span.ledger.intended {
        0 => "-".into(),
        intended => share(span.ledger.complete as f64 / intended as f64),
    }
}

/// The response time's p99 of the class in which it is worst.
fn worst(span: &Span, quantity: Quantity) -> String {
    let classes = Series::all()
        .filter(|series| series.quantity == quantity && series.basis == Some(Basis::Response));
    let found = classes.filter_map(|series| span.latency(series)?.at(99.0)).max();
    found.map_or("n too small".into(), |us| micros(us as f64))
}

fn ledger(void: &str, span: &Span) -> String {
    let ledger = &span.ledger;
    let mut text = format!("{void}ledger: {} segments intended", count(ledger.intended));
    for (what, cause, number) in ledger.rows() {
        let cause = cause.map_or(String::new(), |cause| format!(" ({cause})"));
        let part = share(number as f64 / ledger.intended.max(1) as f64);
        let _ = write!(text, "\n  {:>12}  {part:>9}  {what}{cause}", count(number));
    }
    let _ = write!(text, "\n  {:>12}  {:>9}  remainder", ledger.remainder, "");
    text
}

fn wire(span: &Span) -> Option<String> {
    let (wire, playout) = (&span.wire, &span.playout);
    let mut lines = Vec::new();
    if wire.datagrams_in + wire.datagrams_out > 0 {
        lines.push(format!(
            "datagrams: {} in ({}), {} out; {} asked for again, {} reordered, {} duplicate, {} corrupt, {} stray",
            count(wire.datagrams_in),
            size(wire.bytes_in),
            count(wire.datagrams_out),
            count(wire.lost_datagrams),
            count(wire.reordered_datagrams),
            count(wire.duplicate_datagrams),
            count(wire.corrupt_datagrams),
            count(wire.stray_datagrams),
        ));
    }
    if wire.group_datagrams > 0 {
        lines.push(format!(
            "groups: {} datagrams in ({}), which brought {} of segments to all viewers together",
            count(wire.group_datagrams),
            size(wire.group_bytes),
            size(wire.heard_bytes),
        ));
    }
    if let Some(ratio) = playout.rebuffer_ratio {
        lines.push(format!(
            "viewings: {} started, {} never; {} stalls, {:.1} s in {:.1} s of play: {} rebuffering",
            count(playout.started),
            count(playout.never_started),
            count(playout.stalls),
            playout.stalled_s,
            playout.played_s,
            share(ratio),
        ));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn generator(result: &LoadResult) -> String {
    let mut text = String::from("the generator itself");
    for Check { what, found, limit, holds } in &result.generator.checks {
        let mark = match holds {
            Some(true) => "ok",
            Some(false) => "NO",
            None => "?",
        };
        let _ = write!(text, "\n  {mark:<3} {what}: {found} ({limit})");
    }
    text
}

fn server(result: &LoadResult) -> Option<Table> {
    let server = result.server.as_ref()?;
    let mut table = table([
        "the server",
        "CPU s",
        "cores",
        "cores per Gbit/s",
        "memory",
        "faults, disk",
        "refused",
    ]);
    for span in &server.spans {
        let process = span.process.as_ref();
        let told = |value: Option<String>| value.unwrap_or_else(|| "-".into());
        table.add_row([
            span.name.clone(),
            told(process.map(|process| format!("{:.2}", process.cpu_s))),
            told(process.map(|process| format!("{:.3}", process.cores))),
            told(process.and_then(|process| process.cores_per_gigabit).map(|c| format!("{c:.4}"))),
            told(process.map(|process| size(process.rss_bytes))),
            told(
                process
                    .map(|process| format!("{}, {}", process.minor_faults, process.major_faults)),
            ),
            told(span.refused().map(count)),
        ]);
    }
    Some(table)
}

fn fingerprint(result: &LoadResult) -> String {
    let (id, print) = (&result.identity, &result.fingerprint);
    let lab = if print.one_box { " · LAB: client and server on one box" } else { "" };
    format!(
        "{} ({}) · {} · {} × {} · clock {} · {}{lab}\nseed {} · plan {} · {}",
        id.tool,
        print.build,
        print.kernel,
        print.cpus,
        print.cpu.as_deref().unwrap_or("CPU unknown"),
        print.clock_source.as_deref().unwrap_or("unknown"),
        print.offloads,
        id.seed,
        id.plan_sha256.get(..16).unwrap_or_default(),
        id.command.join(" "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    #[test]
    fn the_first_line_says_what_the_figures_are_worth() {
        let first =
            |result: &LoadResult| text(result).lines().next().unwrap_or_default().to_owned();
        assert!(first(&example::good()).starts_with("PASSED: 5 of 5 objectives met · LAB"));
        let void = text(&example::void());
        assert!(void.starts_with("INCONCLUSIVE: the generator was the bottleneck"), "{void}");
        assert!(void.contains("VOID, not the server's: time"), "{void}");
        assert!(!void.contains(" yes │\n│ steady:loss"), "{void}");
        assert!(first(&example::partial()).contains("PARTIAL: interrupted after 10.0 s"));
        assert!(first(&example::missed()).starts_with("FAILED: 1 of 3 objectives met; not met:"));
        let busy = text(&example::busy());
        assert!(
            busy.starts_with("INCONCLUSIVE: 1 of 3 objectives met; not judged: ttlb.p99<=2ms: ")
        );
        assert!(busy.contains(" · BUSY BOX: other programs used 45.0 % of the box's processors; "));
        assert!(busy.contains("VOID, not the server's: time"), "{busy}");
        assert!(
            first(&example::busy_and_good()).starts_with("PASSED: 5 of 5 objectives met · BUSY")
        );
        let few = first(&example::few());
        assert!(
            few.starts_with("INCONCLUSIVE: 1 of 2 objectives met; not judged: steady:ttfb.p99.99")
        );
        assert!(few.contains(": it needs 100000 samples, "), "{few}");
        assert!(first(&example::empty()).starts_with("MEASURED"));
    }

    #[test]
    fn every_end_stands_in_the_ledger_and_small_n_is_said() {
        let text = text(&example::good());
        for part in [
            "refused (TOO_MANY_REQUESTS)",
            "never offered (its session was full)",
            "failed (the server ended the session)",
            "0             remainder",
            "n too small",
            "not measured\n  - One-way delay",
            "cores per Gbit/s",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }
}
