//! The programs under test: the binary, and the examples.
//!
//! They are built once, as `cargo test --workspace` builds them: with the features that all packages together ask for. A
//! build of the binary's package alone has others, and would compile half of the workspace a second time.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What is built. An example among them lets cargo take the features that tests ask for.
const PROGRAMS: [&str; 8] =
    ["--bin", "segcast", "--example", "pack", "--example", "serve", "--example", "fetch"];

/// The `segcast` binary of this build's profile, built first if it is not up to date; or the one
/// that `SEGCAST_BINARY` names, as it is.
///
/// # Panics
/// When cargo cannot build it.
#[must_use]
pub fn segcast_binary() -> PathBuf {
    // Cargo names it to tests of the binary's own package.
    let given = ["SEGCAST_BINARY", "CARGO_BIN_EXE_segcast"].into_iter().find_map(env::var_os);
    given.map_or_else(|| built().join("segcast"), PathBuf::from)
}

/// An example of this workspace, built first if it is not up to date.
///
/// # Panics
/// When cargo cannot build it.
#[must_use]
pub fn example(name: &str) -> PathBuf {
    built().join("examples").join(name)
}

/// The program under test, without what the environment of the test may say.
#[must_use]
pub fn segcast() -> Command {
    let mut command = Command::new(segcast_binary());
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("SEGCAST_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Where the programs lie: `target/<profile>` of this test, which itself lies in `deps` there.
fn built() -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(build).clone()
}

fn build() -> PathBuf {
    let test = env::current_exe().expect("this program has a path");
    let folder = test.ancestors().nth(2).expect("built by cargo");
    let mut build = Command::new(env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    build.args(["build", "--quiet", "--workspace"]).args(PROGRAMS);
    build.arg("--target-dir").arg(folder.parent().expect("a profile lies in a target folder"));
    if folder.file_name().is_some_and(|profile| profile == "release") {
        build.arg("--release");
    }
    let status = build.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo runs");
    assert!(status.success(), "cargo build of the programs under test: {status}");
    folder.to_owned()
}
