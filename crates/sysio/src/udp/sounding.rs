//! What the network says of an address from which nothing comes.
//!
//! Sessions do not ask: their sockets stay unconnected, so that they follow the machine to another network, and then the
//! kernel tells them nothing of ICMP errors (udp(7)). This socket is there for nothing else.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;

use super::{UdpConfig, UdpSocket, set_option};
use crate::error::SysError;

/// A socket that has sent one datagram to an address, and keeps the error that comes of it.
#[derive(Debug)]
pub struct Sounding {
    socket: UdpSocket,
    /// Of the sending itself.
    sent: Option<i32>,
}

impl Sounding {
    /// Sends one datagram of `bytes` zeros, never fragmented, to `address`.
    ///
    /// # Errors
    /// When the system gives no socket. An address to which nothing can be sent is no error here: see [`Self::error`].
    pub fn start(address: SocketAddr, bytes: usize) -> Result<Self, SysError> {
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any, &UdpConfig::default())?;
        // Errors that may pass, such as an unreachable host, are told only to who asks for all (ip(7)).
        let (level, name) = match address {
            SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_RECVERR),
            SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
        };
        set_option(socket.as_fd(), level, name, 1)
            .map_err(|error| SysError::new("set IP_RECVERR", error))?;
        let sent = socket.socket.connect(&address.into());
        let sent = sent.and_then(|()| socket.socket.send(&vec![0; bytes]));
        let sent = sent.err().as_ref().and_then(io::Error::raw_os_error);
        Ok(Self { socket, sent })
    }

    /// The error, as an errno, if one came since the last time; that of the sending itself stays.
    pub fn error(&self) -> Option<i32> {
        let come = self.socket.socket.take_error().ok().flatten();
        come.as_ref().and_then(io::Error::raw_os_error).or(self.sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_where_nobody_listens_is_told() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let config = UdpConfig::default();
            let closed = UdpSocket::bind(host.parse().unwrap(), &config).unwrap().local_addr();
            // Over the loopback the answer is there before the call returns.
            assert_eq!(Sounding::start(closed, 1200).unwrap().error(), Some(libc::ECONNREFUSED));
        }
    }

    #[test]
    fn a_port_where_somebody_listens_says_nothing() {
        let config = UdpConfig::default();
        let open = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), &config).unwrap();
        assert_eq!(Sounding::start(open.local_addr(), 1200).unwrap().error(), None);
    }

    #[test]
    fn an_address_that_none_is_and_a_datagram_too_large_are_told() {
        let at = |address: &str, bytes| {
            Sounding::start(address.parse().unwrap(), bytes).unwrap().error()
        };
        assert_eq!(at("255.255.255.255:9", 1200), Some(libc::EACCES));
        assert_eq!(at("[fe80::1]:9", 1200), Some(libc::EINVAL));
        assert_eq!(at("127.0.0.1:9", 65_508), Some(libc::EMSGSIZE));
    }
}
