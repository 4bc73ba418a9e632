//! Access tokens: any bytes, any claims under a genuine signature, genuine tokens that were altered.

use std::sync::LazyLock;

use coset::{CborSerializable, CoseSign1, CoseSign1Builder, HeaderBuilder, iana};
use segcast_proto::crypto::sign::{SigningKey, key_id};
use segcast_proto::ids::SetId;
use segcast_proto::limits::{TOKEN_GRACE_MAX, TOKEN_LEEWAY, TOKEN_MAX, TOKEN_SETS_MAX};
use segcast_proto::token::{Claims, Keyring, TokenError, mint, verify};
use segcast_proto::wire::Code;

use super::script::{Script, Steps};
use super::seed::Seed;

/// Bound into every signature (docs/protocol, section 6).
const EXTERNAL_AAD: &[u8] = b"segcast v1 access token";

static CENTER: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_seed(&[1; 32]));
static KEYRING: LazyLock<Keyring> = LazyLock::new(|| {
    let other = SigningKey::from_seed(&[2; 32]);
    Keyring::new([other.public(), CENTER.public()])
});

/// Verifies what `data` says is a token.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    match script.choose(3) {
        0 => raw(script.rest()),
        1 => signed(script.rest()),
        _ => minted(&mut script),
    }
}

/// Whatever verifies is the one encoding of what it says.
fn check(token: &[u8], unix_time: u64, client: &[u8; 32]) -> Result<Claims, TokenError> {
    let claims = verify(token, &KEYRING, unix_time, client)?;
    assert!(token.len() <= TOKEN_MAX && (1..=TOKEN_SETS_MAX).contains(&claims.sets.len()));
    assert_eq!(claims.client_public, *client);
    match mint(&claims, &CENTER) {
        Ok(again) => assert_eq!(again, token, "two encodings of one token"),
        // A center makes no token that ends before it begins; where the leeway makes up for it, an edge takes one.
        Err(_) => assert!(claims.expires < claims.not_before),
    }
    Ok(claims)
}

fn raw(bytes: &[u8]) {
    let _ = check(bytes, 1000, &[7; 32]);
}

/// `payload` as the claims of a token that the center signed, malformed or not.
fn signed(payload: &[u8]) {
    let kid = key_id(&CENTER.public()).to_vec();
    let header = HeaderBuilder::new().algorithm(iana::Algorithm::EdDSA).key_id(kid).build();
    let token = CoseSign1Builder::new()
        .protected(header)
        .payload(payload.to_vec())
        .create_signature(EXTERNAL_AAD, |message| CENTER.sign(message).to_vec())
        .build()
        .to_vec()
        .expect("COSE encodes");
    match check(&token, 1000, &[7; 32]) {
        Ok(_) => {}
        Err(error) => assert_ne!(error.code(), Code::TokenUnknownIssuer),
    }
}

/// A genuine token at any time, then altered.
fn minted(script: &mut Script<'_>) {
    let (not_before, expires) = (script.number(), script.number());
    let sets: Vec<_> = (0..script.byte() % 18).map(|n| SetId([n; 16])).collect();
    let claims = Claims {
        expires,
        not_before,
        token_id: script.array(),
        client_public: [script.byte(); 32],
        sets,
        rate_cap_kbits: script.flag().then(|| script.long()),
        sessions: script.flag().then(|| script.short()),
        grace: script.flag().then(|| script.long()),
        plays: (0..script.byte() % 18).map(u64::from).collect(),
    };
    let Ok(token) = mint(&claims, &CENTER) else {
        return assert!(
            claims.sets.is_empty()
                || claims.sets.len() > TOKEN_SETS_MAX
                || expires < not_before
                || claims.grace > Some(TOKEN_GRACE_MAX)
                || ![0, claims.sets.len()].contains(&claims.plays.len())
        );
    };
    let unix_time = script.number();
    let leeway = TOKEN_LEEWAY.as_secs();
    match check(&token, unix_time, &claims.client_public) {
        Ok(read) => {
            assert_eq!(read, claims);
            assert!(unix_time <= expires.saturating_add(leeway));
            assert!(unix_time.saturating_add(leeway) >= not_before);
        }
        Err(TokenError::Expired { .. }) => assert!(unix_time > expires.saturating_add(leeway)),
        Err(TokenError::NotYetValid { .. }) => {
            assert!(unix_time.saturating_add(leeway) < not_before);
        }
        Err(error) => panic!("{error}"),
    }
    let other = [!claims.client_public[0]; 32];
    assert!(verify(&token, &KEYRING, unix_time, &other).is_err(), "another client's key");
    let mut altered = token;
    if script.patch(&mut altered) {
        let found = verify(&altered, &KEYRING, unix_time, &claims.client_public);
        assert!(found.is_err(), "an altered token was taken");
    }
}

/// Tokens of every shape, their payloads, and some that are wrong in one place.
#[must_use]
pub fn seeds() -> Vec<Seed> {
    let claims = |sets: u8, rate_cap_kbits, sessions| Claims {
        expires: 2000,
        not_before: 500,
        token_id: [3; 8],
        client_public: [7; 32],
        sets: (0..sets).map(|n| SetId([n; 16])).collect(),
        rate_cap_kbits,
        sessions,
        grace: sessions.map(|_| 1800),
        plays: sessions.map_or(vec![], |_| (0..u64::from(sets)).collect()),
    };
    let mut seeds = Vec::new();
    for (name, claims) in [
        ("one-set", claims(1, None, None)),
        ("two-sets-capped", claims(2, Some(8000), None)),
        ("all-fields", claims(3, Some(8000), Some(4))),
    ] {
        let token = mint(&claims, &CENTER).expect("claims in bounds");
        let payload = CoseSign1::from_slice(&token).expect("a token is a COSE_Sign1").payload;
        let payload = payload.expect("a token has claims");
        seeds.push(Seed::new(&format!("raw-{name}"), Steps::new().byte(0).bytes(&token)));
        seeds.push(Seed::new(&format!("signed-{name}"), Steps::new().byte(1).bytes(&payload)));
    }
    let begin = |from: u64, to: u64, sets: u8| {
        let steps = Steps::new().byte(2).number(from).number(to).byte(sets).bytes(&[3; 8]).byte(7);
        steps.byte(1).long(8000).byte(1).short(4).byte(1).long(1800).byte(sets)
    };
    for (name, steps) in [
        ("minted", begin(100, 200, 1).number(150).patch(&[])),
        ("minted-16", begin(100, 1 << 40, 16).number(1000).patch(&[])),
        ("minted-17", begin(100, 200, 17)),
        ("minted-expired", begin(100, 200, 2).number(231).patch(&[])),
        ("minted-early", begin(100, 200, 2).number(69).patch(&[])),
        ("minted-altered", begin(100, 200, 2).number(150).patch(&[(60, 1)])),
    ] {
        seeds.push(Seed::new(name, steps));
    }
    seeds
}
