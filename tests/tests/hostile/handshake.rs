//! Hostile handshakes: spoofed, replayed, with bad tokens, too many.

use super::rig::{MS, Rig, UNIX, address};
use rand_core::RngCore;
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::limits::TOKEN_MAX;
use segcast_proto::session::server::{Disposition, DropReason};
use segcast_proto::time::Duration;
use segcast_proto::token::{Claims, mint};
use segcast_proto::wire::Code;
use segcast_tests::sim::raw::RawClient;
use std::collections::BTreeMap;

#[test]
fn spoofed_hellos_are_answered_with_less_than_came_and_take_a_bounded_table() {
    let mut rig = Rig::new(1, |config| config.pending_max = 8);
    let mut bytes: BTreeMap<_, (usize, usize)> = BTreeMap::new();
    for number in 0..200 {
        let seed = rig.draw();
        let hello = RawClient::new(rig.config(number), seed).hello();
        // Twice, so that answers to repeats count too.
        for _ in 0..2 {
            bytes.entry(address(number)).or_default().0 += hello.len();
            rig.hand(address(number), &hello);
        }
        for (to, answer) in rig.drain() {
            bytes.entry(to).or_default().1 += answer.len();
        }
        assert!(rig.server.pending() <= 8);
    }
    assert!(bytes.values().all(|(came, went)| went < came), "{bytes:?}");
    let counters = rig.server.counters();
    assert_eq!((counters.welcomes, counters.sessions_opened), (8, 0));
    assert!(counters.dropped_for(DropReason::HandshakeOverload) > 0);
    // Nobody answered: the places are free again.
    rig.pass(Duration::from_secs(6));
    assert_eq!(rig.server.pending(), 0);
    rig.open(1000);
}

#[test]
fn cookies_begin_above_the_budget_and_a_real_client_gets_in_with_one() {
    let mut rig = Rig::new(2, |config| config.handshake_cost = Duration::from_millis(5));
    // 5 % of half a second are 25 ms: five handshakes.
    for number in 0..20 {
        let seed = rig.draw();
        let hello = RawClient::new(rig.config(number), seed).hello();
        rig.hand(address(number), &hello);
        for (_, answer) in rig.drain() {
            assert!(answer.len() < hello.len());
        }
    }
    let counters = rig.server.counters();
    assert_eq!((counters.handshakes, counters.cookies), (5, 15));
    rig.open(500);
    assert_eq!(rig.server.counters().handshakes, 6);
    // Another address cannot use the cookie.
    let seed = rig.draw();
    let mut client = RawClient::new(rig.config(501), seed);
    rig.hand(address(501), &client.hello());
    let now = rig.now;
    rig.drain().iter_mut().for_each(|(_, bytes)| drop(client.take(now, bytes)));
    assert_eq!(rig.dropped(address(502), &client.hello()), DropReason::CookieDemanded);
    assert!(matches!(rig.hand(address(501), &client.hello()), Disposition::Done));
}

#[test]
fn a_replayed_hello_takes_one_place_and_opens_nothing() {
    let mut rig = Rig::new(3, |_| {});
    let seed = rig.draw();
    let mut client = RawClient::new(rig.config(1), seed);
    let hello = client.hello();
    rig.hand(address(1), &hello);
    for replay in 0..100 {
        rig.hand(address(2 + replay), &hello);
    }
    assert_eq!((rig.server.pending(), rig.server.counters().handshakes), (1, 1));
    let now = rig.now;
    let answers = rig.drain();
    assert_eq!(answers.len(), 101);
    for (_, bytes) in answers.iter().take(1) {
        client.take(now, &mut bytes.clone());
    }
    // The owner still gets in from its own address, whoever replayed what.
    let pulse = client.pulse(now);
    assert!(matches!(rig.hand(address(1), &pulse), Disposition::Done));
    assert_eq!(rig.server.sessions(), 1);
    // Later, the same HELLO opens another pending handshake at most; its keys are new, the old packets worthless.
    rig.pass(Duration::from_secs(10));
    rig.hand(address(9), &hello);
    rig.hand(address(9), &pulse);
    assert_eq!(rig.server.sessions(), 1);
}

#[test]
fn broken_hellos_are_dropped_before_any_cost() {
    let mut rig = Rig::new(4, |_| {});
    let seed = rig.draw();
    let hello = RawClient::new(rig.config(1), seed).hello();
    for (at, reason) in [
        (0, DropReason::Malformed),
        (1, DropReason::Malformed),
        (2, DropReason::Malformed),
        (3, DropReason::BadHello),
        (16, DropReason::BadHello),
        (20, DropReason::BadHello),
        (600, DropReason::BadHello),
        (1170, DropReason::BadHello),
    ] {
        let mut broken = hello.clone();
        broken[at] ^= 0xF0;
        let got = rig.dropped(address(1), &broken);
        assert_eq!(got, reason, "byte {at}");
    }
    assert_eq!(rig.dropped(address(1), &hello[..1199]), DropReason::BadHello);
    assert_eq!(rig.server.counters().handshakes, 0);
    assert!(rig.drain().is_empty());
}

/// The code that a client with these claims and this center gets.
fn code(
    rig: &mut Rig,
    change: impl FnOnce(&mut Claims),
    center: Option<SigningKey>,
) -> Option<Code> {
    let (mut claims, secret) = rig.claims(1);
    change(&mut claims);
    let token = mint(&claims, center.as_ref().unwrap_or(&rig.center)).expect("a token that fits");
    let config = rig.config_with(secret, token);
    rig.shake(config, address(1)).code
}

#[test]
fn a_client_learns_what_is_wrong_with_its_token() {
    let rig = &mut Rig::new(5, |_| {});
    assert_eq!(code(rig, |claims| claims.expires = UNIX - 31, None), Some(Code::TokenExpired));
    let early = code(rig, |claims| claims.not_before = UNIX + 31, None);
    assert_eq!(early, Some(Code::TokenNotYetValid));
    let foreign = SigningKey::from_seed(&[9; 32]);
    assert_eq!(code(rig, |_| {}, Some(foreign)), Some(Code::TokenUnknownIssuer));
    let wrong_key = code(rig, |claims| claims.client_public[0] ^= 1, None);
    assert_eq!(wrong_key, Some(Code::TokenWrongKey));

    // Altered anywhere: never accepted.
    let (claims, _) = rig.claims(1);
    let good = mint(&claims, &rig.center).expect("a token that fits");
    for at in (0..good.len()).step_by(3) {
        let mut token = good.clone();
        token[at] ^= 1 << (at % 8);
        let (_, secret) = rig.claims(1);
        let config = rig.config_with(secret, token);
        let code = rig.shake(config, address(1)).code;
        assert!(code.is_some_and(|code| code != Code::Ok), "{at}: {code:?}");
    }
    // Another algorithm in the protected header: -7 (ES256) instead of -8.
    let at = good.windows(2).position(|pair| pair == [0x01, 0x27]).expect("alg EdDSA");
    let mut token = good.clone();
    token[at + 1] = 0x26;
    for token in [token, Vec::new(), vec![0xFF; TOKEN_MAX], good[..good.len() - 1].to_vec()] {
        let (_, secret) = rig.claims(1);
        let config = rig.config_with(secret, token);
        assert_eq!(rig.shake(config, address(1)).code, Some(Code::TokenInvalid));
    }
    assert!(rig.server.counters().refusals.of(Code::TokenInvalid) >= 4);
    assert_eq!(rig.server.counters().refusals.of(Code::Busy), 0);
    assert_eq!((rig.server.pending(), rig.server.sessions()), (0, 0));
    // A token that is too long does not even fit into a HELLO.
    let (_, secret) = rig.claims(1);
    let config = rig.config_with(secret, vec![0; TOKEN_MAX + 1]);
    let session = segcast_proto::session::client::ClientSession::new(config, [1; 32], rig.now);
    assert!(session.is_err());
}

#[test]
fn limits_on_sessions_hold() {
    let mut rig = Rig::new(6, |config| {
        config.sessions_per_client = 2;
        config.sessions_max = 4;
    });
    rig.open(1);
    rig.open(1);
    let config = rig.config(1);
    assert_eq!(rig.shake(config, address(1)).code, Some(Code::TooManySessions));
    // The token's own limit counts before the edge's.
    let one = |claims: &mut Claims| claims.sessions = Some(3);
    assert_eq!(code(&mut rig, one, None), Some(Code::Ok));
    rig.open(2);
    rig.open(3);
    let config = rig.config(4);
    assert_eq!(rig.shake(config, address(4)).code, Some(Code::Busy));
    let refused = &rig.server.counters().refusals;
    assert_eq!((refused.of(Code::TooManySessions), refused.of(Code::Busy)), (1, 1));
    assert_eq!(rig.server.sessions(), 4);
}

#[test]
fn handshakes_that_were_welcomed_at_once_do_not_pass_the_limits_together() {
    let mut rig = Rig::new(7, |config| config.sessions_per_client = 2);
    let mut clients: Vec<_> = (0..6)
        .map(|_| {
            let config = rig.config(1);
            rig.shake(config, address(1))
        })
        .collect();
    let now = rig.now;
    for client in clients.iter_mut().filter(|client| client.is_open()) {
        let pulse = client.pulse(now);
        rig.hand(address(1), &pulse);
    }
    assert_eq!(rig.server.sessions(), 2);
}

#[test]
fn a_draining_server_refuses_and_finishes() {
    let mut rig = Rig::new(8, |_| {});
    let mut client = rig.open(1);
    let request = client.request(rig.now, 1, 0, segcast_proto::ids::ObjectNumber(0));
    rig.hand(address(1), &request);
    let now = rig.now;
    rig.server.drain(now);
    let config = rig.config(2);
    assert_eq!(rig.shake(config, address(2)).code, Some(Code::Draining));
    let mut received = 0;
    for turn in 1..2000 {
        for packet in rig.hear(&mut client) {
            if packet.packet_type == segcast_proto::wire::PacketType::Data {
                received += packet.payload.len();
                let report = client.report(
                    rig.now,
                    turn,
                    packet.frame.send_time,
                    &[(packet.sequence, packet.sequence)],
                );
                rig.hand(address(1), &report);
            }
        }
        rig.pass(MS);
    }
    assert_eq!(received, super::rig::SEGMENT_BYTES);
    assert_eq!((rig.closed(), rig.server.sessions()), (vec![Code::Draining], 0));
}

#[test]
fn an_idle_session_ends() {
    let mut rig = Rig::new(9, |config| config.idle_timeout = Duration::from_secs(20));
    rig.open(1);
    for _ in 0..18 {
        rig.pass(Duration::from_secs(1));
    }
    assert_eq!(rig.server.sessions(), 1);
    for _ in 0..4 {
        rig.pass(Duration::from_secs(1));
    }
    assert_eq!((rig.closed(), rig.server.sessions()), (vec![Code::Idle], 0));
}

#[test]
fn random_hellos_do_nothing() {
    let mut rig = Rig::new(10, |_| {});
    let mut hello = vec![0; 1200];
    for _ in 0..2000 {
        rig.rng.fill_bytes(&mut hello);
        hello[..4].copy_from_slice(&[0x10, 0x01, 0, 1]);
        assert_eq!(rig.dropped(address(1), &hello), DropReason::BadHello);
    }
    assert_eq!(rig.server.counters().handshakes, 0);
}
