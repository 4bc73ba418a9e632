//! Pending handshakes: whose they are, how many there may be, and from where they become sessions.

use std::net::SocketAddr;

use segcast_kit::endpoint::rig::{Rig, address};
use segcast_kit::session::raw::RawClient;
use segcast_proto::handshake::{COOKIE_LEN, HELLO_LEN};
use segcast_proto::session::server::{Disposition, DropReason};
use segcast_proto::time::Duration;
use segcast_proto::wire::Code;

#[test]
fn a_replayed_hello_takes_one_place_and_opens_nothing() {
    let mut rig = Rig::new(3, |_| {});
    let seed = rig.draw();
    let mut client = RawClient::new(rig.config(1), seed);
    let hello = client.hello();
    rig.hand(address(1), &hello);
    for replay in 0..100 {
        assert_eq!(rig.dropped(address(2 + replay), &hello), DropReason::CookieDemanded);
    }
    assert_eq!((rig.server.pending(), rig.server.counters().handshakes), (1, 1));
    let now = rig.now;
    let answers = rig.drain();
    assert!(answers[1..].iter().all(|(_, cookie)| cookie.len() == COOKIE_LEN));
    client.take(now, &mut answers[0].1.clone());
    // Who has the keys begins the session from where WELCOME went, not in another's name.
    let pulse = client.pulse(now);
    assert_eq!(rig.dropped(address(2), &pulse), DropReason::UnknownSession);
    assert!(matches!(rig.hand(address(1), &pulse), Disposition::Done));
    assert_eq!(rig.server.sessions(), 1);
    // Later, the same HELLO opens another pending handshake at most; its keys are new, the old packets worthless.
    rig.pass(Duration::from_secs(10));
    rig.hand(address(9), &hello);
    rig.hand(address(9), &pulse);
    assert_eq!(rig.server.sessions(), 1);
}

#[test]
fn a_hello_from_two_proven_addresses_gives_each_a_session_of_its_own_or_none() {
    let mut rig = Rig::new(16, |_| {});
    let seed = rig.draw();
    let first = RawClient::new(rig.config(1), seed);
    let mut clients = [first, RawClient::new(rig.config(1), seed)];
    assert_eq!(clients[0].hello(), clients[1].hello(), "a copy");
    let now = rig.now;
    // The first needs no cookie; the second one gets and brings it.
    for client in [0, 1, 1] {
        rig.hand(address(client), &clients[client as usize].hello());
        for (to, mut answer) in rig.drain() {
            assert_eq!(to, address(client));
            clients[client as usize].take(now, &mut answer);
        }
    }
    let [first, second] = &mut clients;
    assert!(first.is_open() && second.is_open() && first.server != second.server);
    assert_eq!(rig.server.pending(), 2);
    // Neither begins the other's session: each WELCOME went to one address.
    let (first, second) = (first.pulse(now), second.pulse(now));
    assert_eq!(rig.dropped(address(1), &first), DropReason::UnknownSession);
    assert_eq!(rig.dropped(address(0), &second), DropReason::UnknownSession);
    assert!(matches!(rig.hand(address(1), &second), Disposition::Done));
    let sent = rig.drain();
    assert!(!sent.is_empty() && sent.iter().all(|(to, _)| *to == address(1)), "{sent:?}");
    assert_eq!((rig.server.pending(), rig.server.sessions()), (1, 1));
}

/// The same HELLO from many ports of one host, each proven by a cookie, again and again.
struct Copies(Vec<(SocketAddr, Vec<u8>)>);

impl Copies {
    fn of(rig: &mut Rig, hello: &[u8]) -> Self {
        let ports = (5000..5016).map(|port| SocketAddr::from(([10, 9, 9, 9], port)));
        let proven = ports.map(|from| {
            let mut copy = hello.to_vec();
            rig.hand(from, &copy);
            let (to, answer) = rig.drain().remove(0);
            assert_eq!(to, from);
            if answer.len() == COOKIE_LEN {
                copy[HELLO_LEN - 16..].copy_from_slice(&answer[COOKIE_LEN - 16..]);
            }
            (from, copy)
        });
        Self(proven.collect())
    }

    fn replay(&self, rig: &mut Rig, rounds: usize) {
        let answered = |rig: &Rig| rig.server.counters().welcomes + rig.server.counters().repeats;
        let before = answered(rig);
        for (from, copy) in self.0.iter().cycle().take(rounds * self.0.len()) {
            rig.hand(*from, copy);
        }
        assert!(answered(rig) > before, "the copies are answered");
        rig.drain();
    }
}

#[test]
fn one_old_hello_replayed_from_many_ports_keeps_its_client_not_out() {
    let mut rig = Rig::new(18, |_| {});
    let (seed, config) = (rig.draw(), rig.config(1));
    let old = RawClient::new(config, seed).hello();
    let copies = Copies::of(&mut rig, &old);
    copies.replay(&mut rig, 2);
    assert!(rig.server.pending() <= 2, "{} places of one HELLO", rig.server.pending());
    let config = rig.config(1);
    let mut client = rig.shake(config, address(1));
    copies.replay(&mut rig, 20);
    let pulse = client.pulse(rig.now);
    assert!(matches!(rig.hand(address(1), &pulse), Disposition::Done));
    assert_eq!(rig.server.sessions(), 1);
}

#[test]
fn a_hello_copied_on_its_way_by_one_host_keeps_its_client_not_out() {
    let mut rig = Rig::new(19, |_| {});
    let (seed, config) = (rig.draw(), rig.config(1));
    let mut client = RawClient::new(config, seed);
    // The copies come first, so that the client has to prove its address.
    let copies = Copies::of(&mut rig, &client.hello());
    copies.replay(&mut rig, 1);
    for _ in 0..2 {
        rig.hand(address(1), &client.hello());
        for (to, mut answer) in rig.drain() {
            assert_eq!(to, address(1));
            client.take(rig.now, &mut answer);
        }
        copies.replay(&mut rig, 2);
    }
    assert!(client.is_open());
    let pulse = client.pulse(rig.now);
    assert!(matches!(rig.hand(address(1), &pulse), Disposition::Done));
    assert_eq!(rig.server.sessions(), 1);
}

#[test]
fn one_more_pending_handshake_of_a_client_takes_the_place_of_its_oldest() {
    let mut rig = Rig::new(17, |config| config.sessions_per_client = 5);
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let config = rig.config(1);
            rig.shake(config, address(1))
        })
        .collect();
    let others = rig.config(2);
    let other = rig.shake(others, address(2));
    assert_eq!((rig.server.pending(), rig.server.counters().pending_replaced), (6, 3));
    let now = rig.now;
    for (number, mut client) in clients.into_iter().chain([other]).enumerate() {
        assert_eq!(client.code, Some(Code::Ok));
        let (from, pulse) = (address(if number == 8 { 2 } else { 1 }), client.pulse(now));
        match rig.hand(from, &pulse) {
            // Others have the slots of the first three by now.
            Disposition::Dropped(_) => assert!(number < 3),
            Disposition::Done => assert!(number >= 3),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(rig.server.sessions(), 6);
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
fn the_last_places_are_promised_once_each() {
    let mut rig = Rig::new(11, |config| config.sessions_max = 3);
    let clients: Vec<_> = (0..6)
        .map(|number| {
            let config = rig.config(number);
            rig.shake(config, address(number))
        })
        .collect();
    let now = rig.now;
    for (number, mut client) in (0..).zip(clients) {
        assert_eq!(client.code, Some(if number < 3 { Code::Ok } else { Code::Busy }));
        if client.is_open() {
            let pulse = client.pulse(now);
            rig.hand(address(number), &pulse);
        }
    }
    assert_eq!((rig.closed(), rig.server.sessions()), (vec![], 3));
    assert_eq!(rig.server.counters().refusals.of(Code::Busy), 3);
}
