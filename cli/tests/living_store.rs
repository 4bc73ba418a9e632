//! A store that changes beneath a loaded edge: what is packed beside it is served, what is removed is refused and its room
//! used again, and no segment of the load is lost. A store on a read-only mount is served too.
//!
//! A few repeats; with `SEGCAST_FULL=1` fifty, and each title must be served within two seconds after it was packed.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use segcast_kit::needs;
use segcast_kit::process::{Edge, PATIENCE, SEGMENT, Title, World, fail, output, segcast, succeed};

/// Repeats, in the short form and in the long one.
const REPEATS: [usize; 2] = [3, 50];
/// A title that was packed is served after this time at the latest.
const SERVED: Duration = Duration::from_secs(2);

fn store(world: &World, more: &[&str]) -> Command {
    let mut command = segcast();
    command.arg("store").args(more).arg("--store").arg(world.path("store"));
    command
}

/// One run of `segcast load`: whether every segment came, and what became of them.
fn load(world: &World, edge: &Edge, title: &Title) -> Result<(), serde_json::Value> {
    let result = world.path("result.json");
    let mut load = segcast();
    load.args(["load", &edge.address, "--edge-key", &edge.key, "--set", &title.set])
        .args(["--keys".as_ref(), world.path("keys").as_os_str()])
        .args(["--json".as_ref(), result.as_os_str()])
        .args(["--sessions", "20", "--duration", "2s", "--lag-limit", "10m", "--progress", "none"]);
    output(&mut load);
    let result = std::fs::read(result).expect("the result");
    let result: serde_json::Value = serde_json::from_slice(&result).expect("JSON");
    let figures = result["figures"].as_object().and_then(|figures| figures.values().next());
    let ledger = &figures.unwrap_or_else(|| panic!("{}", result["headline"]))["all"]["ledger"];
    let count = |name: &str| ledger[name].as_i64().unwrap_or(0);
    let whole = count("complete") + count("late");
    if whole > 0 && whole == count("intended") { Ok(()) } else { Err(ledger.clone()) }
}

/// Fetches until the edge has heard of the title; says how long that took.
fn fetch(world: &World, edge: &Edge, title: &Title) -> Duration {
    let grant = world.grant(title, &[]);
    let begun = Instant::now();
    loop {
        let found = output(world.get(&[edge], &grant, "out").arg("--force"));
        if found.status.success() {
            assert!(world.read("out") == title.bytes);
            return begun.elapsed();
        }
        let said = String::from_utf8_lossy(&found.stderr);
        assert!(said.contains("set"), "it does not know the set yet: {said}");
        assert!(begun.elapsed() < PATIENCE, "it never does: {said}");
    }
}

fn segment_files(world: &World) -> usize {
    std::fs::read_dir(world.path("store/segments")).expect("segments").count()
}

/// Packs, fetches and removes; gives the longest time that a title took to be served.
fn change(world: &World, edge: &Edge, repeats: usize) -> Duration {
    let mut slowest = Duration::ZERO;
    let mut last: Option<Title> = None;
    for repeat in 0..repeats {
        let bytes = (0..3 * SEGMENT).map(|at| ((at * (repeat + 3)) >> 7) as u8).collect();
        let title = world.pack_bytes(bytes, &[]);
        slowest = slowest.max(fetch(world, edge, &title));
        if let Some(last) = last.replace(title) {
            let said = succeed(&mut store(world, &["remove", "--set", &last.set]));
            assert!(said.contains("free again: 3 segments"), "{said}");
            // Its slots were free, so the edge shows it no more.
            let grant = world.grant(&last, &[]);
            fail(world.get(&[edge], &grant, "gone").args(["--patience", "1s"]), 4);
        }
    }
    slowest
}

#[test]
fn titles_come_and_go_beneath_a_loaded_edge_and_no_segment_is_lost() {
    let world = World::new();
    let loaded = world.pack(20 * SEGMENT);
    let edge = world.edge("127.0.0.1:0", "auto");
    let ended = AtomicBool::new(false);
    let repeats = REPEATS[usize::from(needs::full())];
    let slowest = std::thread::scope(|scope| {
        let loads = scope.spawn(|| {
            let mut runs = 0;
            while runs == 0 || !ended.load(Ordering::Relaxed) {
                load(&world, &edge, &loaded).unwrap_or_else(|ledger| panic!("lost: {ledger}"));
                runs += 1;
            }
        });
        let slowest = change(&world, &edge, repeats);
        ended.store(true, Ordering::Relaxed);
        loads.join().expect("nothing was lost");
        slowest
    });
    println!("{repeats} titles, each served at most {slowest:?} after it was packed");
    // Of a busy machine the short form says nothing.
    assert!(!needs::full() || slowest <= SERVED, "{slowest:?}");
    assert_eq!(segment_files(&world), 1, "slots were not used again");
    let said = succeed(&mut store(&world, &["list"]));
    assert!(said.contains(&format!("set {}: 20 segments", loaded.set)), "{said}");
    assert!(said.contains("2 sets, "), "{said}");
    succeed(&mut store(&world, &["verify"]));
}

#[test]
fn a_store_and_keys_on_a_read_only_mount_are_served() {
    if needs::missing("a_store_and_keys_on_a_read_only_mount_are_served", &[needs::mounts]) {
        return;
    }
    let world = World::new();
    let title = world.pack(3 * SEGMENT);
    let grant = world.grant(&title, &[]);
    // Makes the edge's key.
    drop(world.edge("127.0.0.1:0", "auto"));
    for name in ["store/LOCK", "keys/titles"] {
        let path = world.path(name);
        std::fs::rename(path, world.path(name.split('/').next_back().expect("a name")))
            .expect("moved away: it is not needed");
    }
    let script = r#"
        folder=$1; shift
        mount --bind "$folder" "$folder"
        mount -o remount,bind,ro "$folder"
        exec "$@"
    "#;
    let served = world.edge_command("store", "127.0.0.1:0", "auto");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-euc", script, "sh"]);
    command.arg(world.folder()).arg(served.get_program()).args(served.get_args());
    let edge = Edge::serve(&mut command).expect("it serves");
    succeed(&mut world.get(&[&edge], &grant, "out"));
    assert!(world.read("out") == title.bytes);
}
