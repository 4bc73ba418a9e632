//! Beside each of those who would keep everybody else out, nine of ten newcomers get in within two seconds.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use segcast_kit::endpoint::UNIX;
use segcast_kit::endpoint::rig::{MS, Rig, address};
use segcast_kit::session::raw::RawClient;
use segcast_proto::crypto::hash::{hmac16, sha256};
use segcast_proto::handshake::{COOKIE_LEN, HELLO_LEN, StaticSecret};
use segcast_proto::limits::CLEAR_HEADER;
use segcast_proto::session::client::ClientSession;
use segcast_proto::session::server::{Disposition, Endpoint, EndpointConfig, Path};
use segcast_proto::time::{Duration, Instant};
use segcast_proto::token::mint;
use segcast_proto::wire::{ClearHeader, Code, PacketType};

/// How many come, and how many of them must get in.
const NEWCOMERS: u32 = 100;
const ENOUGH: usize = 90;
/// A newcomer each this many milliseconds, after the attacker was alone for as long as makes it felt.
const APART: u64 = 10;
const ALONE: u64 = 700;
/// How long each has.
const PATIENCE: Duration = Duration::from_secs(2);
/// Where mac1 and the cookie of a HELLO begin (docs/protocol, section 5).
const MAC1: usize = HELLO_LEN - 32;
const COOKIE: usize = HELLO_LEN - 16;
/// Where the attacker is, if at one address.
const ATTACKER: u32 = 66;

/// Someone hostile.
trait Attacker {
    /// Its turn, once a millisecond.
    fn turn(&mut self, rig: &mut Rig);

    /// What the server sent to an address that is no newcomer's.
    fn hear(&mut self, _rig: &mut Rig, _to: SocketAddr, _datagram: &[u8]) {}

    /// A newcomer's datagram, before the server has it.
    fn see(&mut self, _rig: &mut Rig, _datagram: &[u8]) {}
}

/// An address in a network of its own.
fn elsewhere(number: u32) -> SocketAddr {
    (Ipv4Addr::from_bits(0x6440_0000 + (number << 8)), 4000).into()
}

/// Lets newcomers with these numbers come, each from a network of its own; how many of them had a session within two seconds.
fn get_in(rig: &mut Rig, attacker: &mut dyn Attacker, numbers: &[u32]) -> usize {
    let mut waiting: BTreeMap<SocketAddr, (ClientSession, Instant)> = BTreeMap::new();
    let (mut opened, mut out, mut to_come) = (0, [0; 2048], numbers.iter());
    for turn in 0..ALONE + APART * numbers.len() as u64 + PATIENCE.as_millis() as u64 {
        attacker.turn(rig);
        if turn >= ALONE
            && (turn - ALONE).is_multiple_of(APART)
            && let Some(&number) = to_come.next()
        {
            let (config, seed) = (rig.config(number), rig.draw());
            let session = ClientSession::new(config, seed, rig.now).expect("a session");
            waiting.insert(elsewhere(number), (session, rig.now));
        }
        // A COOKIE is answered within the same millisecond: the network has no delay.
        for _ in 0..3 {
            for (from, (session, _)) in &mut waiting {
                while let Some(len) = session.poll_transmit(rig.now, &mut out) {
                    attacker.see(rig, &out[..len]);
                    rig.hand(*from, &out[..len]);
                }
            }
            for (to, mut datagram) in rig.drain() {
                match waiting.get_mut(&to) {
                    Some((session, _)) => session.handle_datagram(rig.now, 0, &mut datagram),
                    None => attacker.hear(rig, to, &datagram),
                }
            }
        }
        waiting.retain(|from, (session, began)| {
            if session.is_open() && rig.now.saturating_since(*began) <= PATIENCE {
                // Its first sealed packet shows that the session is one at the server, too.
                let sessions = rig.server.counters().sessions_opened;
                session.close();
                let len = session.poll_transmit(rig.now, &mut out).expect("a CLOSE");
                rig.hand(*from, &out[..len]);
                opened += usize::from(rig.server.counters().sessions_opened > sessions);
            }
            !session.is_open() && !session.has_ended()
        });
        rig.pass(MS);
        waiting.values_mut().for_each(|(session, _)| session.handle_timeout(rig.now));
    }
    opened
}

/// The numbers of newcomers, where any will do.
fn any() -> Vec<u32> {
    (1000..1000 + NEWCOMERS).collect()
}

/// A client with a number, which shakes hands as slowly as the test wants.
fn raw(rig: &mut Rig, number: u32) -> RawClient {
    let (config, seed) = (rig.config(number), rig.draw());
    RawClient::new(config, seed)
}

/// A client whose token no center has signed.
fn refused(rig: &mut Rig, number: u32) -> RawClient {
    let (_, secret) = rig.claims(number);
    let (config, seed) = (rig.config_with(secret, vec![0xD2; 100]), rig.draw());
    RawClient::new(config, seed)
}

/// The cookie in a COOKIE.
fn cookie(datagram: &[u8]) -> Option<[u8; 16]> {
    let header = ClearHeader::decode(datagram).ok()?;
    let is_cookie = header.packet_type == PacketType::Cookie && datagram.len() == COOKIE_LEN;
    is_cookie.then(|| core::array::from_fn(|i| datagram[CLEAR_HEADER + 16 + i]))
}

/// HELLOs with 16 bytes of nothing where the cookie goes, 50 000 a second, from networks all over.
struct JunkCookies {
    /// One with a right mac1, one with a wrong one.
    hellos: [Vec<u8>; 2],
    sent: u32,
}

impl Attacker for JunkCookies {
    fn turn(&mut self, rig: &mut Rig) {
        for _ in 0..50 {
            self.sent += 1;
            let hello = &mut self.hellos[self.sent as usize % 2];
            hello[COOKIE..COOKIE + 4].copy_from_slice(&self.sent.to_be_bytes());
            rig.hand(elsewhere(10_000 + self.sent % 40_000), hello);
        }
    }
}

#[test]
fn junk_cookies_keep_out_nobody() {
    let mut rig = Rig::new(71, |config| config.cookie_always = true);
    let good = raw(&mut rig, 1).hello();
    let mut bad = good.clone();
    bad[MAC1] ^= 1;
    let mut attacker = JunkCookies { hellos: [good, bad], sent: 0 };
    let opened = get_in(&mut rig, &mut attacker, &any());
    assert!(opened >= ENOUGH, "{opened}");
    assert!(rig.server.counters().cookies < 10_000, "junk gets few answers");
}

/// HELLOs that come to nothing, again and again from one address that can be proven.
struct Repeats {
    hello: Vec<u8>,
    each_turn: u32,
}

impl Attacker for Repeats {
    fn turn(&mut self, rig: &mut Rig) {
        for _ in 0..self.each_turn {
            let hello = self.hello.clone();
            rig.hand(address(ATTACKER), &hello);
        }
    }

    fn hear(&mut self, _rig: &mut Rig, _to: SocketAddr, datagram: &[u8]) {
        if let Some(cookie) = cookie(datagram) {
            self.hello[COOKIE..].copy_from_slice(&cookie);
        }
    }
}

#[test]
fn one_address_that_repeats_a_refused_hello_keeps_out_nobody() {
    let mut rig = Rig::new(72, |_| {});
    let hello = refused(&mut rig, 1).hello();
    let opened = get_in(&mut rig, &mut Repeats { hello, each_turn: 12 }, &any());
    assert!(opened >= ENOUGH, "{opened}");
    // What was refused once costs no Diffie–Hellman until the same HELLO may count anew.
    let counters = rig.server.counters();
    assert!(counters.refusals.of(Code::TokenInvalid) < 5, "{:?}", counters.refusals);
}

#[test]
fn one_address_whose_hellos_fail_keeps_out_nobody() {
    let mut rig = Rig::new(73, |_| {});
    let mut hello = raw(&mut rig, 1).hello();
    hello[100] ^= 1;
    let key = sha256(&[b"segcast v1 mac1", rig.identity().public()]);
    let mac1 = hmac16(&key, &[&hello[..MAC1]]);
    hello[MAC1..COOKIE].copy_from_slice(&mac1);
    let opened = get_in(&mut rig, &mut Repeats { hello, each_turn: 12 }, &any());
    assert!(opened >= ENOUGH, "{opened}");
}

/// One client that begins 500 handshakes a second and finishes none.
struct Beginner {
    number: u32,
    secret: StaticSecret,
    token: Vec<u8>,
    clients: BTreeMap<SocketAddr, RawClient>,
}

impl Attacker for Beginner {
    fn turn(&mut self, rig: &mut Rig) {
        self.number += 1;
        if self.number.is_multiple_of(2) {
            let config = rig.config_with(self.secret.clone(), self.token.clone());
            let client = RawClient::new(config, rig.draw());
            let mut from = address(ATTACKER);
            from.set_port(5000 + (self.number % 50_000) as u16);
            rig.hand(from, &client.hello());
            self.clients.insert(from, client);
        }
    }

    fn hear(&mut self, rig: &mut Rig, to: SocketAddr, datagram: &[u8]) {
        let Some(mut client) = self.clients.remove(&to) else { return };
        client.take(rig.now, &mut datagram.to_vec());
        if client.welcome.is_none() {
            rig.hand(to, &client.hello());
            self.clients.insert(to, client);
        }
    }
}

fn beginner(rig: &Rig) -> Beginner {
    let (mut claims, secret) = rig.claims(1);
    claims.sessions = Some(1);
    let token = mint(&claims, rig.center()).expect("a token that fits");
    Beginner { number: 0, secret, token, clients: BTreeMap::new() }
}

#[test]
fn one_token_does_not_hold_all_pending_places() {
    let mut rig = Rig::new(74, |config| config.pending_max = 256);
    let mut attacker = beginner(&rig);
    let opened = get_in(&mut rig, &mut attacker, &any());
    assert!(opened >= ENOUGH, "{opened}");
}

#[test]
fn one_token_does_not_hold_the_places_of_all_sessions() {
    let mut rig = Rig::new(75, |config| config.sessions_max = 300);
    let mut attacker = beginner(&rig);
    let opened = get_in(&mut rig, &mut attacker, &any());
    assert!(opened >= ENOUGH, "{opened}");
}

/// HELLOs of one client, a new one each time, that come by other shards.
struct OtherShards {
    shards: Vec<Endpoint>,
    secret: StaticSecret,
    token: Vec<u8>,
    cookies: BTreeMap<[u8; 16], Vec<u8>>,
    turn: u32,
}

impl OtherShards {
    fn hand(&mut self, rig: &mut Rig, shard: usize, hello: &[u8]) {
        let path = Path { socket: 0, remote: address(ATTACKER) };
        let (mut hello, endpoint) = (hello.to_vec(), &mut self.shards[shard]);
        let handed = endpoint.handle_datagram(rig.now, UNIX, path, &mut hello, &rig.source);
        if let Disposition::Handoff { hello, .. } = handed {
            rig.server.handle_handoff(rig.now, UNIX, *hello);
        }
        let mut out = [0; 2048];
        while let Some(sent) = self.shards[shard].poll_transmit(rig.now, &rig.source, &mut out) {
            self.proven(&out[..sent.len]);
        }
    }

    /// Puts a cookie into the HELLO that it is for.
    fn proven(&mut self, datagram: &[u8]) {
        let (Some(cookie), Some(mac1)) = (cookie(datagram), datagram.get(16..32)) else { return };
        if let Ok(mac1) = <[u8; 16]>::try_from(mac1)
            && let Some(hello) = self.cookies.get_mut(&mac1)
        {
            hello[COOKIE..].copy_from_slice(&cookie);
        }
    }
}

impl Attacker for OtherShards {
    fn turn(&mut self, rig: &mut Rig) {
        self.turn += 1;
        // More than each of the others may do.
        let shards = if self.turn.is_multiple_of(3) { self.shards.len() } else { 0 };
        for shard in 0..shards {
            let config = rig.config_with(self.secret.clone(), self.token.clone());
            let hello = RawClient::new(config, rig.draw()).hello();
            let mac1 = core::array::from_fn(|i| hello[MAC1 + i]);
            self.cookies.insert(mac1, hello.clone());
            self.hand(rig, shard, &hello);
            let hello = self.cookies.remove(&mac1).expect("it was put there");
            if hello[COOKIE..] != [0; 16] {
                self.hand(rig, shard, &hello);
            }
        }
    }

    fn hear(&mut self, _rig: &mut Rig, _to: SocketAddr, datagram: &[u8]) {
        self.proven(datagram);
    }
}

#[test]
fn hellos_by_other_shards_spend_what_the_shard_of_their_client_has() {
    const EACH: u32 = 250;
    let mut rig = Rig::new(76, |config: &mut EndpointConfig| {
        (config.shards, config.handshakes_per_second) = (8, EACH);
    });
    let others: Vec<Endpoint> = (1..8).map(|shard| rig.shard(shard)).collect();
    // Which clients live on the server's own shard: another one would hand them over.
    let mut here = (1..5000).filter(|&number| lives_here(&mut rig, number));
    let attacker = here.next().expect("one of eight");
    let newcomers: Vec<u32> = here.take(NEWCOMERS as usize).collect();
    let (_, secret) = rig.claims(attacker);
    let (token, cookies) = (vec![0xD2; 100], BTreeMap::new());
    let mut attacker = OtherShards { shards: others, secret, token, cookies, turn: 0 };
    let began = rig.now;
    let opened = get_in(&mut rig, &mut attacker, &newcomers);
    assert!(opened >= ENOUGH, "{opened}");
    let seconds = rig.now.saturating_since(began).as_secs() + 1;
    let answered = rig.server.counters().refusals.of(Code::TokenInvalid);
    // Half a second's worth was saved up; an answer is half of a handshake.
    assert!(answered < 2 * u64::from(EACH) * (seconds + 1), "{answered} in {seconds} s");
    assert!(answered > u64::from(EACH), "{answered}: the attack reaches its target");
}

/// Whether the sessions of a client live on the server's shard.
fn lives_here(rig: &mut Rig, number: u32) -> bool {
    let mut other = rig.shard(1);
    let mut hello = raw(rig, number).hello();
    let path = Path { socket: 0, remote: elsewhere(number) };
    let handed = other.handle_datagram(rig.now, UNIX, path, &mut hello, &rig.source);
    matches!(handed, Disposition::Handoff { shard: 0, .. })
}

/// Sees every HELLO and sends a copy that arrives first.
struct Copier {
    /// Whether it proves its own address, too.
    proves: bool,
    last: Vec<u8>,
    welcomed: u32,
}

impl Attacker for Copier {
    fn turn(&mut self, _rig: &mut Rig) {}

    fn see(&mut self, rig: &mut Rig, datagram: &[u8]) {
        if datagram.len() == HELLO_LEN && datagram[COOKIE..] == [0; 16] {
            self.last = datagram.to_vec();
            rig.hand(address(ATTACKER), datagram);
        }
    }

    fn hear(&mut self, rig: &mut Rig, _to: SocketAddr, datagram: &[u8]) {
        match cookie(datagram) {
            Some(cookie) if self.proves => {
                self.last[COOKIE..].copy_from_slice(&cookie);
                let copy = self.last.clone();
                rig.hand(address(ATTACKER), &copy);
            }
            Some(_) => {}
            None => self.welcomed += 1,
        }
    }
}

#[test]
fn a_copied_hello_that_arrives_first_keeps_its_client_out_nowhere() {
    for (proves, cookie_always) in [(false, false), (true, false), (true, true)] {
        let mut rig = Rig::new(77, |config| config.cookie_always = cookie_always);
        let mut attacker = Copier { proves, last: Vec::new(), welcomed: 0 };
        let opened = get_in(&mut rig, &mut attacker, &any());
        assert!(opened >= ENOUGH, "{opened} ({proves}, {cookie_always})");
        assert!(attacker.welcomed >= NEWCOMERS / 2, "{} copies welcomed", attacker.welcomed);
    }
}
