//! `/multicast`: what groups would save, as text or, for who accepts that, as JSON.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Shared;
use crate::dry_run::{Line, table};

#[derive(Serialize)]
struct Page<'a> {
    /// "dry-run".
    multicast: &'static str,
    /// Requests that were not reckoned with.
    dropped: u64,
    titles: &'a [Line],
}

/// Answers a GET.
pub(super) async fn multicast(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let Some(dry_run) = &shared.dry_run else {
        let says = "there is no dry run: multicast = \"dry-run\" begins one\n";
        return (StatusCode::NOT_FOUND, says).into_response();
    };
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let titles = dry_run.lines();
    if accept.is_some_and(|accept| accept.contains("json")) {
        let page = Page { multicast: "dry-run", dropped: dry_run.dropped(), titles: &titles };
        let json = serde_json::to_string(&page).expect("numbers and names");
        return ([(header::CONTENT_TYPE, "application/json")], json).into_response();
    }
    let dropped = dry_run.dropped();
    format!("{}requests that were not reckoned with: {dropped}\n", table(&titles)).into_response()
}
