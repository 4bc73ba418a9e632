//! Tickets, certificates and keysets: any bytes, any body or payload under a genuine signature, genuine ones that were
//! altered.

use std::sync::LazyLock;

use coset::{CborSerializable, CoseSign1, CoseSign1Builder, HeaderBuilder, iana};
use segcast_proto::crypto::sign::{SigningKey, key_id};
use segcast_proto::ids::SetId;
use segcast_proto::limits::{KEYSET_KEYS_MAX, KEYSET_MAX};
use segcast_proto::ticket::{
    AccountId, BODY_LEN, CertificateBody, KeyPart, Serial, TicketBody, check_certificate,
    check_ticket, sign_certificate, sign_ticket,
};
use segcast_proto::trust::{CenterId, Keyset, KeysetKey, Trust, Use};

use super::script::{Script, Steps};
use super::seed::Seed;

const NOW: u64 = 1000;
const DIGEST: [u8; 32] = [9; 32];

static CENTER: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_seed(&[1; 32]));

/// Checks what `data` says is a ticket, a certificate or a keyset.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    match script.choose(4) {
        0 => raw(script.rest()),
        1 => tickets(&mut script),
        2 => keyset_of(script.rest()),
        _ => keyset(&mut script),
    }
}

fn trust() -> Trust {
    Trust::bare([CENTER.public()])
}

/// Nothing here was signed.
fn raw(bytes: &[u8]) {
    assert!(check_ticket(bytes, &trust(), NOW).is_err());
    assert!(check_certificate(bytes, &[0; BODY_LEN], &DIGEST, &trust(), NOW).is_err());
    assert!(Keyset::verify(bytes, &CENTER.public()).is_err());
    if let Ok(body) = TicketBody::decode(bytes) {
        assert_eq!(body.encode(), bytes, "two encodings of one body");
        assert!(CertificateBody::decode(bytes).is_err(), "of both kinds");
    }
    if let Ok(body) = CertificateBody::decode(bytes) {
        assert_eq!(body.encode(), bytes, "two encodings of one body");
    }
}

fn ticket(script: &mut Script<'_>) -> TicketBody {
    TicketBody {
        serial: Serial(script.wide()),
        account: AccountId(u64::from(script.byte())),
        created: script.long(),
        expires: script.flag().then(|| script.long()),
        set: SetId([script.byte(); 16]),
        plays: script.flag().then(|| script.short()),
        key_id: [0; 4],
        part: KeyPart(script.array()),
    }
}

/// A ticket and a certificate with any content at any time: what was signed is accepted in its time and as it is.
fn tickets(script: &mut Script<'_>) {
    let body = ticket(script);
    let Ok(signed) = sign_ticket(&CENTER, &body) else {
        return;
    };
    let now = u64::from(script.long());
    let in_time = |created: u32, expires: Option<u32>| {
        now + 30 >= u64::from(created) && expires.is_none_or(|expires| now < u64::from(expires))
    };
    let read = check_ticket(&signed, &trust(), now);
    assert_eq!(read.is_ok(), in_time(body.created, body.expires), "{read:?}");
    if let Ok(read) = read {
        assert_eq!(
            (read.serial, read.plays, read.expires),
            (body.serial, body.plays, body.expires)
        );
    }
    let other = ticket(script);
    let TicketBody { serial, account, created, expires, set, key_id, part, .. } = other;
    let certificate = CertificateBody { serial, account, created, expires, set, key_id, part };
    let spent = signed.first_chunk().expect("64 bytes and a signature");
    if let Ok(signed) = sign_certificate(&CENTER, &certificate, spent, &DIGEST) {
        assert_eq!((account, set), (body.account, body.set));
        let read = check_certificate(&signed, spent, &DIGEST, &trust(), now);
        assert_eq!(read.is_ok(), in_time(created, expires), "{read:?}");
        assert!(check_ticket(&signed, &trust(), now).is_err(), "a certificate as a ticket");
        assert!(check_certificate(&signed, spent, &[8; 32], &trust(), now).is_err());
    }
    let mut altered = signed.to_vec();
    if script.patch(&mut altered) {
        assert!(check_ticket(&altered, &trust(), now).is_err(), "an altered ticket was taken");
    }
}

/// `payload` under the root's signature, malformed or not.
fn keyset_of(payload: &[u8]) {
    let header = HeaderBuilder::new()
        .algorithm(iana::Algorithm::EdDSA)
        .key_id(key_id(&CENTER.public()).to_vec())
        .build();
    let signed = CoseSign1Builder::new()
        .protected(header)
        .payload(payload.to_vec())
        .create_signature(b"segcast v1 keyset", |message| CENTER.sign(message).to_vec())
        .build()
        .to_vec()
        .expect("COSE encodes");
    if let Ok(keyset) = Keyset::verify(&signed, &CENTER.public()) {
        assert!(signed.len() <= KEYSET_MAX && keyset.keys.len() <= KEYSET_KEYS_MAX);
        assert_eq!(keyset.sign(&CENTER), Ok(signed), "two encodings of one keyset");
    }
}

/// A genuine keyset, which keys it lets sign, and what becomes of it when it is altered.
fn keyset(script: &mut Script<'_>) {
    let key = |number: u8, script: &mut Script<'_>| KeysetKey {
        use_: Use::from_repr(script.byte() % 6 + 1).expect("six uses"),
        public: [number; 32],
        signs_from: script.number(),
        signs_until: script.number(),
        verify_until: script.number(),
    };
    let count = script.byte() % 66;
    let keyset = Keyset {
        number: script.number(),
        issued: script.number(),
        expires: script.number(),
        keys: (0..count).map(|number| key(number, script)).collect(),
        center: CenterId(script.array()),
    };
    let Ok(signed) = keyset.sign(&CENTER) else {
        return;
    };
    assert_eq!(Keyset::verify(&signed, &CENTER.public()).as_ref(), Ok(&keyset));
    let (trust, at) = (Trust::from_keyset(keyset.clone()), script.number());
    for key in &keyset.keys {
        let in_time = key.signs_from.saturating_sub(30) <= at && at <= key.verify_until;
        let found = trust.key(key.use_, key_id(&key.public), at);
        assert_eq!(found, in_time.then_some(key.public));
    }
    let mut altered = signed;
    if script.patch(&mut altered) {
        assert!(Keyset::verify(&altered, &CENTER.public()).is_err(), "an altered keyset was taken");
    }
}

/// Of each kind, some of them altered.
#[must_use]
pub fn seeds() -> Vec<Seed> {
    let body = |steps: Steps, serial: u64| {
        let steps = steps.wide(serial).byte(7).long(900).byte(1).long(2000).byte(4);
        steps.byte(1).short(2).bytes(&[5; 16])
    };
    let pair = |now: u32| body(body(Steps::new().byte(1), 1).long(now), 2);
    let forever = |steps: Steps| steps.wide(3).byte(7).long(900).byte(0).byte(4).byte(0);
    let keyset = |from: u64| {
        let steps = Steps::new().byte(3).byte(2).number(7).number(100).number(1 << 33);
        let steps = steps.byte(0).number(from).number(2000).number(3000);
        steps.byte(2).number(from).number(2000).number(3000).bytes(&[8; 16])
    };
    let ticket = TicketBody {
        serial: Serial(1),
        account: AccountId(2),
        created: 900,
        expires: Some(2000),
        set: SetId([4; 16]),
        plays: Some(2),
        key_id: [0; 4],
        part: KeyPart([5; 16]),
    };
    let center = CenterId::of(&CENTER.public());
    let key = KeysetKey {
        use_: Use::Ticket,
        public: [3; 32],
        signs_from: 900,
        signs_until: 2000,
        verify_until: 3000,
    };
    let small = Keyset { number: 1, issued: 900, expires: 2000, keys: vec![key], center };
    let small = small.sign(&CENTER).expect("a keyset in bounds");
    let payload = CoseSign1::from_slice(&small).expect("a COSE_Sign1").payload.expect("a payload");
    [
        ("raw-body", Steps::new().byte(0).bytes(&ticket.encode())),
        ("pair", pair(1000).patch(&[])),
        ("pair-ended", pair(2000).patch(&[])),
        ("pair-altered", pair(1000).patch(&[(41, 1)])),
        ("pair-for-ever", forever(forever(Steps::new().byte(1)).bytes(&[5; 16]).long(1000))),
        ("keyset-signed", Steps::new().byte(2).bytes(&payload)),
        ("keyset", keyset(900).number(1000).patch(&[])),
        ("keyset-early", keyset(900).number(869).patch(&[])),
        ("keyset-altered", keyset(900).number(1000).patch(&[(30, 1)])),
    ]
    .map(|(name, steps)| Seed::new(name, steps))
    .into()
}
