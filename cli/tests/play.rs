//! `get --play`: titles that are watched, by unicast, and by groups on the loopback, which is its own way to every member.

use std::net::UdpSocket;
use std::process::{Child, Stdio};

use segcast_kit::process::{SEGMENT, World, fail, json, segcast, succeed};

/// Segments of the title that is watched, one a second: those of the first 8 to 16 are asked for before there is a group.
const SEGMENTS: usize = 20;
const VIEWERS: usize = 3;

#[test]
fn a_title_that_is_watched_comes_whole_and_the_report_says_how_it_went() {
    let world = World::new();
    let title = world.pack_with(20 * SEGMENT - 3, &["--duration", "2s"]);
    let grant = world.grant(&title, &[]);
    let edge = world.edge("127.0.0.1:0", "auto");
    let watch = ["--play", "--startup", "1s", "--seed", "7", "--json"];
    let report = json(&succeed(world.get(&[&edge], &grant, "out").args(watch)));
    assert!(world.read("out") == title.bytes);
    let play = &report["play"];
    assert_eq!((&play["deadlines"], &play["seed"]), (&20.into(), &7.into()), "{report}");
    assert!(play["start_up_us"].as_u64() >= Some(1_000_000), "{report}");
    assert!(report["groups"].is_null(), "{report}");
    let said = succeed(world.get(&[&edge], &grant, "again").args(&watch[..5]));
    assert!(said.contains("watched: the picture came after"), "{said}");
}

#[test]
fn what_has_no_running_time_cannot_be_watched_and_an_interface_must_be_there() {
    let world = World::new();
    let title = world.pack(3 * SEGMENT);
    let grant = world.grant(&title, &[]);
    let edge = world.edge("127.0.0.1:0", "auto");
    let said = fail(world.get(&[&edge], &grant, "out").arg("--play"), 2);
    assert!(said.contains("--duration"), "{said}");
    let mut nowhere = world.get(&[&edge], &grant, "out");
    let nowhere = nowhere.args(["--play", "--multicast", "nowhere7"]);
    let output = nowhere.output().expect("get");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("nowhere7"), "{said}");
}

#[test]
fn viewers_of_one_title_are_served_by_a_group() {
    let world = World::new();
    let duration = format!("{SEGMENTS}s");
    let title = world.pack_with(SEGMENTS * SEGMENT, &["--duration", &duration]);
    let port = free_port().to_string();
    let (edge, metrics) =
        world.edge_with_metrics("store", &multicast_on(&port).each_ref().map(String::as_str));
    let watch = ["--play", "--multicast", "lo", "--multicast-port", &port, "--json"];
    let viewers: Vec<Child> = (0..VIEWERS)
        .map(|number| {
            let grant = world.grant(&title, &[]);
            let mut get = world.get(&[&edge], &grant, &format!("out{number}"));
            get.args(watch).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("get")
        })
        .collect();
    let mut heard = 0;
    for (number, viewer) in viewers.into_iter().enumerate() {
        let output = viewer.wait_with_output().expect("get");
        assert!(output.status.success(), "{output:?}");
        let report = json(&String::from_utf8(output.stdout).expect("text"));
        println!("{} {}", report["play"], report["groups"]);
        assert!(world.read(&format!("out{number}")) == title.bytes, "viewer {number}");
        assert_eq!(report["groups"]["forged"], 0, "{report}");
        heard += report["groups"]["segments"].as_u64().expect("a number");
    }
    // The first ones are needed before anybody can hear; what the loopback loses comes by unicast.
    assert!(heard >= VIEWERS as u64, "{heard} segments were heard by all");
    let _ = metrics;
}

#[test]
fn viewers_of_a_load_hear_a_group_that_is_joined_once_for_all_of_them() {
    let world = World::new();
    let duration = format!("{SEGMENTS}s");
    let title = world.pack_with(SEGMENTS * SEGMENT, &["--duration", &duration]);
    let port = free_port().to_string();
    let (edge, _metrics) =
        world.edge_with_metrics("store", &multicast_on(&port).each_ref().map(String::as_str));
    let mut load = segcast();
    load.args(["load", &edge.address, "--edge-key", &edge.key, "--set", &title.set, "--seed", "7"])
        .args(["--keys".as_ref(), world.path("keys").as_os_str()])
        .args(["--json".as_ref(), world.path("result.json").as_os_str()])
        .args(["--play", "--sessions", "6", "--duration", "24s", "--progress", "none"])
        .args(["--multicast", "lo", "--multicast-port", &port])
        // Whose times these are, a busy machine's or an edge's, is not what is tested here.
        .args(["--lag-limit", "10m"]);
    let output = load.output().expect("load");
    let result: serde_json::Value =
        serde_json::from_slice(&world.read("result.json")).expect("JSON");
    let figures = result["figures"].as_object().and_then(|figures| figures.values().next());
    let all = &figures.unwrap_or_else(|| panic!("{output:?}"))["all"];
    let (ledger, wire) = (&all["ledger"], &all["wire"]);
    let count = |value: &serde_json::Value| value.as_u64().expect("a count");
    assert_eq!(count(&ledger["complete"]) + count(&ledger["late"]), 6 * SEGMENTS as u64, "{all}");
    assert_eq!((&ledger["remainder"], &all["playout"]["started"]), (&0.into(), &6.into()), "{all}");
    // Each datagram that came was there for six.
    assert!(count(&wire["heard_bytes"]) > 3 * count(&wire["group_bytes"]), "{wire}");
    assert!(count(&wire["heard_bytes"]) >= 6 * SEGMENT as u64, "{wire}");
}

/// Of an edge that sends to groups on the loopback.
fn multicast_on(port: &str) -> [String; 5] {
    [
        "--multicast=on".to_owned(),
        "--multicast-interface=lo".to_owned(),
        "--multicast-groups=232.99.1.0/24".to_owned(),
        "--multicast-rate=400Mbit/s".to_owned(),
        format!("--multicast-port={port}"),
    ]
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port()
}
