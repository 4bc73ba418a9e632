//! UDP sockets with the options that every socket of the product has: explicit address, ECN,
//! don't-fragment, buffer sizes; and, where asked for, reuseport and receive offload.

pub(crate) mod control;
pub(crate) mod kernel_abi;
pub mod multicast;
pub mod sounding;
pub mod steering;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use socket2::{Domain, Protocol, Socket, Type};

use crate::error::SysError;

/// Most datagrams that one send may carry as a train: `UDP_MAX_SEGMENTS` of kernels before 6.9
/// (udp(7), UDP_SEGMENT; later ones take 128).
pub const MAX_TRAIN_DATAGRAMS: usize = 64;

/// Most bytes of payload of one UDP send over IPv4: 65 535 less 20 (IP) and 8 (UDP).
pub const MAX_SEND_BYTES: usize = 65_507;

/// ECT(0), the low two bits of the TOS or traffic class byte (RFC 3168, section 5).
pub const ECT0: u8 = 0b10;
/// CE, congestion experienced.
pub const CE: u8 = 0b11;

/// `IP_PMTUDISC_PROBE`: set don't-fragment, ignore path MTU messages (ip(7)). The same number in
/// IPv6. The session probes sizes itself, and a forged ICMP message must not shrink them.
const PMTUDISC_PROBE: i32 = 3;

/// What differs between sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UdpConfig {
    /// `SO_REUSEPORT`: several sockets of this user share the address.
    pub reuse_port: bool,
    /// `IP_FREEBIND` (ip(7)): the address may be on no interface yet. It is served as soon as it is.
    pub free_bind: bool,
    /// `UDP_GRO`: the kernel hands over trains of equal datagrams of one sender as one. For
    /// clients; never on an edge's sockets, where it would merge datagrams of different sessions.
    pub gro: bool,
    /// `SO_RXQ_OVFL`: count datagrams that were dropped because the receive buffer was full.
    pub count_overflow: bool,
    /// Wanted receive buffer in bytes; 0: the system's default.
    pub receive_buffer_bytes: usize,
    /// Wanted send buffer in bytes; 0: the system's default.
    pub send_buffer_bytes: usize,
    /// The driver never receives on it: what comes stays in its receive buffer.
    pub send_only: bool,
}

/// A bound UDP socket, in blocking mode (the ring arms its own polls only for blocking sockets;
/// the other driver says `MSG_DONTWAIT`).
#[derive(Debug)]
pub struct UdpSocket {
    socket: Socket,
    local: SocketAddr,
    gro: bool,
    send_only: bool,
    got_receive: usize,
    got_send: usize,
}

/// What `EACCES` means of a bind.
const BELOW_1024: &str = "ports below 1024 need CAP_NET_BIND_SERVICE";

impl UdpSocket {
    /// Binds `address` (port 0: the kernel chooses). IPv6 sockets take IPv6 only, so a pair of
    /// sockets serves both. Sends are marked ECT(0), the ECN bits of received datagrams are
    /// reported, datagrams are never fragmented.
    ///
    /// # Errors
    /// If the address cannot be bound or an option is refused. A buffer that comes out smaller
    /// than wanted is no error: see [`Self::receive_buffer_bytes`].
    pub fn bind(address: SocketAddr, config: &UdpConfig) -> Result<UdpSocket, SysError> {
        Self::bound(Self::open(address, config)?, address, config)
    }

    /// A socket for `address` with all options that are set before it is bound.
    fn open(address: SocketAddr, config: &UdpConfig) -> Result<Socket, SysError> {
        let failed = |what: &str, e: io::Error| SysError::new(format!("{what} {address}"), e);
        let socket =
            Socket::new(Domain::for_address(address), Type::DGRAM.cloexec(), Some(Protocol::UDP))
                .map_err(|e| failed("open a UDP socket for", e))?;
        if address.is_ipv6() {
            socket.set_only_v6(true).map_err(|e| failed("set IPV6_V6ONLY for", e))?;
        }
        if config.reuse_port {
            socket.set_reuse_port(true).map_err(|e| failed("set SO_REUSEPORT for", e))?;
        }
        if config.free_bind {
            let (level, option) = if address.is_ipv4() {
                (libc::IPPROTO_IP, libc::IP_FREEBIND)
            } else {
                (libc::IPPROTO_IPV6, libc::IPV6_FREEBIND)
            };
            set_option(socket.as_fd(), level, option, 1)
                .map_err(|e| failed("set IP_FREEBIND for", e))?;
        }
        set_family_options(&socket, address)?;
        set_optional(&socket, config)?;
        Ok(socket)
    }

    /// Binds what [`Self::open`] made with the same arguments.
    fn bound(
        socket: Socket,
        address: SocketAddr,
        config: &UdpConfig,
    ) -> Result<UdpSocket, SysError> {
        let failed = |what: &str, e: io::Error| SysError::new(format!("{what} {address}"), e);
        socket.bind(&address.into()).map_err(|e| match e.raw_os_error() {
            Some(libc::EACCES) => failed("bind", e).with_hint(BELOW_1024),
            _ => failed("bind", e),
        })?;
        let local = socket
            .local_addr()
            .map_err(|e| failed("read the bound address of", e))?
            .as_socket()
            .ok_or_else(|| failed("bind", io::Error::from_raw_os_error(libc::EAFNOSUPPORT)))?;
        // The kernel doubles what is asked, for its own overhead, and reports the double (socket(7)).
        let got_receive = socket.recv_buffer_size().unwrap_or(0) / 2;
        let got_send = socket.send_buffer_size().unwrap_or(0) / 2;
        let UdpConfig { gro, send_only, .. } = *config;
        Ok(UdpSocket { socket, local, gro, send_only, got_receive, got_send })
    }

    /// The bound address, with the port that the kernel chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The receive buffer that was got, in bytes. Less than wanted: raise `net.core.rmem_max`.
    pub fn receive_buffer_bytes(&self) -> usize {
        self.got_receive
    }

    /// The send buffer that was got, in bytes. Less than wanted: raise `net.core.wmem_max`.
    pub fn send_buffer_bytes(&self) -> usize {
        self.got_send
    }

    /// Whether receive offload is on.
    pub fn gro(&self) -> bool {
        self.gro
    }

    /// Whether drivers leave alone what it receives.
    pub(crate) fn send_only(&self) -> bool {
        self.send_only
    }

    /// Switches receive offload off.
    #[cfg(any(feature = "tokio-uring", feature = "glommio"))]
    pub(crate) fn stop_gro(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.gro) {
            set_option(self.as_fd(), libc::SOL_UDP, libc::UDP_GRO, 0)?;
        }
        Ok(())
    }

    /// Cuts sends without a control message of their own into datagrams of `bytes` (udp(7),
    /// UDP_SEGMENT); 0: not at all.
    ///
    /// # Errors
    /// On kernels without UDP_SEGMENT.
    pub fn set_segment(&self, bytes: u16) -> io::Result<()> {
        set_option(self.as_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, bytes.into())
    }

    pub(crate) fn raw(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// ECN both ways and don't-fragment, which have different names in the two families.
fn set_family_options(socket: &Socket, address: SocketAddr) -> Result<(), SysError> {
    let tos = i32::from(ECT0);
    let options: [(i32, i32, i32, &str); 3] = if address.is_ipv4() {
        [
            (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, PMTUDISC_PROBE, "IP_MTU_DISCOVER"),
            (libc::IPPROTO_IP, libc::IP_TOS, tos, "IP_TOS"),
            (libc::IPPROTO_IP, libc::IP_RECVTOS, 1, "IP_RECVTOS"),
        ]
    } else {
        [
            (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, PMTUDISC_PROBE, "IPV6_MTU_DISCOVER"),
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS, tos, "IPV6_TCLASS"),
            (libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1, "IPV6_RECVTCLASS"),
        ]
    };
    for (level, name, value, text) in options {
        set_option(socket.as_fd(), level, name, value)
            .map_err(|e| SysError::new(format!("set {text} on a socket for {address}"), e))?;
    }
    Ok(())
}

/// The options of [`UdpConfig`], but for reuseport.
fn set_optional(socket: &Socket, config: &UdpConfig) -> Result<(), SysError> {
    if config.gro {
        set_option(socket.as_fd(), libc::SOL_UDP, libc::UDP_GRO, 1).map_err(|e| {
            SysError::new("set UDP_GRO", e).with_hint("receive offload needs Linux 5.0")
        })?;
    }
    if config.count_overflow {
        set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1)
            .map_err(|e| SysError::new("set SO_RXQ_OVFL", e))?;
    }
    for (bytes, force, plain, text) in [
        (config.receive_buffer_bytes, libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, "SO_RCVBUF"),
        (config.send_buffer_bytes, libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, "SO_SNDBUF"),
    ] {
        if bytes == 0 {
            continue;
        }
        let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
        // The forced form goes beyond net.core.*mem_max and needs CAP_NET_ADMIN; the plain one is
        // cut there without an error.
        set_option(socket.as_fd(), libc::SOL_SOCKET, force, bytes)
            .or_else(|_| set_option(socket.as_fd(), libc::SOL_SOCKET, plain, bytes))
            .map_err(|e| SysError::new(format!("set {text} to {bytes}"), e))?;
    }
    Ok(())
}

/// setsockopt(2) with an `int`.
pub(crate) fn set_option(
    socket: BorrowedFd<'_>,
    level: i32,
    name: i32,
    value: i32,
) -> io::Result<()> {
    let length = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the descriptor is open (borrowed), and the value is an int of the stated length that
    // lives through the call; the kernel copies it.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), length)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_both_families_on_one_port_and_reports_buffers() {
        let config = UdpConfig { receive_buffer_bytes: 64 * 1024, ..UdpConfig::default() };
        let v4 = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), &config).unwrap();
        assert_ne!(v4.local_addr().port(), 0);
        assert!(v4.receive_buffer_bytes() >= 64 * 1024);
        assert!(v4.send_buffer_bytes() > 0);
        let v6 = SocketAddr::new("::1".parse().unwrap(), v4.local_addr().port());
        let v6 = UdpSocket::bind(v6, &UdpConfig::default()).unwrap();
        assert_eq!(v6.local_addr().port(), v4.local_addr().port());
    }

    #[test]
    fn an_address_in_use_is_named_in_the_error() {
        let first = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), &UdpConfig::default()).unwrap();
        let error = UdpSocket::bind(first.local_addr(), &UdpConfig::default()).unwrap_err();
        assert_eq!(error.errno(), Some(libc::EADDRINUSE));
        assert!(error.to_string().contains(&first.local_addr().to_string()), "{error}");
    }

    #[test]
    fn datagrams_larger_than_the_link_are_refused_not_fragmented() {
        let socket =
            UdpSocket::bind("127.0.0.1:0".parse().unwrap(), &UdpConfig::default()).unwrap();
        let df = socket.socket.send_to(&[0; MAX_SEND_BYTES], &socket.local_addr().into());
        assert_eq!(df.unwrap(), MAX_SEND_BYTES, "loopback takes the largest datagram whole");
        let error = socket.socket.send_to(&[0; MAX_SEND_BYTES + 1], &socket.local_addr().into());
        assert_eq!(error.unwrap_err().raw_os_error(), Some(libc::EMSGSIZE));
    }
}
