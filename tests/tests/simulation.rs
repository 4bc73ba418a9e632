//! Scenarios from seeds: every transfer ends right and in time.
//!
//! `SEGCAST_SIM_SCENARIOS=n` sets how many (default 1000; CI runs 10 000), `SEGCAST_SIM_SEED=s` the first
//! seed (default 0; `clock`: one that nobody has seen); a failing seed is printed and
//! `SEGCAST_SIM_ONE=s` repeats it alone.

use std::time::{SystemTime, UNIX_EPOCH};

use segcast_kit::progress::Progress;
use segcast_kit::sim::{Outcome, Scenario, World, run_many};

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}: a number is wanted")))
}

fn first_seed() -> u64 {
    if std::env::var("SEGCAST_SIM_SEED").is_ok_and(|text| text == "clock") {
        return SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs()) << 20;
    }
    number("SEGCAST_SIM_SEED").unwrap_or(0)
}

#[test]
fn every_transfer_ends_right_and_in_time() {
    if let Some(seed) = number("SEGCAST_SIM_ONE") {
        let scenario = Scenario::draw(seed);
        println!("{scenario:#?}\nbound {:?}", scenario.bound());
        let mut world = World::new(scenario);
        let outcome = world.run();
        println!("{}", world.describe());
        println!("{:#?}", outcome.expect("the scenario"));
        return;
    }
    let first = first_seed();
    let count = number("SEGCAST_SIM_SCENARIOS").unwrap_or(1000);
    println!("seeds {first}..{}", first + count);
    let name = "every_transfer_ends_right_and_in_time";
    let progress = Progress::steps(name, "scenarios", count);
    let results = run_many(first..first + count, |seed| {
        let scenario = Scenario::draw(seed);
        let outcome = World::new(scenario.clone()).run();
        match &outcome {
            Err(failure) => println!("SEGCAST_SIM_ONE={seed}: {failure:?} in {scenario:?}"),
            Ok(ended) if ended.part_of_bound > 1.0 => {
                println!("SEGCAST_SIM_ONE={seed}: late, {ended:?} in {scenario:?}");
            }
            Ok(_) => {}
        }
        progress.step();
        outcome
    });
    let failed: Vec<_> = results.iter().filter(|(_, o)| o.is_err()).map(|(seed, _)| seed).collect();
    assert!(failed.is_empty(), "{} of {count} failed: {failed:?}", failed.len());
    let ended: Vec<_> =
        results.iter().filter_map(|(seed, o)| Some((seed, o.as_ref().ok()?))).collect();
    report(&ended);
    for (seed, outcome) in &ended {
        assert!(outcome.datagrams >= 200, "seed {seed} moved {}", outcome.datagrams);
    }
    let late: Vec<_> =
        ended.iter().filter(|(_, o)| o.part_of_bound > 1.0).map(|(s, _)| s).collect();
    assert!(late.is_empty(), "{} of {count} ended after the bound: {late:?}", late.len());
}

fn report(ended: &[(&u64, &Outcome)]) {
    let mean = ended.iter().map(|(_, o)| o.utilisation).sum::<f64>() / ended.len() as f64;
    println!("mean use of the path, handshakes and waits included: {mean:.2}");
    let mut parts: Vec<f64> = ended.iter().map(|(_, o)| o.part_of_bound).collect();
    parts.sort_by(f64::total_cmp);
    let at = |share: f64| parts[((parts.len() - 1) as f64 * share) as usize];
    println!(
        "time taken, of the bound: p50 {:.2}, p99 {:.2}, p99.9 {:.2}, most {:.2}",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}
