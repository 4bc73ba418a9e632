//! `segcast store`: what is in a store is listed, what is wrong with it found and named; a set that is removed frees its
//! segments.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::Command;

use segcast_kit::process::{SEGMENT, World, fail, output, segcast, succeed};

fn store(world: &World, more: &[&str]) -> Command {
    let mut command = segcast();
    command.arg("store").args(more).arg("--store").arg(world.path("store"));
    command
}

/// Turns one bit of a byte of the only segment file.
fn flip(world: &World, offset: u64) {
    let path = world.path("store/segments/00000001.seg");
    let file = File::options().read(true).write(true).open(path).expect("a segment file");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("read");
    file.write_all_at(&[byte[0] ^ 1], offset).expect("written");
}

/// Where the segments of a title that was packed in the clear begin.
fn place_of(world: &World, segment: &[u8]) -> u64 {
    let bytes = world.read("store/segments/00000001.seg");
    let found = bytes.chunks(4096).position(|page| segment.starts_with(page));
    found.expect("the segment is there") as u64 * 4096
}

/// Where the data of a slot of segments of that size begins: behind the header page and the slot headers.
fn place_of_slot(world: &World, slot: u64) -> u64 {
    let bytes = world.read("store/segments/00000001.seg");
    let at = u32::from_be_bytes(*bytes[32..].first_chunk().expect("a header page"));
    (u64::from(at) + slot * (SEGMENT as u64).div_ceil(4096)) * 4096
}

#[test]
fn a_wrong_segment_is_named_and_the_exit_code_says_so() {
    let world = World::new();
    let title = world.pack_with(4 * SEGMENT, &["--clear"]);
    let other = world.pack(SEGMENT);
    let said = succeed(&mut store(&world, &["verify"]));
    for set in [&title.set, &other.set] {
        assert!(said.contains(&format!("set {set}: ")), "{said}");
    }
    assert!(said.contains("4 segments of 72.0 KiB, all as they were packed"), "{said}");

    for segment in [1, 2] {
        let bytes = &title.bytes[segment * SEGMENT..][..SEGMENT];
        flip(&world, place_of(&world, bytes) + 50_000);
    }
    let found = output(&mut store(&world, &["verify"]));
    assert_eq!(found.status.code(), Some(6), "{found:?}");
    let said = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(said.contains(&format!("set {}: 4 segments", title.set)), "{said}");
    assert!(said.contains("2 wrong: 1-2\n"), "{said}");
    succeed(&mut store(&world, &["verify", "--set", &other.set]));
}

#[test]
fn leaves_that_are_gone_or_wrong_are_made_anew_and_those_of_wrong_segments_are_not() {
    let world = World::new();
    let (title, clear) = (world.pack(3 * SEGMENT), world.pack_with(SEGMENT, &["--clear"]));
    let path = world.path(&format!("store/sets/{}.leaves", title.set));
    let written = std::fs::read(&path).expect("pack has written it");
    let said = succeed(&mut store(&world, &["list"]));
    assert!(said.contains("manifest of 2 pages, leaves"), "{said}");
    let said = succeed(&mut store(&world, &["verify", "--set", &title.set]));
    assert!(said.contains("all as they were packed, and its leaves"), "{said}");

    let mut altered = written.clone();
    *altered.last_mut().expect("not empty") ^= 1;
    std::fs::write(&path, &altered).expect("written");
    let found = output(&mut store(&world, &["verify"]));
    assert_eq!(found.status.code(), Some(6), "{found:?}");
    let said = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(said.contains("; leaves of 1 segment wrong: 2 (segcast store leaves --set"), "{said}");
    std::fs::write(&path, &written[..100]).expect("written");
    let said = output(&mut store(&world, &["list"])).stdout;
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(said.contains(&format!("set {}: its .leaves file", title.set)), "{said}");

    let said = succeed(&mut store(&world, &["leaves", "--set", &title.set]));
    assert!(said.contains("leaves of 3.75 KiB"), "{said}");
    assert!(std::fs::read(&path).expect("there") == written, "the same bytes");
    let said = fail(&mut store(&world, &["leaves", "--set", &clear.set]), 3);
    assert!(said.contains("without parity"), "{said}");
    // A segment that is not what was signed gets none.
    flip(&world, place_of_slot(&world, 1) + 50_000);
    let said = fail(&mut store(&world, &["leaves", "--set", &title.set]), 3);
    assert!(said.contains("segment 1 is not what the manifest says"), "{said}");
    assert!(std::fs::read(&path).expect("there") == written, "what was there stays");
}

#[test]
fn a_removed_set_frees_its_segments_and_leaves_the_others() {
    let world = World::new();
    let (title, other) = (world.pack(3 * SEGMENT), world.pack(2 * SEGMENT));
    let said = succeed(&mut store(&world, &["remove", "--set", &title.set]));
    assert!(said.contains(&title.set) && said.contains("3 segments, 216 KiB"), "{said}");
    let said = succeed(&mut store(&world, &["verify"]));
    assert!(said.contains(&other.set) && !said.contains(&title.set), "{said}");
    // It is gone: for both commands.
    for command in ["remove", "verify"] {
        let said = fail(&mut store(&world, &[command, "--set", &title.set]), 3);
        assert!(said.contains(&title.set), "{said}");
    }
    let edge = world.edge("127.0.0.1:0", "auto");
    let grant = world.grant(&other, &[]);
    succeed(&mut world.get(&[&edge], &grant, "out"));
    assert!(world.read("out") == other.bytes);
}

#[test]
fn sets_are_listed_with_their_sizes_and_damage_is_named() {
    let world = World::new();
    let (title, other) = (world.pack(4 * SEGMENT), world.pack(SEGMENT));
    let said = succeed(&mut store(&world, &["list"]));
    for wanted in [
        format!("set {}: 4 segments of 72.0 KiB, 288 KiB, manifest of 2 pages", title.set),
        format!("set {}: 1 segment of 72.0 KiB", other.set),
        "2 sets, 360 KiB".to_owned(),
    ] {
        assert!(said.contains(&wanted), "{wanted}: {said}");
    }
    std::fs::write(world.path(&format!("store/sets/{}.set", other.set)), "no set").expect("write");
    let found = output(&mut store(&world, &["list"]));
    assert_eq!(found.status.code(), Some(6), "{found:?}");
    let said = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(said.contains(&format!("set {}: its .set file", other.set)), "{said}");
    assert!(said.contains("1 set, 288 KiB"), "{said}");
}

#[test]
fn a_set_that_is_not_served_is_told_and_can_be_removed() {
    let world = World::new();
    let title = world.pack(2 * SEGMENT);
    let sets = std::fs::read_dir(world.path("store/sets")).expect("sets");
    let file = sets.map(|entry| entry.expect("an entry").path()).next().expect("a set file");
    std::fs::write(file, b"no set").expect("written");
    let found = output(&mut store(&world, &["verify", "--set", &title.set]));
    assert_eq!(found.status.code(), Some(6), "{found:?}");
    assert!(String::from_utf8_lossy(&found.stdout).contains(&title.set), "{found:?}");
    let said = succeed(&mut store(&world, &["remove", "--set", &title.set]));
    assert!(said.contains("2 segments"), "{said}");
    succeed(&mut store(&world, &["verify"]));
}
