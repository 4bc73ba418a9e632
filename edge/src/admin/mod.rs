//! The side thread: metrics and health over HTTP, and the records of closed sessions.
//!
//! It shares nothing with the shards but the [`Board`]; when it is slow or dead, they do not notice.

mod collector;
mod listener;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use collector::BoardCollector;
use listener::BoundedListener;
use prometheus_client::registry::Registry;

use crate::board::Board;
use crate::limits;

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
    pub(crate) fn start(board: Arc<Board>, listener: Option<TcpListener>) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let address = listener.as_ref().and_then(|l| l.local_addr().ok());
        let listener = match listener {
            Some(listener) => {
                listener.set_nonblocking(true)?;
                let _inside = runtime.enter();
                Some(tokio::net::TcpListener::from_std(listener)?)
            }
            None => None,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread =
            std::thread::Builder::new().name("segcast-side".to_owned()).spawn(move || {
                runtime.block_on(run(board, listener, stopping));
                runtime.shutdown_background();
            })?;
        Ok(Self { thread: Some(thread), stop, address })
    }

    /// Where HTTP is served.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Writes the records that are left and ends the thread.
    pub(crate) fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the side thread has panicked");
        }
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn run(board: Arc<Board>, listener: Option<tokio::net::TcpListener>, stop: Arc<AtomicBool>) {
    if let Some(listener) = listener {
        let router = router(Arc::clone(&board));
        let listener = BoundedListener::new(listener);
        tokio::spawn(async move {
            // Never returns an error; it ends with its runtime.
            let _ = axum::serve(listener, router).await;
        });
    }
    let mut interval = tokio::time::interval(limits::RECORDS_INTERVAL);
    while !stop.load(Ordering::Acquire) {
        interval.tick().await;
        write_records(&board);
    }
    write_records(&board);
}

/// Writes at most a queue full of records, so that HTTP has its turn too.
fn write_records(board: &Board) {
    let with_address = board.log_client_address();
    for record in (0..limits::RECORDS).map_while(|_| board.take_record()) {
        record.write(with_address);
    }
}

/// What the HTTP handlers share.
#[derive(Debug)]
struct Shared {
    registry: Registry,
    board: Arc<Board>,
}

fn router(board: Arc<Board>) -> Router {
    let mut registry = Registry::with_prefix("segcast_edge");
    registry.register_collector(Box::new(BoardCollector(Arc::clone(&board))));
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(Arc::new(Shared { registry, board }))
}

async fn metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let mut text = String::new();
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match prometheus_client::encoding::text::encode(&mut text, &shared.registry) {
        Ok(()) => (StatusCode::OK, [(header::CONTENT_TYPE, kind)], text),
        Err(_) => {
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, kind)], String::new())
        }
    }
}

async fn healthz(State(shared): State<Arc<Shared>>) -> (StatusCode, &'static str) {
    if shared.board.healthy() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "a shard has failed\n")
    }
}

async fn readyz(State(shared): State<Arc<Shared>>) -> (StatusCode, String) {
    match shared.board.not_ready() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).expect("connect");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n")
            .expect("send");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answer");
        answer
    }

    fn start(shards: usize) -> (Arc<Board>, Side, SocketAddr) {
        let board = Arc::new(Board::new(shards));
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let side = Side::start(Arc::clone(&board), Some(listener)).expect("start");
        let address = side.address().expect("address");
        (board, side, address)
    }

    #[test]
    fn readiness_and_health_follow_the_board() {
        let (board, _side, address) = start(1);
        assert!(get(address, "/readyz").starts_with("HTTP/1.1 503"));
        board.set_ready(0);
        board.set_store_open();
        assert!(get(address, "/readyz").starts_with("HTTP/1.1 200"));
        assert!(get(address, "/healthz").starts_with("HTTP/1.1 200"));
        board.set_failed();
        assert!(get(address, "/healthz").starts_with("HTTP/1.1 503"));
        assert!(get(address, "/").starts_with("HTTP/1.1 404"));
    }

    #[test]
    fn metrics_show_the_sum_of_all_shards() {
        let (board, _side, address) = start(2);
        let mut now = [0; crate::metric::VALUES];
        now[crate::metric::Metric::MailStray as usize] = 3;
        for shard in 0..2 {
            board.publish(shard, &now, &mut [0; crate::metric::VALUES]);
        }
        let text = get(address, "/metrics");
        assert!(text.contains("\nsegcast_edge_mail_total{kind=\"stray\"} 6\n"), "{text}");
        assert!(text.contains("\nsegcast_edge_mail_total{kind=\"handoff\"} 0\n"), "{text}");
        assert!(text.contains("\nsegcast_edge_shards 2\n"), "{text}");
        assert!(text.contains("\nsegcast_edge_major_faults_total "), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn a_connection_beyond_the_limit_waits_and_is_then_served() {
        let (_board, _side, address) = start(1);
        let idle: Vec<_> = (0..limits::ADMIN_CONNECTIONS + 1)
            .map(|_| TcpStream::connect(address).expect("connect"))
            .collect();
        let waiting = std::thread::spawn(move || get(address, "/healthz"));
        drop(idle);
        assert!(waiting.join().expect("thread").starts_with("HTTP/1.1 200"));
    }
}
