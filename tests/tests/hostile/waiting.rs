//! Requests for what lies on a disk: who waits for it, what is read in for them, and in whose turn.

use segcast_kit::endpoint::rig::{MS, Rig, address};
use segcast_kit::session::raw::{EMPTY_FRAME, RawClient};
use segcast_kit::source::{MemorySource, State};
use segcast_proto::ids::{ObjectNumber, SetIndex};
use segcast_proto::time::Duration;
use segcast_proto::wire::{FrameHeader, PacketType};

/// Segments of the title, all on disk.
const COLD: u32 = 1000;

fn cold(seed: u64) -> Rig {
    let mut rig = Rig::new(seed, |_| {});
    rig.source = MemorySource::new(1, COLD, 64, 3000);
    (0..COLD).for_each(|n| rig.source.put(SetIndex::FIRST, ObjectNumber(n), State::Cold));
    rig
}

/// Asks for a segment, and lets the session have its turn.
fn ask(rig: &mut Rig, client: &mut RawClient, number: u32, id: u32, segment: u32) {
    let request = client.request(rig.now, id, 0, ObjectNumber(segment));
    rig.hand(address(number), &request);
    rig.drain();
}

fn cancel(rig: &mut Rig, client: &mut RawClient, number: u32, id: u32) {
    let frame = FrameHeader { offset: id, ..EMPTY_FRAME };
    let packet = client.seal(rig.now, PacketType::Cancel, frame, &[]);
    rig.hand(address(number), &packet);
    rig.drain();
}

#[test]
fn what_was_cancelled_is_neither_waited_for_nor_read() {
    let mut rig = cold(40);
    let mut client = rig.open(1);
    for id in 1..=100_000 {
        ask(&mut rig, &mut client, 1, id, id % COLD);
        cancel(&mut rig, &mut client, 1, id);
        assert_eq!(rig.needs(), []);
        assert_eq!(rig.server.gauges().waiting_objects, 0);
        rig.pass(MS);
    }
    assert_eq!(rig.server.counters().waits, 100_000, "each had its turn");
}

#[test]
fn what_is_being_read_is_not_asked_for_again() {
    let mut rig = cold(41);
    let (mut one, mut other) = (rig.open(1), rig.open(2));
    let mut asked = 0;
    for id in 1..=10_000 {
        ask(&mut rig, &mut one, 1, id, id % 3);
        ask(&mut rig, &mut other, 2, id, id % 3);
        asked += rig.needs().len();
        cancel(&mut rig, &mut one, 1, id);
        cancel(&mut rig, &mut other, 2, id);
        rig.pass(MS);
    }
    assert_eq!(asked, 3);
    for segment in 0..3 {
        rig.server.object_ready(rig.now, SetIndex::FIRST, ObjectNumber(segment));
    }
    assert_eq!(rig.server.gauges().waiting_objects, 0);
    ask(&mut rig, &mut one, 1, 10_001, 2);
    assert_eq!(rig.needs(), [ObjectNumber(2)], "it may have gone from memory since");
}

#[test]
fn while_one_is_read_that_was_given_up_its_session_has_no_other_read() {
    let mut rig = cold(44);
    let mut client = rig.open(1);
    let (mut under_way, mut read) = (Vec::new(), 0);
    for id in 1..=1000 {
        ask(&mut rig, &mut client, 1, id, id % COLD);
        under_way.extend(rig.needs());
        cancel(&mut rig, &mut client, 1, id);
        // The disk takes ten of these rounds for each.
        if id % 10 == 0 {
            assert_eq!(under_way.len(), 1, "{under_way:?}");
            read += under_way.len();
            for object in under_way.drain(..) {
                rig.server.object_ready(rig.now, SetIndex::FIRST, object);
            }
        }
        rig.pass(MS);
    }
    assert_eq!((read, rig.server.gauges().waiting_objects), (100, 0));
    // What it gave up and what it wants now: it has its turn when the first was read.
    ask(&mut rig, &mut client, 1, 1001, 1);
    assert_eq!(rig.needs(), [ObjectNumber(1)]);
    cancel(&mut rig, &mut client, 1, 1001);
    ask(&mut rig, &mut client, 1, 1002, 2);
    assert_eq!(rig.needs(), []);
    rig.server.object_failed(rig.now, SetIndex::FIRST, ObjectNumber(1));
    assert_eq!(rig.needs(), [ObjectNumber(2)]);
}

#[test]
fn sessions_that_end_wait_for_nothing() {
    let mut rig = cold(42);
    let [mut closing, mut vanished] = [1, 2].map(|number| rig.open(number));
    for id in 1..=64 {
        ask(&mut rig, &mut closing, 1, id, id);
        ask(&mut rig, &mut vanished, 2, id, 100 + id);
    }
    assert_eq!(rig.server.gauges().waiting_objects, 128);
    let close = closing.close(rig.now);
    rig.hand(address(1), &close);
    assert_eq!(rig.server.gauges().waiting_objects, 64);
    // A client that wants something asks at least every two seconds.
    for _ in 0..10 {
        rig.pass(Duration::from_secs(1));
    }
    assert_eq!((rig.server.sessions(), rig.server.gauges().waiting_objects), (1, 0));
    assert_eq!(rig.needs(), []);
}

#[test]
fn sessions_have_their_segments_read_by_turns() {
    let mut rig = cold(43);
    let mut greedy = rig.open(1);
    (1..=64).for_each(|id| ask(&mut rig, &mut greedy, 1, id, id));
    let mut modest = rig.open(2);
    (1..=2).for_each(|id| ask(&mut rig, &mut modest, 2, id, 100 + id));
    // And two want the same.
    let mut third = rig.open(3);
    ask(&mut rig, &mut third, 3, 1, 101);
    let order = rig.needs();
    let place = |segment| {
        let place = order.iter().position(|&object| object == ObjectNumber(segment));
        place.unwrap_or_else(|| panic!("{segment} was not asked for"))
    };
    assert_eq!(order.len(), 66);
    assert!(place(101) <= 2 && place(102) <= 4, "{order:?}");
}
