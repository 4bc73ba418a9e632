//! Every input of `tests/fuzz/corpus` through its target, and the seeds among them as the generator writes them.
//!
//! `SEGCAST_BLESS=1` writes the seeds anew: when a format or a target has changed.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use segcast_kit::fuzz::{TARGETS, Target};

/// All corpora together, bytes: what everyone who clones the repository takes along.
const CORPORA_MAX: u64 = 300_000;
/// Files that the generator writes begin so; others were found by a fuzzer.
const SEED: &str = "seed-";

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn folder(target: &Target) -> PathBuf {
    fuzz().join("corpus").join(target.name)
}

/// The files of a target's corpus, by name.
fn corpus(target: &Target) -> BTreeMap<String, Vec<u8>> {
    let folder = folder(target);
    let entries =
        std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.expect("the folder can be read");
        let name = entry.file_name().into_string().expect("a name in ASCII");
        (name, std::fs::read(entry.path()).expect("the file can be read"))
    };
    entries.map(read).collect()
}

#[test]
fn every_input_keeps_every_promise() {
    let mut broken = Vec::new();
    for target in &TARGETS {
        let corpus = corpus(target);
        assert!(corpus.len() >= 5, "{}: only {} inputs", target.name, corpus.len());
        for (name, bytes) in &corpus {
            if catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))).is_err() {
                broken.push(format!("{}/{name}", target.name));
            }
        }
        println!("{}: {} inputs", target.name, corpus.len());
    }
    assert!(broken.is_empty(), "see above: {broken:?}");
}

#[test]
fn seeds_are_what_the_generator_writes() {
    let bless = std::env::var_os("SEGCAST_BLESS").is_some();
    for target in &TARGETS {
        let seeds = (target.seeds)();
        let ours: BTreeMap<_, _> =
            seeds.iter().map(|seed| (format!("{SEED}{}", seed.name), seed.bytes.clone())).collect();
        assert_eq!(ours.len(), seeds.len(), "{}: two seeds with one name", target.name);
        if bless {
            std::fs::create_dir_all(folder(target)).expect("a folder");
            for name in corpus(target).keys().filter(|name| name.starts_with(SEED)) {
                std::fs::remove_file(folder(target).join(name)).expect("an old seed goes");
            }
            for (name, bytes) in &ours {
                std::fs::write(folder(target).join(name), bytes).expect("a seed is written");
            }
        }
        let mut stored = corpus(target);
        stored.retain(|name, _| name.starts_with(SEED));
        let differ = ours.iter().filter(|(name, bytes)| stored.get(*name) != Some(bytes));
        let differ: Vec<_> = differ.map(|(name, _)| name).collect();
        assert!(differ.is_empty(), "{}: {differ:?} differ: SEGCAST_BLESS=1", target.name);
        assert_eq!(stored.len(), ours.len(), "{}: seeds that nobody writes", target.name);
    }
}

#[test]
fn corpora_are_small() {
    let sizes = TARGETS.iter().flat_map(corpus).map(|(_, bytes)| bytes.len() as u64);
    let sum = sizes.sum::<u64>();
    println!("{sum} bytes");
    assert!(sum <= CORPORA_MAX, "{sum} bytes of corpora, at most {CORPORA_MAX}");
}

/// The binaries and the corpora of `tests/fuzz/` are those of the list, no more and no fewer.
#[test]
fn every_target_has_its_binary() {
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).expect("fuzz has a manifest");
    let mut names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    for name in &names {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}: not in fuzz/Cargo.toml");
        let path = fuzz().join(format!("targets/{name}.rs"));
        let source =
            std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(source.contains(&format!("fuzz::{name}::run(data)")), "{}", path.display());
    }
    assert_eq!(manifest.matches("[[bin]]").count(), names.len());
    let entries = std::fs::read_dir(fuzz().join("corpus")).expect("corpora");
    let names_of = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("readable").file_name();
    let mut folders: Vec<_> = entries.map(names_of).collect();
    folders.sort();
    names.sort_unstable();
    assert_eq!(folders, names);
}
