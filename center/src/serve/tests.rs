//! A whole center on the loopback, asked over TLS.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;

use super::*;
use crate::config::Config;

/// A center that serves, and how it is trusted.
struct Served {
    address: SocketAddr,
    password: Option<Secret>,
    tls: TlsConnector,
    task: JoinHandle<Result<(), StartError>>,
    _folder: tempfile::TempDir,
}

impl Served {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        let state = folder.path().join("center");
        let config =
            Config { listen, admin: Admin::Off, state: state.clone(), ..Config::default() };
        let (said, heard) = oneshot::channel();
        let task = tokio::spawn(async move {
            let tell = |started: &Started| {
                said.send((started.addresses[0], started.password.clone()))
                    .expect("the test waits");
            };
            serve(&config, tell).await
        });
        let (address, password) = heard.await.expect("it starts");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(state.join("tls.pem")).unwrap()).unwrap();
        let client = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = TlsConnector::from(Arc::new(client));
        Self { address, password, tls, task, _folder: folder }
    }

    /// Sends a request and gives status, head and body of the answer.
    async fn ask(&self, request: &str, headers: &str, body: &str) -> (u16, String, Value) {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::from(self.address.ip());
        let mut stream = self.tls.connect(name, stream).await.expect("its own certificate");
        let length = body.len();
        let text = format!(
            "{request} HTTP/1.1\r\nHost: center\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // Some servers end a connection without saying so in TLS; what came counts.
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (
            status.expect("a status"),
            head.to_lowercase(),
            serde_json::from_str(body).unwrap_or_default(),
        )
    }
}

const JSON: &str = "Content-Type: application/json\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_serves_over_tls_and_its_operator_logs_in() {
    let center = Served::start().await;
    let (status, head, body) = center.ask("GET /v1/status", "", "").await;
    assert_eq!((status, &body["version"]), (200, &json!("1")));
    assert!(head.contains("request-id: ") && head.contains("date: "), "{head}");
    let (status, _, body) = center.ask("GET /v1/openapi.json", "", "").await;
    assert_eq!((status, &body["openapi"]), (200, &json!("3.1.0")));
    let password = center.password.clone().expect("the first operator's");
    let login = json!({ "login": "admin", "password": password.expose() });
    let (status, _, body) = center.ask("POST /v1/sessions", JSON, &login.to_string()).await;
    assert_eq!((status, &body["type"]), (403, &json!("/problems/password-must-change")), "{body}");
    let mut login = login;
    login["new_password"] = json!("correct horse battery");
    let (status, _, body) = center.ask("POST /v1/sessions", JSON, &login.to_string()).await;
    assert_eq!(status, 200, "{body}");
    let bearer = format!("Authorization: Bearer {}\r\n", body["token"].as_str().unwrap());
    let (status, head, body) = center.ask("GET /v1/account", &bearer, "").await;
    assert_eq!((status, &body["login"], &body["role"]), (200, &json!("admin"), &json!("operator")));
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("a revision");
    let known = format!("{bearer}If-None-Match: {tag}\r\n");
    assert_eq!(center.ask("GET /v1/account", &known, "").await.0, 304);
    let (status, _, body) = center.ask("GET /v1/books", &bearer, "").await;
    assert_eq!((status, &body["balanced"]), (200, &json!(true)), "{body}");
    let (status, _, body) = center.ask("GET /v1/accounts?limit=1", &bearer, "").await;
    assert_eq!((status, body["items"].as_array().map(Vec::len)), (200, Some(1)), "{body}");
    center.task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_request_is_told_as_a_problem() {
    let center = Served::start().await;
    let large = "x".repeat(70_000);
    for (request, headers, body, status, code) in [
        ("GET /v1/nothing", "", "", 404, "not-found"),
        ("PUT /v1/status", "", "", 405, "method-not-allowed"),
        ("GET /v1/account", "", "", 401, "unauthenticated"),
        ("GET /v1/account", "Authorization: Bearer segcast_s_AAAA\r\n", "", 401, "unauthenticated"),
        ("GET /v1/account", "Authorization: Basic AAAA\r\n", "", 401, "unauthenticated"),
        ("POST /v1/sessions", "", "{}", 415, "unsupported-media-type"),
        ("POST /v1/sessions", JSON, "{", 400, "malformed"),
        ("POST /v1/sessions", JSON, "{\"pass\": 1}", 422, "invalid"),
        ("POST /v1/sessions", JSON, &large, 413, "too-large"),
        ("GET /v1/titles?limit=0", "", "", 422, "invalid"),
        ("GET /v1/titles?color=red", "", "", 422, "invalid"),
        ("GET /v1/titles/none", "", "", 404, "not-found"),
    ] {
        let (found, head, answer) = center.ask(request, headers, body).await;
        assert_eq!(found, status, "{request}: {answer}");
        assert_eq!(answer["type"], json!(format!("/problems/{code}")), "{request}");
        assert!(head.contains("application/problem+json"), "{head}");
        assert!(answer["request_id"].is_string(), "{answer}");
        assert_eq!(found == 405, head.contains("allow: get"), "{head}");
    }
    center.task.abort();
}
