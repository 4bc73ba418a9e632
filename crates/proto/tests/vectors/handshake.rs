//! `handshake.json`: HELLO, COOKIE, DEFER and WELCOME with all keys.

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use segcast_proto::crypto::Suite;
use segcast_proto::crypto::hash::{hmac16, sha256};
use segcast_proto::handshake::{
    ClientHandshake, CookieJar, Defer, EdgeIdentity, HelloParams, HelloView, ReceivedHello,
    StaticSecret, WELCOME_LEN, WelcomePayload,
};
use segcast_proto::ids::ReceiverIndex;
use segcast_proto::time::Duration;
use segcast_proto::wire::Code;

use crate::noise::{Keys, handshake};
use crate::{Vector, check};

const SERVER_INDEX: ReceiverIndex = ReceiverIndex::new(0x00AB_CDEF, 0x12);
const SENDER_INDEX: u32 = 0x0102_0304;

/// The ephemeral private key that a seed makes.
fn ephemeral(seed: [u8; 32]) -> [u8; 32] {
    let mut key = [0; 32];
    ChaCha20Rng::from_seed(seed).fill_bytes(&mut key);
    key
}

/// A whole handshake with a COOKIE and a DEFER in it.
fn vector(name: &str, suite: Suite, token: &[u8], defer: Defer, payload: WelcomePayload) -> Vector {
    let (edge_secret, client_secret) = ([0xE1; 32], [0xC1; 32]);
    let (client_seed, edge_seed) = ([0xC2; 32], [0xE2; 32]);
    let identity = EdgeIdentity::new(StaticSecret::new(edge_secret));
    let client_static = StaticSecret::new(client_secret);
    let params = HelloParams { datagram_max: 8952, room_kib: 0x0001_0203 };
    let public = identity.public();
    let mut client = ClientHandshake::new(
        suite,
        public,
        &client_static,
        params,
        token,
        SENDER_INDEX,
        client_seed,
    )
    .unwrap();

    let mut vector = Vector::new(name);
    vector
        .put("suite", &[suite as u8])
        .put("edge_static_secret", &edge_secret)
        .put("edge_static_public", public)
        .put("edge_id", identity.id())
        .put("client_static_secret", &client_secret)
        .put("client_static_public", &client_static.public())
        .put("client_ephemeral_secret", &ephemeral(client_seed))
        .put("edge_ephemeral_secret", &ephemeral(edge_seed))
        .put("sender_index", &SENDER_INDEX.to_be_bytes())
        .put("datagram_max", &params.datagram_max.to_be_bytes())
        .put("receive_room", &params.room_kib.to_be_bytes())
        .put("token", token)
        .put("hello", client.hello());

    let view = HelloView::read(client.hello()).unwrap();
    view.check_mac1(&identity).unwrap();
    let cookie = CookieJar::new([0x5E; 32]).reply(9, "192.0.2.7:4433".parse().unwrap(), &view.id);
    assert!(client.on_cookie(&cookie));
    vector.put("cookie", &cookie).put("hello_with_cookie", client.hello());

    let view = HelloView::read(client.hello()).unwrap();
    let packet = defer.reply(&view.id);
    assert_eq!(client.on_defer(&packet), Some(defer));
    vector
        .put("defer_code", &u16::from(defer.code).to_be_bytes())
        .put("defer_retry_after", &(defer.retry_after.as_millis() as u32).to_be_bytes())
        .put("defer", &packet);

    let received = ReceivedHello::read(&identity, &view, edge_seed).unwrap();
    assert_eq!(received.client_public, client_static.public());
    assert_eq!((received.params, received.token.as_slice()), (params, token));
    let index = if payload.code == Code::Ok { SERVER_INDEX } else { ReceiverIndex(0) };
    let mut welcome = [0; WELCOME_LEN];
    let (_, from_client, to_client) = received.welcome(index, &payload, &mut welcome).unwrap();
    let welcomed = client.on_welcome(&welcome).unwrap();
    assert_eq!((welcomed.payload, welcomed.server_index), (payload, index));
    vector
        .put("code", &u16::from(payload.code).to_be_bytes())
        .put("server_datagram_max", &payload.datagram_max.to_be_bytes())
        .put("requests_max", &payload.requests_max.to_be_bytes())
        .put("idle_timeout", &payload.idle_timeout_s.to_be_bytes())
        .put("retry_after", &payload.retry_after_ms.to_be_bytes())
        .put("server_index", &index.0.to_be_bytes())
        .put("welcome", &welcome)
        .put("secret_0_client_to_server", from_client.expose())
        .put("secret_0_server_to_client", to_client.expose());
    vector
}

fn vectors() -> Vec<Vector> {
    let accepted = WelcomePayload {
        code: Code::Ok,
        datagram_max: 1440,
        requests_max: 64,
        idle_timeout_s: 180,
        retry_after_ms: 0,
    };
    let refused = WelcomePayload::refusal(Code::Busy, 2500);
    let later = |code, millis| Defer { code, retry_after: Duration::from_millis(millis) };
    let (short, long) = (later(Code::Busy, 20), later(Code::Overloaded, 0x0102_0304));
    let token = b"not a real token";
    vec![
        vector("accepted, AES-128-GCM", Suite::Aes128Gcm, token, short, accepted),
        vector(
            "accepted, AES-256-GCM, longest token",
            Suite::Aes256Gcm,
            &[0x77; 700],
            short,
            accepted,
        ),
        vector("refused", Suite::Aes128Gcm, token, long, refused),
    ]
}

#[test]
fn handshakes() {
    for vector in check("handshake.json", vectors()) {
        let hello = vector.bytes("hello");
        let welcome = vector.bytes("welcome");
        let edge_public: [u8; 32] = vector.array("edge_static_public");
        let sender_index = vector.bytes("sender_index");

        // Noise, from its specification.
        let edge_id = &sha256(&[b"segcast v1 edge id", &edge_public])[..16];
        assert_eq!(edge_id, vector.bytes("edge_id"));
        let prologue =
            [b"segcast v1".as_slice(), &vector.bytes("suite"), edge_id, &sender_index].concat();
        let keys = Keys {
            client: vector.array("client_static_secret"),
            ephemeral: vector.array("client_ephemeral_secret"),
            edge_public,
        };
        let payload_1 = [
            &vector.bytes("datagram_max")[..],
            &[0; 2],
            &vector.bytes("receive_room"),
            &vector.bytes("token"),
        ]
        .concat();
        let (message_1, payload_2, to_server, to_client) =
            handshake(&keys, &prologue, &payload_1, &welcome[20..]);
        assert_eq!(to_server, vector.array("secret_0_client_to_server"), "{}", vector.name());
        assert_eq!(to_client, vector.array("secret_0_server_to_client"), "{}", vector.name());
        let fields = ["code", "server_datagram_max", "requests_max", "idle_timeout", "retry_after"];
        let fields: Vec<u8> =
            fields.iter().chain(&["server_index"]).flat_map(|field| vector.bytes(field)).collect();
        assert_eq!(payload_2, fields);
        assert_eq!(
            welcome[20..52],
            StaticSecret::new(vector.array("edge_ephemeral_secret")).public()
        );

        // HELLO around it.
        let mut expected = [&[0x10, 1, 0, vector.bytes("suite")[0]][..], &[0; 12]].concat();
        expected.extend(&sender_index);
        expected.extend((message_1.len() as u16).to_be_bytes());
        expected.extend([0; 2]);
        expected.extend(message_1);
        expected.resize(1168, 0);
        let mac1 = hmac16(&sha256(&[b"segcast v1 mac1", &edge_public]), &[&expected]);
        expected.extend(mac1);
        expected.extend([0; 16]);
        assert_eq!(hello, expected, "{}", vector.name());

        let cookie = vector.bytes("cookie");
        assert_eq!(cookie[16..32], mac1);
        assert_eq!(vector.bytes("hello_with_cookie"), [&hello[..1184], &cookie[32..]].concat());

        let mut expected = [&[0x10, 4, 0, vector.bytes("suite")[0]][..], &sender_index].concat();
        expected.extend([0; 8]);
        expected.extend(mac1);
        expected.extend([&vector.bytes("defer_code")[..], &[0; 2]].concat());
        expected.extend(vector.bytes("defer_retry_after"));
        assert_eq!(vector.bytes("defer"), expected, "{}", vector.name());
    }
}
