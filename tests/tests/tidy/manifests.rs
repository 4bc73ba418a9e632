//! Cargo manifests: which crate may depend on which, where versions stand, lints taken over.
//!
//! docs/internals/map.md says why; to change a row is to change the design, so say why there.

use std::path::Path;

use serde_json::Value;

/// Package, and the workspace packages that it may depend on (tests of it may use more).
const MAY_DEPEND_ON: [(&str, &[&str]); 14] = [
    ("segcast-proto", &[]),
    ("segcast-sysio", &[]),
    ("segcast-config", &[]),
    ("segcast-keys", &["segcast-proto"]),
    ("segcast-store", &["segcast-proto", "segcast-sysio"]),
    (
        "segcast-edge",
        &["segcast-config", "segcast-keys", "segcast-proto", "segcast-sysio", "segcast-store"],
    ),
    ("segcast-center", &["segcast-keys", "segcast-proto", "segcast-store"]),
    ("segcast-client", &["segcast-keys", "segcast-proto", "segcast-sysio", "segcast-store"]),
    // The design has it inside the client; viewers need no reports, plots and terminal views.
    (
        "segcast-load",
        &["segcast-config", "segcast-keys", "segcast-proto", "segcast-sysio", "segcast-client"],
    ),
    ("segcast", ALL.split_at(LIBRARIES).0),
    ("segcast-bench", &ALL),
    ("segcast-lab", &[]),
    ("segcast-kit", &ALL),
    ("segcast-tests", &ALL),
];

/// How many of [`ALL`] are libraries that ship.
const LIBRARIES: usize = 9;

/// All that others may depend on: the libraries, then the binary, then what never ships.
const ALL: [&str; 11] = [
    "segcast-config",
    "segcast-keys",
    "segcast-proto",
    "segcast-sysio",
    "segcast-store",
    "segcast-edge",
    "segcast-center",
    "segcast-client",
    "segcast-load",
    "segcast",
    "segcast-lab",
];

/// Packages that may have `unsafe` code, and their folders: the one that reaches the operating system, and what
/// tests and benches need of it, which never ships.
pub(crate) const MAY_BE_UNSAFE: [(&str, &str); 2] =
    [("segcast-sysio", "crates/sysio"), ("segcast-lab", "bench/lab")];

/// Packages from outside that only some of ours may use.
const ONLY_IN: [(&str, &[&str]); 4] = [
    ("io-uring", &["segcast-sysio"]),
    ("libc", &["segcast-lab", "segcast-sysio"]),
    ("memmap2", &["segcast-lab", "segcast-sysio"]),
    // In bench for the QUIC servers that ours is compared with, in sysio under a driver to compare with: behind features.
    ("tokio", &["segcast-center", "segcast-edge", "segcast-bench", "segcast-sysio"]),
];

/// One dependency of one package, as `cargo metadata` tells it.
pub(crate) struct Dependency<'a> {
    pub(crate) name: &'a str,
    pub(crate) is_dev: bool,
    pub(crate) features: Vec<String>,
    pub(crate) uses_default_features: bool,
}

/// The dependencies of a package in the output of `cargo metadata`.
pub(crate) fn dependencies(package: &Value) -> Vec<Dependency<'_>> {
    let list = package["dependencies"].as_array().expect("a package lists its dependencies");
    let read = |entry: &'_ Value| {
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
pub(crate) fn direction_violations(packages: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    for package in packages {
        let name = package["name"].as_str().expect("a package has a name");
        let Some((_, allowed)) = MAY_DEPEND_ON.iter().find(|(row, _)| *row == name) else {
            found.push(format!("{name}: not in the table of dependencies"));
            continue;
        };
        for dependency in dependencies(package).iter().filter(|dependency| !dependency.is_dev) {
            let is_ours = MAY_DEPEND_ON.iter().any(|(row, _)| *row == dependency.name);
            if is_ours && !allowed.contains(&dependency.name) {
                found.push(format!("{name} must not depend on {}", dependency.name));
            }
            let only = ONLY_IN.iter().find(|(outside, _)| *outside == dependency.name);
            if only.is_some_and(|(_, users)| !users.contains(&name)) {
                found.push(format!("{name} must not depend on {} directly", dependency.name));
            }
        }
    }
    for (row, _) in MAY_DEPEND_ON {
        if !packages.iter().any(|package| package["name"] == row) {
            found.push(format!("{row}: in the dependency table, not in the workspace"));
        }
    }
    found
}

/// What a member's `Cargo.toml` breaks: versions stand in the workspace, lints come from there.
pub(crate) fn manifest_violations(manifest: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut section = "";
    let mut takes_lints = false;
    for (number, line) in manifest.lines().enumerate() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']');
            if section.contains("dependencies.") {
                found.push(format!("{}: write a dependency on one line", number + 1));
            }
            continue;
        }
        takes_lints |= section == "lints" && line == "workspace = true";
        let in_dependencies = section.ends_with("dependencies");
        if in_dependencies
            && !line.contains(".workspace = true")
            && !line.contains("workspace = true,")
        {
            let why = "versions stand in the root's [workspace.dependencies]: `x.workspace = true`";
            found.push(format!("{}: `{line}`: {why}", number + 1));
        }
    }
    if !takes_lints {
        found.push("1: must say `[lints]` `workspace = true`".into());
    }
    found
}

/// Crate roots (library and binaries) of packages that may not be unsafe and do not forbid it.
pub(crate) fn unforbidden_roots(packages: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    let forbidden =
        |package: &&Value| MAY_BE_UNSAFE.iter().all(|(name, _)| package["name"] != *name);
    for package in packages.iter().filter(forbidden) {
        for target in package["targets"].as_array().expect("a package lists its targets") {
            let path = target["src_path"].as_str().expect("a target has a source");
            let kinds = target["kind"].as_array().expect("a target has kinds");
            let is_root = kinds.iter().any(|kind| kind == "lib" || kind == "bin");
            if is_root && !forbids_unsafe(&read(Path::new(path))) {
                found.push(format!("{path}: a crate root must say `#![forbid(unsafe_code)]`"));
            }
        }
    }
    found
}

fn forbids_unsafe(source: &str) -> bool {
    crate::lexer::code_only(source).contains("#![forbid(unsafe_code)]")
}

/// The text of a file of the repository.
pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
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

    fn workspace(extra_for: &str, extra: &str, kind: Option<&str>) -> Vec<Value> {
        let dependency = |name: &str, kind: Option<&str>| json!({"name": name, "kind": kind, "features": [], "uses_default_features": true});
        let package = |&(name, allowed): &(&str, &[&str])| {
            let mut list: Vec<Value> = allowed.iter().map(|a| dependency(a, None)).collect();
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
        for (bad, part) in [
            ("a = \"1\"", "6: `a"),
            ("a = { version = \"1\", features = [\"x\"] }", "6: `a"),
            ("a = { path = \"../a\" }", "6: `a"),
            ("[target.x.dev-dependencies]\na = \"1\"", "7: `a"),
            ("[dependencies.a]\nversion = \"1\"", "6: write"),
        ] {
            let manifest = good.replace("[features]", &format!("{bad}\n[features]"));
            let found = manifest_violations(&manifest);
            assert!(found.len() == 1 && found[0].starts_with(part), "{bad}: {found:?}");
        }
        assert_eq!(manifest_violations("[dependencies]\n").len(), 1);
    }

    #[test]
    fn a_forbid_in_a_comment_does_not_count() {
        assert!(forbids_unsafe("//! What.\n#![forbid(unsafe_code)]\n"));
        assert!(!forbids_unsafe("//! What.\n// #![forbid(unsafe_code)]\n"));
        assert!(!forbids_unsafe("//! What.\n#![deny(unsafe_code)]\n"));
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
