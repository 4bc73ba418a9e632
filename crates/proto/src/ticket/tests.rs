//! Tickets and certificates as they should be, and every way in which they should not.

use proptest::prelude::*;

use super::*;
use crate::crypto::sign::{SigningKey, key_id};
use crate::ids::SetId;
use crate::trust::{CenterId, Keyset, KeysetKey, Trust, Use};

const NOW: u64 = 1_800_000_000;
const CREATED: u32 = 1_800_000_000 - 60;
const ENDS: u32 = CREATED + 86_400;
const DIGEST: [u8; 32] = [0xD1; 32];

fn signer() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

fn keyset(use_: Use) -> Trust {
    let key = KeysetKey {
        use_,
        public: signer().public(),
        signs_from: 0,
        signs_until: u64::MAX,
        verify_until: u64::MAX,
    };
    let center = CenterId([0; 16]);
    Trust::from_keyset(Keyset { number: 1, issued: 0, expires: 0, keys: vec![key], center })
}

/// How the signer's id begins.
fn key_begin() -> [u8; 4] {
    key_id(&signer().public())[..4].try_into().unwrap()
}

fn ticket() -> TicketBody {
    TicketBody {
        serial: Serial(0x0102_0304_0506_0708),
        account: AccountId(0x1112_1314_1516_1718),
        created: CREATED,
        expires: Some(ENDS),
        set: SetId([4; 16]),
        plays: Some(3),
        key_id: key_begin(),
        part: KeyPart([5; 16]),
    }
}

fn certificate() -> CertificateBody {
    CertificateBody {
        serial: Serial(9),
        account: ticket().account,
        created: CREATED,
        expires: Some(CREATED + 7200),
        set: ticket().set,
        key_id: key_begin(),
        part: KeyPart([6; 16]),
    }
}

fn check(bytes: &[u8]) -> Result<TicketBody, TicketError> {
    check_ticket(bytes, &keyset(Use::Ticket), NOW)
}

fn certify(body: &CertificateBody) -> [u8; SIGNED_LEN] {
    sign_certificate(&signer(), body, &ticket().encode(), &DIGEST).unwrap()
}

#[test]
fn both_say_what_they_were_made_of_and_are_the_same_each_time() {
    let unlimited = TicketBody { plays: None, expires: None, ..ticket() };
    let forever = TicketBody { expires: None, ..ticket() };
    let most = TicketBody { plays: Some(u16::MAX - 1), ..ticket() };
    for body in [ticket(), unlimited, forever, most] {
        let bytes = sign_ticket(&signer(), &TicketBody { key_id: [0; 4], ..body.clone() }).unwrap();
        assert_eq!(check(&bytes), Ok(body.clone()));
        assert_eq!(sign_ticket(&signer(), &body), Ok(bytes));
    }
    let trust = Trust::bare([signer().public()]);
    for body in [certificate(), CertificateBody { expires: None, ..certificate() }] {
        let ticket = ticket().encode();
        let read = check_certificate(&certify(&body), &ticket, &DIGEST, &trust, NOW);
        assert_eq!(read, Ok(body));
    }
}

/// Section 21, byte by byte, written by hand.
#[test]
fn the_bytes_are_those_of_section_21() {
    let parts: [&[u8]; 9] = [
        &[1, 2, 3, 4, 5, 6, 7, 8],
        &[0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18],
        &CREATED.to_be_bytes(),
        &ENDS.to_be_bytes(),
        &[4; 16],
        &[0, 3],
        &[1, 1],
        &key_begin(),
        &[5; 16],
    ];
    let body = parts.concat();
    assert_eq!(ticket().encode().as_slice(), body);
    let signature = signer().sign(&[b"segcast v1 play ticket", &body[..]].concat());
    assert_eq!(sign_ticket(&signer(), &ticket()).unwrap()[..], [&body[..], &signature].concat());

    let unlimited = TicketBody { plays: None, expires: None, ..ticket() }.encode();
    assert_eq!((&unlimited[20..24], &unlimited[40..42]), (&[0; 4][..], &[0xFF; 2][..]));

    let certificate = certificate().encode();
    assert_eq!((&certificate[40..44], &certificate[48..]), (&[0, 0, 2, 1][..], &[6; 16][..]));
    let message = [b"segcast v1 validation certificate", &certificate[..], &body, &DIGEST].concat();
    assert_eq!(certify(&self::certificate())[64..], signer().sign(&message));
}

#[test]
fn every_altered_bit_and_every_other_length_is_refused() {
    let bytes = sign_ticket(&signer(), &ticket()).unwrap();
    let trust = Trust::bare([signer().public()]);
    let (signed, body) = (certify(&certificate()), ticket().encode());
    for bit in 0..SIGNED_LEN * 8 {
        let (mut altered, mut certificate) = (bytes, signed);
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(check(&altered).is_err(), "bit {bit}");
        certificate[bit / 8] ^= 1 << (bit % 8);
        let read = check_certificate(&certificate, &body, &DIGEST, &trust, NOW);
        assert!(read.is_err(), "bit {bit}");
    }
    for len in (0..SIGNED_LEN).chain([SIGNED_LEN + 1]) {
        let mut other = bytes.to_vec();
        other.resize(len, 0);
        assert!(matches!(check(&other), Err(TicketError::Invalid(_))), "{len} bytes");
    }
}

#[test]
fn a_certificate_is_one_with_its_ticket_and_its_manifest_only() {
    let (signed, body) = (certify(&certificate()), ticket().encode());
    let trust = keyset(Use::Ticket);
    let check = |ticket, digest: &[u8; 32]| check_certificate(&signed, ticket, digest, &trust, NOW);
    assert_eq!(check(&body, &DIGEST), Ok(certificate()));
    let wrong = Err(TicketError::Invalid("wrong signature"));
    assert_eq!(check(&body, &[0xD2; 32]), wrong);
    let other = TicketBody { serial: Serial(1), ..ticket() }.encode();
    assert_eq!(check(&other, &DIGEST), wrong);
    for ticket in [
        TicketBody { account: AccountId(1), ..ticket() },
        TicketBody { set: SetId([7; 16]), ..ticket() },
    ] {
        let signed = sign_certificate(&signer(), &certificate(), &ticket.encode(), &DIGEST);
        assert_eq!(signed, Err(TicketError::OfAnother));
    }
}

#[test]
fn neither_kind_is_accepted_as_the_other() {
    let (of_ticket, of_certificate) =
        (sign_ticket(&signer(), &ticket()).unwrap(), certify(&certificate()));
    let other = TicketError::Invalid("another kind or another format");
    assert_eq!(check(&of_certificate), Err(other));
    let (trust, body) = (keyset(Use::Ticket), ticket().encode());
    assert_eq!(check_certificate(&of_ticket, &body, &DIGEST, &trust, NOW), Err(other));
    // A certificate's signature under a ticket's body.
    let mixed = [&of_ticket[..64], &of_certificate[64..]].concat();
    assert_eq!(check(&mixed), Err(TicketError::Invalid("wrong signature")));
}

#[test]
fn a_key_for_something_else_signs_no_ticket() {
    let bytes = sign_ticket(&signer(), &ticket()).unwrap();
    for use_ in [Use::Token, Use::Manifest, Use::List, Use::Metering, Use::NextRoot] {
        let read = check_ticket(&bytes, &keyset(use_), NOW);
        assert_eq!(read, Err(TicketError::UnknownKey(key_begin())));
    }
    let other = Trust::bare([SigningKey::from_seed(&[2; 32]).public()]);
    assert_eq!(check_ticket(&bytes, &other, NOW), Err(TicketError::UnknownKey(key_begin())));
    let foreign = SigningKey::from_seed(&[2; 32]);
    let signature = foreign.sign(&[b"segcast v1 play ticket", &bytes[..64]].concat());
    let forged = [&bytes[..64], &signature].concat();
    assert_eq!(check(&forged), Err(TicketError::Invalid("wrong signature")));
}

#[test]
fn the_end_is_exact_and_a_slow_clock_is_told() {
    let bytes = sign_ticket(&signer(), &ticket()).unwrap();
    let at = |now| check_ticket(&bytes, &keyset(Use::Ticket), now).map(drop);
    let ends = u64::from(ENDS);
    assert_eq!(at(ends - 1), Ok(()));
    assert_eq!(at(ends), Err(TicketError::Expired { expires: ENDS, now: ends }));
    let slow = u64::from(CREATED) - 30;
    assert_eq!(at(slow), Ok(()));
    let slower = slow - 1;
    assert_eq!(at(slower), Err(TicketError::NotYetValid { created: CREATED, now: slower }));
    let trust = keyset(Use::Ticket);
    let play = |now| {
        let ticket = ticket().encode();
        check_certificate(&certify(&certificate()), &ticket, &DIGEST, &trust, now).map(drop)
    };
    let ends = CREATED + 7200;
    assert_eq!(play(u64::from(ends) - 1), Ok(()));
    let now = u64::from(ends);
    assert_eq!(play(now), Err(TicketError::Expired { expires: ends, now }));
}

#[test]
fn what_nobody_would_accept_is_not_signed() {
    let refused = |body: TicketBody| sign_ticket(&signer(), &body).is_err();
    assert!(refused(TicketBody { plays: Some(0), ..ticket() }));
    assert!(refused(TicketBody { plays: None, ..ticket() }));
    assert!(refused(TicketBody { plays: Some(u16::MAX), expires: None, ..ticket() }));
    assert!(refused(TicketBody { expires: Some(CREATED), ..ticket() }));
    let body = CertificateBody { expires: Some(1), ..certificate() };
    assert!(sign_certificate(&signer(), &body, &ticket().encode(), &DIGEST).is_err());
}

proptest! {
    #[test]
    fn what_is_read_is_the_one_encoding(
        mut bytes in any::<[u8; 32]>().prop_flat_map(|begin| {
            any::<[u8; 32]>().prop_map(move |end| [begin, end].concat())
        }),
        kind in 1_u8..=2,
    ) {
        bytes[42..44].copy_from_slice(&[kind, 1]);
        if let Ok(body) = TicketBody::decode(&bytes) {
            prop_assert_eq!(&body.encode()[..], &bytes);
        }
        if let Ok(body) = CertificateBody::decode(&bytes) {
            prop_assert_eq!(&body.encode()[..], &bytes);
        }
        prop_assert!(check(&[&bytes[..], &[0; 64]].concat()).is_err());
    }
}
