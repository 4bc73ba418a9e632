//! `token.json`: tokens that are accepted, and tokens that are not, each with its code.

use coset::{CborSerializable, CoseSign1, CoseSign1Builder, HeaderBuilder, iana};
use segcast_proto::crypto::sign::{SigningKey, key_id, verify as verify_signature};
use segcast_proto::ids::SetId;
use segcast_proto::token::{Claims, Keyring, mint, verify};
use segcast_proto::wire::Code;

use crate::{Vector, check};

const CENTER_SEED: [u8; 32] = [0xC0; 32];
const CLIENT: [u8; 32] = [0x58; 32];
const NOW: u64 = 1_800_000_000;
const EXTERNAL_AAD: &[u8] = b"segcast v1 access token";

fn claims() -> Claims {
    Claims {
        expires: NOW + 3600,
        not_before: NOW - 60,
        token_id: *b"token id",
        client_public: CLIENT,
        sets: vec![SetId::new(*b"twelve bytes", 3), SetId::new(*b"another one!", 1)],
        rate_cap_kbits: Some(20_000),
        sessions: Some(4),
        grace: None,
        plays: vec![],
    }
}

/// A token checked at `unix_time` for a client with the key `client_public`.
fn vector(name: &str, token: &[u8], unix_time: u64, client_public: [u8; 32], code: Code) -> Vector {
    let center = SigningKey::from_seed(&CENTER_SEED);
    let mut vector = Vector::new(name);
    vector
        .put("center_seed", &CENTER_SEED)
        .put("center_public_key", &center.public())
        .put("unix_time", &unix_time.to_be_bytes())
        .put("client_static_public", &client_public)
        .put("token", token)
        .put("code", &u16::from(code).to_be_bytes());
    vector
}

/// A token that is accepted, with what it says.
fn accepted(name: &str, claims: &Claims) -> Vector {
    let token = mint(claims, &SigningKey::from_seed(&CENTER_SEED)).unwrap();
    let sign1 = CoseSign1::from_slice(&token).unwrap();
    let sets: Vec<u8> = claims.sets.iter().flat_map(|set| set.0).collect();
    let plays: Vec<u8> = claims.plays.iter().flat_map(|play| play.to_be_bytes()).collect();
    let mut vector = vector(name, &token, NOW, CLIENT, Code::Ok);
    vector
        .put("exp", &claims.expires.to_be_bytes())
        .put("nbf", &claims.not_before.to_be_bytes())
        .put("cti", &claims.token_id)
        .put("sets", &sets)
        .put("rate_cap", &claims.rate_cap_kbits.map_or(vec![], |n| n.to_be_bytes().to_vec()))
        .put("sessions", &claims.sessions.map_or(vec![], |n| n.to_be_bytes().to_vec()))
        .put("grace", &claims.grace.map_or(vec![], |n| n.to_be_bytes().to_vec()))
        .put("plays", &plays)
        .put("payload", sign1.payload.as_ref().unwrap())
        .put("to_be_signed", &sign1.tbs_data(EXTERNAL_AAD))
        .put("signature", &sign1.signature);
    vector
}

/// A token with another algorithm in its header, rightly signed with Ed25519 all the same.
fn with_algorithm(algorithm: iana::Algorithm, payload: Vec<u8>) -> Vec<u8> {
    let center = SigningKey::from_seed(&CENTER_SEED);
    let header =
        HeaderBuilder::new().algorithm(algorithm).key_id(key_id(&center.public()).to_vec());
    CoseSign1Builder::new()
        .protected(header.build())
        .payload(payload)
        .create_signature(EXTERNAL_AAD, |message| center.sign(message).to_vec())
        .build()
        .to_vec()
        .unwrap()
}

fn vectors() -> Vec<Vector> {
    let least = Claims {
        sets: vec![SetId::new(*b"twelve bytes", 3)],
        rate_cap_kbits: None,
        sessions: None,
        ..claims()
    };
    let most = Claims {
        expires: u64::MAX,
        sets: (0..16).map(|i| SetId::new([i; 12], u32::MAX)).collect(),
        rate_cap_kbits: Some(u32::MAX),
        sessions: Some(u16::MAX),
        grace: Some(3600),
        plays: (0..16).map(|i| u64::MAX - i).collect(),
        ..claims()
    };
    let played = Claims { grace: Some(1800), plays: vec![0x0102_0304_0506_0708, 9], ..claims() };
    let center = SigningKey::from_seed(&CENTER_SEED);
    let token = mint(&claims(), &center).unwrap();
    let foreign = mint(&claims(), &SigningKey::from_seed(&[0xF0; 32])).unwrap();
    let mut altered = token.clone();
    altered[100] ^= 1;
    let trailing = [&token[..], &[0]].concat();
    let payload = CoseSign1::from_slice(&token).unwrap().payload.unwrap();
    let mut indefinite = payload.clone();
    indefinite[0] = 0xBF;
    indefinite.push(0xFF);
    let indefinite = with_algorithm(iana::Algorithm::EdDSA, indefinite);
    let es256 = with_algorithm(iana::Algorithm::ES256, payload);
    let oversize = [&token[..], &[0; 700]].concat();
    let invalid = |name: &str, token: &[u8]| vector(name, token, NOW, CLIENT, Code::TokenInvalid);
    vec![
        accepted("accepted", &claims()),
        accepted("accepted, the least", &least),
        accepted("accepted, the most", &most),
        accepted("accepted, with grace and plays", &played),
        vector(
            "grace begins no session",
            &mint(&played, &center).unwrap(),
            NOW + 3631,
            CLIENT,
            Code::TokenExpired,
        ),
        vector("accepted 30 s after its end", &token, NOW + 3630, CLIENT, Code::Ok),
        vector("expired", &token, NOW + 3631, CLIENT, Code::TokenExpired),
        vector("accepted 30 s before its begin", &token, NOW - 90, CLIENT, Code::Ok),
        vector("not yet valid", &token, NOW - 91, CLIENT, Code::TokenNotYetValid),
        vector("another client's", &token, NOW, [0x59; 32], Code::TokenWrongKey),
        vector("another center's", &foreign, NOW, CLIENT, Code::TokenUnknownIssuer),
        invalid("one bit altered", &altered),
        invalid("a byte too many", &trailing),
        invalid("claims of indefinite length, rightly signed", &indefinite),
        invalid("algorithm ES256, signed with Ed25519", &es256),
        invalid("over 700 bytes", &oversize),
    ]
}

#[test]
fn tokens() {
    for vector in check("token.json", vectors()) {
        let public = vector.array("center_public_key");
        let result = verify(
            &vector.bytes("token"),
            &Keyring::new([public]),
            vector.number("unix_time"),
            &vector.array("client_static_public"),
        );
        let code = result.as_ref().map_or_else(|error| error.code(), |_| Code::Ok);
        assert_eq!(code, Code::from(vector.number("code") as u16), "{}", vector.name());
        if vector.0.contains_key("to_be_signed") {
            let (message, signature) = (vector.bytes("to_be_signed"), vector.bytes("signature"));
            assert!(verify_signature(&public, &message, &signature));
            assert_eq!(result.unwrap().expires, vector.number("exp"));
            assert!(vector.bytes("token").ends_with(&signature));
        }
    }
}
