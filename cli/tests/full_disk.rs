//! A disk that runs full under a fetch or a pack: a clear error, and what was there before stays.
//!
//! The small disk is a tmpfs in a mount namespace of the test's own.

use std::ffi::OsStr;
use std::process::{Command, Output};

use segcast_kit::needs;
use segcast_kit::process::{SEGMENT, World, json, succeed};

/// Runs a shell script in a mount namespace of its own.
fn in_own_mounts(script: &str, arguments: &[&OsStr]) -> Output {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-euc", script, "sh"]);
    command.args(arguments).output().expect("unshare starts")
}

#[test]
fn a_full_disk_is_told_and_the_fetch_goes_on_once_there_is_room() {
    if needs::missing(
        "a_full_disk_is_told_and_the_fetch_goes_on_once_there_is_room",
        &[needs::mounts],
    ) {
        return;
    }
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
        mount -t tmpfs -o remount,size=16m none /mnt
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
    let output = in_own_mounts(script, &arguments);
    let (said, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{errors}");
    assert!(said.contains("first 3"), "{said}\n{errors}");
    assert!(errors.contains("the disk is full") && errors.contains("make room"), "{errors}");
    let report = json(said.lines().last().expect("a report"));
    assert!(report["resumed_segments"].as_u64() > Some(0), "{report}");
    assert!(world.read("result") == title.bytes);
}

#[test]
fn a_full_disk_ends_pack_and_earlier_sets_are_served() {
    if needs::missing("a_full_disk_ends_pack_and_earlier_sets_are_served", &[needs::mounts]) {
        return;
    }
    let world = World::new();
    let title = world.pack(2 * SEGMENT);
    std::fs::write(world.path("large"), vec![7; 60 * SEGMENT]).expect("a title");
    // The sparse copy takes what is used: some 150 KiB of segments.
    let script = r#"
        program=$1 store=$2 keys=$3 large=$4 copy=$5
        mount -t tmpfs -o size=2m none /mnt
        cp -a "$store" /mnt/store
        set +e
        "$program" pack "$large" --segment-size 73728B --out /mnt/store --keys "$keys"; echo "pack $?"
        set -e
        cp -a /mnt/store "$copy"
    "#;
    let paths = ["store", "keys", "large", "copy"].map(|name| world.path(name));
    let mut arguments: Vec<&OsStr> = vec![env!("CARGO_BIN_EXE_segcast").as_ref()];
    arguments.extend(paths.iter().map(|path| path.as_os_str()));
    let output = in_own_mounts(script, &arguments);
    let (said, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("pack 3"), "{said}\n{errors}");
    assert!(errors.contains("the disk is full") && errors.contains(".seg"), "{errors}");
    let edge = world.edge_on("copy", "127.0.0.1:0", "auto").expect("the edge ended");
    succeed(&mut world.get(&[&edge], &world.grant(&title, &[]), "out"));
    assert!(world.read("out") == title.bytes);
}
