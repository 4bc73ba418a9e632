//! Who this center is: `/status`, `/keys`.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use segcast_api::status::Status;
use segcast_api::value::{Bytes, Timestamp};

use crate::app::App;
use crate::http::answer::Sent;
use crate::http::op::{Api, Op};

/// RFC 9052, section 2.
const COSE: &str = "application/cose; cose-type=\"cose-sign1\"";

pub(super) fn routes(api: Api) -> Api {
    api.add(Op::new("GET /v1/status", "Which center this is").gives::<Status>(), get(status)).add(
        Op::new("GET /v1/keys", "The keyset, signed by the root: COSE_Sign1").gives_raw(COSE),
        get(keys),
    )
}

async fn status(State(app): State<App>) -> Sent<Status> {
    let (center, root) = app.vault.identity();
    Sent(Status {
        center: Bytes(center.to_vec()),
        roots: vec![Bytes(root.to_vec())],
        keyset: app.vault.keyset_number().0,
        version: "1".to_owned(),
        time: Timestamp::from_millis(app.clock.now()),
    })
}

async fn keys(State(app): State<App>, headers: HeaderMap) -> Response {
    let tag = format!("\"{}\"", app.vault.keyset_number().0);
    let tag = HeaderValue::from_str(&tag).expect("digits in quotes");
    let mut response = if headers.get(header::IF_NONE_MATCH) == Some(&tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, COSE)], app.vault.keyset().to_vec()).into_response()
    };
    response.headers_mut().insert(header::ETAG, tag);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=5"));
    response
}
