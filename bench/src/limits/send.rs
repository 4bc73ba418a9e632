//! The bare loop: trains through the product's own driver with nothing around them, sealed or as they are; over loopback
//! to a receiver that throws them away, and on the sink, where the device does.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use segcast_lab::bpf::TrainFilter;
use segcast_lab::tap::Tap;
use segcast_proto::limits::{OVERHEAD, TRAIN_MAX};
use segcast_sysio::cpu;
use segcast_sysio::driver::{Driver, DriverConfig, Outgoing};
use segcast_sysio::probe;
use segcast_sysio::udp::{UdpConfig, UdpSocket};
use serde::Serialize;

use super::{Row, Variant};
use crate::measure::{Band, Cores};
use crate::seal::{Cipher, Engine, Pool, SealLoop};
use crate::sink::world::Net;

/// The receiver's buffer: it must not be what loses.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;
/// The filter passes one train in so many: none.
const NONE_PASSES: u32 = 1 << 31;
/// Where trains on the sink go: behind the router.
const NOBODY: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(100, 64, 0, 1)), 4000);

/// Where trains are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Link {
    /// To a receiver with GRO on the other core.
    Loopback,
    /// To a TAP device whose filter drops them.
    Sink,
}

/// What must live while trains are sent.
enum Far {
    Receiver { stop: Arc<AtomicBool>, thread: Option<JoinHandle<()>> },
    Device { _net: Net, _tap: Tap, filter: TrainFilter },
}

/// Sends full trains as fast as it can.
pub struct SendLoop {
    link: Link,
    datagram: usize,
    /// None: what lies in the send buffers is sent as it is.
    sealing: Option<SealLoop>,
    driver: Driver,
    to: SocketAddr,
    far: Far,
    /// The segment being sent, and how much of it was.
    segment: Option<(usize, usize)>,
}

impl SendLoop {
    /// A loop on the calling thread, which must stay on the server's core.
    ///
    /// # Errors
    /// When the driver, or the device and its namespace (root), cannot be had.
    pub fn new(link: Link, sealed: bool, datagram: usize, cores: Cores) -> anyhow::Result<Self> {
        let (socket, to, far) = match link {
            Link::Loopback => loopback(cores.generator)?,
            Link::Sink => sink(datagram)?,
        };
        let (kind, _) = probe::choose(None)?;
        let driver = Driver::new(kind, vec![socket], DriverConfig::EDGE)?;
        let sealing =
            sealed.then(|| SealLoop::new(Engine::AwsLc, Cipher::Aes128Gcm, datagram, true));
        Ok(Self { link, datagram, sealing, driver, to, far, segment: None })
    }

    /// Fills all free buffers and sends them; gives the bytes of payload.
    fn turn(&mut self, pool: &mut Pool) -> anyhow::Result<u64> {
        let mut bytes = 0;
        let full = TRAIN_MAX / self.datagram * self.datagram;
        while let Some(mut buffer) = self.driver.send_buffer() {
            let length = match &mut self.sealing {
                None => {
                    bytes += full - TRAIN_MAX / self.datagram * OVERHEAD;
                    full
                }
                Some(sealing) => {
                    let (place, done) = self.segment.take().unwrap_or_else(|| (pool.place(), 0));
                    let segment = pool.at(place);
                    let (taken, length) = sealing.train(&segment[done..], &mut buffer);
                    bytes += taken;
                    let left = done + taken < segment.len();
                    self.segment = left.then_some((place, done + taken));
                    length
                }
            };
            let (len, datagram_bytes, to) = (length, self.datagram, self.to);
            self.driver.send(Outgoing { buffer, len, datagram_bytes, socket: 0, to, ticket: 0 });
        }
        self.driver.turn(None, &mut |_| ())?;
        if let Some(failure) = self.driver.take_failure() {
            anyhow::bail!("a train could not be sent on {}: {failure:?}", self.link);
        }
        if let Far::Device { filter, .. } = &mut self.far {
            filter.consume(usize::MAX, |_| ());
        }
        Ok(bytes as u64)
    }
}

/// A socket towards a thread that throws away what comes.
fn loopback(core: usize) -> anyhow::Result<(UdpSocket, SocketAddr, Far)> {
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config =
        UdpConfig { gro: true, receive_buffer_bytes: SOCKET_BUFFER_BYTES, ..UdpConfig::default() };
    let receiver = UdpSocket::bind(here, &config)?;
    let to = receiver.local_addr();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let (kind, _) = probe::choose(None)?;
    let thread = std::thread::spawn(move || {
        let driver = cpu::pin_current_thread(core)
            .and_then(|()| Driver::new(kind, vec![receiver], DriverConfig::CLIENT));
        let mut driver = driver.unwrap_or_else(|error| panic!("the receiver: {error}"));
        while !stopped.load(Ordering::Relaxed) {
            let turn = driver.turn(Some(Duration::from_millis(5)), &mut |_| ());
            turn.unwrap_or_else(|error| panic!("the receiver: {error}"));
        }
    });
    let far = Far::Receiver { stop, thread: Some(thread) };
    Ok((UdpSocket::bind(here, &UdpConfig::default())?, to, far))
}

/// A socket in a namespace whose device drops every train.
fn sink(datagram: usize) -> anyhow::Result<(UdpSocket, SocketAddr, Far)> {
    let (net, tap) = Net::new(datagram)?;
    let filter = TrainFilter::new(NONE_PASSES, 1 << 20)?;
    filter.attach(&tap)?;
    let bind = || UdpSocket::bind(Net::server_address(), &UdpConfig::default());
    let socket = net.namespace.run(bind)??;
    Ok((socket, NOBODY, Far::Device { _net: net, _tap: tap, filter }))
}

impl Variant for SendLoop {
    fn row(&self, figures: Band) -> Row {
        Row {
            what: if self.sealing.is_some() { "seal and send" } else { "send" },
            engine: self.sealing.is_some().then_some(Engine::AwsLc),
            cipher: self.sealing.is_some().then_some(Cipher::Aes128Gcm),
            datagram_bytes: Some(self.datagram),
            prefetch: self.sealing.is_some().then_some(true),
            link: Some(self.link),
            gb_per_cpu_s: figures,
            ns_per_datagram: Some((self.datagram - OVERHEAD) as f64 / figures.median),
        }
    }

    fn work(&mut self, pool: &mut Pool, time: Duration) -> anyhow::Result<u64> {
        let end = Instant::now() + time;
        let mut bytes = 0;
        while Instant::now() < end {
            bytes += self.turn(pool)?;
        }
        Ok(bytes)
    }
}

impl Drop for SendLoop {
    fn drop(&mut self) {
        if let Far::Receiver { stop, thread } = &mut self.far {
            stop.store(true, Ordering::Relaxed);
            // A panic of the receiver has been shown already.
            let _ = thread.take().map(JoinHandle::join);
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "loopback",
            Self::Sink => "sink",
        })
    }
}
