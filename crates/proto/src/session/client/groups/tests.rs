//! One client, one channel, virtual time: what is lost, forged, repeated, late, or never comes.

mod parity;
mod rig;

use rig::{MS, Rig, START, TITLE, channel, key, route, secret};

use super::*;
use crate::crypto::{GroupSealer, GroupSecret, Suite};
use crate::ids::{ChannelId, ObjectNumber};
use crate::limits::{DATAGRAM_BASE, SYMBOL};
use crate::segment::geometry::UNIT;
use crate::wire::PacketType;
use crate::wire::group_key::{GroupChannel, GroupKey};
use crate::wire::group_probe::{ProbeEntry, ProbeState};
use crate::wire::group_report::ChannelState;

#[test]
fn a_segment_is_whole_when_its_last_symbol_came_in_any_order() {
    let mut rig = Rig::listening();
    let symbols: Vec<_> = (0..64).rev().map(|index| rig.symbol(3, index)).collect();
    for symbol in &symbols[..40] {
        rig.hand(symbol);
        rig.hand(symbol);
    }
    assert_eq!(rig.groups.stats().verified, 0, "their leaves have not come");
    let leaves = rig.leaves(3, 0);
    rig.hand(&leaves);
    assert_eq!((rig.groups.stats().verified, rig.groups.stats().duplicates), (40, 40));
    symbols[40..].iter().for_each(|symbol| rig.hand(symbol));
    assert_eq!(rig.segment(), 3);
    assert_eq!((rig.groups.stats().segments, rig.groups.stats().forged), (1, 0));
    // What comes again is not taken again.
    rig.send(3, &[]);
    rig.pass(MS * 2000);
    assert_eq!(rig.events(), []);
}

#[test]
fn what_a_send_left_out_is_asked_for_when_it_is_over() {
    let mut rig = Rig::listening();
    rig.send(3, &[0, 9, 10, 63]);
    rig.pass(MS * 200);
    assert_eq!(rig.events(), []);
    rig.pass(MS * 70);
    let symbol = SYMBOL as u32;
    let missing = vec![(0, symbol), (9 * symbol, 11 * symbol), (63 * symbol, 64 * symbol)];
    assert_eq!(rig.rest(), (ObjectNumber(3), missing));
}

#[test]
fn a_send_is_over_sooner_when_another_begins_or_a_probe_says_so() {
    for says_probe in [false, true] {
        let mut rig = Rig::listening();
        rig.send(3, &[5]);
        if says_probe {
            let entry = ProbeEntry { segment: 3, state: ProbeState::Sent, symbols: 64, time_ms: 0 };
            rig.probe(vec![entry]);
        } else {
            let leaves = rig.leaves(4, 0);
            rig.hand(&leaves);
        }
        rig.pass(MS * 29);
        assert_eq!(rig.events(), [], "it may be under way");
        rig.pass(MS * 12);
        assert_eq!(rig.rest().0, ObjectNumber(3));
    }
}

#[test]
fn a_probe_ends_no_send_that_goes_on() {
    let mut rig = Rig::listening();
    for index in 0..64 {
        if index == 0 {
            let leaves = rig.leaves(3, 0);
            rig.hand(&leaves);
        }
        let entry = ProbeEntry { segment: 3, state: ProbeState::Sent, symbols: 64, time_ms: 0 };
        rig.probe(vec![entry]);
        let symbol = rig.symbol(3, index);
        rig.hand(&symbol);
        rig.pass(MS * 15);
    }
    assert_eq!(rig.segment(), 3);
}

#[test]
fn lost_leaves_are_fetched_alone() {
    let mut rig = Rig::listening();
    assert!(rig.groups.promised(rig.now, 3), "else nothing says that it is no junk");
    (0..64).for_each(|index| {
        let symbol = rig.symbol(3, index);
        rig.hand(&symbol);
    });
    rig.pass(MS * 270);
    // The first of two payloads: the other is of parity only, which did not come.
    assert_eq!(rig.rest(), (ObjectNumber::leaves_of(3), vec![(0, 1152)]));
    // So of that other one nothing is there.
    let mut fetched = TITLE.leaves[3].concat();
    fetched[1152..].fill(0);
    rig.groups.on_leaves(rig.now, &TITLE.manifest, 3, &fetched);
    assert_eq!((rig.segment(), rig.groups.stats().forged), (3, 0));
}

#[test]
fn leaves_that_do_not_come_or_are_wrong_leave_the_symbols_to_be_fetched() {
    for wrong in [false, true] {
        let mut rig = Rig::listening();
        assert!(rig.groups.promised(rig.now, 3));
        let symbol = rig.symbol(3, 1);
        rig.hand(&symbol);
        rig.pass(MS * 270);
        assert_eq!(rig.rest().0, ObjectNumber::leaves_of(3));
        if wrong {
            rig.groups.on_leaves(rig.now, &TITLE.manifest, 3, &[0; 1280]);
        } else {
            rig.pass(MS * 1000);
        }
        assert_eq!(rig.rest(), (ObjectNumber(3), vec![(0, UNIT)]));
    }
}

#[test]
fn a_forged_symbol_is_counted_and_the_true_one_takes_its_place() {
    let mut rig = Rig::listening();
    let forged = rig.seal(PacketType::Symbol, 3, 9, &[0xEE; SYMBOL]);
    // Before its leaf: it stays until that comes. After: it is never placed.
    rig.hand(&forged);
    let leaves = rig.leaves(3, 0);
    rig.hand(&leaves);
    assert_eq!(rig.groups.stats().forged, 1);
    rig.hand(&forged);
    assert_eq!(rig.groups.stats().forged, 2);
    let lie = rig.seal(PacketType::Leaves, 3, 1, &[0xEE; 128]);
    rig.hand(&lie);
    assert_eq!(rig.groups.stats().forged, 3);
    rig.send(3, &[]);
    assert_eq!(rig.segment(), 3);
}

#[test]
fn other_channels_and_epochs_and_altered_packets_are_dropped() {
    let mut rig = Rig::listening();
    let good = rig.symbol(3, 1);
    let mut altered = good.clone();
    altered[500] ^= 1;
    rig.hand(&altered);
    let mut elsewhere = GroupSealer::new(&secret(), Suite::Aes128Gcm, ChannelId::new(2, 3));
    let mut out = [0; DATAGRAM_BASE];
    let symbol = PacketType::Symbol;
    elsewhere.seal(rig.now, symbol, ObjectNumber(3), 1, &[0; SYMBOL], &mut out).unwrap();
    rig.hand(&out);
    rig.sealer.rekey(&GroupSecret::new([5; 32]), 1);
    let early = rig.symbol(3, 1);
    rig.hand(&early);
    assert_eq!((rig.groups.stats().dropped, rig.groups.is_open(3)), (3, false));
    let announced =
        GroupKey { epoch: 1, secret: GroupSecret::new([5; 32]), ..key(vec![channel()]) };
    rig.groups.on_group_key(rig.now, 2, &announced);
    rig.hand(&early);
    rig.hand(&good);
    assert_eq!(rig.groups.stats().dropped, 3, "both epochs are known");
    assert_eq!(rig.groups.stats().duplicates, 1);
}

#[test]
fn who_hears_nothing_is_deaf_says_so_and_tries_again() {
    let mut rig = Rig::new();
    rig.groups.on_group_key(START, 1, &key(vec![channel()]));
    let state = |rig: &mut Rig| {
        let report = rig.groups.poll_report(rig.now).map(|numbered| numbered.report);
        report.map(|report| report.channels[0].state)
    };
    assert_eq!(rig.events(), [GroupsEvent::Join(route())]);
    assert_eq!(state(&mut rig), Some(ChannelState::Joining));
    rig.now += MS * 3000;
    rig.groups.handle_timeout(rig.now);
    assert_eq!(rig.events(), [GroupsEvent::Leave(route())]);
    assert_eq!(state(&mut rig), Some(ChannelState::Deaf));
    assert!(!rig.groups.promised(rig.now, 3), "it is to be fetched at once");
    rig.now += MS * 60_000;
    rig.groups.handle_timeout(rig.now);
    assert_eq!(rig.events(), [GroupsEvent::Join(route())]);
    assert_eq!(state(&mut rig), Some(ChannelState::Joining));
    rig.probe(vec![]);
    assert_eq!(rig.groups.poll_report(rig.now), None, "five a second are enough");
    rig.now += MS * 200;
    assert_eq!(state(&mut rig), Some(ChannelState::Listening));
    rig.now += MS * 3500;
    rig.groups.handle_timeout(rig.now);
    assert_eq!(rig.events(), [GroupsEvent::Leave(route())], "a probe comes each second");
    assert_eq!(rig.groups.stats().deaf, 2);
}

#[test]
fn a_channel_that_is_split_is_heard_until_what_it_gave_away_comes_by_the_other() {
    let mut rig = Rig::listening();
    rig.groups.set_position(rig.now, 10);
    let lower = GroupChannel { end: 8, ..channel() };
    let upper = GroupChannel {
        id: ChannelId::new(2, 3),
        group: [232, 1, 1, 2].into(),
        first: 8,
        pace_kbit: 1000,
        ..channel()
    };
    rig.groups.on_group_key(rig.now, 2, &key(vec![lower, upper]));
    let new = Route { group: upper.group, ..route() };
    assert_eq!(rig.events(), [GroupsEvent::Join(new)], "and the old one is not left");
    rig.send(12, &[]);
    assert_eq!(rig.segment(), 12);
    rig.pass(MS * 2900);
    assert_eq!(rig.events(), []);
    rig.pass(MS * 2000);
    assert!(rig.events().contains(&GroupsEvent::Leave(route())));
}

#[test]
fn who_loses_a_third_leaves_all_for_a_while() {
    let mut rig = Rig::listening();
    let lost: Vec<u32> = (0..64).filter(|index| index % 3 == 0).collect();
    for segment in 0..10 {
        rig.send(segment, &lost);
        rig.pass(MS * 1200);
    }
    assert!(rig.events().contains(&GroupsEvent::Leave(route())));
    assert!(!rig.groups.hears(15) && rig.groups.stats().deaf == 1);
}

#[test]
fn junk_and_repetitions_prolong_no_send() {
    let mut rig = Rig::listening();
    assert!(rig.groups.promised(rig.now, 3));
    rig.send(3, &[5]);
    let begun = rig.now;
    for _ in 0..100 {
        let forged = rig.seal(PacketType::Symbol, 3, 5, &[0xEE; SYMBOL]);
        let (symbol, leaves) = (rig.symbol(3, 4), rig.leaves(3, 0));
        [forged, symbol, leaves].iter().for_each(|packet| rig.hand(packet));
        rig.pass(MS * 20);
        if let Some(event) = rig.groups.poll_event() {
            assert!(matches!(event, GroupsEvent::Rest { .. }), "{event:?}");
            assert!(rig.now <= begun + MS * 300);
            return;
        }
    }
    panic!("it waits for a segment of which nothing comes");
}

#[test]
fn what_no_leaf_is_known_of_does_not_go_on_for_ever() {
    let mut rig = Rig::listening();
    assert!(rig.groups.promised(rig.now, 3));
    let begun = rig.now;
    for index in 0..64 {
        let junk = rig.seal(PacketType::Symbol, 3, index, &[0xEE; SYMBOL]);
        rig.hand(&junk);
        rig.pass(MS * 200);
        if !rig.events().is_empty() {
            // At 1 MB/s it takes 0.1 s.
            assert!(rig.now <= begun + MS * 1500, "{:?}", rig.now);
            return;
        }
    }
    panic!("it waits for a segment of which nothing comes");
}

#[test]
fn two_promises_of_which_nothing_comes_make_a_channel_deaf() {
    let mut rig = Rig::listening();
    assert!(rig.groups.promised(rig.now, 3));
    rig.pass(MS * 250);
    assert_eq!(rig.rest(), (ObjectNumber(3), vec![(0, UNIT)]), "at once");
    for segment in [4, 5] {
        assert!(rig.groups.promised(rig.now, segment));
        rig.send(segment, &[]);
        assert_eq!(rig.segment(), segment);
    }
    for segment in [6, 7] {
        assert!(rig.groups.hears(segment) && rig.groups.promised(rig.now, segment));
        rig.pass(MS * 250);
    }
    let leave = |event: &GroupsEvent| matches!(event, GroupsEvent::Leave(_));
    assert_eq!(rig.events().iter().filter(|event| leave(event)).count(), 1);
    assert!(!rig.groups.hears(8));
}

#[test]
fn less_than_half_of_three_promises_makes_a_channel_deaf() {
    let mut rig = Rig::listening();
    let lost: Vec<u32> = (0..64).filter(|index| index % 5 > 1).collect();
    for segment in 3..6 {
        assert!(rig.groups.hears(segment) && rig.groups.promised(rig.now, segment));
        rig.send(segment, &lost);
        rig.pass(MS * 300);
    }
    assert!(!rig.groups.hears(7));
    assert_eq!(rig.groups.stats().rests, 3);
}

#[test]
fn what_nobody_promised_and_came_to_less_than_half_is_forgotten() {
    let mut rig = Rig::listening();
    let lost: Vec<u32> = (0..40).collect();
    rig.send(3, &lost);
    assert!(rig.groups.is_open(3));
    rig.pass(MS * 300);
    assert!(!rig.groups.is_open(3));
    assert_eq!(rig.events(), []);
    rig.send(3, &[]);
    assert_eq!(rig.segment(), 3);
}

#[test]
fn only_what_is_wanted_is_kept_and_what_is_promised_or_needed_first_has_the_room() {
    let mut rig = Rig::listening();
    rig.groups.set_position(rig.now, 2);
    rig.groups.set_wanted(5, false);
    for segment in [1, 5] {
        rig.send(segment, &[]);
        assert!(!rig.groups.is_open(segment) && rig.events().is_empty());
    }
    let first = |rig: &mut Rig, segment| {
        let symbol = rig.symbol(segment, 0);
        rig.hand(&symbol);
    };
    for segment in (4..20).filter(|segment| *segment != 5) {
        first(&mut rig, segment);
    }
    assert!(rig.groups.promised(rig.now, 19));
    first(&mut rig, 3);
    first(&mut rig, 2);
    assert!(rig.groups.is_open(19) && rig.groups.is_open(2) && !rig.groups.is_open(18));
    assert_eq!(rig.groups.open.len(), OPEN_MAX);
    rig.groups.set_position(rig.now, 10);
    assert!(!rig.groups.is_open(9) && rig.groups.is_open(10));
}

#[test]
fn a_server_that_announces_what_is_not_to_be_joined_is_told_nothing_is_accepted() {
    let refused = |key: GroupKey| {
        let mut rig = Rig::listening();
        rig.pass(MS * 500);
        rig.groups.on_group_key(rig.now, 2, &key);
        let events = rig.events();
        assert!(events.contains(&GroupsEvent::Leave(route())), "{events:?}");
        rig.now += MS * 200;
        let report = rig.groups.poll_report(rig.now).unwrap().report;
        assert_eq!((report.serial, report.rate_kbit, report.channels.len()), (2, 0, 0));
        events.iter().find_map(|event| match event {
            GroupsEvent::Refused(refusal) => Some(*refusal),
            _ => None,
        })
    };
    let other = [192, 0, 2, 9].into();
    let elsewhere = GroupKey { source: other, ..key(vec![channel()]) };
    assert_eq!(refused(elsewhere), Some(Refusal::Source(other)));
    let group = [239, 1, 1, 1].into();
    let anyone = key(vec![GroupChannel { group, ..channel() }]);
    assert_eq!(refused(anyone), Some(Refusal::NotSourceSpecific(group)));
    let group = "ff35::8000:1".parse().unwrap();
    let mixed = key(vec![GroupChannel { group, ..channel() }]);
    assert!(matches!(refused(mixed), Some(Refusal::Family { .. })));
    assert_eq!(refused(GroupKey { suite: 9, ..key(vec![channel()]) }), Some(Refusal::Suite(9)));
    assert_eq!(refused(key(Vec::new())), None);
}

#[test]
fn a_channel_that_is_faster_than_the_client_accepts_is_not_joined() {
    let mut rig = Rig::new();
    let fast = GroupChannel { pace_kbit: 10_001, ..channel() };
    rig.groups.on_group_key(START, 1, &key(vec![fast]));
    assert_eq!(rig.events(), [GroupsEvent::Refused(Refusal::Rate { pace_kbit: 10_001 })]);
    let report = rig.groups.poll_report(START).unwrap().report;
    assert_eq!((report.rate_kbit, report.channels[0].state), (10_000, ChannelState::Left));
}

#[test]
fn a_key_that_comes_again_is_acknowledged_and_a_dismissal_is_the_last_report() {
    let mut rig = Rig::listening();
    let report = rig.groups.poll_report(rig.now).unwrap();
    assert_eq!((report.number, report.position, report.report.serial), (1, 0, 1));
    rig.now += MS * 300;
    rig.groups.on_group_key(rig.now, 1, &key(Vec::new()));
    assert_eq!(rig.events(), [], "an old serial changes nothing");
    let again = rig.groups.poll_report(rig.now).unwrap();
    assert_eq!((again.number, again.report.serial), (2, 1));
    rig.now += MS * 300;
    rig.groups.on_group_key(rig.now, 2, &key(Vec::new()));
    assert_eq!(rig.events(), [GroupsEvent::Leave(route())]);
    assert_eq!(rig.groups.poll_report(rig.now).unwrap().report.serial, 2);
    assert_eq!(rig.groups.poll_timeout(), None);
    // In a new session serials begin again.
    rig.groups.on_session();
    rig.groups.on_group_key(rig.now, 1, &key(vec![channel()]));
    assert_eq!(rig.groups.poll_report(rig.now).unwrap().number, 1);
}
