//! An edge that drains: what was begun is finished, nothing else is begun, and in the end nobody is left without a word.

use segcast_kit::endpoint::rig::{MS, Rig, SEGMENT_BYTES, address};
use segcast_kit::session::raw::{RawClient, RawPacket};
use segcast_proto::ids::{ObjectNumber, SetHandle};
use segcast_proto::wire::close::Close;
use segcast_proto::wire::ranges::ByteRanges;
use segcast_proto::wire::refuse::Refuse;
use segcast_proto::wire::request::{FLAG_REPAIR, Request};
use segcast_proto::wire::{Code, FrameHeader, PacketType};

/// What one client heard.
#[derive(Default)]
struct Heard {
    data_bytes: usize,
    /// Number and send time of the last DATA.
    last: (u64, u32),
    refused: Vec<Code>,
    closed: Option<Code>,
}

/// Lets `turns` milliseconds pass, in which the client reports everything that comes.
fn listen(rig: &mut Rig, client: &mut RawClient, number: u32, turns: u32, heard: &mut Heard) {
    for _ in 0..turns {
        for packet in rig.hear(client) {
            take(rig, client, number, &packet, heard);
        }
        rig.pass(MS);
    }
}

fn take(rig: &mut Rig, client: &mut RawClient, number: u32, packet: &RawPacket, heard: &mut Heard) {
    match packet.packet_type {
        PacketType::Data => {
            heard.data_bytes += packet.payload.len();
            let (echo, sequence) = (packet.frame.send_time, packet.sequence);
            heard.last = (sequence, echo);
            let report = client.report(rig.now, sequence as u32 + 1, echo, &[(sequence, sequence)]);
            rig.hand(address(number), &report);
        }
        PacketType::Refuse => {
            heard.refused.push(Refuse::decode(&packet.payload).expect("well-formed").code);
        }
        PacketType::Close => {
            heard.closed = Some(Close::decode(&packet.payload).expect("well-formed").code);
        }
        _ => {}
    }
}

/// A REQUEST for a part of what was sent before.
fn repair(rig: &Rig, client: &mut RawClient, id: u32, object: u32, bytes: u32) -> Vec<u8> {
    let mut ranges = ByteRanges::WHOLE;
    assert!(ranges.push(0..bytes));
    let request = Request { deadline_ms: 1000, flags: FLAG_REPAIR, ranges };
    let mut payload = [0; 64];
    let len = request.encode(&mut payload).expect("it fits");
    let (set_handle, object) = (SetHandle::FIRST, ObjectNumber(object));
    let frame = FrameHeader { set_handle, object, offset: id, send_time: 0 };
    client.seal(rig.now, PacketType::Request, frame, &payload[..len])
}

#[test]
fn a_drain_finishes_what_was_begun_and_refuses_what_is_new() {
    let mut rig = Rig::new(41, |_| {});
    let mut client = rig.open(1);
    let request = client.request(rig.now, 1, 0, ObjectNumber(0));
    rig.hand(address(1), &request);
    let mut heard = Heard::default();
    listen(&mut rig, &mut client, 1, 1, &mut heard);
    let now = rig.now;
    rig.server.drain(now);

    let request = client.request(rig.now, 2, 0, ObjectNumber(1));
    rig.hand(address(1), &request);
    while heard.data_bytes < SEGMENT_BYTES {
        listen(&mut rig, &mut client, 1, 1, &mut heard);
    }
    assert_eq!((&heard.refused[..], heard.closed), (&[Code::Draining][..], None));
    assert_eq!(rig.server.counters().requests_refused.of(Code::Draining), 1);

    // The last piece of the first segment was lost: its repair is not refused.
    let repair = repair(&rig, &mut client, 3, 0, 1000);
    rig.hand(address(1), &repair);
    listen(&mut rig, &mut client, 1, 1000, &mut heard);
    assert_eq!(heard.data_bytes, SEGMENT_BYTES + 1000);
    assert_eq!((heard.refused.len(), heard.closed), (1, Some(Code::Draining)));
    assert_eq!(rig.server.sessions(), 0);
}

#[test]
fn a_client_that_goes_on_talking_holds_no_drain_up() {
    let mut rig = Rig::new(43, |_| {});
    let mut client = rig.open(1);
    let request = client.request(rig.now, 1, 0, ObjectNumber(0));
    rig.hand(address(1), &request);
    let mut heard = Heard::default();
    let now = rig.now;
    rig.server.drain(now);
    while heard.data_bytes < SEGMENT_BYTES {
        listen(&mut rig, &mut client, 1, 1, &mut heard);
    }
    // It reports the same again and again, asks anew for what is finished, and for what is refused.
    let (sequence, echo) = heard.last;
    for number in 1..=100 {
        let report = client.report(rig.now, 1_000_000 + number, echo, &[(sequence, sequence)]);
        let again = client.request(rig.now, 1, 0, ObjectNumber(0));
        let new = client.request(rig.now, 1 + number, 0, ObjectNumber(1));
        for packet in [report, again, new] {
            rig.hand(address(1), &packet);
        }
        listen(&mut rig, &mut client, 1, 20, &mut heard);
    }
    assert_eq!((heard.closed, rig.server.sessions()), (Some(Code::Draining), 0));
}

#[test]
fn a_drain_that_is_cut_says_so_to_every_session_whatever_it_waits_for() {
    let mut rig = Rig::new(42, |config| {
        (config.sessions_max, config.handshakes_per_second) = (1000, 100_000);
    });
    let mut clients: Vec<RawClient> = (1..=600).map(|number| rig.open(number)).collect();
    for (number, client) in (1..).zip(&mut clients) {
        let request = client.request(rig.now, 1, 0, ObjectNumber(0));
        rig.hand(address(number), &request);
    }
    let now = rig.now;
    rig.server.drain(now);
    rig.pass(MS);
    rig.drain();
    assert_eq!(rig.server.sessions(), 600, "all of them wait for a segment");

    let now = rig.now;
    rig.server.cut(now);
    let mut closed = 0;
    // 512 in one step, and a step each 10 ms.
    for _ in 0..20 {
        rig.pass(MS);
        for (to, mut bytes) in rig.drain() {
            let number = (1..).find(|&number| address(number) == to).expect("a client's");
            let client = &mut clients[number as usize - 1];
            let packet = client.take(rig.now, &mut bytes).expect("authentic");
            closed += usize::from(packet.packet_type == PacketType::Close);
        }
    }
    assert_eq!((closed, rig.server.sessions()), (600, 0));
    assert!(rig.closed().iter().all(|&code| code == Code::Draining));
}
