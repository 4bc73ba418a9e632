//! Reports, splits, what the owner is told, and how many sets a session hears.

use super::*;
use crate::ids::ChannelId;
use crate::wire::{ChannelReport, GroupChannel};

const NOW: Instant = Instant::from_nanos(1_000_000_000);

fn member(number: u8) -> Membership {
    let (set, line) = (SetId([number; 16]), Line::new(NOW, 0));
    Membership::new(NOW, set, SetIndex::FIRST, SetHandle(number.into()), line)
}

/// Channels with these numbers, of 100 segments each.
fn key(numbers: &[u32]) -> Arc<GroupKey> {
    let group = [232, 1, 1, 1].into();
    let channel = |(at, &number): (u32, &u32)| GroupChannel {
        id: ChannelId::new(number, 0),
        group,
        first: at * 100,
        end: at * 100 + 100,
        pace_kbit: 1000,
    };
    let channels = (0..).zip(numbers).map(channel).collect();
    Arc::new(GroupKey { report_interval_ms: 1000, port: 1, channels, ..GroupKey::closed() })
}

fn listening(numbers: &[u32]) -> GroupReport {
    let state = ChannelState::Listening;
    let report =
        |&number| ChannelReport { id: ChannelId::new(number, 0), state, loss: 0, verified: 0 };
    let channels = numbers.iter().map(report).collect();
    GroupReport { serial: 1, rate_kbit: 1000, window: 9, channels }
}

#[test]
fn what_it_hears_goes_by_the_channels_names_not_by_their_places() {
    let mut member = member(1);
    let [before, after] = [key(&[5, 6, 7]), key(&[5, 8, 7])];
    member.announce(NOW, &before);
    member.on_report(NOW, 1, 0, &listening(&[7, 6, 99]));
    assert_eq!(member.listening, 0b110);
    member.announce(NOW, &after);
    member.announce(NOW, &after);
    assert_eq!((member.listening, member.serial), (0b100, 2), "the same again says nothing");
    assert_eq!([50, 150, 250, 350].map(|s| member.hears(s)), [false, false, true, false]);
    let gone = key(&[9]);
    member.announce(NOW, &gone);
    assert_eq!(member.standing, Standing::Invited { until: NOW + INVITED });
    assert!(member.may_hold(50) && !member.may_hold(150));
}

#[test]
fn who_comes_first_is_held_for_three_seconds_should_a_second_one_come() {
    let mut alone = member(1);
    assert!(alone.may_hold(50) && alone.timer() == NOW + INVITED);
    assert!(!alone.on_timer(NOW + INVITED - Duration::from_millis(1)));
    assert!(alone.on_timer(NOW + INVITED), "what is held wakes");
    assert!(!alone.may_hold(50) && alone.is_to_be_invited() && alone.is_idle());
    let (mut first, key) = (member(1), key(&[5]));
    assert!(!first.is_idle(), "no other set takes its place");
    first.close(NOW);
    assert_eq!(first.key_due(NOW), None, "it was told of no groups");
    first.announce(NOW, &key);
    assert!(first.may_hold(50) && !first.may_hold(150));
}

#[test]
fn who_hears_a_channel_that_is_split_is_invited_to_the_new_one_for_a_while() {
    let mut member = member(1);
    let [whole, split] = [key(&[5]), key(&[5, 6])];
    member.announce(NOW, &whole);
    member.on_report(NOW, 1, 0, &listening(&[5]));
    member.announce(NOW, &whole);
    assert_eq!(member.moves_until, None, "nothing has moved");
    member.announce(NOW, &split);
    assert!(member.may_hold(150) && !member.hears(150));
    assert!(!member.may_hold(250), "no channel has it");
    assert!(member.timer() <= NOW + INVITED && !member.on_timer(NOW));
    member.key_due = None;
    member.on_report(NOW + INVITED, 2, 0, &listening(&[5]));
    assert!(member.on_timer(NOW + INVITED), "what is held there wakes");
    assert!(member.may_hold(50) && !member.may_hold(150));
    member.on_report(NOW + INVITED, 3, 0, &listening(&[5, 6]));
    assert!(member.may_hold(150));
}

#[test]
fn who_loses_more_than_a_tenth_is_told_of_as_lossy() {
    let mut member = member(1);
    let (key, told_as) = (key(&[5]), Holds::new(0).member(9));
    member.announce(NOW, &key);
    let mut told = |number: u32, loss| {
        let mut report = listening(&[5]);
        report.channels[0].loss = loss;
        let now = NOW + Duration::from_secs(number.into());
        member.on_report(now, number, 0, &report);
        member.tell(now, told_as).map(|note| matches!(note, Note::Member { lossy: true, .. }))
    };
    let answers = [told(1, 1000), told(2, 1001), told(3, 9000), told(4, 1000)];
    assert_eq!(answers, [Some(false), Some(true), None, Some(false)]);
}

#[test]
fn only_a_newer_report_counts_and_only_the_newest_keys_serial() {
    let mut member = member(1);
    member.announce(NOW, &key(&[5]));
    member.on_report(NOW, u32::MAX, 0, &listening(&[5]));
    assert_eq!(member.key_due, None);
    assert!(member.is_newer(0) && member.is_newer(7));
    assert!(!member.is_newer(u32::MAX) && !member.is_newer(u32::MAX - 1));
    member.announce(NOW, &key(&[5]));
    member.on_report(NOW, 0, 0, &listening(&[5]));
    assert_eq!(member.key_due(NOW), Some(2), "of the first key");
}

#[test]
fn the_owner_is_told_of_changes_five_times_a_second_and_else_each_five_seconds() {
    let mut member = member(1);
    member.announce(NOW, &key(&[5]));
    let told_as = Holds::new(0).member(9);
    assert_eq!(member.tell(NOW, told_as), None, "it hears nothing yet");
    let mut told = Vec::new();
    for turn in 0..1000_u32 {
        let now = NOW + Duration::from_millis(10) * turn;
        let heard: &[u32] = if turn < 100 && turn % 2 == 1 { &[] } else { &[5] };
        member.on_report(now, turn + 1, 0, &listening(heard));
        told.extend(member.tell(now, told_as).map(|_| turn));
    }
    assert!(told.iter().filter(|&&turn| turn < 100).count() <= 6, "{told:?}");
    assert!((1..=3).contains(&told.iter().filter(|&&turn| turn > 100).count()), "{told:?}");
}

#[test]
fn a_third_set_takes_the_place_of_one_whose_groups_are_not_heard() {
    let mut holds = Holds::new(0);
    let mut all = Memberships::default();
    let key = key(&[5]);
    for number in 1..=2 {
        let member = all.join(member(number).set, || member(number), 9, &mut holds).unwrap();
        member.announce(NOW, &key);
    }
    assert!(all.join(member(3).set, || member(3), 9, &mut holds).is_none());
    assert!(all.join(member(2).set, || member(3), 9, &mut holds).is_some(), "it is one");
    all.sets[0].close(NOW);
    assert!(all.join(member(3).set, || member(3), 9, &mut holds).is_some());
    assert_eq!(all.sets.iter().map(|m| m.set.0[0]).collect::<Vec<_>>(), [2, 3]);
    assert!(matches!(holds.next_note().0, Some((set, Note::Gone { .. })) if set.0[0] == 1));
}
