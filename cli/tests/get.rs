//! pack, edge, token and get as processes: odd lengths, both drivers, both families, kills and refusals.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use segcast_kit::process::{
    SEGMENT, World, fail, interrupt, json, kill, segcast, succeed, wait_until,
};

/// Slow enough to be caught half-way: at this rate a title of 60 segments takes some 5 s.
const SLOW: [&str; 2] = ["--rate", "7000"];

#[test]
fn odd_lengths_over_both_drivers_and_both_families() {
    for (io, listen) in [("ring", "127.0.0.1:0"), ("mmsg", "[::1]:0")] {
        for length in [0, 1, SEGMENT, SEGMENT + 1, 20 * SEGMENT - 3] {
            let world = World::new();
            let title = world.pack(length);
            let grant = world.grant(&title, &[]);
            let edge = world.edge(listen, io);
            let report = succeed(world.get(&[&edge], &grant, "out").args(["--json", "--io", io]));
            let report = json(&report);
            assert_eq!(report["io"], io);
            assert_eq!(report["bytes"], length);
            assert!(world.read("out") == title.bytes, "{length} bytes over {io}");
            assert!(!world.path("out.part").exists() && !world.path("out.part.journal").exists());
        }
    }
}

#[test]
fn an_edge_that_is_killed_and_restarted_costs_only_time() {
    let world = World::new();
    let title = world.pack(60 * SEGMENT);
    let grant = world.grant(&title, &SLOW);
    let mut edge = world.edge("127.0.0.1:0", "auto");
    let mut get = world.get(&[&edge], &grant, "out");
    let client = get.arg("--json").stdout(Stdio::piped()).spawn().unwrap();
    wait_until("the first segments", || world.has_progress("out"));
    kill(&mut edge.child);
    let address = edge.address.clone();
    let _again = world.edge(&address, "auto");
    let output = client.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let report = json(&String::from_utf8(output.stdout).unwrap());
    assert!(report["edges"][0]["handshakes"].as_u64() > Some(1), "{report}");
    assert!(world.read("out") == title.bytes);
}

#[test]
fn a_client_that_is_killed_goes_on_from_what_it_had() {
    let world = World::new();
    let title = world.pack(60 * SEGMENT);
    let grant = world.grant(&title, &SLOW);
    let edge = world.edge("127.0.0.1:0", "auto");
    let mut client = world.get(&[&edge], &grant, "out").spawn().unwrap();
    wait_until("the first segments", || world.has_progress("out"));
    kill(&mut client);
    assert!(!world.path("out").exists());
    let fast = world.grant(&title, &[]);
    let report = json(&succeed(world.get(&[&edge], &fast, "out").arg("--json")));
    let resumed = report["resumed_segments"].as_u64().unwrap();
    assert!((1..60).contains(&resumed), "{report}");
    assert_eq!(report["edges"][0]["segments"].as_u64().unwrap() + resumed, 60);
    assert!(world.read("out") == title.bytes);
}

#[test]
fn ctrl_c_leaves_a_part_file_and_says_so() {
    let world = World::new();
    let title = world.pack(60 * SEGMENT);
    let grant = world.grant(&title, &SLOW);
    let edge = world.edge("127.0.0.1:0", "auto");
    let mut get = world.get(&[&edge], &grant, "out");
    let client = get.stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the first segments", || world.has_progress("out"));
    interrupt(&client);
    let output = client.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("goes on from there"), "{said}");
    assert!(world.path("out.part").exists() && !world.path("out").exists());
}

#[test]
fn an_existing_file_is_kept_unless_forced() {
    let world = World::new();
    let title = world.pack(3);
    let grant = world.grant(&title, &[]);
    let edge = world.edge("127.0.0.1:0", "auto");
    fs::write(world.path("out"), "mine").unwrap();
    let said = fail(&mut world.get(&[&edge], &grant, "out"), 3);
    assert!(said.contains("exists already") && said.contains("--force"), "{said}");
    assert_eq!(world.read("out"), b"mine");
    succeed(world.get(&[&edge], &grant, "out").arg("--force"));
    assert_eq!(world.read("out"), title.bytes);
}

#[test]
fn a_part_file_of_another_title_is_refused() {
    let world = World::new();
    let (one, two) = (world.pack(60 * SEGMENT), world.pack(SEGMENT));
    let (slow, other) = (world.grant(&one, &SLOW), world.grant(&two, &[]));
    let edge = world.edge("127.0.0.1:0", "auto");
    let mut client = world.get(&[&edge], &slow, "out").spawn().unwrap();
    wait_until("the part file", || world.path("out.part.journal").exists());
    kill(&mut client);
    let said = fail(&mut world.get(&[&edge], &other, "out"), 3);
    assert!(said.contains(&one.set) && said.contains(&two.set), "{said}");
}

#[test]
fn two_edges_are_used_and_one_of_them_may_die() {
    let world = World::new();
    let title = world.pack(60 * SEGMENT);
    let grant = world.grant(&title, &SLOW);
    let one = world.edge("127.0.0.1:0", "auto");
    // The second edge has a store of its own.
    let mut copy = Command::new("cp");
    let copied = copy.arg("-a").arg(world.path("store")).arg(world.path("copy"));
    assert!(copied.status().unwrap().success());
    let two = world.edge_on("copy", "127.0.0.1:0", "auto").unwrap();
    let mut get = world.get(&[&one, &two], &grant, "out");
    let client = get.arg("--json").stdout(Stdio::piped()).spawn().unwrap();
    wait_until("the first segments", || world.has_progress("out"));
    drop(one);
    let output = client.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let report = json(&String::from_utf8(output.stdout).unwrap());
    assert!(report["edges"][1]["segments"].as_u64() > Some(0), "{report}");
    assert!(world.read("out") == title.bytes);
}

#[test]
fn a_wrong_key_gets_no_answer_and_advice() {
    let world = World::new();
    let title = world.pack(3);
    let grant = world.grant(&title, &[]);
    let mut edge = world.edge("127.0.0.1:0", "auto");
    // Some other edge's: no point of low order, which a client refuses before it sends.
    edge.key = format!("segcast-edge-public:{}=", "Q".repeat(43));
    let said = fail(world.get(&[&edge], &grant, "out").args(["--patience", "500ms"]), 4);
    assert!(said.contains(&edge.address) && said.contains("--edge-key"), "{said}");
}

#[test]
fn a_token_of_another_center_is_refused_with_the_reason() {
    let (world, other) = (World::new(), World::new());
    world.pack(3);
    let foreign = other.pack(3);
    let grant = other.grant(&foreign, &[]);
    let edge = world.edge("127.0.0.1:0", "auto");
    let said = fail(&mut world.get(&[&edge], &grant, "out"), 5);
    assert!(said.contains("TOKEN_UNKNOWN_ISSUER") && said.contains("what to do"), "{said}");
}

#[test]
fn a_set_that_the_grant_does_not_name_is_refused_before_the_network_is_used() {
    let world = World::new();
    let title = world.pack(3);
    let grant = world.grant(&title, &[]);
    let key = format!("segcast-edge-public:{}=", "A".repeat(43));
    let said = fail(
        segcast()
            .args(["get", "127.0.0.1:1", "--edge-key", &key, "--set", &"ab".repeat(16)])
            .args(["--grant".as_ref(), grant.as_os_str()])
            .args(["--out".as_ref(), world.path("out").as_os_str()]),
        5,
    );
    assert!(said.contains(&title.set), "{said}");
}

#[test]
fn a_grant_that_others_can_read_is_refused_with_what_to_do() {
    let world = World::new();
    let title = world.pack(3);
    let grant = world.grant(&title, &[]);
    let edge = world.edge("127.0.0.1:0", "auto");
    fs::set_permissions(&grant, fs::Permissions::from_mode(0o644)).unwrap();
    let said = fail(&mut world.get(&[&edge], &grant, "out"), 5);
    let advice = format!("chmod 600 {}", grant.display());
    assert!(said.contains("mode 0644") && said.contains(&advice), "{said}");
    fs::set_permissions(&grant, fs::Permissions::from_mode(0o600)).unwrap();
    succeed(&mut world.get(&[&edge], &grant, "out"));
}
