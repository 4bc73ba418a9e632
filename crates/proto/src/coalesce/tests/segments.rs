//! What is sent to the group, what is not, and when.

use super::*;

/// What a segment takes on the first channel: 23 LEAVES payloads and 1600 symbols, at eight times the set's rate.
fn takes() -> Duration {
    Rate::new(1_843_200 * 1000 / 2949).scaled(8.0).time_for((1600 + 23) * 1200)
}

/// The latest start for one segment with this deadline: half a second and its own time before.
fn latest(deadline: Instant) -> Instant {
    deadline - takes() - Duration::from_millis(500)
}

fn is_about(found: Instant, expected: Instant) -> bool {
    found.saturating_since(expected).max(expected.saturating_since(found))
        <= Duration::from_millis(3)
}

#[test]
fn two_who_wait_are_served_by_one_send_at_the_latest_start() {
    let mut rig = Rig::with_members(CONFIG, 2);
    rig.wants(0, 5, at(12_000));
    rig.run_to(at(3_000));
    rig.wants(1, 5, at(14_000));
    assert_eq!(rig.times(Event::Populate { segment: 5 }), [at(1_500)]);
    rig.run_to(at(30_000));
    let [begun] = rig.times(Event::Begun { segment: 5 })[..] else { panic!("{:?}", rig.events) };
    assert!(is_about(begun, latest(at(12_000))), "{begun:?}");
    assert_eq!(rig.symbols(5), (0..1600).collect::<Vec<_>>(), "each symbol once");
    let (end, last) = rig.trains.last().expect("trains");
    assert_eq!(last.part, Part::Probe);
    // The last train leaves whole, up to 5 ms before the channel would have sent the last of it.
    assert!(is_about(*end, at(11_497)), "sent half a second before the first needs it: {end:?}");
    assert_eq!((rig.coalescer.counters().sends, rig.coalescer.counters().alone), (1, 0));
}

#[test]
fn who_waits_alone_is_told_so_at_the_latest_start_and_not_before() {
    let mut rig = Rig::with_members(CONFIG, 1);
    // A second session opens the channel; it does not listen.
    rig.note(Note::Hears { member: member(1) });
    rig.listens(0, 0, 1);
    rig.wants(0, 5, at(12_000));
    rig.run_to(latest(at(12_000)) - Duration::from_millis(5));
    assert_eq!(rig.times(Event::Alone { segment: 5 }), []);
    rig.run_to(at(30_000));
    let [alone] = rig.times(Event::Alone { segment: 5 })[..] else { panic!("{:?}", rig.events) };
    assert!(is_about(alone, latest(at(12_000))), "{alone:?}");
    assert!(rig.trains.is_empty() && rig.coalescer.counters().alone == 1);
}

#[test]
fn who_listens_and_lacks_it_makes_it_worth_a_group() {
    let mut rig = Rig::with_members(CONFIG, 3);
    rig.wants(0, 5, at(12_000));
    rig.run_to(at(13_000));
    assert_eq!(rig.times(Event::Begun { segment: 5 }).len(), 1);
    // All who listened then have it: the next who asks alone stays alone …
    rig.wants(0, 5, at(22_000));
    rig.run_to(at(23_000));
    assert_eq!(rig.times(Event::Alone { segment: 5 }).len(), 1);
    // … also when somebody joined since who is past it; but not when one did who will need it.
    rig.listens(3, 6, 1);
    rig.wants(0, 5, at(32_000));
    rig.run_to(at(33_000));
    assert_eq!(rig.times(Event::Alone { segment: 5 }).len(), 2);
    rig.listens(4, 5, 1);
    rig.wants(0, 5, at(42_000));
    rig.run_to(at(43_000));
    assert_eq!(rig.times(Event::Begun { segment: 5 }).len(), 2);
}

#[test]
fn what_nobody_wants_any_longer_goes() {
    let mut rig = Rig::with_members(CONFIG, 2);
    rig.wants(0, 5, at(12_000));
    rig.wants(1, 5, at(12_000));
    rig.unwants(0, 5);
    rig.unwants(1, 5);
    // Once it has begun it is sent to its end.
    rig.wants(0, 6, at(12_000));
    rig.run_to(latest(at(12_000)) + Duration::from_millis(50));
    rig.unwants(0, 6);
    rig.run_to(at(30_000));
    assert!(rig.symbols(5).is_empty());
    assert_eq!(rig.symbols(6).len(), 1600);
    assert_eq!(rig.times(Event::Alone { segment: 5 }), []);
}

#[test]
fn the_backlog_begins_so_early_that_all_of_it_ends_in_time() {
    let mut rig = Rig::with_members(CONFIG, 2);
    for segment in 0..10 {
        rig.wants(0, segment, at(20_000 + u64::from(segment)));
    }
    rig.run_to(at(30_000));
    for segment in 0..10 {
        let mut trains = rig.trains.iter().filter(|(_, train)| train.segment == segment);
        let (end, _) = trains.next_back().expect("it was sent");
        let wanted = at(19_500 + u64::from(segment));
        assert!(*end <= wanted + Duration::from_millis(10), "segment {segment}: {end:?}");
    }
    let [first] = rig.times(Event::Begun { segment: 0 })[..] else { panic!("{:?}", rig.events) };
    assert!(first <= at(19_510) - takes() * 10, "{first:?}");
}

#[test]
fn a_full_queue_says_alone_at_once() {
    let mut rig = Rig::with_members(CONFIG, 2);
    for segment in 0..65 {
        rig.wants(0, segment, at(900_000));
    }
    assert_eq!(rig.times(Event::Alone { segment: 64 }), [rig.now]);
    assert_eq!(rig.events.iter().filter(|(_, e)| matches!(e, Event::Alone { .. })).count(), 1);
    assert_eq!(rig.coalescer.counters().jobs_refused, 1);
}

#[test]
fn who_asks_for_what_is_being_sent_has_it_if_they_heard_it_from_the_start() {
    let mut rig = Rig::with_members(CONFIG, 2);
    rig.wants(0, 5, at(12_000));
    rig.run_to(latest(at(12_000)) + Duration::from_millis(100));
    rig.wants(1, 5, at(25_000));
    assert_eq!(rig.times(Event::Begun { segment: 5 }).len(), 2, "told again");
    rig.listens(2, 0, 1);
    rig.wants(2, 5, at(25_000));
    assert_eq!(rig.times(Event::Begun { segment: 5 }).len(), 2, "lacks the beginning");
    rig.run_to(at(30_000));
    assert_eq!(rig.times(Event::Alone { segment: 5 }).len(), 1);
    assert_eq!(rig.symbols(5).len(), 1600);
}

#[test]
fn numbers_beyond_the_set_and_sets_without_a_channel_are_nobodys() {
    let mut rig = Rig::new(CONFIG);
    rig.wants(0, 5, at(12_000));
    let mut rig = Rig::with_members(CONFIG, 2);
    for segment in [2441, u32::MAX] {
        rig.wants(0, segment, at(12_000));
        rig.unwants(0, segment);
        rig.note(Note::Lack { segment, member: member(0), symbols: 9, deadline: at(0) });
    }
    rig.listens(0, u32::MAX, u32::MAX);
    rig.wants(0, 0, at(0));
    rig.run_to(at(30_000));
    assert!(
        rig.events
            .iter()
            .all(|(_, event)| !matches!(event, Event::Begun { segment } if *segment > 0))
    );
}
