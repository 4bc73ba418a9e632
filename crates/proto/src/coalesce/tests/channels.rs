//! Channels come, are split and merged, and go.

use super::*;

/// Everybody says again what they hear: all channels.
fn repeat(rig: &mut Rig, members: u32) {
    (0..members).for_each(|slot| rig.listens(slot, 0, u32::MAX));
}

/// `seconds` in which segment after segment of `segments` is sent for two, one in `every` ms.
fn busy(rig: &mut Rig, seconds: u64, every: u64, segments: core::ops::Range<u32>) {
    let end = rig.now + Duration::from_secs(seconds);
    for segment in segments.cycle() {
        if rig.now >= end {
            return;
        }
        repeat(rig, 2);
        rig.wants(0, segment, rig.now + Duration::from_secs(3));
        rig.wants(1, segment, rig.now + Duration::from_secs(3));
        rig.run_to(rig.now + Duration::from_millis(every));
    }
}

/// Its channels have every segment once, and no name or pace is wrong.
fn ranges(rig: &Rig) -> Vec<core::ops::Range<u32>> {
    let channels = rig.coalescer.channels(&SET);
    let mut next = 0;
    for (at, channel) in channels.iter().enumerate() {
        assert_eq!(channel.first, next);
        assert!(channel.first < channel.end && channel.id.0 & 0xFF == 3);
        assert!(channels[..at].iter().all(|other| other.id != channel.id));
        next = channel.end;
    }
    assert!(channels.is_empty() || next == FACTS.segments);
    channels.iter().map(|channel| channel.first..channel.end).collect()
}

#[test]
fn the_second_session_opens_one_and_the_last_but_one_closes_it_after_a_minute() {
    let mut rig = Rig::new(CONFIG);
    rig.note(Note::Hears { member: member(0) });
    rig.note(Note::Hears { member: member(0) });
    assert_eq!((ranges(&rig), rig.times(Event::Channels)), (vec![], vec![]));
    rig.note(Note::Hears { member: member(1) });
    assert_eq!((ranges(&rig).len(), ranges(&rig).first()), (1, Some(&(0..2441))));
    assert_eq!(rig.times(Event::Channels).len(), 1);
    assert_eq!(rig.coalescer.channels(&SET)[0].pace, Rate::new(625_025).scaled(8.0));
    rig.listens(0, 0, 1);
    assert_eq!(rig.coalescer.members(&SET), 1);
    rig.note(Note::Gone { member: member(1) });
    rig.run_to(rig.now + Duration::from_secs(50));
    rig.listens(0, 0, 1);
    assert_eq!(ranges(&rig).len(), 1);
    rig.run_to(rig.now + Duration::from_secs(30));
    assert_eq!((ranges(&rig), rig.times(Event::Channels).len()), (vec![], 2));
    assert_eq!(rig.coalescer.open_channels(), 0);
    rig.note(Note::Gone { member: member(0) });
    assert_eq!(rig.coalescer.poll_timeout(), None, "the set is forgotten");
}

#[test]
fn who_is_silent_for_a_minute_is_gone() {
    let mut rig = Rig::with_members(CONFIG, 5);
    assert_eq!(rig.coalescer.members(&SET), 5);
    rig.run_to(at(50_000));
    rig.listens(0, 0, 1);
    rig.run_to(at(75_000));
    assert_eq!(rig.coalescer.members(&SET), 1);
    rig.run_to(at(300_000));
    assert_eq!((rig.coalescer.members(&SET), rig.coalescer.open_channels()), (0, 0));
    assert_eq!(rig.coalescer.poll_timeout(), None);
}

#[test]
fn what_is_too_much_is_refused_and_counted() {
    let mut rig = Rig::with_members(CoalescerConfig { channels: 1, members: 4, ..CONFIG }, 2);
    for slot in 0..3 {
        rig.coalescer.note(rig.now, OTHER, &FACTS, Note::Hears { member: member(slot) });
    }
    assert!(rig.coalescer.channels(&OTHER).is_empty());
    let counters = rig.coalescer.counters();
    assert_eq!((counters.members_refused, counters.channels_refused), (1, 1));
    // A channel that could not even carry one stream is none.
    let slow = CoalescerConfig { rate: Rate::new(600_000), ..CONFIG };
    let rig = Rig::with_members(slow, 2);
    assert!(ranges(&rig).is_empty());
}

#[test]
fn what_a_channel_carried_is_known_of_its_parts_so_that_a_crowded_one_is_split_again_at_once() {
    let mut rig = Rig::with_members(CONFIG, 2);
    busy(&mut rig, 60, 740, 100..400);
    let times = rig.times(Event::Channels);
    assert!(times.len() >= 2, "{times:?}");
    let between = times[1].saturating_since(times[0]);
    assert!(
        between <= Duration::from_secs(14),
        "when what moved is there, and looked at: {between:?}"
    );
}

#[test]
fn what_waits_for_a_channel_that_is_closed_goes_by_its_neighbour_from_then_on() {
    let mut rig = Rig::with_members(CONFIG, 2);
    busy(&mut rig, 120, 740, 100..400);
    assert!(ranges(&rig).len() > 2);
    for turn in 0..400 {
        repeat(&mut rig, 2);
        if turn % 2 == 0 {
            (0..2).for_each(|slot| rig.wants(slot, 390, rig.now + Duration::from_secs(12)));
        }
        rig.run_to(rig.now + Duration::from_secs(5));
        let changed = *rig.times(Event::Channels).last().expect("opened, or split");
        let open: Vec<_> = rig.coalescer.channels(&SET).iter().map(|c| c.id).collect();
        let since = rig.trains.iter().filter(|(at, _)| *at > changed);
        assert!(since.clone().all(|(_, train)| open.contains(&train.channel)));
        rig.trains.clear();
    }
    assert!(rig.coalescer.counters().merges > 0);
    assert_eq!(rig.coalescer.open_channels(), ranges(&rig).len());
}

#[test]
fn channels_whose_members_lose_much_are_closed_for_a_while_and_then_opened_again() {
    let mut rig = Rig::with_members(CONFIG, 4);
    let tell = |rig: &mut Rig, lossy| {
        for slot in 0..4 {
            let (member, position, window, listening) = (member(slot), 0, u32::MAX, 1);
            let lossy = lossy && slot > 0;
            rig.note(Note::Member { member, position, window, listening, lossy });
        }
    };
    tell(&mut rig, false);
    rig.run_to(rig.now + Duration::from_secs(15));
    tell(&mut rig, true);
    rig.run_to(rig.now + Duration::from_secs(20));
    assert!((ranges(&rig).is_empty(), rig.coalescer.counters().broken) == (true, 1));
    assert_eq!((rig.coalescer.members(&SET), rig.coalescer.open_channels()), (0, 0));
    (0..2).for_each(|slot| rig.note(Note::Hears { member: member(slot) }));
    rig.run_to(rig.now + Duration::from_secs(15));
    assert!(ranges(&rig).is_empty(), "not yet");
    rig.run_to(rig.now + Duration::from_secs(30));
    assert_eq!(ranges(&rig).len(), 1);
}

#[test]
fn a_channel_that_carries_too_much_is_split_and_idle_neighbours_are_merged() {
    let mut rig = Rig::with_members(CONFIG, 2);
    // Four streams: segment after segment in a quarter of its time.
    busy(&mut rig, 85, 740, 100..400);
    assert_eq!(ranges(&rig).first(), Some(&(0..6)), "16 s are the front's");
    let paces: Vec<_> = rig.coalescer.channels(&SET).iter().map(|channel| channel.pace).collect();
    assert_eq!(paces[0].bytes_per_second(), 2 * paces[1].bytes_per_second());
    busy(&mut rig, 200, 740, 100..400);
    let split = ranges(&rig);
    assert!(split.len() > 2, "{split:?}");
    let middle = split[1].end;
    assert!((101..400).contains(&middle), "split where half of the sends are: {split:?}");
    // The upper part is sent on the upper channel.
    rig.trains.clear();
    busy(&mut rig, 10, 740, 399..400);
    let upper = rig.coalescer.channels(&SET).last().expect("channels").id;
    assert!(rig.trains.iter().any(|(_, train)| train.channel == upper));
    // Nothing is sent for long: all but the front become one.
    for _ in 0..400 {
        repeat(&mut rig, 2);
        rig.run_to(rig.now + Duration::from_secs(5));
    }
    assert_eq!(ranges(&rig), [0..6, 6..2441]);
    assert_eq!(rig.coalescer.open_channels(), 2);
    let counters = rig.coalescer.counters();
    assert_eq!(counters.splits, counters.merges + 1);
}
