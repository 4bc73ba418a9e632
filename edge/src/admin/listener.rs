//! The connections of the admin port: so many of all and of each peer, one request each, for so long.
//!
//! Whoever connects is let in at once. When there are too many the oldest goes: half-sent requests push out each other,
//! and not the health check that comes after them.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::limits;

/// How long the listener waits before it tries again when accepting has failed, mostly for want of descriptors.
const PAUSE: Duration = Duration::from_millis(20);

/// Connections that were ended before their answer was.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// The oldest, when there were too many.
    pub(super) displaced: AtomicU64,
    /// Their request did not come, or their answer was not taken.
    pub(super) timed_out: AtomicU64,
}

/// Serves until it is dropped.
pub(super) async fn serve(listener: TcpListener, router: Router, ended: Arc<Ended>) {
    let mut open = Open::default();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let displaced = open.make_room(peer.ip());
                ended.displaced.fetch_add(displaced, Ordering::Relaxed);
                let task = tokio::spawn(one(stream, router.clone(), Arc::clone(&ended)));
                open.0.push_back((peer.ip(), task));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
        // What was let in is read before more comes in: in a burst a request would else be displaced unread.
        tokio::task::yield_now().await;
    }
}

/// One request and its answer. Scrapes are further apart than a connection lives, so none is kept for a second one.
async fn one(stream: TcpStream, router: Router, ended: Arc<Ended>) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::ADMIN_REQUEST_TIMEOUT)
        .keep_alive(false)
        .max_buf_size(limits::ADMIN_BUFFER)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match tokio::time::timeout(limits::ADMIN_TIMEOUT, connection).await {
        Ok(Err(error)) if !error.is_timeout() => {} // the peer's affair: it went, or spoke no HTTP
        Ok(Ok(())) => {}
        Ok(Err(_)) | Err(_) => {
            ended.timed_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Who is connected, the oldest first.
#[derive(Debug, Default)]
struct Open(VecDeque<(IpAddr, JoinHandle<()>)>);

impl Open {
    /// Makes room for one more of `peer`; how many were displaced.
    fn make_room(&mut self, peer: IpAddr) -> u64 {
        self.0.retain(|(_, task)| !task.is_finished());
        let of_peer = self.0.iter().filter(|(ip, _)| *ip == peer).count();
        let oldest = if of_peer >= limits::ADMIN_CONNECTIONS_PER_PEER {
            self.0.iter().position(|(ip, _)| *ip == peer)
        } else {
            (self.0.len() >= limits::ADMIN_CONNECTIONS).then_some(0)
        };
        let Some((_, task)) = oldest.and_then(|place| self.0.remove(place)) else { return 0 };
        task.abort();
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(open: &mut Open, peer: u8) -> u64 {
        let peer = IpAddr::from([10, 0, 0, peer]);
        let displaced = open.make_room(peer);
        open.0.push_back((peer, tokio::spawn(std::future::pending())));
        displaced
    }

    #[tokio::test]
    async fn a_peer_with_too_many_connections_displaces_its_own_oldest() {
        let mut open = Open::default();
        connect(&mut open, 1);
        let displaced: u64 = (0..1000).map(|_| connect(&mut open, 2)).sum();
        let stay = limits::ADMIN_CONNECTIONS_PER_PEER;
        assert_eq!((open.0.len(), displaced), (1 + stay, 1000 - stay as u64));
        assert_eq!(open.0[0].0, IpAddr::from([10, 0, 0, 1]));
    }

    #[tokio::test]
    async fn many_peers_displace_the_oldest_of_all() {
        let mut open = Open::default();
        let displaced: u64 = (0..200).map(|peer| connect(&mut open, peer)).sum();
        let stay = limits::ADMIN_CONNECTIONS;
        assert_eq!((open.0.len(), displaced), (stay, 200 - stay as u64));
        assert_eq!(open.0[stay - 1].0, IpAddr::from([10, 0, 0, 199]));
    }
}
