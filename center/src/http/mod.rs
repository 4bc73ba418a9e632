//! The HTTP interface: `/v1`, JSON, problems (RFC 9457), one table of operations.

mod answer;
mod call;
mod op;
mod openapi;
mod page;
mod routes;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRef, MatchedPath, State};
use axum::http::{HeaderValue, Request, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use segcast_api::problem::Code;
use serde_json::Value;
use tokio::time::timeout;

use self::answer::Refusal;
pub(crate) use self::call::Peer;
use self::op::Op;
use crate::app::App;
use crate::seats::network;
use crate::service::Origin;
use crate::watch::Metrics;

/// How long an answer may take.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// What the interface needs beside the services.
#[derive(Clone)]
pub(crate) struct Http {
    pub(crate) app: App,
    pub(crate) metrics: Arc<Metrics>,
    /// Proxies whose `Forwarded` is believed.
    pub(crate) trusted: Arc<[IpAddr]>,
    /// How many times more often everything may be done.
    pub(crate) rate_factor: u32,
}

impl FromRef<Http> for App {
    fn from_ref(http: &Http) -> Self {
        http.app.clone()
    }
}

/// The whole interface.
pub(crate) fn router(http: &Http) -> Router {
    let api = routes::all();
    let document: Arc<str> = openapi::document(api.ops.iter().map(|op| &**op)).to_string().into();
    let described = move || {
        let document = Arc::clone(&document);
        async move { ([(header::CONTENT_TYPE, "application/json")], document.to_string()) }
    };
    let ops: Arc<[Arc<Op>]> = api.ops.into();
    let outer = from_fn_with_state((http.clone(), ops), outermost);
    api.router
        .route("/v1/openapi.json", get(described))
        .route("/problems/{code}", get(explained))
        .fallback(async || Refusal::new(Code::NotFound, "there is no such path"))
        .method_not_allowed_fallback(async || Refusal::new(Code::MethodNotAllowed, "see `Allow`"))
        .layer(outer)
        .with_state(http.clone())
}

/// The description of the interface (OpenAPI 3.1).
#[must_use]
pub fn description() -> Value {
    openapi::document(routes::all().ops.iter().map(|op| &**op))
}

/// What a code means, as text: where a problem's `type` leads.
async fn explained(call::Named(code): call::Named<Code>) -> String {
    format!("{code} ({})\n{}\n", code.status(), code.title())
}

/// Around every request: its id, where it comes from, how long it may take, how it is counted, and problems as text.
async fn outermost(
    State((http, ops)): State<(Http, Arc<[Arc<Op>]>)>,
    mut request: Request<Body>,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let op = operation(&request, &ops);
    let origin = origin(&http, &request);
    let request_id = origin.request_id.clone();
    request.extensions_mut().insert(origin);
    let answered = timeout(ANSWER_TIME, next.run(request)).await;
    let mut response = answered.unwrap_or_else(|_| {
        tracing::error!(request_id, "no answer within 30 s");
        Refusal::new(Code::Internal, "there was no answer within 30 s").into_response()
    });
    let mut outcome = response.status().as_str().to_owned();
    if let Some(Refusal(problem)) = response.extensions().get::<Refusal>().cloned() {
        outcome = problem.code.to_string();
        if op.is_some_and(|op| !op.problems().contains(&problem.code)) {
            http.metrics.count_undocumented();
            tracing::error!(request_id, outcome, "the description lacks this answer");
        }
        response = answer::problem(*problem, &request_id, response.headers());
    }
    let route = op.map_or("other", |op| op.route);
    tracing::debug!(request_id, route, outcome, "answered");
    http.metrics.count(route, outcome, begun.elapsed());
    let id = HeaderValue::from_str(&request_id).expect("hexadecimal digits");
    response.headers_mut().insert("request-id", id);
    response
}

fn operation<'a>(request: &Request<Body>, ops: &'a [Arc<Op>]) -> Option<&'a Op> {
    let path = request.extensions().get::<MatchedPath>()?.as_str();
    // GET answers HEAD as well.
    let method = if request.method() == axum::http::Method::HEAD {
        "GET"
    } else {
        request.method().as_str()
    };
    ops.iter().find(|op| op.method_and_path() == (method, path)).map(|op| &**op)
}

fn origin(http: &Http, request: &Request<Body>) -> Origin {
    let peer = request.extensions().get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0);
    let client = call::client(peer, request.headers(), &http.trusted);
    let mut id = [0; 8];
    getrandom::fill(&mut id).expect("getrandom(2) does not fail on a system that has started");
    Origin { network: network(client), request_id: hex::encode(id) }
}
