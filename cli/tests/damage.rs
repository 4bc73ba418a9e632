//! A segment file is truncated, zeroed or flipped while an edge serves it: the client gets an error or the right bytes
//! from another edge, never a wrong byte; the edge lives, serves its other sets and counts what it saw.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use segcast_kit::metrics::{get, metric};
use segcast_kit::process::{SEGMENT, Title, World, output, succeed, wait_until};
use segcast_kit::progress::Progress;
use segcast_proto::ids::ObjectNumber;
use segcast_store::{Options, Store, Stored};

/// Slow enough to be caught half-way: a title of `SEGMENTS` takes some 3 s.
const SLOW: [&str; 2] = ["--rate", "7000"];
const SEGMENTS: usize = 40;
const SHARDS: [&str; 2] = ["--shards", "2"];
/// The first segment that is damaged: so late that a fetch at the slow rate has not come to it.
const FIRST: usize = 24;

/// What happens to a segment file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    Truncated,
    Zeroed,
    Flipped,
}

const ALL: [Damage; 3] = [Damage::Truncated, Damage::Zeroed, Damage::Flipped];

/// Where the segments of a set lie in the one segment file of a store.
struct Slots {
    path: PathBuf,
    offsets: Vec<u64>,
}

impl Slots {
    /// Looks for what the store says the segments are. The store must not be open.
    fn find(store: &Path, title: &Title) -> Self {
        let stored: Vec<Vec<u8>> = {
            let store = Store::open(store, &Options::default()).expect("a store");
            let catalogue = store.catalogue();
            let set = title.set.parse().expect("a set");
            let index = catalogue.find_set(&set).expect("it is there");
            let object = |number| match catalogue.object(index, ObjectNumber(number)) {
                Stored::Mapped(bytes) => bytes.to_vec(),
                other => panic!("segment {number}: {other:?}"),
            };
            (0..catalogue.set(index).expect("it is there").segments).map(object).collect()
        };
        let path = store.join("segments/00000001.seg");
        let mut head = Vec::new();
        let file = File::open(&path).expect("a segment file");
        file.take(16 << 20).read_to_end(&mut head).expect("it can be read");
        let mut from = 0;
        let mut offsets = Vec::new();
        for segment in stored {
            while !head[from..].starts_with(&segment) {
                from += 4096;
                assert!(from < head.len(), "slots are not in order");
            }
            offsets.push(from as u64);
            from += SEGMENT;
        }
        Self { path, offsets }
    }

    /// Damages every segment from `FIRST` on.
    fn damage(&self, damage: Damage) {
        let file = File::options().read(true).write(true).open(&self.path).expect("writable");
        if damage == Damage::Truncated {
            // The first pages of the first one stay.
            file.set_len(self.offsets[FIRST] + 8192).expect("it can be cut");
            return;
        }
        for offset in &self.offsets[FIRST..] {
            if damage == Damage::Zeroed {
                file.write_all_at(&[0; SEGMENT], *offset).expect("written");
            } else {
                let at = offset + 50_000;
                let mut byte = [0];
                file.read_exact_at(&mut byte, at).expect("read");
                file.write_all_at(&[byte[0] ^ 0x10], at).expect("written");
            }
        }
    }
}

/// Every segment of a part file is right or was not written.
fn check_part(world: &World, title: &Title) {
    let part = world.read("out.part");
    let mut written = 0;
    for (found, right) in part.chunks(SEGMENT).zip(title.bytes.chunks(SEGMENT)) {
        written += usize::from(found == right);
        assert!(found == right || found.iter().all(|byte| *byte == 0), "a wrong byte was written");
    }
    assert!((1..SEGMENTS).contains(&written), "{written} segments were kept");
}

/// Damage during a fetch from the only edge that has the set.
fn only_edge(damage: Damage, more: &[&str]) {
    let _progress = Progress::start("damage on the only edge", &format!("{damage:?}, {more:?}"));
    let world = World::new();
    let other = world.pack(2 * SEGMENT);
    let title = world.pack_with(SEGMENTS * SEGMENT, more);
    let slots = Slots::find(&world.path("store"), &title);
    let (slow, fast) = (world.grant(&title, &SLOW), world.grant(&other, &[]));
    let (mut edge, admin) = world.edge_with_metrics("store", &SHARDS);
    let mut get = world.get(&[&edge], &slow, "out");
    let client = get.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("segcast starts");
    wait_until("the first segments", || world.has_progress("out"));
    slots.damage(damage);
    let output = client.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    let (code, reason) = match damage {
        Damage::Truncated => (4, "SEGMENT_UNAVAILABLE"),
        Damage::Zeroed | Damage::Flipped => (6, "signed manifest"),
    };
    assert_eq!(output.status.code(), Some(code), "{damage:?}: {said}");
    assert!(said.contains(reason) && said.contains("segment"), "{damage:?}: {said}");
    assert!(!world.path("out").exists());
    check_part(&world, &title);

    assert!(edge.child.try_wait().expect("it is ours").is_none(), "{damage:?}: the edge is dead");
    succeed(&mut world.get(&[&edge], &fast, "other"));
    assert!(world.read("other") == other.bytes);
    // An edge cannot know that whole pages are wrong: only the client has the digests of the signed manifest at hand.
    let counted = metric(&admin, "segcast_edge_segments_failed_total");
    assert_eq!(counted > 0, damage == Damage::Truncated, "{damage:?}: {counted} failed");
}

/// The same damage on one of two edges costs nothing but time.
fn one_of_two(damage: Damage, more: &[&str]) {
    let _progress = Progress::start("damage on one of two edges", &format!("{damage:?}, {more:?}"));
    let world = World::new();
    let title = world.pack_with(SEGMENTS * SEGMENT, more);
    let slots = Slots::find(&world.path("store"), &title);
    let grant = world.grant(&title, &[]);
    world.copy_store("copy");
    let (mut damaged, _) = world.edge_with_metrics("store", &SHARDS);
    let (whole, _) = world.edge_with_metrics("copy", &SHARDS);
    slots.damage(damage);
    succeed(&mut world.get(&[&damaged, &whole], &grant, "out"));
    assert!(world.read("out") == title.bytes, "{damage:?}");
    assert!(
        damaged.child.try_wait().expect("it is ours").is_none(),
        "{damage:?}: the edge is dead"
    );
}

#[test]
fn damage_of_a_sealed_set_that_is_served_is_an_error_and_never_a_wrong_byte() {
    ALL.into_iter().for_each(|damage| only_edge(damage, &[]));
}

#[test]
fn damage_of_a_clear_set_that_is_served_is_an_error_and_never_a_wrong_byte() {
    ALL.into_iter().for_each(|damage| only_edge(damage, &["--clear"]));
}

#[test]
fn damage_on_one_of_two_edges_is_made_good_by_the_other() {
    ALL.into_iter().for_each(|damage| one_of_two(damage, &[]));
    ALL.into_iter().for_each(|damage| one_of_two(damage, &["--clear"]));
}

#[test]
fn an_edge_whose_segments_cannot_be_read_says_that_it_is_not_ready() {
    let world = World::new();
    let title = world.pack(SEGMENTS * SEGMENT);
    let slots = Slots::find(&world.path("store"), &title);
    let grant = world.grant(&title, &[]);
    let (edge, admin) = world.edge_with_metrics("store", &SHARDS);
    succeed(&mut world.get(&[&edge], &grant, "whole"));
    assert_eq!(get(&admin, "/readyz").0, 200);
    let file = File::options().write(true).open(&slots.path).expect("writable");
    file.set_len(slots.offsets[0]).expect("it can be cut");
    wait_until("the edge to say so", || {
        // A fetch asks for all segments, and ends at the first that is refused.
        let fetched = output(world.get(&[&edge], &grant, "out").arg("--force"));
        assert_eq!(fetched.status.code(), Some(4), "{fetched:?}");
        let (status, why) = get(&admin, "/readyz");
        assert!(status == 200 || why.contains("SEGMENT_UNAVAILABLE"), "{status}: {why}");
        status == 503
    });
    let refused = "segcast_edge_requests_refused_total{code=\"SEGMENT_UNAVAILABLE\"}";
    assert!(metric(&admin, refused) >= 10);
    assert_eq!(get(&admin, "/healthz").0, 200, "a restart would not help");
}
