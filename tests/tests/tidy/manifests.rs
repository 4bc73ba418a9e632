//! Cargo manifests: which crate may depend on which and why, where versions stand, lints taken over.

use std::collections::BTreeSet;

use toml::{Table, Value};

/// A package, what of ours it may depend on (its tests may use more), and why so. Ours go by their
/// names without `segcast-`, and the binary `segcast` by its folder.
type Row = (&'static str, &'static [&'static str], &'static str);

/// The floors, from the ground up. To change a row is to change the design: say why in docs/decisions.
const MAY_DEPEND_ON: [Row; 15] = [
    ("proto", &[], "sans-IO: the simulator drives it, other programs embed it"),
    ("sysio", &[], "holds all `unsafe` and knows no protocol: it can be proven by itself"),
    ("config", &[], "what any program of ours is configured by, whatever it does"),
    (
        "api",
        &["proto"],
        "what center and clients say to each other, so that neither needs the other",
    ),
    ("keys", &["proto"], "key texts are proto's; files are read in one place"),
    ("store", &["proto", "sysio"], "maps files, knows ids and geometry"),
    ("edge", CRATES, "never the center: an edge goes on while the center is down"),
    (
        "center",
        &["proto", "api", "config", "keys", "store"],
        "no sockets of the data path: it is never on it",
    ),
    ("client", CRATES, "never the edge: it speaks the protocol and nothing else"),
    (
        "load",
        &["proto", "sysio", "config", "keys", "client"],
        "apart from the client, since viewers need no plots and terminal views",
    ),
    ("cli", PRODUCT, "the one binary: arguments only"),
    ("lab", &[], "TAP, namespaces, BPF: `unsafe` that never ships"),
    ("bench", INSTRUMENTS, "measures the product and its parts"),
    ("kit", INSTRUMENTS, "rigs of all tests"),
    ("tests", ALL, "tests of several parts together"),
];

/// All of `crates/`.
const CRATES: &[&str] = &["proto", "sysio", "config", "keys", "store", "api"];
const ALL: &[&str] = &[
    "proto", "sysio", "config", "keys", "store", "api", "edge", "center", "client", "load", "lab",
    "kit",
];
/// All but the rigs of tests.
const INSTRUMENTS: &[&str] = ALL.split_last().expect("rows").1;
/// What may be in the shipped binary.
const PRODUCT: &[&str] = INSTRUMENTS.split_last().expect("rows").1;

/// A package from outside, the only ones of ours that may use it, and why so.
const ONLY_IN: [Row; 4] = [
    ("io-uring", &["sysio"], "needs `unsafe`"),
    ("libc", &["sysio", "lab"], "needs `unsafe`"),
    ("memmap2", &["sysio", "lab"], "needs `unsafe`"),
    (
        "tokio",
        &["center", "edge", "bench", "sysio"],
        "HTTP beside the data path; in bench and sysio, behind features, for what ours is compared with",
    ),
];

/// The name in the tables of a package of ours; none for those from outside.
fn ours(package: &str) -> Option<&str> {
    if package == "segcast" { Some("cli") } else { package.strip_prefix("segcast-") }
}

/// Packages without a row, and rows without a package.
pub(crate) fn table_violations<'a>(packages: impl Iterator<Item = &'a str>) -> Vec<String> {
    let packages: BTreeSet<_> = packages.map(|name| ours(name).unwrap_or(name)).collect();
    let rows = BTreeSet::from(MAY_DEPEND_ON.map(|(row, ..)| row));
    let found = packages.symmetric_difference(&rows);
    found.map(|name| format!("{name}: either no package or not in the dependency table")).collect()
}

/// Why a package must not depend on another.
pub(crate) fn direction_violation(package: &str, on: &str) -> Option<String> {
    let name = ours(package)?;
    let upward = MAY_DEPEND_ON.iter().find(|(row, allowed, _)| {
        *row == name && ours(on).is_some_and(|on| !allowed.contains(&on))
    });
    let outside = ONLY_IN.iter().find(|(row, users, _)| *row == on && !users.contains(&name));
    let (.., why) = upward.or(outside)?;
    Some(format!("{package} must not depend on {on}: {why}"))
}

/// What a member's `Cargo.toml` breaks: versions stand in the workspace, lints come from there.
pub(crate) fn manifest_violations(manifest: &str) -> Vec<String> {
    let manifest: Table = manifest.parse().expect("cargo reads it too");
    let is_inherited =
        |value: &Value| value.get("workspace").and_then(Value::as_bool) == Some(true);
    let mut found = Vec::new();
    let platforms = manifest.get("target").and_then(Value::as_table).into_iter().flatten();
    let tables = platforms.filter_map(|(_, value)| value.as_table()).chain([&manifest]);
    let sections = tables.flatten().filter(|(name, _)| name.ends_with("dependencies"));
    for (name, value) in sections.filter_map(|(_, section)| section.as_table()).flatten() {
        if !is_inherited(value) {
            found.push(format!("1: `{name}`: versions stand in the root's manifest"));
        }
    }
    if !manifest.get("lints").is_some_and(is_inherited) {
        found.push("1: must say `[lints]` `workspace = true`".into());
    }
    found
}

/// Features that make the product worse or open it up, for tests and benches alone.
const FOR_TESTS: [&str; 2] = ["fault-layer", "planted-faults"];

/// Packages that are for tests, or have such a feature, in `tree`: what `cargo tree --prefix none --format "{p} [{f}]"` prints.
pub(crate) fn features_for_tests(tree: &str) -> Vec<String> {
    let has_one = |line: &&str| {
        let (_, features) = line.rsplit_once(" [").unwrap_or_default();
        let features = features.trim_end_matches(" (*)").trim_end_matches(']');
        line.starts_with("segcast-lab ")
            || line.starts_with("segcast")
                && features.split(',').any(|name| FOR_TESTS.contains(&name))
    };
    tree.lines().filter(has_one).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_directions_are_caught() {
        for (package, on) in [
            ("segcast-proto", "segcast-sysio"),
            ("segcast-sysio", "segcast-proto"),
            ("segcast-edge", "segcast-center"),
            ("segcast-edge", "segcast"),
            ("segcast-center", "segcast-sysio"),
            ("segcast", "segcast-tests"),
            ("segcast", "segcast-lab"),
            ("segcast-edge", "libc"),
            ("segcast-client", "tokio"),
        ] {
            let found = direction_violation(package, on).expect(package);
            assert!(found.contains(&format!("{package} must not depend on {on}")), "{found}");
        }
        for (package, on) in [
            ("segcast-edge", "segcast-store"),
            ("segcast", "segcast-load"),
            ("segcast-sysio", "libc"),
            ("segcast-proto", "store"),
        ] {
            assert_eq!(direction_violation(package, on), None);
        }
    }

    #[test]
    fn packages_that_come_and_go_are_caught() {
        let rows = MAY_DEPEND_ON.map(|(row, ..)| format!("segcast-{row}"));
        let names = || rows.iter().map(String::as_str);
        assert_eq!(table_violations(names()), Vec::<String>::new());
        let found = table_violations(names().skip(1).chain(["segcast-new"]));
        assert!(found[0].contains("new: ") && found[1].contains("proto: "), "{found:?}");
    }

    #[test]
    fn versions_in_members_and_missing_lints_are_caught() {
        let good = "[lints]\nworkspace = true\n[dependencies]\na.workspace = true # why\n\
                    b = { workspace = true, features = [\"x\"] }\n[features]\nlab = []\n";
        assert_eq!(manifest_violations(good), Vec::<String>::new());
        for bad in [
            "c = \"1\"",
            "c = { version = \"1\", features = [\"x\"] }",
            "c = { path = \"../c\" }",
            "[target.x.dev-dependencies]\nc = \"1\"",
            "[dependencies.c]\nversion = \"1\"",
        ] {
            let manifest = good.replace("[features]", &format!("{bad}\n[features]"));
            let found = manifest_violations(&manifest);
            assert!(found.len() == 1 && found[0].contains("`c`"), "{bad}: {found:?}");
        }
        assert_eq!(manifest_violations("[dependencies]\n").len(), 1);
    }

    #[test]
    fn features_for_tests_are_found_in_the_tree() {
        let tree = "segcast v0.1.0 (/cli) []\nsegcast-store v0.1.0 (/store) [fault-layer]\n\
            segcast-store v0.1.0 (/store) [default,fault-layer] (*)\nsegcast-proto v0.1.0 (/proto) [grant]\n\
            other v1.0.0 [fault-layer]\nsegcast-lab v0.1.0 (/bench/lab) []\n";
        let found = features_for_tests(tree);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[..2].iter().all(|line| line.starts_with("segcast-store")), "{found:?}");
        assert!(found[2].starts_with("segcast-lab"), "{found:?}");
    }
}
