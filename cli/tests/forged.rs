//! Forged, stolen and mixed up: tickets, certificates and tokens before a running center, which gives nothing for them and
//! takes nothing from whom they belong to.

use std::fs;
use std::path::Path;

use segcast_api::accounts::{AccountRequest, SessionRequest};
use segcast_api::catalogue::{OfferKind, OfferRequest};
use segcast_api::client::{Center as Client, ClientError};
use segcast_api::devices::DeviceRequest;
use segcast_api::orders::OrderRequest;
use segcast_api::problem::Code;
use segcast_api::text::Secret;
use segcast_api::tickets::{ValidationAnswer, ValidationRequest};
use segcast_api::tokens::TokenRequest;
use segcast_api::value::{Bytes, Id};
use segcast_keys::{file, keytext::KeyKind};
use segcast_kit::process::{Center, segcast, succeed};
use segcast_proto::crypto::sign::{SigningKey, key_id};
use segcast_proto::handshake::StaticSecret;
use segcast_proto::ticket::{AccountId, TicketBody, check_certificate, check_ticket, sign_ticket};
use segcast_proto::token::{Keyring, TokenError, verify};
use segcast_proto::trust::{Keyset, KeysetError, Trust, Use};
use segcast_sysio::clock::unix_seconds;

const PASSWORD: &str = "correct horse battery";

fn key(number: u32) -> String {
    format!("an-idempotency-key-{number}")
}

fn client(center: &Center) -> Client {
    let ca = fs::read_to_string(&center.ca).expect("a certificate");
    Client::new(&center.url, Some(&ca)).expect("a client")
}

fn login(center: &Center, login: &str, password: &str, new_password: Option<&str>) -> Client {
    let secret = |text: &str| Secret::new(text.to_owned());
    let request = SessionRequest {
        login: login.parse().expect("a login"),
        password: secret(password),
        new_password: new_password.map(secret),
    };
    let answer = client(center).login(&request).expect("a session");
    client(center).with_bearer(answer.token)
}

fn register(center: &Center, name: &str) -> Client {
    let password = Secret::new(PASSWORD.to_owned());
    let (login_name, name) = (name.parse().expect("a login"), name.parse().expect("a name"));
    let request = AccountRequest { login: login_name, password, name };
    let account = client(center).register(&request).expect("an account");
    login(center, &account.login, PASSWORD, None)
}

fn device(who: &Client, number: u8) -> Id {
    let client_key = Bytes::from(StaticSecret::new([number; 32]).public());
    let request = DeviceRequest { client_key, name: "tv".parse().expect("a name") };
    who.add_device(&request).expect("a device").id
}

/// What is sold: a film, twice to be watched for nothing.
fn offer(center: &Center, folder: &Path) -> Id {
    fs::write(folder.join("film"), vec![7; 100_000]).expect("a film");
    let pack = ["center", "pack", "film", "--slug", "film", "--store", "store", "--state", "state"];
    succeed(segcast().current_dir(folder).args(pack));
    let admin = login(
        center,
        "admin",
        center.password.as_deref().expect("the first start"),
        Some(PASSWORD),
    );
    let request = OfferRequest {
        kind: OfferKind::Free,
        plays: Some(2),
        start_within: Some(86_400),
        play_window: Some(3600),
        price: "0.00 EUR".parse().expect("money"),
        valid_from: None,
        valid_until: None,
    };
    admin.add_offer(&key(0), "film", &request).expect("an offer").id
}

#[track_caller]
fn refused<T>(answer: Result<T, ClientError>) -> Code {
    match answer {
        Err(ClientError::Refused(problem)) => problem.code,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was taken"),
    }
}

fn request(ticket: &[u8], device: Id) -> ValidationRequest {
    ValidationRequest { ticket: Bytes(ticket.to_vec()), device }
}

/// All that can be made of a ticket without the center's key for tickets.
fn forgeries(ticket: &[u8]) -> Vec<Vec<u8>> {
    let body = TicketBody::decode(&ticket[..64]).expect("a ticket");
    let stranger = SigningKey::from_seed(&[9; 32]);
    let signed = |body: &TicketBody| sign_ticket(&stranger, body).expect("a ticket").to_vec();
    // Another center's, for which it would be right; and the same under this center's key id.
    let foreign = signed(&body);
    let posed = [&ticket[..64], &foreign[64..]].concat();
    let mut forged = vec![foreign, posed, ticket[..127].to_vec(), [ticket, &[0]].concat()];
    let claims = [
        TicketBody { plays: Some(60_000), ..body.clone() },
        TicketBody { expires: None, ..body.clone() },
        TicketBody { account: AccountId(1), ..body },
    ];
    for body in claims {
        forged.push([&body.encode(), &ticket[64..]].concat());
        forged.push(signed(&body));
    }
    for bit in (0..ticket.len() * 8).step_by(37) {
        let mut altered = ticket.to_vec();
        altered[bit / 8] ^= 1 << (bit % 8);
        forged.push(altered);
    }
    forged
}

#[test]
fn nothing_is_given_for_what_was_forged_stolen_or_mixed_up() {
    let folder = tempfile::tempdir().unwrap();
    let center = Center::start(segcast(), &folder.path().join("state"), &[]).expect("it starts");
    let offer = offer(&center, folder.path());
    let (mara, eve) = (register(&center, "mara"), register(&center, "eve"));
    let [tv, phone] = [1, 2].map(|number| device(&mara, number));
    let pc = device(&eve, 3);
    let ticket = mara.order(&key(1), &OrderRequest { offer }).expect("a ticket").ticket.ticket.0;

    for (number, forged) in (100..).zip(forgeries(&ticket)) {
        let code = refused(mara.validate(&key(number), &request(&forged, tv)));
        assert_eq!(code, Code::TicketInvalid, "forgery {number}");
    }
    // Another account's ticket, also under that account's idempotency key; another account's device.
    assert_eq!(refused(eve.validate(&key(1), &request(&ticket, pc))), Code::TicketUnknown);
    assert_eq!(refused(mara.validate(&key(2), &request(&ticket, pc))), Code::DeviceRevoked);

    // None of that has cost a play.
    let play = mara.validate(&key(3), &request(&ticket, tv)).expect("a certificate");
    assert_eq!(play.ticket.as_ref().expect("a ticket").plays, Some(1));
    assert_eq!(mara.validate(&key(3), &request(&ticket, tv)).as_ref(), Ok(&play));
    let other = request(&ticket, phone);
    assert_eq!(refused(mara.validate(&key(3), &other)), Code::IdempotencyKeyReused);
    assert_eq!(refused(mara.validate(&key(4), &request(&ticket, tv))), Code::TicketSpent);
    let certificate = request(&play.certificate.0, tv);
    assert_eq!(refused(mara.validate(&key(5), &certificate)), Code::TicketInvalid);
    stolen_plays(&mara, &eve, &play, [tv, phone, pc]);
    what_a_client_checks(folder.path(), &center, &ticket, &play);
    token_of_a_play(folder.path(), &mara, &play, tv);
}

/// A certificate is worth something to its account and its device only.
fn stolen_plays(mara: &Client, eve: &Client, play: &ValidationAnswer, devices: [Id; 3]) {
    let ask = |who: &Client, serial: Id, device| {
        refused(who.token(&TokenRequest { certificates: vec![serial], device }))
    };
    let [tv, phone, pc] = devices;
    assert_eq!(ask(mara, play.serial, phone), Code::WrongDevice);
    assert_eq!(ask(eve, play.serial, pc), Code::NotFound);
    assert_eq!(ask(eve, play.serial, tv), Code::DeviceRevoked);
    assert_eq!(ask(mara, Id(play.serial.0 ^ 1), tv), Code::NotFound);
}

/// The keyset is the root's, and each of its keys counts for its use only.
fn what_a_client_checks(folder: &Path, center: &Center, ticket: &[u8], play: &ValidationAnswer) {
    let root = client(center).status().expect("a status").roots[0].0.clone();
    let root: [u8; 32] = root.try_into().expect("a key");
    let bytes = client(center).keyset().expect("a keyset");
    let other = SigningKey::from_seed(&[9; 32]).public();
    let error = Keyset::verify(&bytes, &other).expect_err("another root");
    assert_eq!(error, KeysetError::OtherRoot(key_id(&root)));
    let trust = Trust::from_keyset(Keyset::verify(&bytes, &root).expect("the root's"));

    let (now, body) = (unix_seconds(), ticket.first_chunk().expect("128 bytes"));
    check_ticket(ticket, &trust, now).expect("a ticket");
    let digest = play.page0_digest.0.as_slice().try_into().expect("32 bytes");
    let certificate = &play.certificate.0;
    check_certificate(certificate, body, &digest, &trust, now).expect("a certificate");
    assert!(check_certificate(certificate, body, &[0; 32], &trust, now).is_err());
    let token_key = *file::read(&folder.join("state/center.pub"), KeyKind::CenterPublic)
        .expect("the key of tokens");
    assert!(trust.key(Use::Token, key_id(&token_key), now).is_some());
    assert_eq!(trust.key(Use::Ticket, key_id(&token_key), now), None);
    assert!(check_ticket(ticket, &Trust::bare([token_key]), now).is_err());
}

/// A token is for the device's key, says its play, and is taken in one encoding only.
fn token_of_a_play(folder: &Path, mara: &Client, play: &ValidationAnswer, tv: Id) {
    let answer = mara.token(&TokenRequest { certificates: vec![play.serial], device: tv });
    let token = answer.expect("a token").token.0;
    let token_key = *file::read(&folder.join("state/center.pub"), KeyKind::CenterPublic)
        .expect("the key of tokens");
    let (ring, now) = (Keyring::new([token_key]), unix_seconds());
    let [own, other] = [1, 2].map(|number| StaticSecret::new([number; 32]).public());
    let claims = verify(&token, &ring, now, &own).expect("a token for the device's key");
    assert_eq!((claims.plays, claims.grace), (vec![play.serial.0], Some(1800)));
    assert_eq!(verify(&token, &ring, now, &other), Err(TokenError::WrongKey));
    for bit in 0..token.len() * 8 {
        let mut altered = token.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&altered, &ring, now, &own).is_err(), "bit {bit}");
    }
    // A ticket is no token, nor the reverse.
    assert!(verify(&play.certificate.0, &ring, now, &own).is_err());
    let code = refused(mara.validate(&key(6), &request(&token, tv)));
    assert_eq!(code, Code::TicketInvalid);
}
