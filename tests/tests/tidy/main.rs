//! The house rules as ordinary tests: source files, purity of `proto`, dependencies, documents.
//!
//! Each rule is a function from text to a list of violations, tested on bad examples beside it;
//! here they meet the repository. Every test lists all violations at once.
#![forbid(unsafe_code)]

mod documents;
mod lexer;
mod manifests;
mod purity;
mod source_rules;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace")
}

/// Files below `folder` that end in `.extension`, build output and hidden folders left out.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries {
        let path = entry.expect("the folder can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !name.starts_with('.') && !name.starts_with("target") {
                found.extend(files(&path, extension));
            }
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
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

fn in_file(path: &Path, found: Vec<String>) -> impl Iterator<Item = String> {
    let name = path.strip_prefix(root()).unwrap_or(path).display().to_string();
    found.into_iter().map(move |entry| format!("{name}:{entry}"))
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
        let may_be_unsafe = manifests::MAY_BE_UNSAFE
            .iter()
            .any(|(_, folder)| path.starts_with(root().join(folder)));
        let broken = source_rules::violations(&manifests::read(&path), may_be_unsafe);
        found.extend(in_file(&path, broken));
    }
    assert_none(&found);
}

#[test]
fn proto_is_pure() {
    let sources = files(&root().join("crates/proto/src"), "rs");
    let mut of_tests = Vec::new();
    for path in &sources {
        of_tests.extend(purity::test_modules(path, &manifests::read(path)));
    }
    let mut found = Vec::new();
    for path in sources.iter().filter(|path| !of_tests.iter().any(|test| path.starts_with(test))) {
        found.extend(in_file(path, purity::violations(&manifests::read(path))));
    }
    assert_none(&found);
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
        found.extend(in_file(&path, manifests::manifest_violations(&manifests::read(&path))));
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
