//! A disk that runs full under a fetch: a clear error, and once there is room the fetch goes on.
//!
//! The small disk is a tmpfs in a mount namespace of the test's own.

mod common;

use common::{SEGMENT, World};
use std::process::{Command, Output};

/// Runs a shell script in a mount namespace of its own; none where this machine allows no such thing.
fn in_own_mounts(script: &str, arguments: &[&std::ffi::OsStr]) -> Option<Output> {
    let unshare = |inner: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount"]).args(inner);
        command
    };
    let possible = unshare(&["mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !possible.is_ok_and(|output| output.status.success()) {
        return None;
    }
    let output = unshare(&["sh", "-euc", script, "sh"]).args(arguments).output();
    Some(output.expect("unshare starts"))
}

#[test]
fn a_full_disk_is_told_and_the_fetch_goes_on_once_there_is_room() {
    let world = World::new();
    let title = world.pack(60 * SEGMENT);
    let grant = world.grant(&title, &[]);
    let edge = world.edge("127.0.0.1:0", "auto");
    let script = r#"
        program=$1 address=$2 key=$3 grant=$4 result=$5
        mount -t tmpfs -o size=2m none /mnt
        get() { "$program" get "$address" --edge-key "$key" --grant "$grant" --out /mnt/out "$@"; }
        set +e
        get; echo "first $?"
        set -e
        mount -o remount,size=16m /mnt
        get --json
        cp /mnt/out "$result"
    "#;
    let result = world.path("result");
    let arguments = [
        env!("CARGO_BIN_EXE_segcast").as_ref(),
        edge.address.as_ref(),
        edge.key.as_ref(),
        grant.as_os_str(),
        result.as_os_str(),
    ];
    let Some(output) = in_own_mounts(script, &arguments) else {
        eprintln!("skipped: this machine allows no mount namespaces");
        return;
    };
    let (said, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{errors}");
    assert!(said.contains("first 3"), "{said}\n{errors}");
    assert!(errors.contains("the disk is full") && errors.contains("make room"), "{errors}");
    let report = common::json(said.lines().last().expect("a report"));
    assert!(report["resumed_segments"].as_u64() > Some(0), "{report}");
    assert!(world.read("result") == title.bytes);
}
