//! Cargo manifests: which crate may depend on which and why, where versions stand, lints taken over.

use serde_json::Value as Json;
use toml::{Table, Value};

/// A package, what of ours it may depend on (its tests may use more), and why so.
type Row = (&'static str, &'static [&'static str], &'static str);

/// The floors, from the ground up. To change a row is to change the design: say why in docs/decisions.
const MAY_DEPEND_ON: [Row; 14] = [
    ("segcast-proto", &[], "sans-IO: the simulator drives it, other programs embed it"),
    ("segcast-sysio", &[], "holds all `unsafe` and knows no protocol: it can be proven by itself"),
    ("segcast-config", &[], "what any program of ours is configured by, whatever it does"),
    ("segcast-keys", &["segcast-proto"], "key texts are proto's; files are read in one place"),
    ("segcast-store", &["segcast-proto", "segcast-sysio"], "maps files, knows ids and geometry"),
    (
        "segcast-edge",
        &["segcast-proto", "segcast-sysio", "segcast-config", "segcast-keys", "segcast-store"],
        "never the center: an edge goes on while the center is down",
    ),
    (
        "segcast-center",
        &["segcast-proto", "segcast-config", "segcast-keys", "segcast-store"],
        "no sockets of the data path: it is never on it",
    ),
    (
        "segcast-client",
        &["segcast-proto", "segcast-sysio", "segcast-config", "segcast-keys", "segcast-store"],
        "never the edge: it speaks the protocol and nothing else",
    ),
    (
        "segcast-load",
        &["segcast-proto", "segcast-sysio", "segcast-config", "segcast-keys", "segcast-client"],
        "apart from the client, since viewers need no plots and terminal views",
    ),
    ("segcast", PRODUCT, "the one binary: arguments only"),
    ("segcast-lab", &[], "TAP, namespaces, BPF: `unsafe` that never ships"),
    ("segcast-bench", INSTRUMENTS, "measures the product and its parts"),
    ("segcast-kit", INSTRUMENTS, "rigs of all tests"),
    ("segcast-tests", ALL, "tests of several parts together"),
];

const ALL: &[&str] = &[
    "segcast-proto",
    "segcast-sysio",
    "segcast-config",
    "segcast-keys",
    "segcast-store",
    "segcast-edge",
    "segcast-center",
    "segcast-client",
    "segcast-load",
    "segcast-lab",
    "segcast-kit",
];
/// All but the rigs of tests.
const INSTRUMENTS: &[&str] = ALL.split_last().expect("rows").1;
/// What may be in the shipped binary.
const PRODUCT: &[&str] = INSTRUMENTS.split_last().expect("rows").1;

/// Packages that may have `unsafe` code, and their folders.
pub(crate) const MAY_BE_UNSAFE: [(&str, &str); 2] =
    [("segcast-sysio", "crates/sysio"), ("segcast-lab", "bench/lab")];

/// A package from outside, the only ones of ours that may use it, and why so.
const ONLY_IN: [Row; 4] = [
    ("io-uring", &["segcast-sysio"], "needs `unsafe`"),
    ("libc", &["segcast-sysio", "segcast-lab"], "needs `unsafe`"),
    ("memmap2", &["segcast-sysio", "segcast-lab"], "needs `unsafe`"),
    (
        "tokio",
        &["segcast-center", "segcast-edge", "segcast-bench", "segcast-sysio"],
        "HTTP beside the data path; in bench and sysio, behind features, for what ours is compared with",
    ),
];

/// One dependency of one package, as `cargo metadata` tells it.
pub(crate) struct Dependency<'a> {
    pub(crate) name: &'a str,
    pub(crate) is_dev: bool,
    pub(crate) features: Vec<String>,
    pub(crate) uses_default_features: bool,
}

/// The dependencies of a package in the output of `cargo metadata`.
pub(crate) fn dependencies(package: &Json) -> Vec<Dependency<'_>> {
    let list = package["dependencies"].as_array().expect("a package lists its dependencies");
    let read = |entry: &'_ Json| {
        let features = entry["features"].as_array().expect("features are a list");
        features.iter().map(|f| f.as_str().expect("a feature is a string").to_owned()).collect()
    };
    list.iter()
        .map(|entry| Dependency {
            name: entry["name"].as_str().expect("a dependency has a name"),
            is_dev: entry["kind"] == "dev",
            features: read(entry),
            uses_default_features: entry["uses_default_features"] == true,
        })
        .collect()
}

/// What the direction of dependencies breaks, for all packages of `cargo metadata`.
pub(crate) fn direction_violations(packages: &[Json]) -> Vec<String> {
    let mut found = Vec::new();
    for package in packages {
        let name = package["name"].as_str().expect("a package has a name");
        let Some((_, allowed, why)) = MAY_DEPEND_ON.iter().find(|(row, ..)| *row == name) else {
            found.push(format!("{name}: not in the dependency table (tests/tests/tidy)"));
            continue;
        };
        for dependency in dependencies(package).iter().filter(|dependency| !dependency.is_dev) {
            let is_ours = MAY_DEPEND_ON.iter().any(|(row, ..)| *row == dependency.name);
            if is_ours && !allowed.contains(&dependency.name) {
                found.push(format!("{name} must not depend on {}: {why}", dependency.name));
            }
            let only = ONLY_IN.iter().find(|(outside, ..)| *outside == dependency.name);
            if let Some((outside, _, why)) = only.filter(|(_, users, _)| !users.contains(&name)) {
                found.push(format!("{name} must not depend on {outside} directly: {why}"));
            }
        }
    }
    for (row, ..) in MAY_DEPEND_ON {
        if !packages.iter().any(|package| package["name"] == row) {
            found.push(format!("{row}: in the dependency table, not in the workspace"));
        }
    }
    found
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
            found.push(format!(
                "1: `{name}`: versions stand in the root's [workspace.dependencies]"
            ));
        }
    }
    if !manifest.get("lints").is_some_and(is_inherited) {
        found.push("1: must say `[lints]` `workspace = true`".into());
    }
    found
}

/// Crate roots (library and binaries) that do not forbid `unsafe`, but for those of the two crates that hold it.
pub(crate) fn unforbidden_roots(packages: &[Json]) -> Vec<String> {
    let forbids = |package: &&Json| MAY_BE_UNSAFE.iter().all(|(name, _)| package["name"] != *name);
    let mut found = Vec::new();
    for root in packages.iter().filter(forbids).flat_map(crate::roots) {
        let parsed = syn::parse_file(&crate::read(&root)).expect("it parses");
        if !parsed.attrs.iter().any(forbids_unsafe) {
            let root = root.display();
            found.push(format!("{root}: a crate root must say `#![forbid(unsafe_code)]`"));
        }
    }
    found
}

fn forbids_unsafe(attribute: &syn::Attribute) -> bool {
    attribute
        .meta
        .require_list()
        .is_ok_and(|list| list.path.is_ident("forbid") && list.tokens.to_string() == "unsafe_code")
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
    use serde_json::json;

    use super::*;

    fn workspace(extra_for: &str, extra: &str, kind: Option<&str>) -> Vec<Json> {
        let dependency = |name: &str, kind: Option<&str>| json!({"name": name, "kind": kind, "features": [], "uses_default_features": true});
        let package = |&(name, allowed, _): &Row| {
            let mut list: Vec<Json> = allowed.iter().map(|a| dependency(a, None)).collect();
            if name == extra_for {
                list.push(dependency(extra, kind));
            }
            json!({"name": name, "dependencies": list})
        };
        MAY_DEPEND_ON.iter().map(package).collect()
    }

    #[test]
    fn the_table_itself_has_no_violation() {
        assert_eq!(direction_violations(&workspace("", "", None)), Vec::<String>::new());
    }

    #[test]
    fn wrong_directions_are_caught() {
        for (name, extra) in [
            ("segcast-proto", "segcast-sysio"),
            ("segcast-sysio", "segcast-proto"),
            ("segcast-edge", "segcast-center"),
            ("segcast-center", "segcast-sysio"),
            ("segcast", "segcast-tests"),
            ("segcast", "segcast-lab"),
            ("segcast-edge", "segcast-lab"),
            ("segcast-config", "segcast-proto"),
            ("segcast-edge", "libc"),
            ("segcast-client", "tokio"),
        ] {
            for kind in [None, Some("build")] {
                let found = direction_violations(&workspace(name, extra, kind));
                let expected =
                    found.len() == 1 && found[0].contains(name) && found[0].contains(extra);
                assert!(expected, "{name} on {extra}: {found:?}");
            }
            let found = direction_violations(&workspace(name, extra, Some("dev")));
            assert_eq!(found, Vec::<String>::new());
        }
    }

    #[test]
    fn packages_that_come_and_go_are_caught() {
        let mut packages = workspace("", "", None);
        packages.push(json!({"name": "segcast-new", "dependencies": []}));
        assert!(direction_violations(&packages)[0].contains("segcast-new: not in"));
        packages.remove(0);
        assert!(direction_violations(&packages)[1].contains("segcast-proto: in the dependency"));
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
