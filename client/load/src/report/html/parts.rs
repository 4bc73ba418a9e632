//! Tiles, the ledger's bar, and what run this was.

use maud::{Markup, html};
use segcast_config::amount::rounded::{bit_rate, micros, size};

use super::color::Role;
use crate::result::{Basis, LoadResult, Quantity, Series, Span};
use crate::words::{count, share};

/// The figures that one looks for first.
pub(super) fn tiles(result: &LoadResult) -> Markup {
    let all = &result.figures.whatever_they_are_worth().all;
    let ledger = &all.ledger;
    let complete = match ledger.intended {
        0 => "–".to_owned(),
        intended => share(ledger.complete as f64 / intended as f64),
    };
    let mut tiles = vec![
        (count(ledger.intended), "segments intended".to_owned()),
        (complete, "complete and in time".to_owned()),
        (all.goodput_bits_per_second.map_or("–".into(), bit_rate), "goodput".to_owned()),
    ];
    tiles.extend([Quantity::Ttfb, Quantity::Ttlb].map(|quantity| slowest(all, quantity)));
    if let Some(ratio) = all.playout.rebuffer_ratio {
        tiles.push((share(ratio), "of the time rebuffering".to_owned()));
    }
    let process = result.server.as_ref().and_then(|server| server.spans.first()?.process.as_ref());
    if let Some(cores) = process.and_then(|process| process.cores_per_gigabit) {
        tiles.push((format!("{cores:.3}"), "server cores per Gbit/s".to_owned()));
    }
    html! {
        div.tiles { @for (value, name) in tiles { div.tile { b { (value) } span { (name) } } } }
    }
}

/// The highest percentile that both classes can tell, of the class that is slower.
fn slowest(all: &Span, quantity: Quantity) -> (String, String) {
    let bases =
        |series: &Series| series.quantity == quantity && series.basis == Some(Basis::Response);
    let latencies = || Series::all().filter(bases).filter_map(|series| all.latency(series));
    let what = if quantity == Quantity::Ttfb { "first byte" } else { "last byte" };
    let told = [99.0, 90.0, 50.0].into_iter().find_map(|p| {
        let values: Option<Vec<u64>> =
            latencies().filter(|latency| latency.n > 0).map(|latency| latency.at(p)).collect();
        Some((p, values?.into_iter().max()?))
    });
    match told {
        Some((p, us)) => (micros(us as f64), format!("{what}, p{p} response")),
        None => ("–".to_owned(), format!("{what}: n too small")),
    }
}

/// The ledger as one bar and as a table that closes.
pub(super) fn ledger(span: &Span) -> Markup {
    let ledger = &span.ledger;
    let intended = ledger.intended.max(1) as f64;
    let rows: Vec<_> = ledger
        .rows()
        .into_iter()
        .map(|(what, cause, number)| (role(what), what, cause.unwrap_or_default(), number))
        .collect();
    html! {
        div.card.pad.ledger {
            div.bar role="img" aria-label="Segments by what became of them" {
                @for (role, what, cause, number) in &rows {
                    i style=(format!("flex: {number} 1 0; {}", role.css()))
                        title=(format!("{} {what} {cause}", count(*number))) {}
                }
            }
            div.scroll { table {
                tr { th { "end" } th { "cause" } th { "segments" } th { "share" } }
                @for (role, what, cause, number) in &rows { tr {
                    td { i style=(role.css()) {} (what) }
                    td { (cause) }
                    td { (count(*number)) }
                    td { (share(*number as f64 / intended)) }
                } }
                tr {
                    td { "remainder" }
                    td { @if ledger.remainder == 0 { "the ledger closes" }
                        @else { span.no { "it does not close" } } }
                    td { (ledger.remainder) }
                    td {}
                }
                tr { td { "intended" } td {} td { b { (count(ledger.intended)) } } td {} }
            } }
            (datagrams(span))
        }
    }
}

fn datagrams(span: &Span) -> Markup {
    let wire = &span.wire;
    html! {
        @if wire.datagrams_in + wire.datagrams_out > 0 {
            p.soft.small {
                (count(wire.datagrams_in)) " datagrams came (" (size(wire.bytes_in)) "), "
                (count(wire.datagrams_out)) " went; " (count(wire.lost_datagrams)) " asked for again, "
                (count(wire.reordered_datagrams)) " reordered, " (count(wire.duplicate_datagrams))
                " twice, " (count(wire.corrupt_datagrams)) " damaged, " (count(wire.stray_datagrams))
                " stray, " (count(wire.overflow_datagrams)) " dropped before they were read."
                @if wire.group_datagrams > 0 {
                    " " (count(wire.group_datagrams)) " came to groups (" (size(wire.group_bytes))
                    "), and brought " (size(wire.heard_bytes)) " of segments to all viewers together."
                }
            }
        }
    }
}

fn role(what: &str) -> Role {
    match what {
        "complete" => Role::Complete,
        "late" => Role::Late,
        "lost" => Role::Lost,
        "refused" => Role::Refused,
        "failed" => Role::Failed,
        _ => Role::NeverOffered,
    }
}

/// Which run this was, on what, and how to do it again.
pub(super) fn identity(result: &LoadResult) -> Markup {
    let (id, print) = (&result.identity, &result.fingerprint);
    let unknown = || "unknown".to_owned();
    let machine = format!(
        "{} × {}{}",
        print.cpus,
        print.cpu.clone().unwrap_or_else(unknown),
        if print.virtual_machine { ", a virtual machine" } else { "" }
    );
    let rows = [
        ("Program", format!("{}, {} build", id.tool, print.build)),
        ("Command", id.command.join(" ")),
        ("Seed", id.seed.to_string()),
        ("Began", format!("{} seconds after 1970-01-01 00:00 UTC", id.started_unix_s)),
        ("Plan, SHA-256", id.plan_sha256.clone()),
        ("Servers", print.servers.join(", ")),
        ("Kernel", print.kernel.clone()),
        ("CPUs", machine),
        ("Governor", print.governor.clone().unwrap_or_else(unknown)),
        ("Memory", print.memory_bytes.map_or_else(unknown, size)),
        ("Clock", print.clock_source.clone().unwrap_or_else(unknown)),
        ("Offloads", print.offloads.clone()),
        ("Form", result.schema.clone()),
    ];
    let plan = serde_json::to_string_pretty(&id.plan).unwrap_or_default();
    html! {
        div.card.pad {
            dl { @for (name, value) in rows { dt { (name) } dd { (value) } } }
            details { summary { "The plan" } pre { (plan) } }
        }
    }
}
