//! `ticket.json`, `keyset.json`: tickets, certificates and keysets, those that are accepted and those that are not.

use coset::{CborSerializable, CoseSign1};
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::ids::SetId;
use segcast_proto::segment::cipher::TitleKey;
use segcast_proto::ticket::{
    AccountId, CertificateBody, KeyPart, SIGNED_LEN, Serial, TicketBody, check_certificate,
    check_ticket, join, sign_certificate, sign_ticket, split,
};
use segcast_proto::trust::{CenterId, Keyset, KeysetKey, Trust, Use};

use crate::{Vector, check};

const SIGNER_SEED: [u8; 32] = [0xC1; 32];
const ROOT_SEED: [u8; 32] = [0xC2; 32];
const TITLE_KEY: [u8; 16] = *b"sixteen bytes k.";
const PART_2: [u8; 16] = [0xA5; 16];
const PAGE0_DIGEST: [u8; 32] = [0xD1; 32];
const CREATED: u32 = 1_800_000_000;
const ENDS: u32 = CREATED + 48 * 3600;
const PLAY_ENDS: u32 = CREATED + 24 * 3600;

fn signer() -> SigningKey {
    SigningKey::from_seed(&SIGNER_SEED)
}

fn ticket_body() -> TicketBody {
    TicketBody {
        serial: Serial(0x0102_0304_0506_0708),
        account: AccountId(0x1112_1314_1516_1718),
        created: CREATED,
        expires: Some(ENDS),
        set: SetId::new(*b"twelve bytes", 3),
        plays: Some(2),
        key_id: [0; 4],
        part: split(&TitleKey::new(TITLE_KEY), &KeyPart(PART_2)),
    }
}

fn certificate_body() -> CertificateBody {
    CertificateBody {
        serial: Serial(0x2122_2324_2526_2728),
        account: ticket_body().account,
        created: CREATED,
        expires: Some(PLAY_ENDS),
        set: ticket_body().set,
        key_id: [0; 4],
        part: KeyPart(PART_2),
    }
}

/// A ticket, and the certificate for which it was validated; whether each is accepted at `unix_time`.
fn vector(
    name: &str,
    ticket: &[u8],
    certificate: &[u8],
    unix_time: u32,
    accepted: [bool; 2],
) -> Vector {
    let mut vector = Vector::new(name);
    vector
        .put("center_seed", &SIGNER_SEED)
        .put("center_public_key", &signer().public())
        .put("unix_time", &u64::from(unix_time).to_be_bytes())
        .put("page_0_sha256", &PAGE0_DIGEST)
        .put("ticket", ticket)
        .put("ticket_accepted", &[u8::from(accepted[0])])
        .put("certificate", certificate)
        .put("certificate_accepted", &[u8::from(accepted[1])]);
    vector
}

/// A pair that is accepted, with what both say.
fn accepted(name: &str, ticket: &TicketBody, certificate: &CertificateBody) -> Vector {
    let signed = sign_ticket(&signer(), ticket).unwrap();
    let [bytes, spent] = pair(ticket, certificate);
    let mut vector = vector(name, &bytes, &spent, CREATED, [true; 2]);
    vector
        .put("serial", &ticket.serial.0.to_be_bytes())
        .put("account", &ticket.account.0.to_be_bytes())
        .put("created", &ticket.created.to_be_bytes())
        .put("expires", &ticket.expires.map_or(vec![], |n| n.to_be_bytes().to_vec()))
        .put("set", &ticket.set.0)
        .put("plays", &ticket.plays.map_or(vec![], |n| n.to_be_bytes().to_vec()))
        .put("part_1", &ticket.part.0)
        .put("part_2", &certificate.part.0)
        .put("title_key", join(&ticket.part, &certificate.part).as_bytes())
        .put("play", &certificate.serial.0.to_be_bytes())
        .put("play_expires", &certificate.expires.map_or(vec![], |n| n.to_be_bytes().to_vec()))
        .put("ticket_signed_over", &[b"segcast v1 play ticket", &signed[..64]].concat())
        .put(
            "certificate_signed_over",
            &[b"segcast v1 validation certificate", &spent[..64], &bytes[..64], &PAGE0_DIGEST]
                .concat(),
        );
    vector
}

fn pair(ticket: &TicketBody, certificate: &CertificateBody) -> [[u8; SIGNED_LEN]; 2] {
    let ticket = sign_ticket(&signer(), ticket).unwrap();
    let body = ticket[..64].try_into().unwrap();
    [ticket, sign_certificate(&signer(), certificate, body, &PAGE0_DIGEST).unwrap()]
}

fn tickets() -> Vec<Vector> {
    let unlimited = TicketBody { plays: None, expires: None, ..ticket_body() };
    let for_ever = CertificateBody { expires: None, ..certificate_body() };
    let [ticket, certificate] = pair(&ticket_body(), &certificate_body());
    let other = TicketBody { serial: Serial(1), ..ticket_body() };
    let [other, _] = pair(&other, &certificate_body());
    let altered = |mut bytes: [u8; SIGNED_LEN], at: usize| {
        bytes[at] ^= 1;
        bytes
    };
    let refused = [false; 2];
    let [long_ticket, long_certificate] =
        [ticket, certificate].map(|bytes| [&bytes[..], &[0]].concat());
    vec![
        accepted("a rental", &ticket_body(), &certificate_body()),
        accepted("a purchase", &unlimited, &for_ever),
        vector("a second before the play ends", &ticket, &certificate, PLAY_ENDS - 1, [true; 2]),
        vector("the play has ended", &ticket, &certificate, PLAY_ENDS, [true, false]),
        vector("the ticket has ended", &ticket, &certificate, ENDS, refused),
        vector("made 30 s from now", &ticket, &certificate, CREATED - 30, [true; 2]),
        vector("made 31 s from now", &ticket, &certificate, CREATED - 31, refused),
        vector("the certificate of another ticket", &other, &certificate, CREATED, [true, false]),
        vector("each as the other", &certificate, &ticket, CREATED, refused),
        vector("a bit of the plays altered", &altered(ticket, 41), &certificate, CREATED, refused),
        vector(
            "a bit of the certificate's reserved bytes altered",
            &ticket,
            &altered(certificate, 40),
            CREATED,
            [true, false],
        ),
        vector("a byte too many", &long_ticket, &long_certificate, CREATED, refused),
    ]
}

#[test]
fn tickets_and_certificates() {
    for vector in check("ticket.json", tickets()) {
        let trust = Trust::bare([vector.array("center_public_key")]);
        let (ticket, now) = (vector.bytes("ticket"), vector.number("unix_time"));
        let is_accepted = check_ticket(&ticket, &trust, now).is_ok();
        assert_eq!(is_accepted, vector.number("ticket_accepted") == 1, "{}", vector.name());
        let body = ticket[..64].try_into().unwrap();
        let (certificate, digest) = (vector.bytes("certificate"), vector.array("page_0_sha256"));
        let is_accepted = check_certificate(&certificate, body, &digest, &trust, now).is_ok();
        assert_eq!(is_accepted, vector.number("certificate_accepted") == 1, "{}", vector.name());
    }
}

fn keyset() -> Keyset {
    let times = [CREATED, CREATED + 1, CREATED + 2].map(u64::from);
    let uses = [Use::Token, Use::Manifest, Use::Ticket, Use::List, Use::Metering, Use::NextRoot];
    let keys = uses.map(|use_| KeysetKey {
        use_,
        public: SigningKey::from_seed(&[use_ as u8; 32]).public(),
        signs_from: times[0],
        signs_until: times[1],
        verify_until: times[2],
    });
    let root = SigningKey::from_seed(&ROOT_SEED);
    let center = CenterId::of(&root.public());
    Keyset { number: 7, issued: times[0], expires: times[2], keys: keys.to_vec(), center }
}

fn keyset_vector(name: &str, keyset: &[u8], accepted: bool) -> Vector {
    let mut vector = Vector::new(name);
    vector
        .put("root_seed", &ROOT_SEED)
        .put("root_public_key", &SigningKey::from_seed(&ROOT_SEED).public())
        .put("keyset", keyset)
        .put("accepted", &[u8::from(accepted)]);
    vector
}

fn keysets() -> Vec<Vector> {
    let root = SigningKey::from_seed(&ROOT_SEED);
    let accepted = |name, keyset: &Keyset| {
        let bytes = keyset.sign(&root).unwrap();
        let sign1 = CoseSign1::from_slice(&bytes).unwrap();
        let keys: Vec<u8> = keyset.keys.iter().flat_map(|key| key.public).collect();
        let mut vector = keyset_vector(name, &bytes, true);
        vector
            .put("number", &keyset.number.to_be_bytes())
            .put("issued", &keyset.issued.to_be_bytes())
            .put("expires", &keyset.expires.to_be_bytes())
            .put("uses", &keyset.keys.iter().map(|key| key.use_ as u8).collect::<Vec<_>>())
            .put("keys", &keys)
            .put("center", &keyset.center.0)
            .put("payload", sign1.payload.as_ref().unwrap())
            .put("to_be_signed", &sign1.tbs_data(b"segcast v1 keyset"))
            .put("signature", &sign1.signature);
        vector
    };
    let signed = keyset().sign(&root).unwrap();
    let foreign = keyset().sign(&signer()).unwrap();
    let mut altered = signed.clone();
    altered[40] ^= 1;
    vec![
        accepted("a key for each use", &keyset()),
        accepted("no keys", &Keyset { keys: vec![], ..keyset() }),
        keyset_vector("another root's", &foreign, false),
        keyset_vector("one bit altered", &altered, false),
        keyset_vector("a byte too many", &[&signed[..], &[0]].concat(), false),
    ]
}

#[test]
fn keysets_of_a_root() {
    for vector in check("keyset.json", keysets()) {
        let read = Keyset::verify(&vector.bytes("keyset"), &vector.array("root_public_key"));
        assert_eq!(read.is_ok(), vector.number("accepted") == 1, "{}", vector.name());
        if vector.0.contains_key("number") {
            assert_eq!(read.unwrap().number, vector.number("number"));
        }
    }
}
