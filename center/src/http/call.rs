//! Requests: who asks from where, which key it has, and its body; each check as the operation says.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, header};
use segcast_api::problem::{Code, Problem};
use segcast_proto::crypto::hash::sha256;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::Http;
use super::answer::{Refusal, settled};
use super::op::{Op, Who};
use crate::db::guard::Rate;
use crate::service::{Caller, Guard, IdempotencyKey, Origin, sessions};

/// The longest body, bytes.
const BODY_BYTES: usize = 64 << 10;

/// What is read of a longer one, so that its sender reads the answer: a connection that is closed on unread bytes is reset.
const BODY_READ: usize = 256 << 10;

/// How long a body may take.
const BODY_TIME: Duration = Duration::from_secs(15);

/// The header of keys by which a request is done once.
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Whose connection it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The client's address: the peer's, or the one that a trusted proxy adds last to `Forwarded` (RFC 7239).
pub(super) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    if !trusted.contains(&peer.to_canonical()) {
        return peer;
    }
    let last =
        headers.get_all(header::FORWARDED).iter().next_back().and_then(|value| value.to_str().ok());
    let hop = last.and_then(|value| value.rsplit(',').next());
    let pairs = hop.into_iter().flat_map(|hop| hop.split(';'));
    let named = pairs.filter_map(|pair| pair.trim().split_once('='));
    let mut of = named.filter(|(name, _)| name.eq_ignore_ascii_case("for")).map(|(_, value)| value);
    let node = of.next().map(|value| value.trim_matches('"'));
    let address = node.and_then(|node| {
        let bracketed = node.strip_prefix('[').and_then(|rest| rest.split(']').next());
        let plain = || {
            node.split_once(':').filter(|(_, port)| !port.contains(':')).map_or(node, |(ip, _)| ip)
        };
        bracketed.unwrap_or_else(plain).parse().ok()
    });
    address.unwrap_or(peer)
}

/// A request by someone who is logged in.
#[derive(Debug)]
pub(super) struct Call<T> {
    pub(super) caller: Caller,
    pub(super) guard: Guard,
    pub(super) headers: HeaderMap,
    pub(super) body: T,
}

/// A request by anyone.
#[derive(Debug)]
pub(super) struct Open<T> {
    pub(super) caller: Option<Caller>,
    pub(super) origin: Origin,
    pub(super) guard: Guard,
    pub(super) body: T,
}

impl<T: DeserializeOwned> FromRequest<Http> for Call<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request<Body>, http: &Http) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let op = op(&parts)?;
        let caller = authenticated(&parts, &op, http).await?;
        let caller = caller
            .ok_or_else(|| Refusal::new(Code::Unauthenticated, "log in by POST /v1/sessions"))?;
        let (guard, body) = guarded(&parts, body, &op, http, Some(&caller)).await?;
        Ok(Self { caller, guard, headers: parts.headers, body })
    }
}

impl<T: DeserializeOwned> FromRequest<Http> for Open<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request<Body>, http: &Http) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let op = op(&parts)?;
        let caller = authenticated(&parts, &op, http).await?;
        let (guard, body) = guarded(&parts, body, &op, http, caller.as_ref()).await?;
        Ok(Self { caller, origin: origin(&parts)?, guard, body })
    }
}

fn lost() -> Refusal {
    Refusal::new(Code::Internal, "")
}

fn op(parts: &Parts) -> Result<Arc<Op>, Refusal> {
    parts.extensions.get::<Arc<Op>>().cloned().ok_or_else(lost)
}

fn origin(parts: &Parts) -> Result<Origin, Refusal> {
    parts.extensions.get::<Origin>().cloned().ok_or_else(lost)
}

/// Who asks, and whether they may.
async fn authenticated(parts: &Parts, op: &Op, http: &Http) -> Result<Option<Caller>, Refusal> {
    let Some(value) = parts.headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let bearer = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
    let bearer = bearer.ok_or_else(|| {
        Refusal::new(Code::Unauthenticated, "`Authorization: Bearer` is expected")
    })?;
    let caller = settled(sessions::authenticate(&http.app, bearer, origin(parts)?).await)?;
    match op.who {
        Who::Roles(roles) if !roles.contains(&caller.role) => {
            Err(Refusal::new(Code::Forbidden, "this account's role may not do that"))
        }
        _ => Ok(Some(caller)),
    }
}

/// What stands before the act, and the body.
async fn guarded<T: DeserializeOwned>(
    parts: &Parts,
    body: Body,
    op: &Op,
    http: &Http,
    caller: Option<&Caller>,
) -> Result<(Guard, T), Refusal> {
    let key = if op.once { Some(key(&parts.headers)?) } else { None };
    let bytes =
        if op.takes.is_some() { read(&parts.headers, body).await? } else { b"null".to_vec() };
    let value = serde_json::from_slice(&bytes).map_err(|error| misread(&error))?;
    let whose = match caller {
        Some(caller) => caller.account.to_string(),
        None => origin(parts)?.network,
    };
    let (times, within) = op.rate;
    let each_ms = within / times;
    let (each_ms, burst_ms) = (each_ms / i64::from(http.rate_factor), within - each_ms);
    let rate = Rate { bucket: format!("{} {whose}", op.route), each_ms, burst_ms };
    let request = sha256(&[parts.uri.path().as_bytes(), &[0], &bytes]);
    Ok((Guard { rate, key, route: op.route, request }, value))
}

fn key(headers: &HeaderMap) -> Result<IdempotencyKey, Refusal> {
    let text = headers.get(IDEMPOTENCY_KEY).and_then(|value| value.to_str().ok());
    let key = text.and_then(IdempotencyKey::new);
    key.ok_or_else(|| {
        Refusal::new(
            Code::IdempotencyKeyMissing,
            "`Idempotency-Key` of 16 to 64 visible characters, a new one for each act",
        )
    })
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Refusal> {
    let kind =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::new(
            Code::UnsupportedMediaType,
            "`Content-Type: application/json` is expected",
        ));
    }
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let too_large = || Refusal::new(Code::TooLarge, "a body has at most 64 KiB");
    if length.is_some_and(|length| length > BODY_READ as u64) {
        return Err(too_large());
    }
    match timeout(BODY_TIME, to_bytes(body, BODY_READ)).await {
        Ok(Ok(bytes)) if bytes.len() <= BODY_BYTES => Ok(bytes.into()),
        Ok(Ok(_) | Err(_)) => Err(too_large()),
        Err(_) => Err(Refusal::new(Code::Malformed, "the body did not come within 15 s")),
    }
}

/// Not JSON at all, or another object than is expected. What the sender wrote is not repeated: it may be a password.
fn misread(error: &serde_json::Error) -> Refusal {
    let place = format!("line {}, column {}", error.line(), error.column());
    if error.is_data() {
        let text = error.to_string();
        let what = ["unknown field", "missing field", "duplicate field"]
            .into_iter()
            .find(|what| text.starts_with(what));
        let field = text.split('`').nth(1).filter(|_| what.is_some());
        return match (what, field) {
            (Some(what), Some(field)) => Problem::field(format!("/{field}"), what).into(),
            _ => Refusal::new(Code::Invalid, format!("a field is not of its type, at {place}")),
        };
    }
    Refusal::new(Code::Malformed, format!("the body is not JSON: {place}"))
}

/// The only parameter of a path.
#[derive(Debug)]
pub(super) struct Named<T>(pub(super) T);

impl<T: FromStr, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path: Result<Path<String>, PathRejection> =
            Path::from_request_parts(parts, state).await;
        let name = path.ok().and_then(|Path(name)| name.parse().ok());
        name.map(Self).ok_or_else(|| Refusal::new(Code::NotFound, "there is nothing of this name"))
    }
}

/// The query.
#[derive(Debug)]
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let query = Query::try_from_uri(&parts.uri);
        let query = query.map_err(|_| {
            Refusal::new(Code::Invalid, "the query has a field that is unknown or cannot be")
        })?;
        Ok(Self(query.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_trusted_proxy_adds_last_names_the_client() {
        let proxy: IpAddr = "10.0.0.1".parse().unwrap();
        let client_of = |values: &[&str], trusted: &[IpAddr]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::FORWARDED, value.parse().unwrap());
            }
            client(proxy, &headers, trusted).to_string()
        };
        assert_eq!(client_of(&["for=192.0.2.7"], &[]), "10.0.0.1");
        for (values, right) in [
            (&["for=192.0.2.7"][..], "192.0.2.7"),
            (&["for=1.1.1.1, for=192.0.2.7:5000;proto=https"], "192.0.2.7"),
            (&["for=1.1.1.1", "By=x; For=\"[2001:db8::1]:4711\""], "2001:db8::1"),
            (&["for=unknown"], "10.0.0.1"),
            (&["proto=https"], "10.0.0.1"),
            (&[], "10.0.0.1"),
        ] {
            assert_eq!(client_of(values, &[proxy]), right, "{values:?}");
        }
    }

    #[test]
    fn a_wrong_body_is_told_without_what_stands_in_it() {
        let read = |text: &str| {
            let error = serde_json::from_str::<segcast_api::accounts::SessionRequest>(text);
            misread(&error.err().unwrap()).0
        };
        for (text, code) in [
            ("{", Code::Malformed),
            ("{\"login\": 17, \"password\": \"Secret9\"}", Code::Invalid),
            ("{\"login\": \"a\", \"password\": [\"Secret9\"]}", Code::Invalid),
            ("{\"login\": \"a\", \"pass\": \"Secret9\"}", Code::Invalid),
        ] {
            let problem = read(text);
            assert_eq!(problem.code, code, "{text}");
            assert!(!problem.to_string().contains("Secret9"), "{problem}");
        }
        assert_eq!(read("{\"pass\": 1}").errors[0].pointer, "/pass");
    }
}
