//! The edge under a systemd that the test boots: a stop drains as long as it takes and ends well, and a reload of a mistake fails.

use std::fs;
use std::process::Stdio;

use segcast_kit::needs;
use segcast_kit::process::systemd::{Booted, need};
use segcast_kit::process::{SEGMENT, World, segcast_binary, wait_until};

/// The unit's own lines of how it starts, reloads and stops, with a stop that is far too short for a drain.
fn unit(world: &World) -> String {
    let (segcast, folder) = (segcast_binary(), world.folder());
    let (segcast, folder) = (segcast.display(), folder.display());
    let edge = format!("{segcast} edge --config {folder}/edge.toml");
    format!(
        "[Unit]\nDefaultDependencies=no\n[Service]\nType=notify\nNotifyAccess=main\nExecStart={edge}\nExecReload={edge} --check-reload\n\
         ExecReload=/bin/kill -HUP $MAINPID\nTimeoutStopSec=1\nStandardError=append:{folder}/log\n"
    )
}

fn configuration(world: &World, more: &str) {
    let folder = world.folder().display();
    let text = format!(
        "listen = [\"127.0.0.1:48701\"]\nadmin = \"off\"\nshards = 2\npin = false\nlog_level = \"warn\"\n\
         store = \"{folder}/store\"\nkey_file = \"{folder}/keys/edge.key\"\n\
         center_keys = [\"{folder}/keys/center.pub\"]\negress_max = \"1 Mbit/s\"\n\
         egress_queue = \"60s\"\ndrain_timeout = \"60s\"\n{more}"
    );
    fs::write(world.path("edge.toml"), text).expect("a configuration");
}

#[test]
fn a_stop_drains_and_ends_well_and_a_reload_of_a_mistake_fails() {
    if needs::missing("a_stop_drains_and_ends_well_and_a_reload_of_a_mistake_fails", &[need]) {
        return;
    }
    let world = World::new();
    let title = world.pack(9 * SEGMENT);
    let grant = world.grant(&title, &[]);
    // The first run makes the edge's key, which clients are told.
    let key = world.edge("127.0.0.1:0", "auto").key.clone();
    configuration(&world, "");
    let units = world.path("units");
    fs::create_dir(&units).expect("a folder");
    fs::write(units.join("edge.service"), unit(&world)).expect("a unit");
    let systemd = Booted::new(&units);
    let shown = |what: &str| {
        let shown = systemd.systemctl(&["show", "--value", "--property", what, "edge"]);
        String::from_utf8_lossy(&shown.stdout).trim().to_owned()
    };
    let succeed = |what: &str| {
        let output = systemd.systemctl(&[what, "edge"]);
        let log = fs::read_to_string(world.path("log")).unwrap_or_default();
        assert!(output.status.success(), "{what}: {output:?}\n{log}");
    };
    succeed("start");

    succeed("reload");
    configuration(&world, "sets = [\"none\"]\n");
    assert!(!systemd.systemctl(&["reload", "edge"]).status.success(), "it says that it failed");
    assert_eq!(shown("ActiveState"), "active");
    configuration(&world, "");

    let mut get = segcast_kit::process::segcast();
    get.args(["get", "127.0.0.1:48701", "--edge-key", &key, "--window", "512 KiB", "--grant"]);
    get.arg(&grant).arg("--out").arg(world.path("out"));
    let client = get.stderr(Stdio::piped()).spawn().expect("a client");
    wait_until("the first segment", || world.has_progress("out"));
    // What it has asked for takes some 4 s at 1 Mbit/s.
    succeed("stop");
    let (result, status) = (shown("Result"), shown("ExecMainStatus"));
    assert_eq!((result.as_str(), status.as_str()), ("success", "0"));

    succeed("start");
    let output = client.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    assert!(world.read("out") == title.bytes);
}
