//! What `promtool check metrics` says of a page, by the rules that it publishes (client_golang, `promlint/validations`).

use std::collections::{BTreeMap, BTreeSet};

const UNITS_ABBREVIATED: [&str; 14] =
    ["s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"];
const KINDS: [&str; 4] = ["counter", "gauge", "summary", "histogram"];
const UNITS: [&str; 6] = ["bytes", "seconds", "meters", "grams", "joules", "volts"];
const SCALES: [&str; 13] = [
    "pico", "nano", "micro", "milli", "centi", "deci", "kilo", "kibi", "mega", "giga", "gibi",
    "tera", "tebi",
];
const NO_BASE_UNITS: [&str; 6] = ["minutes", "hours", "days", "weeks", "bits", "percent"];

/// Everything that is wrong with a page in Prometheus's text, 0.0.4; families without histograms.
pub(super) fn findings(page: &str) -> Vec<String> {
    let (mut helps, mut kinds) = (BTreeMap::new(), BTreeMap::new());
    let (mut series, mut found) = (BTreeSet::new(), Vec::new());
    for line in page.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|l| l.split_once(' ')) {
            helps.insert(name, help);
        } else if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' '))
        {
            if kinds.insert(name, kind).is_some() {
                found.push(format!("{name}: declared twice"));
            }
        } else if !line.starts_with('#') {
            let (key, value) = line.rsplit_once(' ').unwrap_or((line, ""));
            let name = key.split('{').next().unwrap_or_default();
            if !series.insert(key) || value.parse::<f64>().is_err() {
                found.push(format!("{line}: twice, or no number"));
            }
            if !kinds.contains_key(name) {
                found.push(format!("{name}: no type"));
            }
            if key.contains("{le=") || key.contains("{quantile=") {
                found.push(format!("{key}: a label of histograms"));
            }
        }
    }
    for (name, kind) in kinds {
        found.extend(of_name(name, kind).map(|what| format!("{name}: {what}")));
        if helps.get(name).is_none_or(|help| help.is_empty()) {
            found.push(format!("{name}: no help text"));
        }
    }
    found
}

fn of_name(name: &str, kind: &str) -> impl Iterator<Item = &'static str> {
    let parts: Vec<_> = name.split('_').collect();
    let any = |words: &[&str]| parts.iter().any(|part| words.contains(part));
    let is_scaled = |part: &&str| {
        let scale = UNITS.iter().find_map(|unit| part.strip_suffix(unit));
        scale.is_some_and(|scale| SCALES.contains(&scale))
    };
    let reserved = ["_bucket", "_count", "_sum", "_info"].iter().any(|end| name.ends_with(end));
    let plain = name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    [
        ((kind == "counter") != name.ends_with("_total"), "_total is for counters, all of them"),
        (!["counter", "gauge"].contains(&kind), "neither counter nor gauge"),
        (any(&UNITS_ABBREVIATED), "an abbreviated unit"),
        (any(&KINDS), "its type in its name"),
        (any(&NO_BASE_UNITS) || parts.iter().any(is_scaled), "no base unit"),
        (reserved, "a suffix of histograms"),
        (!plain, "not in snake_case"),
    ]
    .into_iter()
    .filter_map(|(is, what)| is.then_some(what))
}

#[test]
fn what_is_wrong_is_found() {
    for (page, what) in [
        ("# TYPE a_total counter\na_total 1\n", "no help text"),
        ("# HELP a A.\n# TYPE a counter\na 1\n", "_total"),
        ("# HELP a_total A.\n# TYPE a_total gauge\na_total 1\n", "_total"),
        ("# HELP a_ms A.\n# TYPE a_ms gauge\na_ms 1\n", "abbreviated"),
        ("# HELP a_milliseconds A.\n# TYPE a_milliseconds gauge\na_milliseconds 1\n", "base unit"),
        ("# HELP a_gauge A.\n# TYPE a_gauge gauge\na_gauge 1\n", "type in its name"),
        ("# HELP aB A.\n# TYPE aB gauge\naB 1\n", "snake_case"),
        ("# HELP a_count A.\n# TYPE a_count gauge\na_count 1\n", "suffix"),
        ("# HELP a A.\n# TYPE a counter\na_total 1\n", "a_total: no type"),
        ("# HELP a A.\n# TYPE a gauge\na{le=\"1\"} 1\n", "label of histograms"),
        ("# HELP a A.\n# TYPE a gauge\na 1\na 1\n", "twice"),
    ] {
        let found = findings(page);
        assert!(found.iter().any(|finding| finding.contains(what)), "{page}: {found:?}");
    }
}
