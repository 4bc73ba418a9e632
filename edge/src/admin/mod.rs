//! The side thread: metrics and health over HTTP.
//!
//! It shares nothing with the shards but the [`Board`]; when it is slow or dead, they do not notice.

mod collector;
mod format;
mod listener;
mod multicast;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::UNIX_EPOCH;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use collector::BoardCollector;
use crossbeam::channel::Sender;
use format::Format;
use listener::Ended;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::task::JoinSet;

use crate::board::Board;
use crate::last_minute::LastMinute;
use crate::mailbox::Report;
use crate::{dry_run, guard, limits};

/// The running side thread.
#[derive(Debug)]
pub(crate) struct Side {
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    address: Option<SocketAddr>,
}

impl Side {
    /// Starts the thread; `listener` is where HTTP is served, if anywhere.
    ///
    /// # Errors
    /// When the thread or its runtime cannot be made.
    pub(crate) fn start(
        board: &Arc<Board>,
        reports: Sender<Report>,
        listener: Option<TcpListener>,
        dry_run: Option<Arc<dry_run::Queue>>,
    ) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let address = listener.as_ref().and_then(|l| l.local_addr().ok());
        let mut tasks = JoinSet::new();
        if let Some(listener) = listener {
            listener.set_nonblocking(true)?;
            let _inside = runtime.enter();
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let ended = Arc::default();
            let router = router(Arc::clone(board), Arc::clone(&ended), dry_run);
            tasks.spawn(look_at_requests(Arc::clone(board)));
            tasks.spawn(listener::serve(listener, router, ended));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread = guard::spawn("segcast-side", Arc::clone(board), reports, move || {
            let failure = runtime.block_on(run(tasks, &stopping));
            runtime.shutdown_background();
            failure
        })?;
        Ok(Self { thread: Some(thread), stop, address })
    }

    /// Where HTTP is served.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Ends the thread.
    pub(crate) fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // A panic was reported already.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs `tasks` until it is to `stop`, or one ends, which none should: says how.
async fn run(mut tasks: JoinSet<()>, stop: &AtomicBool) -> Option<String> {
    while !stop.load(Ordering::Acquire) {
        match tokio::time::timeout(limits::STOP_INTERVAL, tasks.join_next()).await {
            Ok(Some(Err(error))) => return Some(error.to_string()),
            Ok(Some(Ok(()))) => return Some("a task of it has ended".to_owned()),
            Ok(None) => tokio::time::sleep(limits::STOP_INTERVAL).await,
            Err(_) => {}
        }
    }
    None
}

/// Says on the board, once a second, whether too many segments cannot be read.
async fn look_at_requests(board: Arc<Board>) {
    let mut minute = LastMinute::new();
    let mut interval = tokio::time::interval(limits::REQUESTS_INTERVAL);
    loop {
        interval.tick().await;
        board.set_unreadable(minute.look(board.counted()));
    }
}

/// What the HTTP handlers share.
struct Shared {
    text: Registry,
    open_metrics: Registry,
    board: Arc<Board>,
    dry_run: Option<Arc<dry_run::Queue>>,
}

fn router(board: Arc<Board>, ended: Arc<Ended>, dry_run: Option<Arc<dry_run::Queue>>) -> Router {
    let started = Gauge::<f64, AtomicU64>::default();
    started.set(UNIX_EPOCH.elapsed().map_or(0.0, |time| time.as_secs_f64()));
    let registry = |format| {
        let mut registry = Registry::default();
        let help = "When this edge began, seconds since 1970";
        registry.register("process_start_time_seconds", help, started.clone());
        let (board, ended) = (Arc::clone(&board), Arc::clone(&ended));
        let collector = Box::new(BoardCollector { board, ended, format });
        registry.sub_registry_with_prefix("segcast_edge").register_collector(collector);
        registry
    };
    let (text, open_metrics) = (registry(Format::Text), registry(Format::OpenMetrics));
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/multicast", get(multicast::multicast))
        .with_state(Arc::new(Shared { text, open_metrics, board, dry_run }))
}

async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let format = Format::accepted(accept.unwrap_or_default());
    let mut page = String::new();
    let encoded = match format {
        // Its last line, `# EOF`, is a comment there.
        Format::Text => encode(&mut page, &shared.text),
        Format::OpenMetrics => encode(&mut page, &shared.open_metrics),
    };
    let status = encoded.map_or(StatusCode::INTERNAL_SERVER_ERROR, |()| StatusCode::OK);
    (status, [(header::CONTENT_TYPE, format.content_type())], page)
}

async fn healthz(State(shared): State<Arc<Shared>>) -> (StatusCode, &'static str) {
    if shared.board.healthy() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "a thread has failed\n")
    }
}

async fn readyz(State(shared): State<Arc<Shared>>) -> (StatusCode, String) {
    match shared.board.not_ready() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

#[cfg(test)]
mod tests;
