//! Hostile packets to open sessions: forged, replayed, lying, flooding, moving.

use std::sync::Arc;

use rand_core::RngCore;
use segcast_kit::endpoint::rig::{MS, Rig, SEGMENT_BYTES, SEGMENTS, address};
use segcast_kit::session::raw::{EMPTY_FRAME, RawClient, RawPacket};
use segcast_kit::source::State;
use segcast_proto::ids::{ObjectNumber, SetIndex};
use segcast_proto::rate::Rate;
use segcast_proto::session::server::{Disposition, DropReason, EgressCap};
use segcast_proto::time::Duration;
use segcast_proto::wire::close::Close;
use segcast_proto::wire::ranges::ByteRanges;
use segcast_proto::wire::refuse::Refuse;
use segcast_proto::wire::request::{FLAG_REPAIR, Request};
use segcast_proto::wire::status::Status;
use segcast_proto::wire::{Code, FrameHeader, PacketType};

#[test]
fn a_transfer_completes_among_100_000_random_and_mutated_datagrams() {
    let mut rig = Rig::new(20, |_| {});
    let mut hostile = 0;
    rig.fetch_all(1, |rig, _, seen| {
        for turn in 0..2000 {
            let mut bytes = vec![0; 1 + rig.rng.next_u32() as usize % 1400];
            rig.rng.fill_bytes(&mut bytes);
            if let Some(real) = seen.get(turn % (seen.len() + 1)) {
                bytes.clone_from(real);
                // The cookie at the end of a HELLO is not looked at by a server that demands none.
                let at = rig.rng.next_u32() as usize % bytes.len().min(1184);
                bytes[at] ^= 1 << (rig.rng.next_u32() % 8);
            } else if turn % 2 == 0 && bytes.len() > 8 {
                // As if it were a packet of the session.
                bytes[..3].copy_from_slice(&[0x10, 0x20, 0]);
                bytes[4..8].fill(0);
            }
            let before = rig.server.counters().dropped.iter().sum::<u64>();
            let disposition = rig.hand(address(1 + turn as u32 % 3), &bytes);
            assert!(matches!(disposition, Disposition::Dropped(_)), "{bytes:?}");
            assert_eq!(rig.server.counters().dropped.iter().sum::<u64>(), before + 1);
            hostile += 1;
        }
    });
    while hostile < 100_000 {
        let mut bytes = vec![0; 1 + rig.rng.next_u32() as usize % 1400];
        rig.rng.fill_bytes(&mut bytes);
        assert!(matches!(rig.hand(address(1), &bytes), Disposition::Dropped(_)));
        hostile += 1;
    }
    assert_eq!(rig.server.sessions(), 1);
}

#[test]
fn replayed_packets_are_dropped_once_each() {
    let mut rig = Rig::new(21, |_| {});
    let mut client = rig.open(1);
    let packets: Vec<_> = (0..100).map(|_| client.pulse(rig.now)).collect();
    for packet in &packets {
        assert!(matches!(rig.hand(address(1), packet), Disposition::Done));
    }
    for packet in &packets {
        assert_eq!(rig.dropped(address(1), packet), DropReason::Replayed);
        // From elsewhere too: and nothing is sent there.
        assert_eq!(rig.dropped(address(2), packet), DropReason::Replayed);
    }
    assert_eq!(rig.server.counters().dropped_for(DropReason::Replayed), 200);
    assert!(rig.drain().iter().all(|(to, _)| *to == address(1)));
}

#[test]
fn other_versions_and_directions_are_dropped() {
    let mut rig = Rig::new(22, |_| {});
    let mut client = rig.open(1);
    let good = client.pulse(rig.now);
    for version in (0..16).filter(|&version| version != 1) {
        let mut other = good.clone();
        other[0] = version << 4;
        assert_eq!(rig.dropped(address(1), &other), DropReason::Malformed);
    }
    for packet_type in [PacketType::Data, PacketType::Status, PacketType::GroupKey] {
        let packet = client.seal(rig.now, packet_type, EMPTY_FRAME, &[0; 32]);
        assert_eq!(rig.dropped(address(1), &packet), DropReason::WrongDirection);
    }
    assert_eq!(rig.server.sessions(), 1);
}

#[test]
fn a_pulse_that_is_smaller_than_its_answer_gets_none() {
    let mut rig = Rig::new(27, |_| {});
    let mut client = rig.open(1);
    for bytes in 0..16 {
        let pulse = client.seal(rig.now, PacketType::Pulse, EMPTY_FRAME, &[0; 16][..bytes]);
        assert!(matches!(rig.hand(address(1), &pulse), Disposition::Done), "{bytes} bytes");
        assert!(rig.drain().is_empty(), "an answer to {bytes} bytes");
    }
    let pulse = client.pulse(rig.now);
    rig.hand(address(1), &pulse);
    assert_eq!(rig.hear(&mut client)[0].packet_type, PacketType::PulseReply);
}

/// What a request is refused with.
fn refusal(rig: &mut Rig, client: &mut RawClient, id: u32, handle: u32, object: u32) -> Code {
    let request = client.request(rig.now, id, handle, ObjectNumber(object));
    rig.hand(address(1), &request);
    let mut heard = rig.hear(client);
    rig.pass(MS);
    heard.extend(rig.hear(client));
    let refused = heard.iter().find(|packet| packet.packet_type == PacketType::Refuse);
    let refused = refused.expect("a REFUSE");
    assert_eq!(refused.frame.offset, id);
    Refuse::decode(&refused.payload).expect("a REFUSE").code
}

#[test]
fn what_does_not_exist_is_refused_with_the_right_code() {
    let rig = &mut Rig::new(23, |_| {});
    let client = &mut rig.open(1);
    assert_eq!(refusal(rig, client, 1, 2, 0), Code::UnknownSet, "the token does not name it");
    assert_eq!(refusal(rig, client, 2, 1, 0), Code::UnknownSet, "the edge does not have it");
    assert_eq!(refusal(rig, client, 3, u32::MAX, 0), Code::UnknownSet);
    assert_eq!(refusal(rig, client, 4, 0, SEGMENTS), Code::PastEnd);
    assert_eq!(refusal(rig, client, 5, 0, 0xFFFE_FFFF), Code::PastEnd);
    assert_eq!(refusal(rig, client, 6, 0, 0xFFFF_0001), Code::PastEnd);
    // Ranges out of order.
    let frame = FrameHeader { offset: 7, ..EMPTY_FRAME };
    let payload = [&[0; 7][..], &[2], &[0, 0, 0, 9, 0, 0, 0, 10, 0, 0, 0, 1, 0, 0, 0, 2]].concat();
    let packet = client.seal(rig.now, PacketType::Request, frame, &payload);
    rig.hand(address(1), &packet);
    let heard = rig.hear(client);
    let refused = heard.iter().find(|packet| packet.packet_type == PacketType::Refuse);
    let code = Refuse::decode(&refused.expect("a REFUSE").payload).expect("a REFUSE").code;
    assert_eq!(code, Code::BadRequest);
    let refused = &rig.server.counters().requests_refused;
    let counts = [Code::UnknownSet, Code::PastEnd, Code::BadRequest, Code::TooManyRequests];
    assert_eq!(counts.map(|code| refused.of(code)), [3, 3, 1, 0]);
    assert_eq!(rig.server.sessions(), 1);
}

#[test]
fn a_million_requests_end_one_session_and_harm_no_other() {
    let mut rig = Rig::new(24, |_| {});
    let mut flooder = rig.open(1);
    let mut sent = 0u32;
    while sent < 1_000_000 && rig.server.sessions() == 1 {
        sent += 1;
        let request = flooder.request(rig.now, sent, 0, ObjectNumber(sent % SEGMENTS));
        rig.hand(address(1), &request);
    }
    // A second's worth is served, another one refused with a wait.
    assert_eq!(sent, 20_001);
    let refused = rig.server.counters().requests_refused.of(Code::TooManyRequests);
    assert!(refused >= 10_000, "{refused}");
    assert_eq!((rig.closed(), rig.server.counters().floods), (vec![Code::Flood], 1));

    // Below the limit of a second: refused or expired, bounded, and another session is served.
    let mut flooder = rig.open(2);
    let (mut id, mut handed) = (0, 0u32);
    rig.fetch_all(3, |rig, _, _| {
        for _ in 0..9 {
            id += 1;
            let request = flooder.request(rig.now, id, 0, ObjectNumber(id % SEGMENTS));
            handed += u32::from(matches!(rig.hand(address(2), &request), Disposition::Done));
        }
    });
    assert_eq!(handed, id);
    while id < 990_000 {
        id += 1;
        let request = flooder.request(rig.now, id, 0, ObjectNumber(id % SEGMENTS));
        rig.hand(address(2), &request);
        if id % 9 == 0 {
            rig.pass(MS);
        }
        if id % 1000 == 0 {
            rig.drain();
        }
    }
    assert_eq!((rig.server.sessions(), rig.server.gauges().waiting_objects), (2, 0));
}

/// A client that has received some DATA: it and the last packet.
fn fed(rig: &mut Rig, number: u32) -> (RawClient, RawPacket) {
    let mut client = rig.open(number);
    let request = client.request(rig.now, 1, 0, ObjectNumber(0));
    rig.hand(address(number), &request);
    let heard = rig.hear(&mut client);
    let data = heard.iter().rfind(|packet| packet.packet_type == PacketType::Data);
    let data = data.expect("DATA").clone();
    (client, data)
}

#[test]
fn reports_of_what_cannot_be_close_the_session() {
    let mut rig = Rig::new(25, |_| {});
    let (mut client, data) = fed(&mut rig, 1);
    let (high, echo) = (data.sequence, data.frame.send_time);
    let honest = client.report(rig.now, 1, echo, &[(high, high)]);
    rig.hand(address(1), &honest);
    assert_eq!(rig.server.sessions(), 1);
    // Never sent.
    let lie = client.report(rig.now, 2, echo, &[(0, high + 10_000)]);
    rig.hand(address(1), &lie);
    assert_eq!(rig.closed(), [Code::LyingReport]);
    // An echo that is no send time of the packet.
    let (mut client, data) = fed(&mut rig, 2);
    let high = data.sequence;
    let wrong = data.frame.send_time.wrapping_sub(50_000);
    let lie = client.report(rig.now, 1, wrong, &[(high, high)]);
    rig.hand(address(2), &lie);
    assert_eq!(rig.closed(), [Code::LyingReport]);
    // Not a report at all.
    let mut client = rig.open(3);
    let packet = client.seal(rig.now, PacketType::Report, EMPTY_FRAME, &[0; 8]);
    assert_eq!(rig.dropped(address(3), &packet), DropReason::Violation);
    assert_eq!(rig.closed(), [Code::ProtocolViolation]);
    assert_eq!((rig.server.counters().lies, rig.server.sessions()), (2, 0));
}

#[test]
fn a_client_that_claims_skipped_numbers_is_found_out() {
    let mut rig = Rig::new(26, |_| {});
    let mut client = rig.open(1);
    let (mut highest, mut reports, mut requests) = (0, 0, 0);
    for turn in 0..5000 {
        if turn % 20 == 0 {
            requests += 1;
            let request = client.request(rig.now, requests, 0, ObjectNumber(requests % SEGMENTS));
            rig.hand(address(1), &request);
        }
        let heard = rig.hear(&mut client);
        if let Some(last) = heard.iter().max_by_key(|packet| packet.sequence) {
            highest = last.sequence;
            reports += 1;
            let lie = client.report(rig.now, reports, last.frame.send_time, &[(0, highest)]);
            rig.hand(address(1), &lie);
        }
        if rig.server.sessions() == 0 {
            break;
        }
        rig.pass(MS);
    }
    assert_eq!(rig.closed(), [Code::LyingReport]);
    assert!(highest < 256 + 64, "after {highest} packets");
}

#[test]
fn a_victim_gets_no_more_than_the_attacker_sent_from_there() {
    let mut rig = Rig::new(27, |_| {});
    let (mut client, data) = fed(&mut rig, 1);
    let victim = address(0xDEAD);
    let (mut from_victim, mut to_victim, mut to_client) = (0, 0, 0);
    let mut last = data;
    for turn in 1..400 {
        // Authentic packets with the highest number so far, now from here, now from there.
        let id = 1 + turn / 4;
        let packet = client.request(rig.now, id, 0, ObjectNumber(id % SEGMENTS));
        if turn % 3 == 0 {
            from_victim += packet.len();
            rig.hand(victim, &packet);
        } else {
            let number = &[(last.sequence, last.sequence)];
            let report = client.report(rig.now, turn, last.frame.send_time, number);
            rig.hand(address(1), &packet);
            rig.hand(address(1), &report);
        }
        for (to, mut bytes) in rig.drain() {
            if to == victim {
                to_victim += bytes.len();
            } else {
                to_client += bytes.len();
                last = client.take(rig.now, &mut bytes).unwrap_or(last);
            }
            assert!(to_victim <= from_victim, "{to_victim} of {from_victim}");
        }
        rig.pass(MS * 5);
    }
    let counters = rig.server.counters();
    assert!(counters.challenges > 0 && to_victim > 0, "the address was challenged");
    assert_eq!(counters.path_changes, 0);
    assert!(to_client > SEGMENT_BYTES, "data stays on the old path: {to_client}");
}

#[test]
fn a_wrong_answer_to_a_challenge_moves_nothing() {
    let mut rig = Rig::new(28, |_| {});
    let mut client = rig.open(1);
    let pulse = client.pulse(rig.now);
    rig.hand(address(2), &pulse);
    let wrong = client.seal(rig.now, PacketType::PathResponse, EMPTY_FRAME, &[7; 8]);
    rig.hand(address(2), &wrong);
    let heard = rig.hear(&mut client);
    let challenge = heard.iter().find(|packet| packet.packet_type == PacketType::PathChallenge);
    let secret = challenge.expect("a challenge").payload.clone();
    // The right answer from the wrong place, a short one, and then the right one.
    let right = client.seal(rig.now, PacketType::PathResponse, EMPTY_FRAME, &secret);
    rig.hand(address(1), &right);
    let short = client.seal(rig.now, PacketType::PathResponse, EMPTY_FRAME, &secret[..7]);
    rig.hand(address(2), &short);
    assert_eq!(rig.server.counters().path_changes, 0);
    let right = client.seal(rig.now, PacketType::PathResponse, EMPTY_FRAME, &secret);
    rig.hand(address(2), &right);
    assert_eq!(rig.server.counters().path_changes, 1);
}

#[test]
fn a_peer_that_changes_keys_with_every_packet_is_closed() {
    let mut rig = Rig::new(29, |_| {});
    let mut client = rig.open(1);
    let mut packets = 0;
    for epoch in 1..100 {
        client.sealer.as_mut().expect("open").on_peer_epoch(rig.now, epoch);
        let pulse = client.pulse(rig.now);
        packets += 1;
        rig.hand(address(1), &pulse);
        if rig.server.sessions() == 0 {
            break;
        }
    }
    assert_eq!((rig.closed(), packets), (vec![Code::ProtocolViolation], 10));
    // Forged packets of the next epoch change nothing, and end nothing.
    let mut client = rig.open(2);
    let mut forged = client.pulse(rig.now);
    forged[3] = 1;
    for _ in 0..1000 {
        assert_eq!(rig.dropped(address(2), &forged), DropReason::Unauthentic);
    }
    let pulse = client.pulse(rig.now);
    assert!(matches!(rig.hand(address(2), &pulse), Disposition::Done));
}

#[test]
fn a_session_ends_with_its_token_whatever_its_client_says() {
    let mut rig = Rig::new(30, |config| config.idle_timeout = Duration::from_secs(2 * 3600));
    let mut clients = [1, 2, 3].map(|number| rig.open(number));
    // The token has ended, and clocks may differ by 30 s.
    rig.pass(Duration::from_secs(3600 + 29));
    let [_, pulsing, fed] = &mut clients;
    for id in 1..=60 {
        let request = fed.request(rig.now, id, 0, ObjectNumber(id % SEGMENTS));
        rig.hand(address(3), &request);
    }
    assert!(rig.drain().len() > 3, "it is served");
    assert_eq!(rig.closed(), []);
    let mut last = Vec::new();
    for _ in 0..30 {
        let pulse = pulsing.pulse(rig.now);
        rig.hand(address(2), &pulse);
        last = rig.drain();
        if rig.server.sessions() == 0 {
            break;
        }
        rig.pass(MS * 100);
    }
    assert_eq!(rig.closed(), [Code::TokenEnded; 3]);
    for (number, client) in (1..).zip(&mut clients) {
        let to_it = last.iter().filter(|(to, _)| *to == address(number));
        let mut heard = to_it.filter_map(|(_, bytes)| client.take(rig.now, &mut bytes.clone()));
        let close = heard.next_back().expect("a CLOSE");
        assert_eq!(close.packet_type, PacketType::Close);
        assert_eq!(Close::decode(&close.payload).expect("readable").code, Code::TokenEnded);
    }
    assert_eq!((rig.drain(), rig.server.gauges().owed_bytes), (vec![], 0));
}

#[test]
fn what_would_push_an_unfinished_request_out_of_the_window_is_refused() {
    let rig = &mut Rig::new(34, |_| {});
    rig.source.put(SetIndex::FIRST, ObjectNumber(0), State::Cold);
    let client = &mut rig.open(1);
    let request = client.request(rig.now, 1, 0, ObjectNumber(0));
    rig.hand(address(1), &request);
    rig.drain();
    for id in [65, 500, u32::MAX] {
        assert_eq!(refusal(rig, client, id, 0, 1), Code::TooManyRequests);
        assert_eq!(status_after_cancel(rig, client, id), (1, 1, 0), "the window has not moved");
    }
    let request = client.request(rig.now, 64, 0, ObjectNumber(1));
    rig.hand(address(1), &request);
    let heard = rig.hear(client);
    let data = heard.iter().any(|packet| packet.packet_type == PacketType::Data);
    assert!(data, "the last that has a place beside the first");
    let (highest, received, _) = status_after_cancel(rig, client, 1);
    assert_eq!((highest, received), (64, 1 << 63 | 1));
    let request = client.request(rig.now, 65, 0, ObjectNumber(1));
    rig.hand(address(1), &request);
    let (highest, received, _) = status_after_cancel(rig, client, 1);
    assert_eq!((highest, received), (65, 0b11), "it has the first one's place");
}

/// What STATUS says after the CANCEL of a request: highest id, and the maps.
fn status_after_cancel(rig: &mut Rig, client: &mut RawClient, id: u32) -> (u32, u64, u64) {
    let frame = FrameHeader { offset: id, ..EMPTY_FRAME };
    let cancel = client.seal(rig.now, PacketType::Cancel, frame, &[]);
    rig.hand(address(1), &cancel);
    rig.pass(MS * 2);
    let heard = rig.hear(client);
    let status = heard.iter().rfind(|packet| packet.packet_type == PacketType::Status);
    let status = status.expect("a STATUS");
    let Status { received, finished, .. } = Status::decode(&status.payload).expect("readable");
    (status.frame.offset, received, finished)
}

#[test]
fn repairs_pass_a_busy_shard_as_far_as_there_was_something_to_repair() {
    let mut rig = Rig::new(35, |config| {
        config.egress_max = Some(Arc::new(EgressCap::new(Rate::new(1_000_000))));
        config.egress_queue = MS * 100;
    });
    let (mut client, mut other) = (rig.open(1), rig.open(2));
    let ask = |rig: &mut Rig, client: &mut RawClient, id: u32, flags: u16| {
        let ranges = ByteRanges::one(0..5000).expect("a range");
        let frame = FrameHeader { offset: id, ..EMPTY_FRAME };
        let packet = client.ask(rig.now, frame, &Request { flags, ranges, deadline_ms: 0 });
        rig.hand(address(1), &packet);
    };
    ask(&mut rig, &mut client, 1, 0);
    rig.drain();
    for id in 1..=20 {
        let request = other.request(rig.now, id, 0, ObjectNumber(id % SEGMENTS));
        rig.hand(address(2), &request);
    }
    // Seconds of work for a shard that is behind with it.
    rig.server.set_pressed(rig.now, true);
    let refused = |rig: &Rig| rig.server.counters().requests_refused.of(Code::Overloaded);
    for id in 2..=10 {
        ask(&mut rig, &mut client, id, FLAG_REPAIR);
    }
    assert_eq!(refused(&rig), 8, "one of nine is a repair of what was sent");
    // And when it has been sent there is nothing left to repair.
    for _ in 0..100 {
        rig.pass(MS * 10);
        rig.drain();
    }
    assert_eq!(rig.server.counters().repaired_bytes, 5000);
    ask(&mut rig, &mut client, 11, FLAG_REPAIR);
    assert_eq!(refused(&rig), 9);
}

#[test]
fn requests_with_number_0_and_closes_of_nonsense_end_only_their_session() {
    let mut rig = Rig::new(31, |_| {});
    let _other = rig.open(9);
    let mut client = rig.open(1);
    let request = client.request(rig.now, 0, 0, ObjectNumber(0));
    assert_eq!(rig.dropped(address(1), &request), DropReason::Violation);
    let mut client = rig.open(2);
    let close = client.seal(rig.now, PacketType::Close, EMPTY_FRAME, &[0xFF; 3]);
    rig.hand(address(2), &close);
    assert_eq!(rig.closed(), [Code::ProtocolViolation, Code::ClientDone]);
    assert_eq!(rig.server.sessions(), 1);
    rig.pass(Duration::from_secs(1));
}
