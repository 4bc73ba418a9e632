//! What every driver implements for [`Driver`](crate::driver::Driver), the enum around them.

use std::time::Duration;

use crate::driver::base::Base;
use crate::driver::{DriverConfig, Received, Turn};
use crate::error::SysError;
use crate::kind::IoKind;
use crate::udp::UdpSocket;

/// One way to talk to the kernel. Only drivers of this crate have it: it is not to be seen outside.
pub(crate) trait Backend: Sized {
    const KIND: IoKind;

    /// As [`Driver::new`](crate::driver::Driver::new), but for the registration.
    fn new(sockets: Vec<UdpSocket>, config: DriverConfig) -> Result<Self, SysError>;

    /// As [`Driver::register`](crate::driver::Driver::register).
    fn register_send_buffers(&mut self, _config: DriverConfig) {}

    fn base(&self) -> &Base;

    fn base_mut(&mut self) -> &mut Base;

    /// Queues the accepted train in `slot`, which leaves from `socket`.
    fn queue(&mut self, slot: u16, socket: u16);

    /// As [`Driver::turn`](crate::driver::Driver::turn).
    fn turn(
        &mut self,
        timeout: Option<Duration>,
        on_datagram: &mut dyn FnMut(Received<'_>),
    ) -> Result<Turn, SysError>;
}

/// The kind of a driver at hand.
pub(crate) fn kind_of<B: Backend>(_: &B) -> IoKind {
    B::KIND
}
