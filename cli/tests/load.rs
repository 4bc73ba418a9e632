//! `segcast load` against a real edge: the ledger closes, whatever happens.

use std::collections::BTreeMap;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::Signal;
use segcast_kit::process::{Edge, SEGMENT, Title, World, kill, segcast, signal, wait_until};

/// `segcast load` of `title` from `edge`.
fn load(world: &World, edge: &Edge, title: &Title, more: &[&str]) -> Command {
    let mut command = segcast();
    command
        .args(["load", &edge.address, "--edge-key", &edge.key, "--set", &title.set, "--seed", "7"])
        .args(["--keys".as_ref(), world.path("keys").as_os_str()])
        .args(["--json".as_ref(), world.path("result.json").as_os_str()])
        // Whose times these are, a busy machine's or an edge's, is not what is tested here.
        .args(["--lag-limit", "10m", "--progress", "none"])
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What became of the segments, as the stored result says: `complete` and so on, causes by their name.
fn ledger(world: &World) -> BTreeMap<String, i64> {
    let text = std::fs::read_to_string(world.path("result.json")).expect("the result");
    let result: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    // Valid or void: the ledger closes on a machine that is too busy as well.
    let figures = result["figures"].as_object().and_then(|figures| figures.values().next());
    let ledger = figures.and_then(|figures| figures["all"]["ledger"].as_object());
    let ledger = ledger.unwrap_or_else(|| panic!("{}", result["headline"]));
    let mut counts = BTreeMap::new();
    for (name, value) in ledger {
        match value.as_object() {
            Some(causes) => {
                counts.extend(causes.iter().map(|(cause, n)| (cause.clone(), n.as_i64())));
            }
            None => {
                counts.insert(name.clone(), value.as_i64());
            }
        }
    }
    let counts = counts.into_iter().map(|(name, n)| (name, n.expect("a count")));
    let counts: BTreeMap<_, _> = counts.collect();
    assert_eq!(counts["remainder"], 0, "{counts:?}");
    counts
}

/// Whether the run came to its end, whoever was measured.
fn has_run(output: &Output) -> bool {
    const INCONCLUSIVE: i32 = 11;
    output.status.success() || output.status.code() == Some(INCONCLUSIVE)
}

/// How many frames an edge has sent, from its process: it has begun to serve when it used some time. Waiting for a line of
/// the load itself would say nothing, as it prints at its end.
fn wait_for_service(edge: &Edge) {
    let path = format!("/proc/{}/stat", edge.child.id());
    wait_until("the edge to be busy", || {
        let stat = std::fs::read_to_string(&path).expect("it runs");
        let fields = stat.rsplit_once(')').expect("a name").1;
        let mut fields = fields.split_ascii_whitespace().skip(11);
        let mut ticks = || fields.next().and_then(|f| f.parse::<u64>().ok()).expect("a number");
        ticks() + ticks() >= 10
    });
}

fn end(child: Child) -> Output {
    child.wait_with_output().expect("it ends")
}

#[test]
fn many_sessions_get_all_they_ask_for() {
    let world = World::new();
    let title = world.pack(20 * SEGMENT);
    let edge = world.edge("127.0.0.1:0", "auto");
    for more in [
        &["--sessions", "50", "--duration", "2s", "--io", "ring"][..],
        &[
            "--sessions",
            "50",
            "--duration",
            "2s",
            "--rate",
            "2Mbit/s",
            "--io",
            "mmsg",
            "--threads",
            "2",
        ],
        &[
            "--sessions",
            "20",
            "--phase",
            "ramp=1s@200/s",
            "--phase",
            "steady=1s@200/s",
            "--gro",
            "off",
        ],
        &[
            "--phase",
            "steady=2s@20",
            "--rate",
            "4Mbit/s",
            "--arrivals",
            "aligned",
            "--jitter",
            "50ms",
            "--watch",
            "500ms",
        ],
    ] {
        let output = end(load(&world, &edge, &title, more).spawn().expect("it starts"));
        assert!(has_run(&output), "{more:?}: {output:?}");
        let counts = ledger(&world);
        assert!(counts["intended"] >= 100, "{more:?}: {counts:?}");
        assert_eq!(counts["complete"] + counts["late"], counts["intended"], "{more:?}: {counts:?}");
    }
}

#[test]
fn ctrl_c_and_a_terminal_that_goes_away_give_what_was_measured_so_far() {
    let world = World::new();
    let title = world.pack(20 * SEGMENT);
    for (sent, status) in [(Signal::INT, 130), (Signal::HUP, 143)] {
        let edge = world.edge("127.0.0.1:0", "auto");
        let more = ["--sessions", "5", "--duration", "1h"];
        let child = load(&world, &edge, &title, &more).spawn().expect("it starts");
        wait_for_service(&edge);
        signal(&child, sent);
        let output = end(child);
        assert_eq!(output.status.code(), Some(status), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.lines().next().is_some_and(|line| line.contains("PARTIAL")), "{text}");
        assert!(ledger(&world)["complete"] > 0, "{output:?}");
    }
}

#[test]
fn an_edge_that_dies_fails_segments_and_closes_the_ledger() {
    let world = World::new();
    let title = world.pack(20 * SEGMENT);
    let mut edge = world.edge("127.0.0.1:0", "auto");
    let more =
        ["--sessions", "5", "--phase", "steady=4s@5", "--rate", "20Mbit/s", "--timeout", "500ms"];
    let child = load(&world, &edge, &title, &more[2..]).spawn().expect("it starts");
    wait_for_service(&edge);
    kill(&mut edge.child);
    let output = end(child);
    assert!(has_run(&output), "{output:?}");
    let counts = ledger(&world);
    assert!(counts["complete"] > 0 && counts["lost"] > 0, "{counts:?}");
}

#[test]
fn refusals_are_counted_by_their_code() {
    let world = World::new();
    let title = world.pack(20 * SEGMENT);
    let mut command = world.edge_command("store", "127.0.0.1:0", "auto");
    command.args(["--sessions-max", "8"]);
    let edge = Edge::serve(&mut command).expect("it serves");
    let more = ["--sessions", "20", "--duration", "2s", "--rate", "10Mbit/s"];
    let output = end(load(&world, &edge, &title, &more).spawn().expect("it starts"));
    assert!(has_run(&output), "{output:?}");
    let counts = ledger(&world);
    assert!(counts["complete"] > 0 && counts["BUSY"] > 0, "{counts:?}");
    assert!(counts["no_session"] > 0, "those who wait before they try again: {counts:?}");
}

#[test]
fn what_cannot_be_is_said_before_anything_is_sent() {
    let world = World::new();
    let title = world.pack(SEGMENT);
    let mut edge = world.edge("127.0.0.1:0", "auto");
    for (more, said) in [
        (&["--sessions", "0"][..], "0 sessions"),
        (&["--arrivals", "aligned"], "give a bit rate"),
        (&["--rate", "playing"], "without its running time"),
        (&["--window", "65"], "1 to 64"),
    ] {
        let output = end(load(&world, &edge, &title, more).spawn().expect("it starts"));
        assert_eq!(output.status.code(), Some(2), "{more:?}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(said), "{more:?}: {output:?}");
    }
    kill(&mut edge.child);
}
