//! REPORTs that overtake each other, wrap, and tell of what there is no record of.

use segcast_kit::endpoint::rig::{MS, Rig, address};
use segcast_kit::session::raw::{RawClient, RawPacket};
use segcast_proto::ids::ObjectNumber;
use segcast_proto::wire::PacketType;

/// Longer than the round trip that a rate model begins with: a whole initial window may have left by then.
const A_WHILE: u32 = 200;

/// The DATA that comes within [`A_WHILE`].
fn data(rig: &mut Rig, client: &mut RawClient) -> Vec<RawPacket> {
    let mut all = Vec::new();
    for _ in 0..A_WHILE {
        all.extend(rig.hear(client));
        rig.pass(MS);
    }
    all.retain(|packet| packet.packet_type == PacketType::Data);
    all
}

fn ask(rig: &mut Rig, client: &mut RawClient, id: u32) {
    let request = client.request(rig.now, id, 0, ObjectNumber(0));
    rig.hand(address(1), &request);
}

/// A REPORT of number 0, the answer to the first PULSE.
fn report(rig: &mut Rig, client: &mut RawClient, number: u32, room_kib: u32) {
    let report = client.report_with_room(rig.now, number, 0, &[(0, 0)], room_kib);
    rig.hand(address(1), &report);
}

#[test]
fn the_report_with_the_highest_number_says_the_room_before_the_first_data_too() {
    let mut rig = Rig::new(60, |_| {});
    let mut client = rig.open(1);
    report(&mut rig, &mut client, 2, 4096);
    report(&mut rig, &mut client, 1, 0);
    ask(&mut rig, &mut client, 1);
    assert!(!data(&mut rig, &mut client).is_empty(), "an overtaken REPORT closed the room");

    let mut client = rig.open(1);
    report(&mut rig, &mut client, 2, 0);
    report(&mut rig, &mut client, 1, 4096);
    ask(&mut rig, &mut client, 1);
    assert!(data(&mut rig, &mut client).is_empty(), "an overtaken REPORT opened the room");
    report(&mut rig, &mut client, 3, 4096);
    assert!(!data(&mut rig, &mut client).is_empty());
}

#[test]
fn a_report_of_what_came_before_the_first_data_says_the_room() {
    let mut rig = Rig::new(61, |_| {});
    let mut client = rig.open(1);
    ask(&mut rig, &mut client, 1);
    assert!(!rig.hear(&mut client).is_empty());
    report(&mut rig, &mut client, 1, 0);
    assert!(data(&mut rig, &mut client).is_empty(), "the room is closed");
}

#[test]
fn report_numbers_wrap() {
    let mut rig = Rig::new(62, |_| {});
    let mut client = rig.open(1);
    for number in [1, 1 << 30, 1 << 31, u32::MAX] {
        report(&mut rig, &mut client, number, 4096);
    }
    report(&mut rig, &mut client, 0, 0);
    report(&mut rig, &mut client, u32::MAX, 4096);
    ask(&mut rig, &mut client, 1);
    assert!(data(&mut rig, &mut client).is_empty(), "0 follows 2^32 - 1");
    report(&mut rig, &mut client, 1, 4096);
    report(&mut rig, &mut client, 0, 0);
    assert!(!data(&mut rig, &mut client).is_empty(), "and 1 follows 0");
}
