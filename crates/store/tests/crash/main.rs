//! Processes that write sets are killed at any moment, on a disk that loses, reorders and tears what was not synced;
//! what was committed must be there afterwards, whole, and nothing else; and whatever a reader beside them shows must be
//! whole for as long as it shows it.
//!
//! Each life of a store is a child process (this test binary again) with the fault layer and a kill at a random
//! operation. The parent reads from its output what was acknowledged and checks the folder. A
//! second test takes each barrier out of the store and expects the same check to notice.
//!
//! `SEGCAST_SEED=n` repeats a run; the seed is printed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod beside;
mod check;
mod child;
mod content;

use std::path::Path;
use std::process::{Command, Stdio};

use content::Random;
use segcast_store::layer::SyncPoint;

/// Child processes in the test.
const RUNS: u64 = 200;
/// Children that work on one store, one after the other: recoveries must survive crashes too.
const LIVES: u64 = 4;
/// A child that is not killed makes some 400 to 800 operations; about one in five is not.
const KILL_WITHIN: u64 = 500;

fn seed() -> u64 {
    let seed = match std::env::var("SEGCAST_SEED") {
        Ok(text) => text.parse().expect("SEGCAST_SEED is a number"),
        Err(_) => {
            use std::hash::{BuildHasher, RandomState};
            RandomState::new().hash_one(std::process::id()) >> 1
        }
    };
    println!("SEGCAST_SEED={seed}");
    seed
}

/// Runs one child on `dir` and returns what it printed.
fn live(dir: &Path, seed: u64, kill: u64, without: Option<SyncPoint>) -> Result<String, String> {
    let barrier = without.and_then(|point| SyncPoint::ALL.iter().position(|p| *p == point));
    let output = Command::new(std::env::current_exe().expect("a test knows its own path"))
        .args(["--exact", "child::child", "--ignored", "--nocapture", "--test-threads=1"])
        .env(child::DIR, dir)
        .env(child::SEED, seed.to_string())
        .env(child::KILL, kill.to_string())
        .env(child::WITHOUT, barrier.map_or_else(String::new, |barrier| barrier.to_string()))
        .stdin(Stdio::null())
        .output()
        .expect("the test binary starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
    if output.status.success() || signal == Some(9) {
        return Ok(text);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("the child ended with {}: {text}{errors}", output.status))
}

/// What the runs found.
#[derive(Debug, Default)]
struct Tally {
    committed: usize,
    removed: usize,
    /// Sets whose commit was not acknowledged and that are there all the same, which is allowed.
    unacknowledged: usize,
    killed: usize,
    /// Sets that a reader beside the children found whole.
    looks: usize,
}

/// Kills `RUNS` children and checks what each left.
fn runs(seed: u64, without: Option<SyncPoint>) -> Result<Tally, String> {
    let mut random = Random::new(seed);
    let mut tally = Tally::default();
    for first in (0..RUNS).step_by(LIVES as usize) {
        let folder = tempfile::tempdir().expect("a folder for the store");
        let dir = folder.path().join("store");
        let mut model = check::Model::default();
        for run in first..first + LIVES {
            let (life, kill) = (random.next(), 1 + random.next() % KILL_WITHIN);
            // A store that lacks a barrier is not one to read from.
            let (found, looks) = match without {
                None => beside::read_while(&dir, || live(&dir, life, kill, without)),
                Some(_) => (live(&dir, life, kill, without), Ok(0)),
            };
            tally.looks += looks.map_err(|what| format!("run {run}, beside it: {what}"))?;
            let found = found
                .inspect(|text| {
                    tally.killed += usize::from(!text.contains("ended after"));
                    model.read(text, &mut tally);
                })
                .and_then(|_| model.check(&dir, &mut tally));
            found.map_err(|what| format!("run {run}, killed at operation {kill}: {what}"))?;
        }
    }
    Ok(tally)
}

#[test]
fn what_was_committed_is_there_after_any_kill() {
    let seed = seed();
    let tally = runs(seed, None).unwrap_or_else(|what| panic!("SEGCAST_SEED={seed}: {what}"));
    println!("{tally:?}");
    // Else the test tests nothing.
    assert!(tally.committed > 100 && tally.removed > 20 && tally.killed > 100, "{tally:?}");
    assert!(tally.looks > 100, "{tally:?}");
}

#[test]
fn without_any_one_barrier_the_check_finds_damage() {
    let seed = seed();
    for &point in SyncPoint::ALL {
        match runs(seed, Some(point)) {
            Ok(tally) => panic!("SEGCAST_SEED={seed}: not noticed: no {point:?}: {tally:?}"),
            Err(what) => println!("without {point:?}: {}", what.lines().next().unwrap_or("")),
        }
    }
}
