//! A blocking client of the center: HTTP/1.1 over TLS, and requests that may be lost are asked again.
//!
//! A request is repeated only when that cannot do harm: when it reads, or when it has an idempotency key, under which the
//! center does it once and gives the same answer again.

mod routes;
mod tls;

use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::Agent;
use ureq::http::{Method, Request, Response};

use crate::page::Page;
use crate::problem::Problem;
use crate::text::Secret;

/// The longest answer, bytes.
const ANSWER_MAX: u64 = 4 << 20;
/// One attempt, from the name's look-up to the last byte.
const ATTEMPT: Duration = Duration::from_secs(30);
/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(5);
/// Waits between attempts.
const WAITS: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(2)];
/// The longest that the center may ask to wait before another attempt.
const WAIT_MAX: u32 = 5;
/// Pages of a list that are read at most.
const PAGES_MAX: usize = 50;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Not an address of a center.
    #[error("{0:?} is no center's address: it must be as in https://center.example:4880")]
    Url(String),
    /// The certificates that were to be trusted.
    #[error("the certificates to trust: {0}")]
    Certificates(String),
    /// Nothing answers.
    #[error("cannot reach {url}: {reason}")]
    Unreachable {
        /// The center.
        url: String,
        /// Why not.
        reason: String,
    },
    /// It says no.
    #[error(transparent)]
    Refused(Box<Problem>),
    /// What answers is no center, or a newer one.
    #[error("the answer of {url} is not a center's: {reason}")]
    Answer {
        /// The center.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A center, and who asks it.
#[derive(Debug)]
pub struct Center {
    agent: Agent,
    url: String,
    bearer: Option<Secret>,
}

/// One request, as it is sent at every attempt.
#[derive(Clone, Copy)]
struct Call<'a> {
    method: &'a Method,
    path: &'a str,
    key: Option<&'a str>,
    rev: Option<u64>,
    body: Option<&'a [u8]>,
}

impl<'a> Call<'a> {
    const fn new(method: &'a Method, path: &'a str) -> Self {
        Self { method, path, key: None, rev: None, body: None }
    }

    /// Whether it may come twice.
    fn may_repeat(&self) -> bool {
        self.key.is_some() || *self.method == Method::GET
    }
}

/// What became of one attempt.
enum Attempt {
    /// An answer with its bytes.
    Answered(Vec<u8>),
    /// No.
    Failed(ClientError),
    /// Not now; after these seconds, if the center said so.
    Later(ClientError, Option<u32>),
}

impl Center {
    /// A center at `url`. `ca`: certificates in PEM that are trusted instead of the public ones.
    ///
    /// # Errors
    /// [`ClientError::Url`], [`ClientError::Certificates`].
    pub fn new(url: &str, ca: Option<&str>) -> Result<Self, ClientError> {
        let host = url.strip_prefix("https://").unwrap_or_default().trim_end_matches('/');
        if host.is_empty() || host.contains(['/', '?', '#', '@', ' ']) {
            return Err(ClientError::Url(url.to_owned()));
        }
        let config = Agent::config_builder()
            .tls_config(tls::config(ca)?)
            .https_only(true)
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("segcast/", env!("CARGO_PKG_VERSION")))
            .timeout_global(Some(ATTEMPT))
            .timeout_connect(Some(CONNECT))
            .build();
        Ok(Self { agent: config.into(), url: format!("https://{host}"), bearer: None })
    }

    /// The same, asked by who has this token.
    #[must_use]
    pub fn with_bearer(mut self, bearer: Secret) -> Self {
        self.bearer = Some(bearer);
        self
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, ClientError> {
        self.json(Call::new(&Method::GET, path))
    }

    /// All of a list, newest first; of a very long one what is newest.
    fn all<A: DeserializeOwned>(&self, path: &str) -> Result<Vec<A>, ClientError> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let mut path_of_page = format!("{path}{separator}limit=200");
        let mut items = Vec::new();
        for _ in 0..PAGES_MAX {
            let page: Page<A> = self.get(&path_of_page)?;
            items.extend(page.items);
            let Some(next) = page.next else { break };
            path_of_page = format!("{path}{separator}limit=200&after={}", encode(&next));
        }
        Ok(items)
    }

    fn post<A: DeserializeOwned>(
        &self,
        path: &str,
        key: Option<&str>,
        body: &impl Serialize,
    ) -> Result<A, ClientError> {
        let body = self.body(body)?;
        self.json(Call { key, body: Some(&body), ..Call::new(&Method::POST, path) })
    }

    /// Changes what was read with `rev`.
    fn patch<A: DeserializeOwned>(
        &self,
        path: &str,
        rev: u64,
        body: &impl Serialize,
    ) -> Result<A, ClientError> {
        let body = self.body(body)?;
        self.json(Call { rev: Some(rev), body: Some(&body), ..Call::new(&Method::PATCH, path) })
    }

    fn delete(&self, path: &str) -> Result<(), ClientError> {
        self.send(Call::new(&Method::DELETE, path)).map(drop)
    }

    fn body(&self, body: &impl Serialize) -> Result<Vec<u8>, ClientError> {
        serde_json::to_vec(body).map_err(|error| self.odd(error))
    }

    fn json<A: DeserializeOwned>(&self, call: Call<'_>) -> Result<A, ClientError> {
        let bytes = self.send(call)?;
        serde_json::from_slice(&bytes).map_err(|error| self.odd(error))
    }

    /// Sends a request, again while that may help and do no harm.
    fn send(&self, call: Call<'_>) -> Result<Vec<u8>, ClientError> {
        let mut waits = WAITS.iter();
        loop {
            let (error, asked) = match self.attempt(call) {
                Attempt::Answered(bytes) => return Ok(bytes),
                Attempt::Failed(error) => return Err(error),
                Attempt::Later(error, asked) => (error, asked),
            };
            let Some(wait) = waits.next().filter(|_| call.may_repeat()) else { return Err(error) };
            match asked {
                Some(seconds) if seconds > WAIT_MAX => return Err(error),
                Some(seconds) => thread::sleep(Duration::from_secs(seconds.into()).max(*wait)),
                None => thread::sleep(*wait),
            }
        }
    }

    fn attempt(&self, call: Call<'_>) -> Attempt {
        let uri = format!("{}/v1{}", self.url, call.path);
        let mut request = Request::builder().method(call.method).uri(uri);
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", format!("Bearer {}", bearer.expose()));
        }
        if let Some(key) = call.key {
            request = request.header("idempotency-key", key);
        }
        if let Some(rev) = call.rev {
            request = request.header("if-match", format!("\"{rev}\""));
        }
        let sent = match call.body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(body)
                .map(|request| self.agent.run(request)),
            None => request.body(()).map(|request| self.agent.run(request)),
        };
        match sent {
            Err(error) => Attempt::Failed(self.odd(error)),
            Ok(Err(error)) => self.unsent(&error),
            Ok(Ok(response)) => self.answered(response),
        }
    }

    /// A certificate that is not trusted is not trusted later either.
    fn unsent(&self, error: &ureq::Error) -> Attempt {
        let reason = error.to_string();
        let is_tls = matches!(error, ureq::Error::Tls(_) | ureq::Error::Rustls(_))
            || matches!(error, ureq::Error::Io(io) if io.kind() == std::io::ErrorKind::InvalidData);
        let error = ClientError::Unreachable { url: self.url.clone(), reason };
        if is_tls { Attempt::Failed(error) } else { Attempt::Later(error, None) }
    }

    fn answered(&self, mut response: Response<ureq::Body>) -> Attempt {
        let status = response.status();
        let read = response.body_mut().with_config().limit(ANSWER_MAX).read_to_vec();
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) => return self.unsent(&error),
        };
        if status.is_success() {
            return Attempt::Answered(bytes);
        }
        match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => {
                let (asked, is_later) =
                    (problem.more.retry_after, matches!(status.as_u16(), 429 | 503));
                let error = ClientError::Refused(Box::new(problem));
                if is_later { Attempt::Later(error, asked) } else { Attempt::Failed(error) }
            }
            Err(_) => Attempt::Failed(self.odd(format_args!("status {status} without a problem"))),
        }
    }

    fn odd(&self, reason: impl std::fmt::Display) -> ClientError {
        ClientError::Answer { url: self.url.clone(), reason: reason.to_string() }
    }
}

/// `text` as a part of a path or query (RFC 3986, section 2.1).
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a String takes all");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_center_is_at_an_https_address_and_nowhere_else() {
        for url in ["https://127.0.0.1:4880", "https://center.example/", "https://[::1]:4880"] {
            assert!(Center::new(url, None).is_ok(), "{url}");
        }
        for url in ["http://127.0.0.1", "center", "https://", "https://a/b", "https://u@a"] {
            assert_eq!(Center::new(url, None).unwrap_err(), ClientError::Url(url.into()), "{url}");
        }
    }

    #[test]
    fn certificates_that_are_none_are_refused() {
        for ca in ["", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"] {
            let error = Center::new("https://a", Some(ca)).unwrap_err();
            assert!(matches!(error, ClientError::Certificates(_)), "{error}");
        }
    }

    #[test]
    fn nobody_who_answers_is_said_with_the_address() {
        // A port that was free a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("https://127.0.0.1:{port}");
        let error = Center::new(&url, None).unwrap().delete("/sessions/current").unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot reach {url}: ")), "{error}");
    }

    #[test]
    fn parts_of_addresses_cannot_leave_their_place() {
        assert_eq!(encode("../a b&c=ä"), "..%2Fa%20b%26c%3D%C3%A4");
    }
}
