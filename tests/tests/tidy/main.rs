//! The house rules as ordinary tests: source files, circles, purity of `proto`, dependencies, documents.
//!
//! Each rule is a function from text to a list of violations, tested on bad examples beside it;
//! here they meet the repository. Every test lists all violations at once.
#![forbid(unsafe_code)]

mod circles;
mod documents;
mod layout;
mod manifests;
mod modules;
mod purity;
mod sources;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use walkdir::{DirEntry, WalkDir};

use crate::manifests::MAY_BE_UNSAFE;
use crate::modules::Crate;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace")
}

/// Files below `folder` that end in `.extension`, build output and hidden folders left out.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let is_ours = |entry: &DirEntry| {
        let name = entry.file_name().to_string_lossy();
        entry.depth() == 0 || !(name.starts_with('.') || name.starts_with("target"))
    };
    WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(is_ours)
        .map(|entry| entry.expect("the folder can be read").into_path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect()
}

/// The packages of the workspace as `cargo metadata` tells them.
fn packages() -> Vec<Value> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    metadata["packages"].as_array().expect("metadata lists packages").clone()
}

/// The text of a file of the repository.
pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn in_file(path: &Path, found: Vec<String>) -> impl Iterator<Item = String> {
    let name = path.strip_prefix(root()).unwrap_or(path).display().to_string();
    found.into_iter().map(move |entry| format!("{name}:{entry}"))
}

/// Roots of a package's libraries and binaries.
fn roots(package: &Value) -> Vec<PathBuf> {
    let targets = package["targets"].as_array().expect("a package lists its targets");
    let is_shipped = |target: &&Value| {
        let kinds = target["kind"].as_array().expect("a target has kinds");
        kinds.iter().any(|kind| kind == "lib" || kind == "bin")
    };
    let root = |target: &Value| target["src_path"].as_str().expect("a target has a source").into();
    targets.iter().filter(is_shipped).map(root).collect()
}

fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}

#[test]
fn source_files_follow_the_rules() {
    let sources = files(root(), "rs");
    assert!(sources.len() > 20, "the walk found only {} files", sources.len());
    let mut found = Vec::new();
    for path in sources {
        let may_be_unsafe =
            MAY_BE_UNSAFE.iter().any(|(_, folder)| path.starts_with(root().join(folder)));
        found.extend(in_file(&path, sources::violations(&read(&path), may_be_unsafe)));
    }
    assert_none(&found);
}

#[test]
fn proto_is_pure() {
    let whole = Crate::read(&root().join("crates/proto/src/lib.rs"));
    assert!(whole.0.len() > 50, "only {} modules", whole.0.len());
    assert_none(&purity::violations(&whole));
}

#[test]
fn proto_has_pure_dependencies() {
    let packages = packages();
    let proto = packages.iter().find(|package| package["name"] == "segcast-proto");
    let mut found = Vec::new();
    for dependency in manifests::dependencies(proto.expect("proto is a member")) {
        if dependency.is_dev {
            continue;
        }
        let mut features = dependency.features;
        if dependency.uses_default_features {
            features.push("default".into());
        }
        found.extend(purity::dependency_violation(dependency.name, &features));
    }
    assert_none(&found);
}

#[test]
fn dependencies_have_their_directions() {
    assert_none(&manifests::direction_violations(&packages()));
}

#[test]
fn crate_roots_forbid_unsafe() {
    assert_none(&manifests::unforbidden_roots(&packages()));
}

#[test]
fn manifests_take_versions_and_lints_from_the_workspace() {
    let mut found = Vec::new();
    for package in packages() {
        let path = PathBuf::from(package["manifest_path"].as_str().expect("a manifest has a path"));
        found.extend(in_file(&path, manifests::manifest_violations(&read(&path))));
    }
    assert_none(&found);
}

/// Tests of `cli` ask for the store's fault layer; what is built or installed must not have it.
#[test]
fn the_shipped_binary_has_no_feature_that_is_for_tests() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--package", "segcast", "--edges", "normal,build", "--offline"])
        .args(["--prefix", "none", "--format", "{p} [{f}]"])
        .current_dir(root())
        .output()
        .expect("cargo can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8_lossy(&output.stdout);
    assert!(tree.contains("segcast-store v"), "the store is missing: {tree}");
    assert_none(&manifests::features_for_tests(&tree));
}

#[test]
fn neither_files_nor_rooms_of_a_crate_run_in_circles() {
    let mut found = Vec::new();
    for root in packages().iter().flat_map(roots) {
        let whole = Crate::read(&root);
        found.extend(circles::of_files(&whole));
        found.extend(circles::of_rooms(&whole));
    }
    assert_none(&found);
}

#[test]
fn contributing_shows_the_tree_as_it_is() {
    let tree = layout::tree(root());
    let document = read(&root().join("CONTRIBUTING.md"));
    assert!(document.contains(&format!("$ tree -d -L 2\n.\n{tree}```\n")), "it is now:\n{tree}");
}
