//! A real edge is drained under load, alone and beside another: what was begun is finished, nothing new is begun, every client
//! gets every segment, and the process ends well.

use std::process::{Child, Stdio};

use rustix::process::Signal;
use segcast_kit::process::{Edge, SEGMENT, Title, World, json, signal, wait_until};

const CLIENTS: usize = 4;

/// Slow enough that a drain finds every client half-way: the title would take 10 s and more.
fn edge(world: &World, store: &str, listen: &str) -> Edge {
    let mut command = world.edge_command(store, listen, "auto");
    command.args(["--egress-max", "40 Mbit/s", "--egress-queue", "60s"]);
    Edge::serve(&mut command).expect("it serves")
}

/// Clients of `edges`, each of which has got something.
fn clients(world: &World, title: &Title, edges: &[&Edge]) -> Vec<Child> {
    let start = |number| {
        let grant = world.grant(title, &[]);
        let mut get = world.get(edges, &grant, &format!("out{number}"));
        get.args(["--json", "--window", "512 KiB"]);
        get.stdout(Stdio::piped()).spawn().expect("a client")
    };
    let clients: Vec<Child> = (0..CLIENTS).map(start).collect();
    let progress = |number| world.has_progress(&format!("out{number}"));
    wait_until("the first segments of all", || (0..CLIENTS).all(progress));
    clients
}

/// Waits for the end of all; gives their reports.
fn finish(world: &World, title: &Title, clients: Vec<Child>) -> Vec<serde_json::Value> {
    let end = |(number, client): (usize, Child)| {
        let output = client.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{output:?}");
        assert!(world.read(&format!("out{number}")) == title.bytes);
        json(&String::from_utf8(output.stdout).expect("UTF-8"))
    };
    clients.into_iter().enumerate().map(end).collect()
}

fn drain(edge: &mut Edge) {
    signal(&edge.child, Signal::TERM);
    assert_eq!(edge.child.wait().expect("it ends").code(), Some(0), "it drained");
}

#[test]
fn clients_of_an_edge_that_drains_wait_for_the_next_one_there() {
    let world = World::new();
    let title = world.pack(80 * SEGMENT);
    let mut one = edge(&world, "store", "127.0.0.1:0");
    let clients = clients(&world, &title, &[&one]);
    drain(&mut one);
    let _next = edge(&world, "store", &one.address);
    for report in finish(&world, &title, clients) {
        // It was not served to the end: it went on in a session with the next one.
        assert!(report["edges"][0]["handshakes"].as_u64() >= Some(2), "{report}");
    }
}

#[test]
fn clients_of_an_edge_that_drains_go_on_at_another() {
    let world = World::new();
    let title = world.pack(80 * SEGMENT);
    world.copy_store("copy");
    let mut one = edge(&world, "store", "127.0.0.1:0");
    let two = edge(&world, "copy", "127.0.0.1:0");
    let clients = clients(&world, &title, &[&one, &two]);
    drain(&mut one);
    for report in finish(&world, &title, clients) {
        let (drained, other) = (&report["edges"][0], &report["edges"][1]);
        assert!(other["segments"].as_u64() > drained["segments"].as_u64(), "{report}");
    }
}
