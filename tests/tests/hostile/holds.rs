//! Requests that a group may serve: whatever the owner of the set, the client and the notes between them do, nobody is
//! served later than by unicast, and what waits is bounded.

use std::sync::Arc;

use segcast_kit::endpoint::rig::{MS, Rig, address};
use segcast_kit::session::raw::EMPTY_FRAME;
use segcast_proto::coalesce::Note;
use segcast_proto::ids::{ChannelId, ObjectNumber};
use segcast_proto::session::server::DropReason;
use segcast_proto::time::{Duration, Instant};
use segcast_proto::wire::request::{FLAG_HEARS, FLAG_REPAIR, Request};
use segcast_proto::wire::{ChannelState, Code, FrameHeader, GroupChannel, PacketType};

use crate::stage::{PLAYS, SEGMENT_BYTES, Stage, Viewer, key, set};

/// What a hold leaves for unicast where no path is known: a quarter of the time that a segment plays, and the margin.
const LEAD: Duration = Duration::from_millis(900);

fn assert_about(found: Option<Duration>, right: Duration) {
    let found = found.expect("it was served");
    assert!(found >= right && found <= right + MS * 3, "{found:?}, not {right:?}");
}

#[test]
fn what_begins_for_two_is_finished_for_both_and_costs_no_unicast() {
    let mut stage = Stage::listening(70, 2);
    let asked = stage.rig.now;
    (0..2).for_each(|viewer| stage.ask(viewer, 2, 1, 10_000 + 500 * viewer as u32));
    stage.run(MS * 5);
    assert_eq!(stage.wants(asked), [(1, 10_000, 1), (1, 10_000, 2)]);
    assert_eq!(stage.rig.server.gauges().owed_bytes, 0, "a held request owes nothing");
    stage.run_listening(4);
    let now = stage.rig.now;
    stage.rig.server.group_begun(now, set(), 1);
    stage.run(MS * 5);
    assert!(stage.viewers.iter().all(|viewer| viewer.is_finished(2)), "STATUS is due at once");
    stage.run_listening(10);
    assert_eq!(stage.viewers.iter().map(Viewer::bytes).sum::<usize>(), 0);
    let counters = stage.rig.server.counters();
    assert_eq!((counters.holds, counters.holds_by_group), (2, 2));
    assert_eq!((stage.unwants(), stage.rig.server.gauges().held_segments), (vec![], 0));
}

#[test]
fn who_hears_nothing_of_the_owner_is_served_as_late_as_unicast_allows() {
    let mut stage = Stage::listening(71, 1);
    let asked = stage.rig.now;
    stage.ask(0, 2, 1, 10_000);
    stage.run_listening(9);
    assert_eq!(stage.viewers[0].bytes(), 0);
    stage.run_listening(2);
    assert_about(stage.served(0, 1, asked), Duration::from_secs(10) - LEAD);
    assert_eq!((stage.viewers[0].bytes(), stage.unwants()), (SEGMENT_BYTES, vec![1]));
    assert_eq!(stage.rig.server.counters().holds_late, 1);
    // What comes then, comes too late.
    let now = stage.rig.now;
    stage.rig.server.group_begun(now, set(), 1);
    assert_eq!(stage.rig.server.counters().holds_by_group, 0);
}

#[test]
fn a_hold_ends_so_early_that_a_send_that_begins_then_would_still_come_in_time() {
    let mut stage = Stage::listening(86, 1);
    let mut slow = (*key()).clone();
    // 5000 bytes a second: 10 symbols and 2 LEAVES payloads take 2.88 s, more than the 750 ms of a unicast.
    slow.channels[0].pace_kbit = 40;
    let asked = stage.rig.now;
    stage.rig.server.set_groups(asked, set(), Some(slow.into()));
    stage.report(0, 2, ChannelState::Listening);
    stage.ask(0, 2, 1, 10_000);
    stage.run_listening(11);
    assert_about(stage.served(0, 1, asked), Duration::from_millis(10_000 - 2_880 - 150));
    assert_eq!(stage.rig.server.counters().holds_late, 1);
}

#[test]
fn who_has_no_time_for_it_or_asks_for_ranges_is_served_at_once() {
    let mut stage = Stage::listening(72, 1);
    let asked = stage.rig.now;
    stage.ask(0, 2, 1, 890);
    let mut ranges = Request { deadline_ms: 10_000, flags: FLAG_HEARS, ..Request::default() };
    assert!(ranges.ranges.push(0..1152));
    stage.request(0, 3, 2, &ranges);
    stage.request(0, 4, 3, &Request { deadline_ms: 10_000, ..Request::default() });
    stage.run(MS * 100);
    for segment in 1..=3 {
        assert!(stage.served(0, segment, asked) <= Some(MS * 50), "{segment}");
    }
    assert_eq!(stage.rig.server.counters().holds, 0);
}

#[test]
fn the_owners_word_that_a_segment_stays_alone_wakes_it() {
    let mut stage = Stage::listening(73, 1);
    stage.ask(0, 2, 1, 10_000);
    stage.run_listening(2);
    let said = stage.rig.now;
    stage.rig.server.group_alone(said, set(), 1);
    stage.run(MS * 20);
    assert_about(stage.served(0, 1, said), Duration::ZERO);
    assert_eq!((stage.rig.server.counters().holds_alone, stage.unwants()), (1, vec![]));
}

#[test]
fn who_is_invited_and_does_not_listen_waits_three_seconds_once() {
    let mut stage = Stage::new(74, 1);
    let asked = stage.rig.now;
    stage.rig.server.set_groups(asked, set(), Some(key()));
    stage.ask(0, 1, 0, 10_000);
    stage.run(Duration::from_secs(4));
    assert_about(stage.served(0, 0, asked), Duration::from_secs(3));
    assert_eq!((stage.wants(asked), stage.rig.server.counters().holds_ended), (vec![], 1));
    let asked = stage.rig.now;
    stage.ask(0, 2, 1, 10_000);
    stage.run(MS * 20);
    assert_about(stage.served(0, 1, asked), Duration::ZERO);
    // The invitation is still there to be taken.
    stage.report(0, 1, ChannelState::Listening);
    stage.ask(0, 3, 2, 10_000);
    stage.run(MS * 20);
    assert_eq!(stage.served(0, 2, asked), None);
}

#[test]
fn many_members_are_told_of_their_groups_in_several_turns_and_of_the_newest() {
    const VIEWERS: u32 = 300;
    let mut stage = Stage::new(79, VIEWERS);
    (0..VIEWERS as usize).for_each(|viewer| stage.ask(viewer, 1, 0, 0));
    stage.run(MS * 5);
    let now = stage.rig.now;
    stage.rig.server.set_groups(now, set(), Some(key()));
    assert_eq!(stage.rig.server.poll_timeout(), Some(Instant::ZERO), "not all were told yet");
    let mut split = (*key()).clone();
    split.channels[0].end = 10;
    let (id, group) = (ChannelId::new(2, 0), [232, 1, 2, 4].into());
    split.channels.push(GroupChannel { id, group, first: 10, ..key().channels[0] });
    stage.rig.server.set_groups(now, set(), Some(Arc::new(split)));
    stage.run(MS * 50);
    for viewer in &stage.viewers {
        let [(_, serial, channels)] = viewer.keys[..] else { panic!("{:?}", viewer.keys) };
        // Those who had been told of the first had not been sent it.
        assert_eq!((serial, channels), (if viewer.number < 256 { 2 } else { 1 }, 2));
    }
    stage.rig.server.set_groups(stage.rig.now, set(), None);
    stage.run(MS * 50);
    assert!(stage.viewers.iter().all(|viewer| viewer.keys.len() == 2 && viewer.keys[1].2 == 0));
}

#[test]
fn what_is_held_for_the_invited_is_wanted_once_they_listen() {
    let mut stage = Stage::new(75, 1);
    let asked = stage.rig.now;
    stage.rig.server.set_groups(asked, set(), Some(key()));
    stage.ask(0, 1, 0, 10_000);
    stage.run(MS * 500);
    assert_eq!(stage.wants(asked), []);
    stage.report(0, 1, ChannelState::Joining);
    stage.report(0, 1, ChannelState::Listening);
    stage.run(MS);
    assert_eq!(stage.wants(asked), [(0, 10_000, 1)]);
}

#[test]
fn whoever_stops_listening_is_served_by_unicast_at_once() {
    for state in [ChannelState::Left, ChannelState::Deaf] {
        let mut stage = Stage::listening(76, 1);
        stage.ask(0, 2, 1, 10_000);
        stage.run(MS * 300);
        let left = stage.rig.now;
        stage.report(0, 1, state);
        stage.run(MS * 20);
        assert_about(stage.served(0, 1, left), Duration::ZERO);
        assert_eq!((stage.unwants(), stage.rig.server.counters().holds_ended), (vec![1], 1));
        let told = stage.notes.iter().rev().find_map(|note| match note {
            Note::Member { listening, .. } => Some(*listening),
            _ => None,
        });
        assert_eq!(told, Some(0));
    }
}

#[test]
fn whose_reports_stay_away_does_not_listen() {
    let mut stage = Stage::listening(77, 1);
    let reported = stage.rig.now - MS;
    stage.ask(0, 2, 1, 15_000);
    stage.run(Duration::from_secs(6));
    assert_about(stage.served(0, 1, reported), Duration::from_secs(5));
}

#[test]
fn a_group_that_closes_and_an_edge_that_drains_wake_what_they_hold() {
    for drains in [false, true] {
        let mut stage = Stage::listening(78, 2);
        (0..2).for_each(|viewer| stage.ask(viewer, 2, 1, 10_000));
        stage.run(MS * 100);
        let closed = stage.rig.now;
        if drains {
            stage.rig.server.drain(closed);
            stage.rig.server.set_groups(closed, set(), Some(key()));
        } else {
            stage.rig.server.set_groups(closed, set(), None);
        }
        stage.run(MS * 20);
        for viewer in 0..2 {
            assert_about(stage.served(viewer, 1, closed), Duration::ZERO);
            let (_, serial, channels) = stage.viewers[viewer].keys[1];
            assert_eq!((serial, channels), (2, 0), "leave all");
        }
        assert_eq!(stage.rig.server.gauges().held_segments, 0);
        stage.run(Duration::from_secs(2));
        assert_eq!(stage.rig.server.sessions(), if drains { 0 } else { 2 });
    }
}

#[test]
fn a_key_is_repeated_until_it_is_acknowledged_and_given_up_in_the_end() {
    let mut stage = Stage::new(79, 2);
    let asked = stage.rig.now;
    (0..2).for_each(|viewer| stage.ask(viewer, 1, 0, 0));
    stage.rig.server.set_groups(asked, set(), Some(key()));
    stage.run(MS * 700);
    stage.report(1, 1, ChannelState::Joining);
    stage.run(Duration::from_secs(30));
    let came = |viewer: usize| {
        let times = stage.viewers[viewer].keys.iter().map(|(at, ..)| at.saturating_since(asked));
        times.map(|time| time.as_millis()).collect::<Vec<_>>()
    };
    for (time, right) in came(0).into_iter().zip([0, 500, 1500, 3500, 7500, 15_500]) {
        assert!((right..right + 8).contains(&time), "{time} is not {right}");
    }
    assert_eq!((came(0).len(), came(1).len()), (6, 2));
}

#[test]
fn who_cancels_closes_or_falls_silent_leaves_nothing_behind() {
    let mut stage = Stage::listening(80, 3);
    for viewer in 0..3 {
        stage.ask(viewer, 2, 1 + viewer as u32, 60_000);
        stage.ask(viewer, 3, 10, 60_000);
    }
    stage.run(MS);
    assert_eq!(stage.rig.server.gauges().held_segments, 4);
    stage.cancel(0, 2);
    stage.cancel(0, 3);
    stage.run(MS);
    assert_eq!(stage.unwants(), [1], "others want the tenth");
    let close = stage.viewers[1].client.close(stage.rig.now);
    stage.rig.hand(address(1), &close);
    stage.hear();
    assert_eq!(stage.unwants(), [1, 2]);
    assert!(stage.notes.iter().any(|note| matches!(note, Note::Gone { .. })));
    // The third says nothing any more, and not even that it lives.
    for _ in 0..8 {
        stage.rig.pass(Duration::from_secs(1));
        stage.rig.drain();
    }
    stage.hear();
    assert_eq!(stage.rig.server.gauges().held_segments, 0);
    assert_eq!(stage.unwants().len(), 4, "{:?}", stage.unwants());
}

#[test]
fn who_claims_to_play_eight_times_as_fast_is_believed_for_a_few_seeks() {
    let mut stage = Stage::listening(81, 1);
    let began = stage.rig.now;
    for segment in 1..80_u32 {
        // Each plays for 3 s; it claims 3/8 of that, and asks 2 s ahead.
        stage.ask(0, 1 + segment, segment, 2000);
        stage.run(MS * 20);
        stage.cancel(0, 1 + segment);
        stage.report(0, 1, ChannelState::Listening);
        stage.run(MS * 355);
    }
    let wants = stage.wants(began);
    assert_eq!(wants.len(), 79, "each was held");
    let (_, last, _) = wants[78];
    // Within 30 s: five seeks, each for some five segments, and the others at 0.8 of their play.
    assert!((100_000..160_000).contains(&last), "{last} ms for what plays after 237 s");
}

#[test]
fn held_requests_keep_their_place_and_their_number_is_bounded() {
    let mut stage = Stage::listening(82, 1);
    for id in 2..=66 {
        stage.ask(0, id, id - 1, 30_000);
        stage.run(MS);
    }
    // The first is finished; 64 are held.
    assert_eq!(
        (&stage.viewers[0].refused[..], stage.rig.server.gauges().held_segments),
        (&[Code::TooManyRequests][..], 64)
    );
    stage.ask(0, 1000, 1, 30_000);
    stage.run(MS * 5);
    assert_eq!(stage.viewers[0].refused.len(), 2, "it would push out what is held");
    assert_eq!(stage.rig.server.counters().holds, 64);
    let now = stage.rig.now;
    stage.rig.server.group_begun(now, set(), 1);
    stage.ask(0, 66, 70, 30_000);
    stage.run(MS * 5);
    assert_eq!((stage.viewers[0].refused.len(), stage.rig.server.counters().holds), (2, 65));
}

#[test]
fn what_of_a_groups_send_was_lost_is_repaired_though_the_edge_drains() {
    let mut stage = Stage::listening(83, 1);
    (2..=3).for_each(|id| stage.ask(0, id, id - 1, 10_000));
    stage.run(MS * 10);
    let now = stage.rig.now;
    (1..=2).for_each(|segment| stage.rig.server.group_begun(now, set(), segment));
    stage.rig.server.drain(now);
    // One was sent by unicast, and two to the group: any of it may have been lost, and no more.
    let flags = FLAG_HEARS | FLAG_REPAIR;
    for id in 4..=7 {
        stage.request(0, id, id % 3, &Request { deadline_ms: 500, flags, ..Request::default() });
    }
    stage.run(MS * 500);
    assert_eq!(stage.viewers[0].refused, [Code::Draining]);
    assert_eq!(stage.viewers[0].bytes(), 3 * SEGMENT_BYTES);
}

#[test]
fn where_multicast_is_off_hears_means_nothing() {
    let mut rig = Rig::new(84, |_| {});
    rig.source.playing = Some(PLAYS);
    let mut client = rig.open(1);
    let frame = FrameHeader { object: ObjectNumber(1), offset: 1, ..EMPTY_FRAME };
    let request = Request { deadline_ms: 10_000, flags: FLAG_HEARS, ..Request::default() };
    let packet = client.ask(rig.now, frame, &request);
    rig.hand(address(1), &packet);
    let packets = rig.hear(&mut client);
    assert!(packets.iter().any(|packet| packet.packet_type == PacketType::Data));
    let report = client.seal(rig.now, PacketType::GroupReport, EMPTY_FRAME, &[0; 16]);
    assert_eq!(rig.dropped(address(1), &report), DropReason::WrongDirection);
    assert!(rig.server.poll_note().is_none());
}

#[test]
fn a_report_that_cannot_be_read_ends_the_session() {
    let mut stage = Stage::listening(85, 1);
    let frame = FrameHeader { offset: 9, ..EMPTY_FRAME };
    stage.send(0, PacketType::GroupReport, frame, &[255; 16]);
    assert_eq!(stage.rig.closed(), [Code::ProtocolViolation]);
}
