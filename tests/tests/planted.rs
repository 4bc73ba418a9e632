//! Faults planted in the product's code: the simulator finds each within 1000 seeds, and the seed that finds it
//! passes without the fault.
//!
//! `cargo test -p segcast-tests --features planted-faults --test planted -- --nocapture` says after how many.
//! `SEGCAST_SIM_SEED=s` sets the first seed (default 0).

use segcast_kit::endpoint::rig::MS;
use segcast_kit::groups::{Member, World as Viewers};
use segcast_kit::progress::Progress;
use segcast_kit::sim::{Outcome, Scenario, World, run_many};
use segcast_proto::faults::{Fault, plant};

/// Seeds in which a fault must be found.
const SEEDS: u64 = 1000;
/// Seeds that run before the results are looked at.
const BATCH: u64 = 16;

/// Runs one seed with a fault, or none; says how it failed.
fn run(fault: Option<Fault>, seed: u64) -> Result<Outcome, String> {
    plant(fault);
    let outcome = World::new(Scenario::draw(seed)).run();
    plant(None);
    outcome.map_err(|failure| format!("{failure:?}"))
}

/// The first seed from `first` on that fails with `fault` alone, and how.
fn find(fault: Fault, first: u64) -> Option<(u64, String)> {
    for batch in (first..first + SEEDS).step_by(BATCH as usize) {
        let results = run_many(batch..(batch + BATCH).min(first + SEEDS), |seed| {
            run(Some(fault), seed).err().filter(|_| run(None, seed).is_ok())
        });
        let found = results.into_iter().find_map(|(seed, how)| how.map(|how| (seed, how)));
        if found.is_some() {
            return found;
        }
    }
    None
}

#[test]
fn every_planted_fault_is_found() {
    let text = std::env::var("SEGCAST_SIM_SEED").unwrap_or_else(|_| "0".into());
    let first: u64 = text.parse().expect("SEGCAST_SIM_SEED: a number is wanted");
    let mut missed = Vec::new();
    let faults = (Fault::ALL.len() - Fault::OF_GROUPS.len()) as u64;
    let progress = Progress::steps("every_planted_fault_is_found", "faults", faults);
    for &fault in Fault::ALL.iter().filter(|fault| !Fault::OF_GROUPS.contains(fault)) {
        match find(fault, first) {
            Some((seed, how)) => println!("{fault:?}: seed {} of {SEEDS}: {how}", seed - first + 1),
            None => missed.push(fault),
        }
        progress.step();
    }
    assert!(missed.is_empty(), "not found in seeds {first}..{}: {missed:?}", first + SEEDS);
}

/// Eight viewers of one title, of whom the first seals junk, at 2 % loss: what is wrong, if anything.
fn watch(fault: Option<Fault>, seed: u64) -> Option<String> {
    plant(fault);
    let played = Viewers::with(seed, 20, Member::Forging).play(8, MS * 100);
    plant(None);
    match played {
        Ok(played) if played.titles() < 2.5 => None,
        Ok(played) => Some(format!("{played:?}")),
        Err(wrong) => Some(wrong),
    }
}

#[test]
fn every_planted_fault_of_groups_is_found() {
    assert_eq!(watch(None, 90), None);
    for &fault in Fault::OF_GROUPS {
        let wrong = watch(Some(fault), 90);
        println!("{fault:?}: {wrong:?}");
        assert!(wrong.is_some(), "{fault:?} is not noticed");
    }
}
