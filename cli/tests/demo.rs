//! `segcast demo`: it works, says what it measured, and leaves nothing behind whatever its end.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use segcast_kit::process::{World, interrupt, json, segcast, succeed};

fn demo(world: &World, media: &Path) -> Command {
    fs::create_dir_all(world.path("tmp")).expect("a folder");
    let mut command = segcast();
    command.env("TMPDIR", world.path("tmp")).arg("demo").arg("--media").arg(media);
    command
}

fn media(world: &World, length: usize) -> std::path::PathBuf {
    let path = world.path("media");
    fs::write(&path, vec![7; length]).expect("a title");
    path
}

fn left_behind(world: &World) -> usize {
    fs::read_dir(world.path("tmp")).expect("the folder").count()
}

#[test]
fn figures_come_as_one_json_object_over_both_drivers() {
    for io in ["ring", "mmsg"] {
        let world = World::new();
        let media = media(&world, 5_000_000);
        let mut demo = demo(&world, &media);
        demo.args(["--json", "--sessions", "3", "--seconds", "0.3", "--io", io]);
        let figures = json(&succeed(&mut demo));
        assert_eq!(figures["bytes"], 5_000_000);
        assert_eq!(figures["sessions"], 3);
        assert_eq!(figures["io"], io);
        assert!(figures["goodput_bits_per_second"].as_f64() > Some(0.0), "{figures}");
        assert!(figures["first_byte"]["count"].as_u64() > Some(0), "{figures}");
        assert_eq!(left_behind(&world), 0);
    }
}

#[test]
fn every_step_is_explained_and_a_table_ends_it() {
    let world = World::new();
    let media = media(&world, 1_000_000);
    let said = succeed(demo(&world, &media).args(["--sessions", "1", "--seconds", "0.2"]));
    for step in 1..=6 {
        assert!(said.lines().any(|line| line.starts_with(&format!("{step}  "))), "{said}");
    }
    for row in ["goodput", "first byte", "server cores per Gbit/s", "retransmitted", "datagram"] {
        assert!(said.contains(row), "{said}");
    }
}

#[test]
fn viewers_share_what_goes_to_groups_in_namespaces_or_on_the_loopback() {
    let world = World::new();
    let media = media(&world, 3_000_000);
    // A title of three segments; the second and third viewer hear nearly all that the first one asks for.
    let watch = ["--multicast", "--viewers", "3", "--apart", "300ms", "--plays", "9s"];
    let mut with_tools = demo(&world, &media);
    // Without unshare(1) there are no namespaces, whoever the user is.
    let mut without_tools = demo(&world, &media);
    without_tools.env("PATH", world.path("nowhere")).arg("--json");
    let mut running = [with_tools.args(watch), without_tools.args(watch)]
        .map(|demo| demo.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("demo"));
    running.iter_mut().for_each(|demo| drop(demo.wait()));
    let [said, figures] = running.map(|demo| {
        let output = demo.wait_with_output().expect("demo");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    });
    for part in ["3  a network: ", "6  each copy is the title", "by groups", "gain: delivered"] {
        assert!(said.contains(part), "{said}");
    }
    let figures = json(&figures);
    assert_eq!(
        (&figures["network"], &figures["delivered_bytes"]),
        (&"loopback".into(), &9_000_000.into())
    );
    assert!(figures["gain"].as_f64() > Some(1.1), "more than by unicast: {figures}");
    assert_eq!(left_behind(&world), 0);
}

#[test]
fn ctrl_c_ends_edge_and_files() {
    let world = World::new();
    let media = media(&world, 1_000_000);
    let mut demo = demo(&world, &media);
    demo.args(["--seconds", "600"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = demo.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut edge = None;
    // Until it measures, which it would do for ten minutes.
    loop {
        let line = lines.next().expect("the demo ended").unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        let process = words.iter().position(|word| *word == "process");
        edge = edge.or(process.map(|at| words[at + 1].to_owned()));
        if line.starts_with("6  ") {
            break;
        }
    }
    let edge = Path::new("/proc").join(edge.expect("a process is named"));
    assert!(edge.exists());
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!edge.exists(), "the edge still runs");
    assert_eq!(left_behind(&world), 0);
}

#[test]
fn a_media_file_that_is_missing_is_named() {
    let world = World::new();
    let output = demo(&world, Path::new("/no/such/film")).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("/no/such/film"), "{said}");
    assert_eq!(left_behind(&world), 0);
}
