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

use std::path::Path;
use std::process::Command;

use cargo_metadata::{Dependency, DependencyKind, MetadataCommand, Package};
use segcast_kit::documents::root;
use walkdir::{DirEntry, WalkDir};

use crate::modules::Crate;

/// Folders of the packages that may have `unsafe` code.
const MAY_BE_UNSAFE: [&str; 2] = ["crates/sysio", "bench/lab"];

/// What lies in `folder` this many levels down, build output and hidden folders left out.
fn walk(folder: &Path, levels: usize) -> impl Iterator<Item = DirEntry> {
    let is_ours = |entry: &DirEntry| {
        let name = entry.file_name().to_string_lossy();
        let is_hidden = name.starts_with('.') || name == "target" || name.starts_with("target-");
        entry.depth() == 0 || !is_hidden
    };
    let entries = WalkDir::new(folder).max_depth(levels).sort_by_file_name().into_iter();
    entries.filter_entry(is_ours).map(|entry| entry.expect("the folder can be read"))
}

/// The packages of the workspace as `cargo metadata` tells them.
fn packages() -> Vec<Package> {
    let mut command = MetadataCommand::new();
    command.current_dir(root()).no_deps().other_options(["--offline".to_owned()]);
    command.exec().expect("cargo tells of the workspace").packages
}

/// Roots of the libraries and binaries of packages.
fn roots(packages: &[Package]) -> impl Iterator<Item = &Path> {
    let targets = packages.iter().flat_map(|package| &package.targets);
    targets.filter(|target| target.is_lib() || target.is_bin()).map(|t| t.src_path.as_std_path())
}

/// What a package depends on, its tests aside.
fn dependencies(package: &Package) -> impl Iterator<Item = &Dependency> {
    package.dependencies.iter().filter(|it| it.kind != DependencyKind::Development)
}

fn may_be_unsafe(path: &Path) -> bool {
    MAY_BE_UNSAFE.iter().any(|folder| path.starts_with(root().join(folder)))
}

/// The text of a file of the repository.
pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn in_file(path: &Path, found: impl IntoIterator<Item = String>) -> impl Iterator<Item = String> {
    let name = path.strip_prefix(root()).unwrap_or(path).display().to_string();
    found.into_iter().map(move |entry| format!("{name}:{entry}"))
}

fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}

#[test]
fn source_files_follow_the_rules() {
    let files = walk(root(), usize::MAX).map(DirEntry::into_path);
    let sources: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|e| e == "rs")).collect();
    assert!(sources.len() > 20, "the walk found only {} files", sources.len());
    let mut found = Vec::new();
    for path in sources {
        found.extend(in_file(&path, sources::violations(&read(&path), may_be_unsafe(&path))));
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
    let proto = packages.iter().find(|package| package.name == "segcast-proto");
    let mut found = Vec::new();
    for dependency in dependencies(proto.expect("proto is a member")) {
        let default = dependency.uses_default_features.then_some("default");
        let features = dependency.features.iter().map(String::as_str).chain(default);
        found.extend(purity::dependency_violation(&dependency.name, features));
    }
    assert_none(&found);
}

#[test]
fn dependencies_have_their_directions() {
    let packages = packages();
    let mut found = manifests::table_violations(packages.iter().map(|p| p.name.as_str()));
    for package in &packages {
        let names = dependencies(package).map(|dependency| &dependency.name);
        found.extend(names.filter_map(|on| manifests::direction_violation(&package.name, on)));
    }
    assert_none(&found);
}

#[test]
fn crate_roots_forbid_unsafe() {
    let packages = packages();
    let mut found = Vec::new();
    for root in roots(&packages).filter(|root| !may_be_unsafe(root)) {
        found.extend(in_file(root, sources::root_violation(&read(root))));
    }
    assert_none(&found);
}

#[test]
fn manifests_take_versions_and_lints_from_the_workspace() {
    let mut found = Vec::new();
    for package in packages() {
        let path = package.manifest_path.as_std_path();
        found.extend(in_file(path, manifests::manifest_violations(&read(path))));
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
    let packages = packages();
    let crates = roots(&packages).map(Crate::read);
    assert_none(&crates.flat_map(|whole| circles::violations(&whole)).collect::<Vec<_>>());
}

#[test]
fn contributing_shows_the_tree_as_it_is() {
    let tree = layout::tree(root(), 2, "");
    let document = read(&root().join("CONTRIBUTING.md"));
    assert!(document.contains(&format!("$ tree -d -L 2\n.\n{tree}```\n")), "it is now:\n{tree}");
}
