//! What operators get wrong, and disks do to them: configurations with mistakes, two processes on one store, a write that
//! the system refuses. Each is told with its place, its cause and what would be right, and harms nothing that was there.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use segcast_kit::process::{
    Edge, SEGMENT, World, fail, json, segcast, signal, succeed, wait_until,
};
use segcast_store::{Options, Store};

/// Configurations with one mistake, and what must be said of it. `{}` is the path of the file.
const MISTAKES: [(&str, &[&str]); 6] = [
    // A typo.
    ("shards = 2\nidle_timout = \"60s\"\n", &["{}:2: ", "`idle_timout`", "`idle_timeout`"]),
    // An unknown key that is like none.
    ("\n\nworkers = 4\n", &["{}:3: ", "unknown key `workers`"]),
    // Wrong units.
    ("send_slab = \"10MB\"\n", &["{}:1: ", "send_slab = \"10MB\"", "\"10 MiB\""]),
    ("# slow\negress_max = \"5 MB/s\"\n", &["{}:2: ", "egress_max = \"5 MB/s\"", "\"40 Mbit/s\""]),
    // A value out of bounds, and a word that is none.
    ("shards = 1\n\nidle_timeout = \"2 days\"\n", &["{}:3: ", "idle_timeout = \"2 days\""]),
    ("io = \"epoll\"\n", &["{}:1: ", "io = \"epoll\"", "\"ring\"", "\"mmsg\""]),
];

#[test]
fn a_mistake_in_the_configuration_is_told_with_its_line_and_what_would_be_right() {
    let world = World::new();
    let path = world.path("edge.toml");
    for (text, wanted) in MISTAKES {
        fs::write(&path, text).unwrap();
        for more in [&["--check"][..], &[]] {
            let mut edge = segcast();
            edge.args(["edge".as_ref(), "--config".as_ref(), path.as_os_str()]).args(more);
            let said = fail(&mut edge, 2);
            for wanted in wanted {
                let wanted = wanted.replace("{}", path.to_str().unwrap());
                assert!(said.contains(&wanted), "{more:?} {text:?}: not {wanted:?} in {said}");
            }
        }
    }
}

/// SEGCAST_KEYS is set for other commands too: it gives way to whatever names a file itself, and is then not looked at.
#[test]
fn keys_in_the_environment_give_way_to_flags_and_to_variables_of_the_edge() {
    let world = World::new();
    world.pack(SEGMENT);
    // The first run makes its key.
    drop(world.edge("127.0.0.1:0", "auto"));
    let keys = world.path("keys");
    let (key, center) = (keys.join("edge.key"), keys.join("center.pub"));
    // Nothing can be there: it is no directory.
    let nowhere = world.path("title").join("keys");
    let edge = |directory: &Path| {
        let mut edge = segcast();
        edge.args(["edge", "--listen", "127.0.0.1:0", "--admin", "off", "--shards", "1"])
            .args(["--store".as_ref(), world.path("store").as_os_str()])
            .env("SEGCAST_KEYS", directory);
        edge
    };
    let serves = |mut command: Command| drop(Edge::serve(&mut command).expect("it serves"));
    serves(edge(&keys));
    let mut flags = edge(&nowhere);
    flags.arg("--key-file").arg(&key).arg("--center-keys").arg(&center);
    serves(flags);
    let mut variables = edge(&nowhere);
    variables.env("SEGCAST_EDGE_KEY_FILE", &key).env("SEGCAST_EDGE_CENTER_KEYS", &center);
    serves(variables);
    let mut flag = edge(&nowhere);
    flag.arg("--keys").arg(&keys);
    serves(flag);
    let said = fail(&mut edge(&nowhere), 5);
    assert!(said.contains(nowhere.to_str().unwrap()), "{said}");
    // Of no other command does it make a given flag.
    let mut report = segcast();
    succeed(report.args(["load", "report", "--schema"]).env("SEGCAST_KEYS", &nowhere));
}

#[test]
fn a_second_writer_on_a_store_is_refused_with_the_pid_of_the_first_and_edges_serve_it() {
    let world = World::new();
    let title = world.pack(SEGMENT);
    let store = Store::open(&world.path("store"), &Options::default()).unwrap();
    let said = fail(&mut pack(&world, "title"), 3);
    let owner = format!("being written to by process {}: wait", std::process::id());
    assert!(said.contains(&owner), "{said}");
    let edges = [0, 1].map(|_| world.edge("127.0.0.1:0", "auto"));
    drop(store);
    let grant = world.grant(&title, &[]);
    for edge in &edges {
        succeed(world.get(&[edge], &grant, "out").arg("--force"));
        assert!(world.read("out") == title.bytes);
    }
}

fn pack(world: &World, title: &str) -> Command {
    let mut command = segcast();
    command
        .args(["pack", "--json", "--segment-size", &format!("{SEGMENT} B")])
        .arg(world.path(title))
        .args(["--out".as_ref(), world.path("store").as_os_str()])
        .args(["--keys".as_ref(), world.path("keys").as_os_str()]);
    command
}

/// A full disk for those who may mount none: the system refuses to write past 2 MiB of a file (setrlimit(2)).
#[test]
fn a_write_that_the_system_refuses_ends_pack_with_its_cause_and_harms_no_earlier_set() {
    let world = World::new();
    let title = world.pack(2 * SEGMENT);
    fs::write(world.path("large"), vec![7; 40 * SEGMENT]).unwrap();
    let plain = pack(&world, "large");
    let mut limited = Command::new("sh");
    // 4096 blocks of 512 bytes.
    limited
        .args(["-c", "ulimit -f 4096; exec \"$@\"", "sh"])
        .arg(plain.get_program())
        .args(plain.get_args());
    let said = fail(&mut limited, 3);
    assert!(said.contains("00000001.seg") && said.contains("File too large"), "{said}");
    let edge = world.edge("127.0.0.1:0", "auto");
    let grant = world.grant(&title, &[]);
    succeed(&mut world.get(&[&edge], &grant, "out"));
    assert!(world.read("out") == title.bytes);
    drop(edge);
    // What the refused run took is free again: the same title fits without the limit.
    succeed(&mut pack(&world, "large"));
}

#[test]
fn a_reload_of_a_broken_file_keeps_the_old_configuration_and_says_why() {
    let world = World::new();
    let title = world.pack(SEGMENT);
    let (config, log) = (world.path("edge.toml"), world.path("log"));
    fs::write(&config, "drain_timeout = \"5s\"\n").unwrap();
    let mut command = world.edge_command("store", "127.0.0.1:0", "auto");
    command.arg("--config").arg(&config).stderr(File::create(&log).unwrap());
    let mut edge = Edge::serve(&mut command).unwrap();
    fs::write(&config, "drain_timeout = \"5s\"\nsets = [\"none\"]\n").unwrap();
    // What the unit asks first: a reload that would fail has an exit status.
    let mut check = world.edge_command("store", "127.0.0.1:0", "auto");
    let refused = fail(check.arg("--check-reload").arg("--config").arg(&config), 2);
    assert!(refused.contains("sets") && refused.contains("none"), "{refused}");
    let mut check = world.edge_command("store", "127.0.0.1:0", "auto");
    fail(check.args(["--check-reload", "--center-keys", "/no/such/key"]), 5);
    succeed(world.edge_command("store", "127.0.0.1:0", "auto").arg("--check-reload"));
    signal(&edge.child, Signal::HUP);
    let said = || fs::read_to_string(&log).unwrap();
    wait_until("the refusal", || said().contains("not reloaded: the old configuration stays"));
    let place = format!("{}:2: sets = ", config.display());
    assert!(said().contains(&place) && said().contains("none"), "{}", said());
    let grant = world.grant(&title, &[]);
    succeed(&mut world.get(&[&edge], &grant, "out"));
    assert!(world.read("out") == title.bytes);
    signal(&edge.child, Signal::TERM);
    assert_eq!(edge.child.wait().unwrap().code(), Some(0), "{}", said());
}

#[test]
fn an_edge_that_drains_hands_its_clients_to_the_other() {
    let world = World::new();
    let title = world.pack(60 * SEGMENT);
    // Some 5 s: caught half-way.
    let grant = world.grant(&title, &["--rate", "7000"]);
    world.copy_store("copy");
    let mut one = world.edge("127.0.0.1:0", "auto");
    let two = world.edge_on("copy", "127.0.0.1:0", "auto").unwrap();
    let mut get = world.get(&[&one, &two], &grant, "out");
    let client = get.arg("--json").stdout(Stdio::piped()).spawn().unwrap();
    wait_until("the first segments", || world.has_progress("out"));
    signal(&one.child, Signal::TERM);
    assert_eq!(one.child.wait().unwrap().code(), Some(0), "it drained");
    let output = client.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(world.read("out") == title.bytes);
    let report = json(&String::from_utf8(output.stdout).unwrap());
    assert!(report["edges"][1]["segments"].as_u64() > Some(0), "{report}");
}
