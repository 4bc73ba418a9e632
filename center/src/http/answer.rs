//! Answers: JSON, revisions as ETags, and problems.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use segcast_api::problem::{Code, More, Problem};
use serde::Serialize;

use crate::app::Outcome;
use crate::db::DbError;
use crate::service::Versioned;

/// A problem on its way out. The outermost layer writes it, with the request's id.
#[derive(Clone, Debug)]
pub(super) struct Refusal(pub(super) Box<Problem>);

impl Refusal {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Problem::new(code, detail).into()
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl From<DbError> for Refusal {
    fn from(error: DbError) -> Self {
        if error.is_unavailable() {
            tracing::warn!(%error, "the database cannot be reached");
            let more = More { retry_after: Some(2), ..More::default() };
            let problem = Problem::new(Code::DatabaseUnavailable, "try again with the same key");
            return problem.with(more).into();
        }
        tracing::error!(%error, "a request failed");
        Self::new(Code::Internal, "ask the operator, with the request's id")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = status(self.0.code).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

fn status(code: Code) -> StatusCode {
    StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The content type of problems (RFC 9457).
pub(super) const CONTENT_TYPE: &str = "application/problem+json";

/// Writes a problem as it is sent.
pub(super) fn problem(mut problem: Problem, request_id: &str, old: &HeaderMap) -> Response {
    problem.request_id = Some(request_id.to_owned());
    let status = status(problem.code);
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    if let Some(seconds) = problem.more.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(allow) = old.get(header::ALLOW) {
        headers.insert(header::ALLOW, allow.clone());
    }
    response
}

/// What a handler gives: an answer in JSON, or a problem.
pub(super) type Done<T> = Result<Sent<T>, Refusal>;

/// An answer in JSON, which nobody may keep: it holds rights and secrets.
#[derive(Debug)]
pub(super) struct Sent<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Sent<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => json(body),
            Err(_) => Refusal::new(Code::Internal, "").into_response(),
        }
    }
}

fn json(body: Vec<u8>) -> Response {
    let mut response = Body::from(body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The answer of a service.
pub(super) fn done<T>(outcome: Result<Outcome<T>, DbError>) -> Done<T> {
    settled(outcome).map(Sent)
}

/// The answer of a service that has nothing to say.
pub(super) fn empty(outcome: Result<Outcome<()>, DbError>) -> Result<StatusCode, Refusal> {
    settled(outcome).map(|()| StatusCode::NO_CONTENT)
}

/// The answer of a service, with its revision.
pub(super) fn versioned<T: Serialize>(
    outcome: Result<Outcome<Versioned<T>>, DbError>,
    asked: &HeaderMap,
) -> Result<Response, Refusal> {
    let Versioned { rev, value } = settled(outcome)?;
    let tag = HeaderValue::from_str(&etag(rev)).expect("digits in quotes");
    let is_known = asked.get(header::IF_NONE_MATCH) == Some(&tag);
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Sent(value).into_response()
    };
    response.headers_mut().insert(header::ETAG, tag);
    Ok(response)
}

pub(super) fn settled<T>(outcome: Result<Outcome<T>, DbError>) -> Result<T, Refusal> {
    match outcome? {
        Outcome::Done(value) => Ok(value),
        Outcome::Refused(problem) => Err(problem.into()),
    }
}

fn etag(rev: i64) -> String {
    format!("\"{rev}\"")
}

/// The revision that a change is made to.
pub(super) fn revision(asked: &HeaderMap) -> Result<i64, Refusal> {
    let Some(tag) = asked.get(header::IF_MATCH) else {
        return Err(Refusal::new(
            Code::PreconditionRequired,
            "send the ETag that you read as If-Match",
        ));
    };
    let rev =
        tag.to_str().ok().and_then(|tag| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok());
    rev.ok_or_else(|| Refusal::new(Code::PreconditionFailed, "If-Match is no ETag of this center"))
}
