//! From what the kernel received to datagrams for the caller: cuts merged ones apart, reads ECN and
//! the overflow count, drops what was cut off.

use std::net::SocketAddr;

use crate::driver::Received;
use crate::driver::stats::DriverStats;
use crate::udp::{control, kernel_abi};

/// One received message, still as the kernel wrote it.
pub(crate) struct Message<'a> {
    pub(crate) socket: u16,
    /// A `sockaddr_in` or `sockaddr_in6`.
    pub(crate) name: &'a [u8],
    /// Control messages.
    pub(crate) control: &'a [u8],
    /// `MSG_TRUNC` and others (recvmsg(2)).
    pub(crate) flags: i32,
    pub(crate) payload: &'a mut [u8],
}

/// State of receiving: the last overflow count of each socket, which the kernel reports as a total.
#[derive(Debug)]
pub(crate) struct Inbox {
    overflow: Box<[u32]>,
}

impl Inbox {
    pub(crate) fn new(sockets: usize) -> Inbox {
        Inbox { overflow: vec![0; sockets].into() }
    }

    /// Hands the datagrams of one message over and returns how many they were.
    pub(crate) fn deliver(
        &mut self,
        message: Message<'_>,
        stats: &mut DriverStats,
        on_datagram: &mut dyn FnMut(Received<'_>),
    ) -> u32 {
        let Message { socket, name, control, flags, payload } = message;
        let control = control::parse(control);
        if let (Some(total), Some(last)) =
            (control.overflow, self.overflow.get_mut(usize::from(socket)))
        {
            stats.receive_overflow += u64::from(total.wrapping_sub(*last));
            *last = total;
        }
        if flags & libc::MSG_TRUNC != 0 {
            stats.truncated += 1;
            return 0;
        }
        let Some(from) = kernel_abi::socket_address(name) else {
            stats.receive_errors += 1;
            return 0;
        };
        let ecn = control.ecn;
        stats.bytes_in += payload.len() as u64;
        let mut count = 0;
        let mut hand_over = |from: SocketAddr, bytes: &mut [u8]| {
            count += 1;
            on_datagram(Received { socket, from, ecn, bytes });
        };
        if control.merged == 0 || payload.len() <= control.merged {
            // Also the empty datagram, of which `chunks_mut` would make none.
            hand_over(from, payload);
        } else {
            payload.chunks_mut(control.merged).for_each(|bytes| hand_over(from, bytes));
        }
        stats.datagrams_in += u64::from(count);
        count
    }
}

/// Errors of a socket that mean the program is wrong, not the network: going on would spin.
pub(crate) fn is_fatal(errno: Option<i32>) -> bool {
    matches!(errno, Some(libc::EBADF | libc::ENOTSOCK | libc::EFAULT))
}
