//! Hostile handshakes: spoofed, replayed, with bad tokens, too many.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use rand_core::RngCore;
use segcast_kit::endpoint::rig::{MS, Rig, address};
use segcast_kit::endpoint::{UNIX, check_hello};
use segcast_kit::session::raw::RawClient;
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::handshake::{Defer, WelcomePayload};
use segcast_proto::ids::{ObjectNumber, ReceiverIndex};
use segcast_proto::limits::{TOKEN_MAX, TRAIN_MAX};
use segcast_proto::session::client::{ClientEvent, ClientSession};
use segcast_proto::session::server::{Disposition, DropReason};
use segcast_proto::time::{Duration, Instant};
use segcast_proto::token::{Claims, mint};
use segcast_proto::wire::Code;

/// An address in a network of its own.
fn elsewhere(number: u32) -> SocketAddr {
    (Ipv4Addr::from_bits(0x6440_0000 + (number << 8)), 4000).into()
}

#[test]
fn spoofed_hellos_are_answered_with_less_than_came_and_take_a_bounded_table() {
    let mut rig = Rig::new(1, |config| config.pending_max = 8);
    let mut bytes: BTreeMap<_, (usize, usize)> = BTreeMap::new();
    for number in 0..200 {
        let seed = rig.draw();
        let hello = RawClient::new(rig.config(number), seed).hello();
        // Twice, so that answers to repeats count too.
        for _ in 0..2 {
            bytes.entry(elsewhere(number)).or_default().0 += hello.len();
            rig.hand(elsewhere(number), &hello);
        }
        for (to, answer) in rig.drain() {
            bytes.entry(to).or_default().1 += answer.len();
        }
        assert!(rig.server.pending() <= 8);
    }
    assert!(bytes.values().all(|(came, went)| went < came), "{bytes:?}");
    let counters = rig.server.counters();
    assert_eq!((counters.welcomes, counters.sessions_opened), (8, 0));
    // The first ones beyond were refused by a WELCOME; the others had to prove their addresses first.
    assert_eq!((counters.refusals.of(Code::Busy), counters.cookies), (92, 2 * 100));
    assert_eq!(counters.repeats, 8 + 92);
    // Nobody answered: the places are free again.
    rig.pass(Duration::from_secs(6));
    assert_eq!(rig.server.pending(), 0);
    rig.open(1000);
}

#[test]
fn cookies_begin_above_the_budget_and_a_real_client_gets_in_with_one() {
    let mut rig = Rig::new(2, |config| config.handshakes_per_second = 100);
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

#[test]
fn a_flood_of_hellos_does_not_hold_a_transfer_up() {
    let mut rig = Rig::new(5, |_| {});
    let mut viewer = rig.open(1);
    let request = viewer.request(rig.now, 1, 0, ObjectNumber(0));
    rig.hand(address(1), &request);
    for number in 100..200 {
        let seed = rig.draw();
        let hello = RawClient::new(rig.config(number), seed).hello();
        rig.hand(address(number), &hello);
    }
    let mut out = vec![0; TRAIN_MAX];
    let mut sent = || rig.server.poll_transmit(rig.now, &rig.source, &mut out);
    let first: Vec<bool> = (0..4).filter_map(|_| Some(sent()?.data.is_some())).collect();
    assert!(first.len() == 4 && first.contains(&true), "{first:?}");
}

#[test]
fn hellos_beyond_what_a_shard_looks_at_are_dropped_unread() {
    let mut rig = Rig::new(6, |config| config.cookie_always = true);
    let mut viewer = rig.open(1);
    let seed = rig.draw();
    let mut broken = RawClient::new(rig.config(2), seed).hello();
    broken[600] ^= 1;
    let reasons: Vec<_> = (0..6000).map(|_| rig.dropped(elsewhere(2), &broken)).collect();
    let unread = reasons.iter().filter(|reason| **reason == DropReason::HelloFlood).count();
    assert!(unread > 1000 && reasons[0] == DropReason::BadHello, "{unread}");
    // Sessions go on, and somebody new from another network gets in.
    let pulse = viewer.pulse(rig.now);
    assert!(matches!(rig.hand(address(1), &pulse), Disposition::Done));
    rig.open(3);
    // From all networks at once: now only who brings a cookie, which the flood cannot.
    let (config, seed) = (rig.config(4), rig.draw());
    let mut client = RawClient::new(config, seed);
    rig.pass(MS);
    rig.hand(address(4), &client.hello());
    for number in 0..6000 {
        rig.dropped(elsewhere(number), &broken);
    }
    assert_eq!(rig.dropped(address(5), &broken), DropReason::HelloFlood);
    broken[1199] ^= 1;
    let reasons: Vec<_> = (0..100).map(|_| rig.dropped(address(5), &broken)).collect();
    assert_eq!((reasons[0], reasons[99]), (DropReason::BadHello, DropReason::WrongCookie));
    let now = rig.now;
    rig.drain().iter_mut().for_each(|(_, bytes)| drop(client.take(now, bytes)));
    assert!(matches!(rig.hand(address(4), &client.hello()), Disposition::Done));
}

/// The code that a client with these claims and this center gets.
fn code(
    rig: &mut Rig,
    change: impl FnOnce(&mut Claims),
    center: Option<SigningKey>,
) -> Option<Code> {
    let (mut claims, secret) = rig.claims(1);
    change(&mut claims);
    let token = mint(&claims, center.as_ref().unwrap_or(rig.center())).expect("a token that fits");
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
    let good = mint(&claims, rig.center()).expect("a token that fits");
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
fn a_refusal_says_nothing_but_its_code_and_when_to_come_again() {
    let (shard, shards) = (1, 2);
    let mut rig = Rig::new(14, |config| (config.shard, config.shards) = (shard, shards));
    let refused = (0..).find_map(|number| {
        let (_, secret) = rig.claims(number);
        let config = rig.config_with(secret, Vec::new());
        // Every other client lives on the other shard.
        rig.shake(config, address(number)).welcome.map(|welcome| (welcome, number))
    });
    let (welcome, number) = refused.expect("one of this shard");
    assert_eq!(welcome, WelcomePayload::refusal(Code::TokenInvalid, 0));
    let (_, secret) = rig.claims(number);
    let config = rig.config_with(secret, Vec::new());
    assert_eq!(rig.shake(config, address(number)).server, ReceiverIndex(0), "not even the shard");
}

#[test]
fn a_welcome_says_how_large_a_datagram_the_server_receives() {
    let mut rig = Rig::new(15, |config| config.receive_max = 1500);
    let config = rig.config(1);
    let welcome = rig.shake(config, address(1)).welcome.expect("a WELCOME");
    assert_eq!((welcome.code, welcome.datagram_max), (Code::Ok, 1500));
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
    // Nothing came of that handshake, and its place is free again.
    rig.pass(Duration::from_secs(6));
    rig.open(2);
    rig.open(3);
    let config = rig.config(4);
    assert_eq!(rig.shake(config, address(4)).code, Some(Code::Busy));
    let refused = &rig.server.counters().refusals;
    assert_eq!((refused.of(Code::TooManySessions), refused.of(Code::Busy)), (1, 1));
    assert_eq!(rig.server.sessions(), 4);
}

#[test]
fn handshakes_beyond_the_limit_are_put_off_without_any_work_on_them() {
    let mut rig = Rig::new(12, |config| config.handshakes_per_second = 10);
    let mut waits = Vec::new();
    for number in 0..20 {
        let (config, seed) = (rig.config(number), rig.draw());
        let mut client = RawClient::new(config, seed);
        // The first HELLO brings the cookie.
        for _ in 0..2 {
            rig.hand(elsewhere(number), &client.hello());
            let now = rig.now;
            for (_, mut bytes) in rig.drain() {
                waits.extend(client.defer(&bytes));
                client.take(now, &mut bytes);
            }
        }
    }
    let counters = rig.server.counters();
    // Half a second's worth was saved up.
    assert_eq!((counters.handshakes, counters.deferred.of(Code::Busy)), (5, 15));
    assert_eq!(counters.dropped_for(DropReason::HandshakeOverload), 15);
    let told: Vec<_> = waits.iter().map(|defer| defer.retry_after.as_millis()).collect();
    assert_eq!(told, (1..=15).map(|turn| turn * 100).collect::<Vec<_>>());
    assert!(waits.iter().all(|defer| defer.code == Code::Busy));
}

#[test]
fn a_client_that_was_put_off_waits_as_long_and_a_forged_word_ends_nothing() {
    let mut rig = Rig::new(13, |_| {});
    let (config, seed) = (rig.config(1), rig.draw());
    let mut session = ClientSession::new(config, seed, rig.now).expect("a session");
    let (mut hello, start) = ([0; 2048], rig.now);
    let len = session.poll_transmit(rig.now, &mut hello).expect("a HELLO");
    let view = check_hello(rig.identity(), &hello[..len]).expect("a HELLO");
    let defer = |retry_after| Defer { code: Code::Draining, retry_after }.reply(&view.id);
    let mut altered = defer(Duration::from_secs(1));
    altered[20] ^= 1;
    session.handle_datagram(rig.now, 0, &mut altered);
    assert_eq!(session.stats().deferred, 0, "not for this HELLO");
    session.handle_datagram(rig.now, 0, &mut defer(Duration::from_secs(1)));
    assert_eq!((session.stats().deferred, session.has_ended()), (1, false));
    let mut out = [0; 2048];
    let next = |session: &mut ClientSession, now: &mut Instant, out: &mut [u8]| {
        loop {
            *now = session.poll_timeout().expect("a timer");
            session.handle_timeout(*now);
            if session.has_ended() || session.poll_transmit(*now, out).is_some() {
                return now.saturating_since(start);
            }
        }
    };
    let mut now = rig.now;
    let waited = next(&mut session, &mut now, &mut out);
    assert!(
        waited >= Duration::from_secs(1) && waited <= Duration::from_millis(1250),
        "{waited:?}"
    );
    assert_eq!(out[..len], hello[..len], "the same HELLO");
    // An hour counts as two seconds, and in the end the session says what it was told.
    session.handle_datagram(now, 0, &mut defer(Duration::from_secs(3600)));
    let waited = next(&mut session, &mut now, &mut out) - waited;
    assert!(
        waited >= Duration::from_secs(2) && waited <= Duration::from_millis(2500),
        "{waited:?}"
    );
    while !session.has_ended() {
        next(&mut session, &mut now, &mut out);
    }
    let ended = core::iter::from_fn(|| session.poll_event()).last();
    assert!(matches!(ended, Some(ClientEvent::Refused { code: Code::Draining, .. })), "{ended:?}");
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
    assert_eq!(received, segcast_kit::endpoint::rig::SEGMENT_BYTES);
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
        // No more than a shard looks at.
        rig.now += Duration::from_micros(100);
    }
    assert_eq!(rig.server.counters().handshakes, 0);
}
