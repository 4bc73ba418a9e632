//! What an operator's tools see: health, readiness, metrics, on a listener of their own.

mod metrics;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::time::timeout;

pub(crate) use self::metrics::Metrics;
use crate::app::App;
use crate::seats::Seats;

/// How long the database may take to show that it takes writes.
const READY_TIME: Duration = Duration::from_secs(2);

/// How far its clock may be from this machine's, ms.
const SKEW_MAX: i64 = 2000;

/// What the listener tells of.
#[derive(Clone)]
pub(crate) struct Watched {
    pub(crate) app: App,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) seats: Arc<Seats>,
    /// Set when a stop was asked for.
    pub(crate) draining: Arc<AtomicBool>,
}

/// `/healthz`, `/readyz`, `/metrics`.
pub(crate) fn router(watched: Watched) -> Router {
    Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(watched)
}

async fn ready(State(watched): State<Watched>) -> (StatusCode, String) {
    match unready(&watched).await {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

/// Why requests should go to another instance. An old keyset is an alarm (`segcast_center_keyset_ends_seconds`), not a
/// reason.
async fn unready(Watched { app, draining, .. }: &Watched) -> Option<String> {
    if draining.load(Ordering::Relaxed) {
        return Some("draining".to_owned());
    }
    match timeout(READY_TIME, app.db.ready(app.clock.now())).await {
        Ok(Ok(skew)) if skew.abs() <= SKEW_MAX => None,
        Ok(Ok(skew)) => Some(format!("the database's clock is {skew} ms ahead of this machine's")),
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("the database does not answer".to_owned()),
    }
}

async fn metrics(State(watched): State<Watched>) -> impl IntoResponse {
    let text = watched.metrics.text(&watched.app, &watched.seats);
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}
