//! `segcast center` as an operator sees it: the first start, what it refuses, slow peers, and the stop.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use segcast_api::accounts::{AccountRequest, Role, SessionRequest};
use segcast_api::client::{Center as Client, ClientError};
use segcast_api::problem::Code;
use segcast_api::text::Secret;
use segcast_kit::process::{Center, fail, segcast, signal, succeed};
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::trust::{CenterId, Keyset};

fn start(state: &Path, arguments: &[&str]) -> Center {
    Center::start(segcast(), state, arguments).expect("it starts")
}

fn client(center: &Center) -> Client {
    let ca = fs::read_to_string(&center.ca).expect("a certificate");
    Client::new(&center.url, Some(&ca)).expect("a client")
}

fn login(
    center: &Center,
    login: &str,
    password: &str,
    new: Option<&str>,
) -> Result<Client, ClientError> {
    let secret = |text: &str| Secret::new(text.to_owned());
    let request = SessionRequest {
        login: login.parse().expect("a login"),
        password: secret(password),
        new_password: new.map(secret),
    };
    let answer = client(center).login(&request)?;
    Ok(client(center).with_bearer(answer.token))
}

fn code(error: ClientError) -> Code {
    match error {
        ClientError::Refused(problem) => problem.code,
        other => panic!("{other}"),
    }
}

#[test]
fn a_first_start_needs_nothing_and_a_second_one_knows_everything() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("center");
    let center = start(&state, &[]);
    let password = center.password.clone().expect("the first operator's");
    for (file, mode) in
        [("master.key", 0o600), ("root.key", 0o600), ("tls.key", 0o600), ("center.pub", 0o644)]
    {
        let metadata = fs::metadata(state.join(file)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{file}");
    }
    assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
    let status = client(&center).status().unwrap();
    let root = segcast_keys::file::read(
        &state.join("root.key"),
        segcast_keys::keytext::KeyKind::RootSecret,
    );
    let root = SigningKey::from_seed(&root.unwrap()).public();
    assert_eq!(status.roots[0].0, root);
    assert_eq!(status.center.0, CenterId::of(&root).0);
    let keyset = Keyset::verify(&client(&center).keyset().unwrap(), &root).unwrap();
    assert_eq!((keyset.number, keyset.keys.len()), (1, 4));
    let denied = login(&center, "admin", &password, None).expect_err("a new password is needed");
    assert_eq!(code(denied), Code::PasswordMustChange);
    let admin = login(&center, "admin", &password, Some("correct horse battery")).unwrap();
    assert_eq!(admin.accounts().unwrap()[0].role, Role::Operator);
    let denied = login(&center, "admin", &password, None).expect_err("the old one is over");
    assert_eq!(code(denied), Code::LoginFailed);
    drop(center);
    let center = start(&state, &[]);
    assert_eq!(center.password, None);
    assert_eq!(client(&center).status().unwrap().center, status.center);
    login(&center, "admin", "correct horse battery", None).unwrap();
}

#[test]
fn another_master_key_is_refused_and_the_right_one_named() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("center");
    drop(start(&state, &[]));
    let start_again = || {
        let mut again = segcast();
        again.arg("center").arg("--state").arg(&state).args(["--listen", "127.0.0.1:0"]);
        fail(again.args(["--admin", "off"]), 5)
    };
    fs::rename(state.join("master.key"), state.join("kept")).unwrap();
    let said = start_again();
    assert!(said.contains("the database needs the master key"), "{said}");
    assert!(!state.join("master.key").exists(), "a new one would open nothing");
    let kind = segcast_keys::keytext::KeyKind::Master;
    segcast_keys::file::create(&state.join("master.key"), kind, &[7; 32]).unwrap();
    let said = start_again();
    assert!(said.contains("was wrapped by the master key"), "{said}");
    fs::rename(state.join("kept"), state.join("master.key")).unwrap();
    start(&state, &[]);
}

#[test]
fn a_configuration_is_shown_checked_and_refused() {
    let shown = succeed(segcast().args(["center", "--print-config"]));
    assert!(shown.contains("registration = \"open\""), "{shown}");
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("nothing");
    let checked = succeed(
        segcast().args(["center", "--check", "--listen", "127.0.0.1:0", "--state"]).arg(&state),
    );
    assert!(checked.contains("token_lifetime = \"15min\""), "{checked}");
    assert!(!state.exists(), "a check leaves nothing behind");
    let said = fail(segcast().args(["center", "--grace", "1d"]), 2);
    assert!(said.contains("flag --grace") && said.contains("to \"1h\""), "{said}");
}

#[test]
fn problems_are_documented_and_have_the_requests_id() {
    let folder = tempfile::tempdir().unwrap();
    let center = start(&folder.path().join("center"), &["--registration", "closed"]);
    let password = Secret::new("a long enough one".to_owned());
    let name = || "Ada".parse().unwrap();
    let request = AccountRequest { login: "ada".parse().unwrap(), password, name: name() };
    match client(&center).register(&request).unwrap_err() {
        ClientError::Refused(problem) => {
            assert_eq!(problem.code, Code::RegistrationClosed);
            assert_eq!(problem.request_id.map(|id| id.len()), Some(16));
        }
        other => panic!("{other}"),
    }
    assert_eq!(code(client(&center).accounts().unwrap_err()), Code::Unauthenticated);
    let metrics = minreq::get(format!("{}/metrics", center.admin)).send().unwrap();
    let metrics = metrics.as_str().unwrap().to_owned();
    assert!(metrics.contains("segcast_center_undocumented_problems_total 0"), "{metrics}");
    assert!(metrics.contains("outcome=\"registration-closed\""), "{metrics}");
    let ready = minreq::get(format!("{}/readyz", center.admin)).send().unwrap();
    assert_eq!((ready.status_code, ready.as_str().unwrap()), (200, "ready\n"));
}

/// Whoever connects and says nothing has their network's seats and nobody else's.
#[test]
fn two_hundred_slow_connections_harm_nobody_of_another_network() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--connections-max", "512", "--connections-per-network", "32"];
    let center = start(&folder.path().join("center"), &flags);
    let address: std::net::SocketAddr =
        center.url.strip_prefix("https://").unwrap().parse().unwrap();
    let slow: Vec<_> = (0..200).map(|_| from_another_network(address)).collect();
    let begun = Instant::now();
    client(&center).status().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    let metrics = minreq::get(format!("{}/metrics", center.admin)).send().unwrap();
    let refused = metrics.as_str().unwrap().lines().find_map(|line| {
        line.strip_prefix("segcast_center_connections_refused ")?.parse::<u32>().ok()
    });
    assert_eq!(refused, Some(168));
    drop(slow);
}

/// Connected from 127.7.7.7, and half of a TLS record sent.
fn from_another_network(to: std::net::SocketAddr) -> TcpStream {
    let socket =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&std::net::SocketAddr::from(([127, 7, 7, 7], 0)).into()).expect("a socket");
    socket.connect(&to.into()).expect("a socket");
    let mut stream = TcpStream::from(socket);
    let _ = stream.write_all(&[22, 3, 1]);
    stream
}

#[test]
fn a_stop_lets_go_of_who_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut center = start(&folder.path().join("center"), &[]);
    let address = center.url.strip_prefix("https://").unwrap().to_owned();
    client(&center).status().unwrap();
    let mut idle = TcpStream::connect(address).unwrap();
    signal(&center.child, Signal::TERM);
    let begun = Instant::now();
    assert_eq!(center.child.wait().unwrap().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(idle.read(&mut [0]).unwrap_or_default(), 0);
}
