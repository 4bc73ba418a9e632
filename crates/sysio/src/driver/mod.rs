//! Datagram I/O of one thread: receive, send trains, wait, be woken. Two drivers of one shape:
//! [`ring`] (io_uring) and [`mmsg`] (epoll, recvmmsg, sendmmsg) for kernels or containers without.
//! Two more wrap an executor, behind features and for comparison: `runtimes`.
//!
//! How to drive it: fill a buffer from [`Driver::send_buffer`], [`Driver::send`] it, and call
//! [`Driver::turn`]; what was queued goes out at the beginning of the turn. After a turn, empty
//! [`Driver::take_failure`]. No turn is unbounded, and nothing here allocates after construction, but for the executors.

mod backend;
mod base;
mod inbox;
pub mod mmsg;
pub mod ring;
#[cfg(any(feature = "tokio-uring", feature = "glommio"))]
pub mod runtimes;
mod stats;
#[cfg(test)]
mod tests;
mod trains;
mod waker;

use std::net::SocketAddr;
use std::time::Duration;

pub use mmsg::MmsgDriver;
pub use ring::RingDriver;
#[cfg(feature = "glommio")]
pub use runtimes::on_glommio::GlommioDriver;
#[cfg(feature = "tokio-uring")]
pub use runtimes::on_tokio_uring::TokioUringDriver;
pub use stats::DriverStats;
pub use trains::arena::SendBuffer;
pub use trains::failure::{FailureKind, SendFailure};
pub use trains::outgoing::Outgoing;
pub use trains::zero_copy::ZeroCopy;
pub use waker::Waker;

use crate::driver::backend::{Backend, kind_of};
use crate::driver::base::Base;
use crate::error::SysError;
use crate::kind::IoKind;
use crate::udp::UdpSocket;

/// Most received messages handed over in one turn. With receive offload a message holds up to 64
/// datagrams; without, one. 256 datagrams of 1200 bytes are opened in about 100 µs.
pub const RECEIVES_PER_TURN: usize = 256;

/// Sizes of a driver, fixed when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DriverConfig {
    /// Receive buffers; the ring rounds up to a power of two, at most 32 768.
    pub receive_buffers: u16,
    /// Payload bytes of each: at least the largest datagram, 65 536 with receive offload.
    pub receive_buffer_bytes: u32,
    /// Send buffers, which is also the most trains in flight.
    pub send_buffers: u16,
    /// Bytes of each, rounded up to whole pages.
    pub send_buffer_bytes: u32,
    /// Send trains with UDP_SEGMENT. `false`: every datagram by itself.
    pub gso: bool,
    /// Send trains without copying (the ring only, Linux 6.2).
    pub zero_copy: ZeroCopy,
}

impl DriverConfig {
    /// For a shard of an edge: 1024 × 2 KiB to receive, 16 × 64 KiB to send (a slab of 1 MiB,
    /// `docs/internals/trains.md`).
    pub const EDGE: DriverConfig = DriverConfig {
        receive_buffers: 1024,
        receive_buffer_bytes: 2048,
        send_buffers: 16,
        send_buffer_bytes: 65_536,
        gso: true,
        zero_copy: ZeroCopy::Auto,
    };

    /// For a client with receive offload: 64 × 64 KiB to receive, 8 × 4 KiB to send.
    pub const CLIENT: DriverConfig = DriverConfig {
        receive_buffers: 64,
        receive_buffer_bytes: 65_536,
        send_buffers: 8,
        send_buffer_bytes: 4096,
        gso: true,
        zero_copy: ZeroCopy::Never,
    };
}

/// One received datagram.
#[derive(Debug)]
pub struct Received<'a> {
    /// Which socket: the index in the list given to [`Driver::new`].
    pub socket: u16,
    /// The sender.
    pub from: SocketAddr,
    /// ECN bits (RFC 3168): 0 not capable, 1 and 2 capable, 3 congestion experienced.
    pub ecn: u8,
    /// The payload; may be changed in place. The kernel reuses it after the call.
    pub bytes: &'a mut [u8],
}

/// What one turn did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Turn {
    /// Datagrams handed over.
    pub datagrams: u32,
    /// Trains that are over, whether sent or failed; so many send buffers came back.
    pub trains_over: u32,
    /// A waker was used.
    pub woken: bool,
}

/// Datagram I/O of one thread. It is not `Send`: make it on the thread that uses it.
///
/// ```compile_fail
/// fn send<T: Send>() {}
/// send::<segcast_sysio::driver::Driver>();
/// ```
#[derive(Debug)]
pub enum Driver {
    /// io_uring.
    Ring(RingDriver),
    /// epoll, recvmmsg, sendmmsg.
    Mmsg(MmsgDriver),
    /// tokio-uring.
    #[cfg(feature = "tokio-uring")]
    TokioUring(TokioUringDriver),
    /// glommio.
    #[cfg(feature = "glommio")]
    Glommio(GlommioDriver),
}

/// An expression about the driver inside, whichever it is. Not dynamic dispatch: each arm is compiled for its driver.
macro_rules! inside {
    ($driver:expr, $inner:ident => $expression:expr) => {
        match $driver {
            Driver::Ring($inner) => $expression,
            Driver::Mmsg($inner) => $expression,
            #[cfg(feature = "tokio-uring")]
            Driver::TokioUring($inner) => $expression,
            #[cfg(feature = "glommio")]
            Driver::Glommio($inner) => $expression,
        }
    };
}

impl Driver {
    /// A driver of `kind` that owns `sockets`, which must be bound.
    ///
    /// # Errors
    /// If memory, descriptors or the ring cannot be had, or `kind` was not built in.
    ///
    /// # Panics
    /// With more than 65 535 sockets, or no send buffer.
    pub fn new(
        kind: IoKind,
        sockets: Vec<UdpSocket>,
        config: DriverConfig,
    ) -> Result<Driver, SysError> {
        let mut driver = Driver::unregistered(kind, sockets, config)?;
        driver.register(config);
        Ok(driver)
    }

    /// The same for several drivers that share a limit of locked memory: those that come first leave room for the others'
    /// rings, as their send buffers are only registered by [`Self::register`].
    ///
    /// # Errors
    /// As [`Self::new`].
    ///
    /// # Panics
    /// As [`Self::new`].
    pub fn unregistered(
        kind: IoKind,
        sockets: Vec<UdpSocket>,
        config: DriverConfig,
    ) -> Result<Driver, SysError> {
        assert!(sockets.len() <= usize::from(u16::MAX), "{} sockets", sockets.len());
        assert!(config.send_buffers > 0, "a driver without send buffers cannot send");
        match kind {
            IoKind::Mmsg => MmsgDriver::new(sockets, config).map(Driver::Mmsg),
            IoKind::Ring => RingDriver::new(sockets, config).map(Driver::Ring),
            #[cfg(feature = "tokio-uring")]
            IoKind::TokioUring => TokioUringDriver::new(sockets, config).map(Driver::TokioUring),
            #[cfg(feature = "glommio")]
            IoKind::Glommio => GlommioDriver::new(sockets, config).map(Driver::Glommio),
            #[cfg(not(all(feature = "tokio-uring", feature = "glommio")))]
            other => Err(other.not_built()),
        }
    }

    /// As [`Self::unregistered`]; where a ring was wanted and does not fit into the limit of locked memory, `mmsg`, and
    /// [`Self::no_ring`] says why.
    ///
    /// # Errors
    /// As [`Self::new`].
    ///
    /// # Panics
    /// As [`Self::new`].
    pub fn fitting(
        kind: IoKind,
        sockets: Vec<UdpSocket>,
        config: DriverConfig,
    ) -> Result<Driver, SysError> {
        if kind != IoKind::Ring {
            return Driver::unregistered(kind, sockets, config);
        }
        match ring::Parts::new(sockets.len(), &config) {
            Ok(parts) => RingDriver::of(parts, sockets, config).map(Driver::Ring),
            Err(missing) if missing.errno() == Some(libc::ENOMEM) => {
                let mut driver = Driver::unregistered(IoKind::Mmsg, sockets, config)?;
                driver.base_mut().no_ring = Some(missing);
                Ok(driver)
            }
            Err(error) => Err(error),
        }
    }

    /// Registers the send buffers of a driver made with this `config`, if it is to send without copying. What does not fit
    /// into the limit of locked memory is copied, and [`Self::no_zero_copy`] says why.
    pub fn register(&mut self, config: DriverConfig) {
        inside!(self, driver => driver.register_send_buffers(config));
    }

    /// Which kind this is.
    pub fn kind(&self) -> IoKind {
        inside!(self, driver => kind_of(driver))
    }

    fn base(&self) -> &Base {
        inside!(self, driver => driver.base())
    }

    fn base_mut(&mut self) -> &mut Base {
        inside!(self, driver => driver.base_mut())
    }

    /// The sockets, in the order given to [`Self::new`].
    pub fn sockets(&self) -> &[UdpSocket] {
        &self.base().sockets
    }

    /// Something that ends a wait of [`Self::turn`] from any thread.
    pub fn waker(&self) -> Waker {
        self.base().waker.clone()
    }

    /// One turn: sends what is queued, waits at most `timeout` (`None`: for ever; zero: not at all)
    /// for a datagram, the end of a train or a waker, and hands over what arrived, at most
    /// [`RECEIVES_PER_TURN`] messages. It may also return early with nothing to say (a signal).
    ///
    /// # Errors
    /// Only when the driver cannot go on. What concerns one datagram or one train is counted or
    /// reported by [`Self::take_failure`].
    pub fn turn(
        &mut self,
        timeout: Option<Duration>,
        on_datagram: &mut dyn FnMut(Received<'_>),
    ) -> Result<Turn, SysError> {
        inside!(self, driver => driver.turn(timeout, on_datagram))
    }

    /// A free send buffer, the one used last. `None`: all are filled or in flight; a turn may
    /// bring some back. Its contents are undefined.
    pub fn send_buffer(&mut self) -> Option<SendBuffer> {
        self.base().send_buffer()
    }

    /// Queues a train, to go out in the next turn.
    ///
    /// # Panics
    /// If its length exceeds the buffer, its datagrams have none, there is no such socket, or the buffer is
    /// another driver's.
    pub fn send(&mut self, train: Outgoing) {
        let socket = train.socket;
        let slot = self.base_mut().accept(train);
        inside!(self, driver => driver.queue(slot, socket));
    }

    /// Gives an unused buffer back; the same as dropping it.
    pub fn release(&mut self, buffer: SendBuffer) {
        drop(buffer);
    }

    /// The oldest failure not yet taken. At most 256 are kept, more are counted in
    /// [`DriverStats::failures_dropped`].
    pub fn take_failure(&mut self) -> Option<SendFailure> {
        self.base_mut().take_failure()
    }

    /// Why nothing is sent without copying, although [`DriverConfig::zero_copy`] asks for it: the
    /// arena could not be registered (RLIMIT_MEMLOCK), or the driver has no such way. Everything
    /// works all the same.
    pub fn no_zero_copy(&self) -> Option<&SysError> {
        self.base().no_zero_copy.as_ref()
    }

    /// Why this is not the ring's driver, although [`Self::fitting`] was asked for it.
    pub fn no_ring(&self) -> Option<&SysError> {
        self.base().no_ring.as_ref()
    }

    /// Counters since the driver was made.
    pub fn stats(&self) -> DriverStats {
        self.base().stats
    }
}
