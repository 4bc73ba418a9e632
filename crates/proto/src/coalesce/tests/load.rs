//! Many segments at once, from printed seeds: rates and deadlines hold.

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

use super::*;

const SEEDS: u64 = 8;

/// `seconds` of two members who ask for segments all over the set, 8 to 16 s ahead, one in `every` ms: what they asked
/// for by when.
fn load(rig: &mut Rig, seed: u64, seconds: u64, every: u32) -> Vec<(u32, Instant)> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let end = rig.now + Duration::from_secs(seconds);
    let mut asked = Vec::new();
    while rig.now < end {
        let next = rig.now + Duration::from_millis(u64::from(random.next_u32() % (2 * every)));
        rig.run_to(next);
        (0..2).for_each(|slot| rig.listens(slot, 0, 1));
        let segment = random.next_u32() % FACTS.segments;
        let deadline =
            rig.now + Duration::from_millis(u64::from(8_000 + random.next_u32() % 8_000));
        rig.wants(random.next_u32() % 2, segment, deadline);
        asked.push((segment, deadline));
    }
    asked
}

/// The most bytes that left above `rate`, over all stretches of time: what a bucket would have to hold.
fn excess(trains: &[(Instant, Train)], rate: Rate) -> u64 {
    let second = 1_000_000_000;
    let (mut level, mut highest, mut last) = (0_u128, 0, Instant::ZERO);
    for (time, train) in trains.iter().filter(|(_, train)| train.part != Part::Probe) {
        let carried = time.saturating_since(last).as_nanos() * u128::from(rate.bytes_per_second());
        level = level.saturating_sub(carried) + u128::from(train.part.datagrams()) * 1200 * second;
        highest = highest.max(level);
        last = *time;
    }
    u64::try_from(highest.div_ceil(second)).expect("bytes of a test")
}

#[test]
fn all_are_answered_before_they_would_have_to_be_served_by_unicast() {
    for seed in 0..SEEDS {
        let mut rig = Rig::with_members(CONFIG, 2);
        // A fifth of what the channel carries, in bursts.
        let asked = load(&mut rig, seed, 120, 2_000);
        rig.run_to(rig.now + Duration::from_secs(20));
        for (segment, deadline) in asked {
            let hold_ends = deadline - UNICAST - Duration::from_millis(150);
            let is_answer = |event: &Event| matches!(event, Event::Begun { segment: s } | Event::Alone { segment: s } if *s == segment);
            let in_time =
                rig.events.iter().any(|(time, event)| *time <= hold_ends && is_answer(event));
            assert!(in_time, "seed {seed}: segment {segment} by {deadline:?}");
        }
        assert!(rig.coalescer.counters().sends > 20, "seed {seed}");
    }
}

#[test]
fn a_channel_never_sends_above_its_pace_whatever_is_asked_for() {
    for seed in 0..SEEDS {
        let mut rig = Rig::with_members(CONFIG, 2);
        // Five times what it carries; the shard also wakes late.
        load(&mut rig, seed, 9, 80);
        rig.now += Duration::from_millis(seed * 3);
        load(&mut rig, seed + 100, 9, 80);
        let pace = rig.coalescer.channels(&SET)[0].pace;
        let train = 16 * 1200;
        let excess = excess(&rig.trains, pace);
        assert!(excess <= pace.bytes_in(Duration::from_millis(5)) + train, "seed {seed}: {excess}");
        let sent: u64 = rig.trains.iter().map(|(_, t)| u64::from(t.part.datagrams()) * 1200).sum();
        assert!(sent > pace.bytes_in(Duration::from_secs(5)), "seed {seed}: it was busy");
    }
}

#[test]
fn all_channels_together_keep_within_the_budget_and_what_ends_first_goes_first() {
    let rate = Rate::new(6_250_000);
    let mut rig = Rig::with_members(CoalescerConfig { rate, ..CONFIG }, 2);
    for slot in 0..2 {
        let member = member(slot);
        rig.coalescer.note(rig.now, OTHER, &FACTS, Note::Hears { member });
    }
    for slot in 0..2 {
        let member = member(slot);
        let (position, window, listening) = (0, u32::MAX, 1);
        let note = Note::Member { member, position, window, listening, lossy: false };
        rig.coalescer.note(rig.now, OTHER, &FACTS, note);
    }
    let [late, early] = [12_100, 12_000].map(at);
    rig.wants(0, 5, late);
    let want =
        Note::Want { segment: 5, deadline: early, unicast: UNICAST, member: member(0), waiters: 2 };
    rig.coalescer.note(rig.now, OTHER, &FACTS, want);
    rig.run_to(at(20_000));
    let end_of = |set| rig.trains.iter().rfind(|(_, train)| train.set == set).expect("sent").0;
    assert!(end_of(OTHER) < end_of(SET));
    let excess = excess(&rig.trains, rate);
    assert!(excess <= rate.bytes_in(Duration::from_millis(5)) + 16 * 1200, "{excess}");
    assert_eq!(rig.coalescer.counters().sends, 2);
}
