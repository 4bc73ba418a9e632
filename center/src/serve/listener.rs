//! Connections of the API: TLS, HTTP/1.1, and how long a peer may take.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::http::Peer;
use crate::seats::{Seat, Seats};

/// How long accepting waits when it has failed, mostly for want of descriptors.
const PAUSE: Duration = Duration::from_millis(20);

/// How long a TLS handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(5);

/// How long a request's head may take, from the end of the one before.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// Bytes of a request's head at most; for more hyper answers 431 by itself.
const HEAD_BYTES: usize = 16 << 10;

/// How long a connection is used for new requests.
const LIFE: Duration = Duration::from_secs(600);

/// How long a connection then has for its last request and its answer.
const LAST: Duration = Duration::from_secs(60);

/// Serves until `stop` says so; then no connection is accepted, requests that run get their answers, and what is still
/// open after `drain` is closed.
pub(super) async fn serve(
    listener: TcpListener,
    (tls, router): (Option<TlsAcceptor>, Router),
    seats: Arc<Seats>,
    mut stop: watch::Receiver<bool>,
    drain: Duration,
) {
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = open.join_next() => continue,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Ok((stream, peer)) = accepted else {
            sleep(PAUSE).await;
            continue;
        };
        // Who gets no seat is closed without a word: a TLS alert would cost a handshake.
        if let Some(seat) = seats.take(peer.ip()) {
            open.spawn(one((stream, peer), tls.clone(), router.clone(), stop.clone(), seat));
        }
    }
    drop(listener);
    let _ = timeout(drain, async { while open.join_next().await.is_some() {} }).await;
}

/// One connection. What goes wrong with it is the peer's affair: it went, or spoke no TLS or HTTP.
async fn one(
    (stream, peer): (TcpStream, SocketAddr),
    tls: Option<TlsAcceptor>,
    router: Router,
    stop: watch::Receiver<bool>,
    seat: Seat,
) {
    // An answer is one write: nothing is gained by waiting for more.
    let _ = stream.set_nodelay(true);
    match tls {
        None => speak(stream, peer, router, stop).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = timeout(HANDSHAKE_TIME, tls.accept(stream)).await {
                speak(stream, peer, router, stop).await;
            }
        }
    }
    drop(seat);
}

/// HTTP/1.1 until the peer goes, the connection is old, or `stop` says so.
async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    peer: SocketAddr,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer.ip()));
        router.call(request)
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service)
    );
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stop.wait_for(|stop| *stop) => {}
        () = sleep(LIFE) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(LAST, connection).await;
}
