//! What all drivers have: sockets, waker, send buffers, trains on their way out, counters.

use std::fmt;
use std::io;
use std::rc::Rc;

use crate::driver::inbox::Inbox;
use crate::driver::stats::DriverStats;
use crate::driver::trains::arena::{Arena, SendBuffer};
use crate::driver::trains::outbox::Outbox;
use crate::driver::trains::zero_copy::{Choice, ZeroCopy};
use crate::driver::waker::Waker;
use crate::driver::{DriverConfig, Outgoing, SendFailure};
use crate::error::SysError;
use crate::udp::UdpSocket;

/// The part of a driver that does not depend on how it talks to the kernel.
pub(crate) struct Base {
    pub(crate) sockets: Vec<UdpSocket>,
    pub(crate) waker: Waker,
    pub(crate) arena: Rc<Arena>,
    pub(crate) outbox: Outbox,
    pub(crate) inbox: Inbox,
    pub(crate) stats: DriverStats,
    /// Why nothing is sent without copying, although it was asked for.
    pub(crate) no_zero_copy: Option<SysError>,
    /// Why this is not the ring's driver, which was asked for.
    pub(crate) no_ring: Option<SysError>,
}

impl Base {
    pub(crate) fn new(sockets: Vec<UdpSocket>, config: DriverConfig) -> Result<Base, SysError> {
        Ok(Base {
            waker: Waker::new()?,
            arena: Arena::new(config.send_buffers, config.send_buffer_bytes as usize)?,
            outbox: Outbox::new(config.send_buffers, config.gso),
            inbox: Inbox::new(sockets.len()),
            stats: DriverStats::default(),
            no_zero_copy: None,
            no_ring: None,
            sockets,
        })
    }

    /// Sends without copying when `when` says, if the driver is `able`.
    pub(crate) fn choose_zero_copy(&mut self, when: ZeroCopy, able: Result<(), SysError>) {
        match able {
            Ok(()) => {
                let local = self.sockets.iter().map(|socket| socket.local_addr().ip()).collect();
                self.outbox.zero_copy = Choice::new(when, local);
            }
            Err(missing) => self.no_zero_copy = Some(missing),
        }
    }

    /// For a driver that cannot send without copying: says so if it is asked for in any case. `through` is what it sends
    /// through.
    pub(crate) fn refuse_zero_copy(&mut self, when: ZeroCopy, through: &str, hint: &'static str) {
        if when == ZeroCopy::Always {
            let cause = io::Error::from_raw_os_error(libc::EOPNOTSUPP);
            let missing = SysError::new(format!("send without copying through {through}"), cause);
            self.no_zero_copy = Some(missing.with_hint(hint));
        }
    }

    /// Switches receive offload off: for a driver that is not told the size of merged datagrams. Nothing is received yet.
    #[cfg(any(feature = "tokio-uring", feature = "glommio"))]
    pub(crate) fn no_receive_offload(&mut self) -> Result<(), SysError> {
        for socket in &mut self.sockets {
            socket.stop_gro().map_err(|e| SysError::new("switch UDP_GRO off", e))?;
        }
        Ok(())
    }

    /// The indexes of the sockets that are received on.
    pub(crate) fn receiving(&self) -> impl Iterator<Item = u16> {
        let sockets = (0..).zip(&self.sockets);
        sockets.filter(|(_, socket)| !socket.send_only()).map(|(index, _)| index)
    }

    pub(crate) fn send_buffer(&self) -> Option<SendBuffer> {
        self.arena.take()
    }

    /// A driver of this name for `Debug`: its sockets and counters.
    pub(crate) fn fmt_as(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Base { sockets, stats, .. } = self;
        f.debug_struct(name).field("sockets", sockets).field("stats", stats).finish()
    }

    pub(crate) fn take_failure(&mut self) -> Option<SendFailure> {
        self.outbox.failures.take()
    }

    /// Takes a train over, as [`crate::driver::Driver::send`] describes it, and returns its slot.
    pub(crate) fn accept(&mut self, train: Outgoing) -> u16 {
        let socket = train.socket;
        assert!(usize::from(socket) < self.sockets.len(), "there is no socket {socket}");
        assert!(train.buffer.is_of(&self.arena), "the buffer is another driver's");
        self.outbox.accept(train)
    }
}
