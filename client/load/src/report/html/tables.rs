//! The tables of a result.

use maud::{Markup, html};
use segcast_config::amount::rounded::{bit_rate, micros, size};

use crate::result::quantile::{Latency, SHOWN};
use crate::result::{Basis, Figures, LoadResult, Quantity, Series, Server, Span};
use crate::words::{count, share};

fn mark(holds: Option<bool>) -> Markup {
    html! {
        @match holds {
            Some(true) => span.yes { "✓ yes" },
            Some(false) => span.no { "✗ no" },
            None => span.unsure { "too little to say" },
        }
    }
}

/// Objectives, found, met.
pub(super) fn objectives(result: &LoadResult) -> Markup {
    html! {
        div.card.scroll { table {
            tr { th { "objective" } th { "found" } th { "n" } th { "met" } }
            @for objective in &result.objectives { tr {
                td { code { (objective.text) } }
                td { (objective.found) }
                td { (count(objective.n)) }
                td { @if result.is_void() { span.unsure { "void" } } @else { (mark(objective.met)) } }
            } }
        } }
    }
}

/// One row for each phase, and one for all.
pub(super) fn phases(figures: &Figures) -> Markup {
    html! {
        div.card.scroll { table {
            tr { th { "phase" } th { "seconds" } th { "intended" } th { "complete" } th { "late" }
                th { "lost" } th { "refused" } th { "failed" } th { "never offered" } th { "goodput" }
                th { "ttfb p99" } th { "ttlb p99" } th { "stalls" } }
            @for span in figures.phases.iter().chain([&figures.all]) { tr {
                td { (span.name) }
                td { @if let Some(seconds) = span.seconds { (format!("{seconds:.1}")) } @else { "–" } }
                td { (count(span.ledger.intended)) }
                td { (part(span.ledger.complete, span)) }
                td { (part(span.ledger.late, span)) }
                td { (part(span.ledger.lost, span)) }
                td { (part(span.ledger.refused_in_all(), span)) }
                td { (part(span.ledger.failed_in_all(), span)) }
                td { (part(span.ledger.never_offered_in_all(), span)) }
                td { (span.goodput_bits_per_second.map_or("–".into(), bit_rate)) }
                td { (slower(span, Quantity::Ttfb)) }
                td { (slower(span, Quantity::Ttlb)) }
                td { (span.playout.stalls) }
            } }
        } }
        p.soft.small { "A segment counts in the phase in which it was intended. Times are response times of the slower class." }
    }
}

fn part(number: u64, span: &Span) -> Markup {
    let intended = span.ledger.intended;
    html! {
        @if number == 0 { span.few { "–" } }
        @else { (share(number as f64 / intended.max(1) as f64)) }
    }
}

fn slower(span: &Span, quantity: Quantity) -> Markup {
    let classes = Series::all()
        .filter(|series| series.quantity == quantity && series.basis == Some(Basis::Response));
    let found = classes.filter_map(|series| span.latency(series)?.at(99.0)).max();
    us(found)
}

fn us(value: Option<u64>) -> Markup {
    html! {
        @if let Some(us) = value { (micros(us as f64)) } @else { span.few { "n too small" } }
    }
}

/// Every histogram with its percentiles.
pub(super) fn times(span: &Span) -> Markup {
    let told: Vec<&Latency> = span.latency.iter().filter(|latency| latency.n > 0).collect();
    html! {
        @if told.is_empty() { p.soft { "Nothing was timed." } }
        @else {
            div.card.scroll { table {
                tr { th { "times" } th { "n" } @for p in SHOWN { th { "p" (p) } } th { "longest" } }
                @for latency in told { tr {
                    td { code { (latency.series()) } }
                    td { (count(latency.n)) }
                    @for p in SHOWN { td { (us(latency.at(p))) } }
                    td { (us(latency.max_us)) }
                } }
            } }
            p.soft.small {
                "Response: from the intended sending, what a viewer would have waited. Service: from the actual one. "
                "Lag: between the two, the generator's own. A percentile is told from ten samples beyond it on."
            }
        }
    }
}

/// Checks and threads of the generator.
pub(super) fn generator(result: &LoadResult) -> Markup {
    let generator = &result.generator;
    html! {
        div.card.scroll { table.words {
            tr { th { "check" } th { "found" } th { "right" } th { "holds" } }
            @for check in &generator.checks { tr {
                td { (check.what) } td { (check.found) } td { (check.limit) } td { (mark(check.holds)) }
            } }
        } }
        @if !generator.threads.is_empty() {
            h2 { "Its threads" }
            div.card.scroll { table {
                tr { th { "thread" } th { "CPU" } th { "of" } th { "share" } th { "busiest second" } }
                @for thread in &generator.threads { tr {
                    td { (thread.thread) }
                    td { (format!("{:.2} s", thread.cpu_s)) }
                    td { (format!("{:.2} s", thread.wall_s)) }
                    td { (share(thread.share)) }
                    td { (share(thread.busiest_second)) }
                } }
            } }
        }
    }
}

/// What the server used.
pub(super) fn server(server: &Server) -> Markup {
    let refusals = |span: &crate::server::ServerSpan| -> Vec<(String, f64)> {
        let counters = span.counters.iter().flatten();
        let refused = counters.filter(|(name, _)| name.contains("_refused_total{code="));
        refused.map(|(name, rise)| (name.clone(), *rise)).collect()
    };
    let all = server.spans.first();
    html! {
        div.card.scroll { table {
            tr { th { "phase" } th { "seconds" } th { "CPU" } th { "cores" } th { "cores per Gbit/s" }
                th { "memory" } th { "most ever" } th { "faults" } th { "with a disk" } th { "threads" } th { "refused" } }
            @for span in &server.spans { tr {
                td { (span.name) }
                td { (format!("{:.1}", span.seconds)) }
                @if let Some(process) = &span.process {
                    td { (format!("{:.2} s", process.cpu_s)) }
                    td { (format!("{:.3}", process.cores)) }
                    td { @if let Some(cores) = process.cores_per_gigabit { (format!("{cores:.4}")) } @else { "–" } }
                    td { (size(process.rss_bytes)) }
                    td { (size(process.rss_max_bytes)) }
                    td { (count(process.minor_faults)) }
                    td { (count(process.major_faults)) }
                    td { (process.threads) }
                } @else { td colspan="8" { span.few { "not read" } } }
                td { @if let Some(refused) = span.refused() { (count(refused)) } @else { span.few { "not read" } } }
            } }
        } }
        @if let Some(all) = all {
            @for (name, rise) in refusals(all) { p.small { code { (name) } " " (count(rise as u64)) } }
        }
        @for problem in &server.problems { p.no.small { (problem) } }
    }
}
