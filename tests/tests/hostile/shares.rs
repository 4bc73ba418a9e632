//! What a client's sessions share, and what a client that vanished holds up.

use std::net::SocketAddr;

use segcast_kit::endpoint::rig::{MS, Rig, SEGMENT_BYTES, SEGMENTS, address};
use segcast_kit::session::raw::{EMPTY_FRAME, RawClient};
use segcast_proto::ids::{ObjectNumber, SetHandle};
use segcast_proto::session::client::ClientSession;
use segcast_proto::time::Duration;
use segcast_proto::token::mint;
use segcast_proto::wire::{Code, PacketType};

/// The token's cap, and the same in bytes per second.
const CAP_KBITS: u32 = 800;
const CAP_BYTES: u64 = 100_000;

#[test]
fn all_sessions_of_a_client_share_the_rate_of_its_token() {
    let mut rig = Rig::new(31, |_| {});
    let mut sessions: Vec<(ClientSession, SocketAddr)> =
        (0..3).map(|n| capped(&mut rig, n)).collect();
    let (seconds, mut out) = (2, [0; 2048]);
    for _ in 0..seconds * 1000 {
        for (session, from) in &mut sessions {
            while let Some(len) = session.poll_transmit(rig.now, &mut out) {
                rig.hand(*from, &out[..len]);
            }
        }
        for (to, mut bytes) in rig.drain() {
            if let Some((session, _)) = sessions.iter_mut().find(|(_, from)| *from == to) {
                session.handle_datagram(rig.now, 0, &mut bytes);
            }
        }
        rig.pass(MS);
        sessions.iter_mut().for_each(|(session, _)| session.handle_timeout(rig.now));
    }
    let sent = rig.server.counters().data_bytes;
    // The first train of each goes before there is a rate.
    let allowed = CAP_BYTES * seconds + 3 * 20_000;
    assert!(sent <= allowed, "{sent} bytes in {seconds} s, {allowed} allowed");
    assert!(sent >= CAP_BYTES * seconds / 2, "only {sent} bytes: the cap is not used");
}

/// A session of the one client, from a port of its own, that wants everything.
fn capped(rig: &mut Rig, number: u16) -> (ClientSession, SocketAddr) {
    let (mut claims, secret) = rig.claims(1);
    claims.rate_cap_kbits = Some(CAP_KBITS);
    let token = mint(&claims, rig.center()).expect("a token that fits");
    let (config, seed) = (rig.config_with(secret, token), rig.draw());
    let mut session = ClientSession::new(config, seed, rig.now).expect("a session");
    for segment in 0..SEGMENTS {
        let (object, len) = (ObjectNumber(segment), Some(SEGMENT_BYTES as u32));
        session
            .fetch(rig.now, SetHandle::FIRST, object, len, Duration::from_secs(1))
            .expect("room");
    }
    let mut from = address(1);
    from.set_port(7000 + number);
    (session, from)
}

#[test]
fn a_client_that_vanished_does_not_hold_up_a_drain() {
    let mut rig = Rig::new(32, |_| {});
    let mut client = rig.open(1);
    let request = client.request(rig.now, 1, 0, ObjectNumber(0));
    rig.hand(address(1), &request);
    rig.drain();
    rig.server.drain(rig.now);
    for _ in 0..2000 {
        rig.pass(MS);
        rig.drain();
    }
    assert_eq!(rig.server.sessions(), 1, "its request still counts");
    for _ in 0..2000 {
        rig.pass(MS);
        rig.drain();
    }
    assert_eq!(rig.server.sessions(), 0);
}

#[test]
fn a_client_gets_places_of_dead_sessions_back_and_a_live_one_keeps_its_own() {
    let mut rig = Rig::new(33, |config| config.sessions_per_client = 2);
    let _vanished = rig.open(1);
    let mut live = rig.open(1);
    assert_eq!(answer(&mut rig, &mut [&mut live], 300), 0, "nobody wants its place");
    let another = |rig: &mut Rig| {
        let config = rig.config(1);
        rig.shake(config, address(1)).code
    };
    assert_eq!(another(&mut rig), Some(Code::TooManySessions));
    assert!(answer(&mut rig, &mut [&mut live], 70) > 0, "all silent ones are asked");
    assert_eq!((rig.closed(), rig.server.sessions()), (vec![Code::Idle], 1));
    let mut second = rig.open(1);
    for _ in 0..20 {
        assert_eq!(another(&mut rig), Some(Code::TooManySessions));
        assert!(answer(&mut rig, &mut [&mut live, &mut second], 50) > 0);
    }
    assert_eq!((rig.closed(), rig.server.sessions()), (vec![], 2));
    assert_eq!(rig.server.counters().path_changes, 0, "they are where they were");
}

/// Lets so many tenths of a second pass among idle clients that answer challenges; how many they answered.
fn answer(rig: &mut Rig, clients: &mut [&mut RawClient], tenths: u32) -> u32 {
    let mut answered = 0;
    for _ in 0..tenths {
        rig.pass(MS * 100);
        for (_, bytes) in rig.drain() {
            for client in &mut *clients {
                let packet = client.take(rig.now, &mut bytes.clone());
                let is_challenge = |packet_type| packet_type == PacketType::PathChallenge;
                let Some(packet) = packet.filter(|packet| is_challenge(packet.packet_type)) else {
                    continue;
                };
                let response = PacketType::PathResponse;
                let response = client.seal(rig.now, response, EMPTY_FRAME, &packet.payload);
                rig.hand(address(1), &response);
                answered += 1;
            }
        }
    }
    answered
}
