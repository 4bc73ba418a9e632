//! A responder of known behaviour: the real server state machine over a real socket, on a thread and a core of its own,
//! with a fault layer before the socket and pauses that are announced.

mod faults;
mod serve;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

pub use faults::{Applied, FaultPlan};
use segcast_proto::time::Duration;
use segcast_sysio::SysError;
use segcast_sysio::probe::IoKind;
use segcast_sysio::udp::{UdpConfig, UdpSocket};
use serde::Serialize;

use super::title::Title;

/// Wanted in the kernel: 16 000 requests of 128 bytes that wait for the end of a pause.
const SOCKET_BUFFER_BYTES: usize = 8 << 20;

/// Pauses: the responder does nothing at all for `length`, once in every `period`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Freeze {
    /// From the beginning of one pause to that of the next.
    #[serde(serialize_with = "super::seconds")]
    pub period: Duration,
    /// How long.
    #[serde(serialize_with = "super::seconds")]
    pub length: Duration,
}

/// How a responder behaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Behaviour {
    /// Its driver.
    pub(super) io: IoKind,
    /// Send trains with UDP_SEGMENT.
    pub(super) gso: bool,
    /// The largest datagram, bytes of UDP payload.
    pub(super) datagram_max: usize,
    /// What it sends at most, bytes in a second.
    pub(super) rate: Option<u64>,
    /// Faults.
    pub(super) faults: Option<FaultPlan>,
    /// Pauses.
    pub(super) freeze: Option<Freeze>,
    /// It opens sessions and answers no request.
    pub(super) mute: bool,
    /// The fault layer hides one drop.
    pub(super) lies: bool,
    /// The core to stay on. A sender that moves between cores reorders by itself: each has its own queue to the
    /// loopback.
    pub(super) core: Option<usize>,
}

/// What it did, when it has ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Deeds {
    pub(super) applied: Applied,
    /// Faults that found no datagram.
    pub(super) faults_left: usize,
    /// Pauses.
    pub(super) freezes: u32,
    /// Datagrams that the kernel dropped because the socket was full.
    pub(super) overflow: u64,
    /// Bytes of segments that it sent, repairs among them.
    pub(super) data_bytes: u64,
    /// Sends that failed.
    pub(super) failures: u64,
    /// CPU time of its thread.
    pub(super) cpu: Duration,
}

/// A responder that runs until it is ended.
pub(super) struct Responder {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Deeds, SysError>>>,
}

impl Responder {
    /// Serves `title` on the loopback.
    ///
    /// # Errors
    /// When there is no socket to be had, or no thread.
    pub(super) fn start(title: Arc<Title>, behaviour: Behaviour) -> Result<Self, SysError> {
        let config = UdpConfig {
            count_overflow: true,
            receive_buffer_bytes: SOCKET_BUFFER_BYTES,
            ..UdpConfig::default()
        };
        let socket = UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), &config)?;
        let address = socket.local_addr();
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("responder".to_owned())
            .spawn(move || serve::serve(socket, &title, behaviour, &told))
            .map_err(|cause| SysError::new("start the responder's thread", cause))?;
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// Where it is.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it; says what it did.
    ///
    /// # Errors
    /// What ended it before.
    pub(super) fn end(mut self) -> Result<Deeds, SysError> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("only this takes it");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
