//! HELLO, COOKIE and WELCOME: genuine ones with any content, altered ones, and any bytes.

use std::net::SocketAddr;
use std::sync::LazyLock;

use segcast_proto::crypto::Suite;
use segcast_proto::crypto::hash::{hmac16, sha256};
use segcast_proto::handshake::{
    COOKIE_LEN, ClientHandshake, CookieJar, EdgeIdentity, HELLO_LEN, HandshakeError, HelloError,
    HelloParams, ReceivedHello, StaticSecret, WELCOME_LEN, WelcomePayload,
};
use segcast_proto::ids::ReceiverIndex;
use segcast_proto::limits::{DATAGRAM_BASE, TOKEN_MAX};
use segcast_proto::time::Instant;
use segcast_proto::wire::Code;

use super::script::{Script, Steps};
use super::seed::Seed;
use crate::endpoint::check_hello;

/// Where mac1 begins, and what it covers ends (docs/protocol, section 5).
const MAC1: usize = HELLO_LEN - 32;

/// The edge, and what its mac1 is keyed with.
struct Edge {
    identity: EdgeIdentity,
    mac1_key: [u8; 32],
    client: StaticSecret,
}

static EDGE: LazyLock<Edge> = LazyLock::new(|| {
    let identity = EdgeIdentity::new(StaticSecret::new([3; 32]));
    let mac1_key = sha256(&[b"segcast v1 mac1", identity.public()]);
    Edge { identity, mac1_key, client: StaticSecret::new([4; 32]) }
});

/// Does one handshake as `data` says.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    if script.flag() {
        return raw(&mut script);
    }
    let suite = if script.flag() { Suite::Aes256Gcm } else { Suite::Aes128Gcm };
    let params = HelloParams { datagram_max: script.short(), room_kib: script.long() };
    let token = vec![script.byte(); usize::from(script.short()) % (TOKEN_MAX + 20)];
    let sender_index = script.long();
    let client = ClientHandshake::new(
        suite,
        EDGE.identity.public(),
        &EDGE.client,
        params,
        &token,
        sender_index,
        [script.byte(); 32],
    );
    let mut client = match client {
        Ok(client) => client,
        Err(error) => {
            assert_eq!(error, HandshakeError::TokenTooLong(token.len()));
            return assert!(token.len() > TOKEN_MAX);
        }
    };
    altered_hello(&client, &mut script);
    cookie(&mut client, &mut script);
    let hello = *client.hello();
    let view = check_hello(&EDGE.identity, &hello).expect("a genuine HELLO");
    assert_eq!((view.id.sender_index, view.id.suite), (sender_index, suite));
    match ReceivedHello::read(&EDGE.identity, &view, [9; 32]) {
        Ok(received) => {
            assert!(usize::from(params.datagram_max) >= DATAGRAM_BASE);
            assert_eq!((received.params, &received.token), (params, &token));
            assert_eq!(received.client_public, EDGE.client.public());
            welcome(&mut client, received, &mut script);
        }
        Err(error) => {
            assert_eq!(error, HelloError::DatagramMax);
            assert!(usize::from(params.datagram_max) < DATAGRAM_BASE);
        }
    }
}

/// Any bytes as each of the three packets.
fn raw(script: &mut Script<'_>) {
    let refit = script.flag();
    let mut bytes = script.rest().to_vec();
    let mut client = begin([6; 32]);
    assert!(!client.on_cookie(&bytes) || bytes.len() == COOKIE_LEN);
    assert!(client.on_welcome(&bytes).is_err(), "nobody else has the edge's key");
    if refit {
        bytes.resize(HELLO_LEN, 0);
        fit(&mut bytes);
    }
    if let Ok(view) = check_hello(&EDGE.identity, &bytes) {
        assert!(ReceivedHello::read(&EDGE.identity, &view, [9; 32]).is_err());
    }
}

fn begin(seed: [u8; 32]) -> ClientHandshake {
    let params = HelloParams { datagram_max: 1440, room_kib: 1024 };
    let (suite, edge) = (Suite::Aes128Gcm, EDGE.identity.public());
    ClientHandshake::new(suite, edge, &EDGE.client, params, &[5; 100], 0x77, seed).expect("a HELLO")
}

/// Gives a HELLO the mac1 that its bytes need.
fn fit(hello: &mut [u8]) {
    let (covered, rest) = hello.split_at_mut(MAC1);
    rest[..16].copy_from_slice(&hmac16(&EDGE.mac1_key, &[covered]));
}

/// Whoever alters a HELLO needs the edge's public key for its mac1, and then fails in Noise or changes nothing.
fn altered_hello(client: &ClientHandshake, script: &mut Script<'_>) {
    let genuine = *client.hello();
    let mut hello = genuine;
    let changed = script.patch(&mut hello);
    let covered = hello[..MAC1 + 16] != genuine[..MAC1 + 16];
    let refit = script.flag();
    if refit {
        fit(&mut hello);
    }
    let view = check_hello(&EDGE.identity, &hello);
    if !refit {
        assert_eq!(view.is_ok(), !changed || !covered, "mac1 covers all before it");
    }
    let Ok(view) = view else { return };
    let Ok(read) = ReceivedHello::read(&EDGE.identity, &view, [9; 32]) else { return };
    assert_eq!(read.client_public, EDGE.client.public());
    assert_eq!(read.id, view.id);
}

/// Any number of COOKIEs, genuine and not.
fn cookie(client: &mut ClientHandshake, script: &mut Script<'_>) {
    let mut jar = CookieJar::new([8; 32]);
    let address = SocketAddr::from(([192, 0, 2, 1], script.short()));
    for _ in 0..script.byte() % 4 {
        let hello = *client.hello();
        let view = check_hello(&EDGE.identity, &hello).expect("a genuine HELLO");
        let period = CookieJar::period(Instant::from_nanos(script.wide()));
        let genuine = jar.reply(period, address, &view.id);
        let mut reply = genuine;
        script.patch(&mut reply);
        let taken = client.on_cookie(&reply);
        // The sequence number and the suite mean nothing in a COOKIE, nor do the flags.
        assert!(taken || reply != genuine);
        let after = *client.hello();
        assert_eq!(after[..MAC1 + 16], hello[..MAC1 + 16], "a COOKIE changes the cookie alone");
        assert!(taken || after == hello);
        let view = check_hello(&EDGE.identity, &after).expect("still genuine");
        let good = taken && reply[32..] == genuine[32..];
        if good {
            assert!(jar.verify(period, address, &view));
            assert!(jar.verify(period.saturating_add(1), address, &view));
            let other = SocketAddr::from(([192, 0, 2, 2], address.port()));
            assert!(!jar.verify(period, other, &view));
        }
    }
}

/// Altered WELCOMEs do no harm, and the genuine one opens the same session at both ends.
fn welcome(client: &mut ClientHandshake, received: ReceivedHello, script: &mut Script<'_>) {
    let payload = WelcomePayload {
        code: Code::from(script.short()),
        datagram_max: script.short(),
        requests_max: script.short(),
        idle_timeout_s: script.short(),
        retry_after_ms: script.long(),
    };
    let index = ReceiverIndex(script.long());
    let mut out = [0; 256];
    let (len, from_client, to_client) = received.welcome(index, &payload, &mut out).expect("room");
    assert_eq!(len, WELCOME_LEN);
    for _ in 0..script.byte() % 4 {
        let mut forged = out[..len].to_vec();
        if script.flag() {
            forged.truncate(usize::from(script.byte()));
        }
        script.patch(&mut forged);
        // The flags, the sequence number and two reserved bytes say nothing in a WELCOME.
        let says = |bytes: &[u8]| {
            let parts =
                [bytes.get(..1).map(|b| vec![b[0] >> 4]), bytes.get(1..8).map(<[u8]>::to_vec)];
            (parts, bytes.get(16..18).map(<[u8]>::to_vec), bytes.get(20..).map(<[u8]>::to_vec))
        };
        if says(&forged) != says(&out[..len]) {
            assert!(client.on_welcome(&forged).is_err(), "an altered WELCOME was taken");
        }
    }
    let welcomed = client.on_welcome(&out[..len]).expect("the genuine one still counts");
    assert_eq!((welcomed.payload, welcomed.server_index), (payload, index));
    assert_eq!(welcomed.to_server.expose(), from_client.expose());
    assert_eq!(welcomed.from_server.expose(), to_client.expose());
}

/// Handshakes with both suites, with and without cookies and alterations, and real packets as raw bytes.
#[must_use]
pub fn seeds() -> Vec<Seed> {
    let hello = |suite: u8, datagram_max: u16, token: u16| {
        let steps = Steps::new().byte(0).byte(suite).short(datagram_max).long(65_536);
        steps.byte(5).short(token).long(0x77).byte(6)
    };
    let welcome =
        |steps: Steps| steps.short(0).short(8952).short(64).short(180).long(0).long(0x300);
    let plain = |steps: Steps| steps.patch(&[]).byte(0).short(4000).byte(0);
    let mut seeds = vec![
        Seed::new("plain", welcome(plain(hello(0, 1440, 300))).byte(0)),
        Seed::new("plain-256", welcome(plain(hello(1, 8952, 700))).byte(0)),
        Seed::new("token-too-long", hello(0, 1440, 701)),
        Seed::new("datagram-too-small", plain(hello(0, 1199, 100))),
    ];
    let altered = hello(0, 1200, 50).patch(&[(30, 1)]).byte(0).short(1).byte(0);
    seeds.push(Seed::new("altered", welcome(altered).byte(0)));
    let refitted = hello(0, 1200, 50).patch(&[(21, 1), (60, 0x80)]).byte(1).short(1).byte(0);
    seeds.push(Seed::new("refitted", welcome(refitted).byte(0)));
    let cookies = hello(0, 1200, 50).patch(&[]).byte(0).short(9).byte(2);
    let cookies = cookies.wide(1).patch(&[]).wide(130_000_000_000).patch(&[(20, 4)]);
    seeds.push(Seed::new("cookies", welcome(cookies).byte(0)));
    let forged = welcome(plain(hello(0, 1440, 300))).byte(2);
    let forged = forged.byte(0).patch(&[(30, 1)]).byte(1).byte(40).patch(&[]);
    seeds.push(Seed::new("forged-welcome", forged));

    // Packets of another handshake than the one that the raw ones are given to: nothing to guess.
    let client = begin([7; 32]);
    let view = check_hello(&EDGE.identity, client.hello()).expect("a genuine HELLO");
    let address = SocketAddr::from(([192, 0, 2, 1], 9));
    let cookie = CookieJar::new([8; 32]).reply(0, address, &view.id);
    let raw = |refit: u8, bytes: &[u8]| Steps::new().byte(1).byte(refit).bytes(bytes);
    seeds.push(Seed::new("raw-cookie", raw(0, &cookie)));
    seeds.push(Seed::new("raw-hello", raw(1, &client.hello()[..200])));
    let received = ReceivedHello::read(&EDGE.identity, &view, [1; 32]).expect("a genuine HELLO");
    let mut out = [0; 256];
    let refusal = WelcomePayload::refusal(Code::Busy, 1000);
    let (len, ..) = received.welcome(ReceiverIndex(0), &refusal, &mut out).expect("room");
    seeds.push(Seed::new("raw-welcome", raw(0, &out[..len])));
    seeds
}
