//! `kill -9` of `segcast pack` at random points, on a disk that loses, reorders and tears what was not synced: what was
//! packed is whole and served, what was not is gone or whole too, and nothing is half there. An edge serves the store all the
//! while, and is killed now and then itself.
//!
//! The binary of this crate's tests has the store's feature `fault-layer` (a dev-dependency asks for it; a built or
//! installed `segcast` has it not), and the environment of a child names the seed and the operation to die at. A few
//! stores grow through many kills each, so that recoveries are interrupted too.
//!
//! `SEGCAST_SEED=n` repeats a run, as far as the threads of pack and the random names of sets allow; the seed is printed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::process::ExitStatusExt;

use segcast_center::keys::{KeyDir, TitleRecord};
use segcast_kit::process::{Edge, SEGMENT, World, json, kill, output, segcast, wait_until};
use segcast_kit::progress::Progress;
use segcast_proto::ids::{ObjectNumber, SetId};
use segcast_proto::segment::cipher::SegmentCipher;
use segcast_proto::segment::manifest::{Manifest, Protection};
use segcast_store::{Catalogue, Options, Store, Stored};

/// Kills in the whole test.
const KILLS: usize = 200;
/// Stores that are worked on at once.
const STORES: usize = 2;
/// A pack of one segment makes some 50 operations, of three some 110; the first one also makes the store.
const KILL_WITHIN: u64 = 100;
/// Everything is read back after this many lives; what is new is after each.
const FULL_CHECK: u64 = 16;
/// A token names at most so many sets.
const FETCHED: usize = 4;
/// The edge is killed and started again after this many lives.
const EDGE_LIVES: u64 = 20;

/// Numbers that follow from a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn seed() -> u64 {
    let given = std::env::var("SEGCAST_SEED").ok();
    let seed = given.map_or_else(
        || RandomState::new().hash_one(std::process::id()) >> 1,
        |text| text.parse().expect("SEGCAST_SEED is a number"),
    );
    println!("SEGCAST_SEED={seed}");
    seed
}

/// One store through all its lives.
struct Lives {
    /// Once there is a store; goes before its folder.
    edge: Option<Edge>,
    world: World,
    random: Random,
    /// The title of each life, by the name that its manifest carries.
    titles: BTreeMap<String, Vec<u8>>,
    /// What the last check found.
    seen: BTreeSet<SetId>,
    tally: Tally,
}

#[derive(Debug, Default)]
struct Tally {
    killed: usize,
    packed: usize,
    /// Sets whose pack was killed after its commit, before it could say so.
    unsaid: usize,
}

impl Lives {
    fn new(seed: u64) -> Self {
        let (world, random) = (World::new(), Random(seed));
        let (titles, seen) = (BTreeMap::new(), BTreeSet::new());
        Self { world, edge: None, random, titles, seen, tally: Tally::default() }
    }

    /// Packs one title with a kill somewhere, or beyond its end; gives the set if it was packed.
    fn live(&mut self, life: u64) -> Option<SetId> {
        let name = format!("life-{life}");
        let length = 1 + self.random.below(3 * SEGMENT as u64);
        let title: Vec<u8> = (0..length).map(|_| self.random.next() as u8).collect();
        let file = self.world.path(&name);
        fs::write(&file, &title).expect("a title");
        self.titles.insert(name, title);
        let mut pack = segcast();
        pack.args(["pack", "--json", "--segment-size", &format!("{SEGMENT} B")])
            .arg(&file)
            .args(["--out".as_ref(), self.world.path("store").as_os_str()])
            .args(["--keys".as_ref(), self.world.path("keys").as_os_str()])
            .env("SEGCAST_FAULT_SEED", self.random.next().to_string())
            .env("SEGCAST_FAULT_KILL_AFTER", (1 + self.random.below(KILL_WITHIN)).to_string());
        if self.random.below(4) == 0 {
            pack.arg("--clear");
        }
        let output = output(&mut pack);
        fs::remove_file(file).expect("it was there");
        // Else nothing would ever be killed.
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("fault layer"), "built without the store's fault-layer: {said}");
        if output.status.signal() == Some(9) {
            self.tally.killed += 1;
            // What it printed before it was killed counts as printed.
            assert!(output.stdout.is_empty(), "killed after its result: {output:?}");
            return None;
        }
        assert!(output.status.success(), "{pack:?}: {output:?}");
        self.tally.packed += 1;
        let result = String::from_utf8(output.stdout).expect("UTF-8");
        let set = json(&result)["set"].as_str().and_then(|set| set.parse().ok());
        Some(set.expect("pack names the set"))
    }

    /// Opens the store and compares it with what was packed until now.
    fn check(&mut self, packed: Option<SetId>, everything: bool) {
        let options = Options { create: true, ..Options::default() };
        let store = Store::open(&self.world.path("store"), &options).expect("a store");
        assert_eq!(store.damage(), []);
        // No slot's header may be there without its data, whether a set shows it or not.
        assert_eq!(store.verify_slots().expect("slots can be read"), []);
        let catalogue = store.catalogue();
        let found: BTreeSet<SetId> = catalogue.sets().map(|info| info.set).collect();
        let lost: Vec<_> = self.seen.iter().chain(&packed).filter(|s| !found.contains(s)).collect();
        assert!(lost.is_empty(), "lost: {lost:?}");
        let new: Vec<SetId> = found.difference(&self.seen).copied().collect();
        assert!(new.len() <= 1, "one pack made {new:?}");
        self.tally.unsaid += usize::from(packed.is_none() && !new.is_empty());
        let usage = store.usage();
        let held: u64 = catalogue.sets().map(|info| u64::from(info.segments)).sum();
        assert_eq!(usage.slots - usage.free_slots, held, "slots that are no set's: {usage:?}");
        let read = if everything { found.iter().copied().collect() } else { new };
        for set in read {
            self.check_set(&catalogue, set);
        }
        self.seen = found;
    }

    /// Every page, every digest, the key, and through it every byte of the title.
    fn check_set(&self, catalogue: &Catalogue, set: SetId) {
        let keys = KeyDir::open(&self.world.path("keys")).expect("keys");
        let center = keys.center().expect("the center's key").public();
        let index = catalogue.find_set(&set).expect("it is there");
        let info = catalogue.set(index).expect("it is there");
        let pages: Vec<&[u8]> = (0..info.pages)
            .map(|page| page_of(catalogue, index, u16::try_from(page).expect("few pages")))
            .collect();
        let manifest = Manifest::from_pages(&pages, &[center]).expect("a signed manifest");
        let description = manifest.root().description();
        assert_eq!(description.set, set);
        let cipher = match (&description.protection, keys.title(set).expect("its key")) {
            (Protection::Clear, TitleRecord::Clear) => None,
            (Protection::Sealed { salt, commitment }, TitleRecord::Sealed(key)) => {
                let cipher = SegmentCipher::new(&key, salt, set);
                assert!(cipher.matches(commitment), "{set}: the key is another's");
                Some(cipher)
            }
            (protection, _) => panic!("{set}: {protection:?} and its record differ"),
        };
        let mut title = Vec::new();
        for segment in 0..info.segments {
            let Stored::Mapped(stored) = catalogue.object(index, ObjectNumber(segment)) else {
                panic!("{set}: segment {segment} is not there");
            };
            manifest.verify_segment(segment, stored).expect("what was signed");
            let mut plain = stored.to_vec();
            if let Some(cipher) = &cipher {
                cipher.apply(segment, &mut plain);
            }
            title.extend_from_slice(&plain);
        }
        let wanted = self.titles.get(&description.name).expect("a title that was packed");
        assert!(title.starts_with(wanted), "{set}: not the bytes of {}", description.name);
        assert!(title.len() < wanted.len() + SEGMENT, "{set}: too long");
    }

    /// Starts an edge, or kills it and starts another.
    fn restart_edge(&mut self) {
        if let Some(edge) = &mut self.edge {
            kill(&mut edge.child);
        }
        self.edge = Some(self.world.edge("127.0.0.1:0", "auto"));
    }

    /// Fetches some of what was packed, as a client would, from the edge that has seen the last kills: it has heard of the
    /// last sets within a second.
    fn fetch(&self) {
        let edge = self.edge.as_ref().expect("it was started");
        for set in self.seen.iter().take(FETCHED) {
            let grant = self.world.grant_of(&set.to_string(), &[]);
            let out = set.to_string();
            wait_until("the edge to serve the set", || {
                output(&mut self.world.get(&[edge], &grant, &out)).status.success()
            });
            let bytes = self.world.read(&out);
            assert!(self.titles.values().any(|title| *title == bytes), "{set}: wrong bytes");
        }
    }
}

fn page_of(catalogue: &Catalogue, index: u32, page: u16) -> &[u8] {
    match catalogue.object(index, ObjectNumber::page(page)) {
        Stored::Page(bytes) => bytes,
        other => panic!("page {page}: {other:?}"),
    }
}

fn run(seed: u64, progress: &Progress) -> Tally {
    let mut lives = Lives::new(seed);
    let mut life = 0;
    while lives.tally.killed < KILLS / STORES {
        life += 1;
        let killed = lives.tally.killed;
        let packed = lives.live(life);
        (killed..lives.tally.killed).for_each(|_| progress.step());
        lives.check(packed, life % FULL_CHECK == 0);
        // The first pack that comes to its end has made the keys.
        let due = if lives.edge.is_some() { life % EDGE_LIVES == 0 } else { packed.is_some() };
        if due {
            lives.restart_edge();
        }
    }
    lives.check(None, true);
    lives.fetch();
    lives.tally
}

#[test]
fn what_was_packed_is_whole_after_any_kill_and_nothing_else_is_there() {
    let mut random = Random(seed());
    let seeds: Vec<u64> = (0..STORES).map(|_| random.next()).collect();
    let name = "what_was_packed_is_whole_after_any_kill_and_nothing_else_is_there";
    let progress = Progress::steps(name, "kills", KILLS as u64);
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let running: Vec<_> =
            seeds.iter().map(|seed| scope.spawn(|| run(*seed, &progress))).collect();
        running.into_iter().map(|thread| thread.join().expect("no failure")).collect()
    });
    println!("{tallies:?}");
    // Else the test tests nothing.
    assert!(tallies.iter().all(|tally| tally.packed > 10), "{tallies:?}");
}
