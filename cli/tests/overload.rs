//! The real edge past its limits: clients are refused with the reason, wait as they are told, and get their title.

use std::process::Stdio;

use rustix::process::Signal;
use segcast_kit::metrics::metric;
use segcast_kit::process::{SEGMENT, World, json, kill, signal, succeed, wait_until};

#[test]
fn a_session_past_the_limit_is_refused_with_the_reason_and_gets_in_later() {
    let world = World::new();
    let title = world.pack(20 * SEGMENT);
    // Slow, so that it can be stopped half-way: it keeps its session as long as the test likes.
    let slow = world.grant(&title, &["--rate", "4000"]);
    let other = world.grant(&title, &[]);
    let (edge, admin) = world.edge_with_metrics("store", &["--shards", "1", "--sessions-max", "1"]);
    let mut first = world.get(&[&edge], &slow, "first").spawn().expect("a client");
    wait_until("the first segments", || world.has_progress("first"));
    signal(&first, Signal::STOP);
    let mut second = world.get(&[&edge], &other, "second");
    let second = second.stderr(Stdio::piped()).spawn().expect("a client");
    let refused = "segcast_edge_handshakes_refused_total{code=\"BUSY\"}";
    wait_until("a refusal, and another one after a wait", || metric(&admin, refused) >= 2);
    assert_eq!(metric(&admin, "segcast_edge_sessions"), 1);
    signal(&first, Signal::CONT);
    assert!(first.wait().expect("it ends").success());
    let output = second.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    assert!(world.read("first") == title.bytes && world.read("second") == title.bytes);
    let lost = metric(&admin, "segcast_edge_sessions_closed_total{code=\"BUSY\"}");
    assert_eq!(lost, 0, "nobody was let in only to be closed");
}

#[test]
fn requests_beyond_the_egress_are_refused_and_served_when_there_is_room() {
    let world = World::new();
    let title = world.pack(12 * SEGMENT);
    // 10 ms at 8 Mbit/s are 10 kB, and a segment has 74.
    let limits = ["--shards", "1", "--egress-max", "8 Mbit/s", "--egress-queue", "10ms"];
    let (edge, admin) = world.edge_with_metrics("store", &limits);
    let clients: Vec<_> = (0..3)
        .map(|number| {
            let (grant, out) = (world.grant(&title, &[]), format!("copy{number}"));
            (world.get(&[&edge], &grant, &out).spawn().expect("a client"), out)
        })
        .collect();
    for (mut client, out) in clients {
        assert!(client.wait().expect("it ends").success());
        assert!(world.read(&out) == title.bytes);
    }
    assert!(metric(&admin, "segcast_edge_requests_refused_total{code=\"OVERLOADED\"}") > 0);
    // Served once: what was refused was not begun. The manifest is on top, and nothing was asked for again.
    let (served, again) =
        ("segcast_edge_data_bytes_total", "segcast_edge_retransmitted_bytes_total");
    let (served, again) = (metric(&admin, served), metric(&admin, again));
    assert!(served - again < 3 * 13 * SEGMENT as u64, "{served} bytes, {again} of them again");
}

#[test]
fn what_one_edge_refuses_as_overloaded_comes_from_another() {
    const SEGMENTS: usize = 20;
    let world = World::new();
    let title = world.pack(SEGMENTS * SEGMENT);
    world.copy_store("other");
    // One request is all that the first edge takes, and one segment keeps it busy for 37 s.
    let limits = ["--shards", "1", "--requests-max", "1"];
    let (first, admin) = world.edge_with_metrics("store", &limits);
    let slow = world.grant(&title, &["--rate", "16"]);
    let mut holder = world.get(&[&first], &slow, "slow").spawn().expect("a client");
    let overloaded = "segcast_edge_requests_refused_total{code=\"OVERLOADED\"}";
    wait_until("a request beyond the limit", || metric(&admin, overloaded) > 0);
    // The second edge takes 1.5 s for all of it, so there is time to ask the first one, too.
    let limits = ["--shards", "1", "--egress-max", "8 Mbit/s"];
    let (second, _) = world.edge_with_metrics("other", &limits);
    let grant = world.grant(&title, &[]);
    let mut get = world.get(&[&first, &second], &grant, "whole");
    let output = get.arg("--json").output().expect("it ends");
    kill(&mut holder);
    assert!(output.status.success(), "{output:?}");
    assert!(world.read("whole") == title.bytes);
    let report = json(std::str::from_utf8(&output.stdout).expect("UTF-8"));
    let edges = &report["edges"];
    assert!(edges[0]["refused"].as_u64() > Some(0), "the first one was asked: {report}");
    assert_eq!((&edges[0]["segments"], &edges[1]["segments"]), (&0.into(), &SEGMENTS.into()));
}

/// The cap is the edge's, not a part of it for each shard: what one does not use another has.
#[test]
fn a_lone_client_has_all_that_an_edge_of_two_shards_may_send() {
    let world = World::new();
    let title = world.pack(100 * SEGMENT);
    let grant = world.grant(&title, &[]);
    // 40 Mbit/s are 5 MB/s, and a half could not be more than 2.5.
    let limits = ["--shards", "2", "--egress-max", "40 Mbit/s"];
    let (edge, _admin) = world.edge_with_metrics("store", &limits);
    let report = json(&succeed(world.get(&[&edge], &grant, "out").arg("--json")));
    assert!(world.read("out") == title.bytes);
    let goodput = report["goodput_bytes_per_second"].as_f64().expect("a number");
    assert!(goodput > 3_000_000.0 && goodput < 5_500_000.0, "{report}");
}
