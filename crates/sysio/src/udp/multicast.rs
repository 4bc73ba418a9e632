//! Multicast: sockets that send to groups, sockets that receive from one source of a group (RFC 4607), and the interface
//! that both name. Everything goes by the interface's index, never by the routes of the machine.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::net::netdevice::name_to_index;
use rustix::net::sockopt::set_ip_multicast_if_with_ifindex;
use socket2::{Domain, SockAddr, SockAddrStorage, Socket, Type};

use crate::error::SysError;
use crate::udp::{UdpConfig, UdpSocket};

/// IPv4 groups that a socket may be a member of: the default of net.ipv4.igmp_max_memberships (ip(7)).
pub const MEMBERSHIPS: usize = 20;

/// Options of linux/in.h for both families, which libc has not: protocol-independent memberships (RFC 3678, section 5.1).
const MCAST_JOIN_SOURCE_GROUP: i32 = 46;
const MCAST_LEAVE_SOURCE_GROUP: i32 = 47;

/// An interface of this machine that carries multicast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interface {
    index: u32,
}

impl Interface {
    /// The interface called `name` in this network namespace. It may be down: memberships begin when it is up. The
    /// loopback serves though it does not have the flag MULTICAST: to try things on one machine.
    ///
    /// # Errors
    /// When there is no such interface, or it does not carry multicast (netdevice(7), IFF_MULTICAST).
    pub fn named(name: &str) -> Result<Interface, SysError> {
        let failed = |e| SysError::new(format!("find the interface {name}"), e);
        let socket = Socket::new(Domain::IPV4, Type::DGRAM.cloexec(), None).map_err(failed)?;
        let index = name_to_index(&socket, name).map_err(|e| {
            failed(e.into()).with_hint("`ip link` lists those that this machine has")
        })?;
        let flags = flags(socket.as_fd(), name).map_err(failed)?;
        if flags & (libc::IFF_MULTICAST | libc::IFF_LOOPBACK) == 0 {
            let cause = io::Error::from_raw_os_error(libc::EOPNOTSUPP);
            let error = SysError::new(format!("use the interface {name} for multicast"), cause);
            let hint = format!(
                "it does not have the flag MULTICAST: take another, or `ip link set {name} multicast on`"
            );
            return Err(error.with_hint(hint));
        }
        Ok(Interface { index })
    }

    /// Its number in this network namespace.
    #[must_use]
    pub fn index(self) -> u32 {
        self.index
    }
}

/// How a socket sends to groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupSending {
    /// Where datagrams leave.
    pub interface: Interface,
    /// Routers that they may pass, and one more: 1 stays in the network of the interface.
    pub hops: u8,
    /// Members on this machine get them, too (ip(7), IP_MULTICAST_LOOP).
    pub looped: bool,
}

/// A membership: what `source` sends to `group` is received on an interface, and nothing that others send there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// Where it is received.
    pub interface: Interface,
    /// The only sender, a unicast address.
    pub source: IpAddr,
    /// The group, of the source's family.
    pub group: IpAddr,
}

impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group {} of {}", self.group, self.source)
    }
}

impl UdpSocket {
    /// A socket that sends to groups from `source` and a port that the kernel chooses; a driver never receives on it.
    ///
    /// # Errors
    /// If the address is on no interface, or an option is refused.
    pub fn bind_group_sender(
        source: IpAddr,
        sending: &GroupSending,
        config: &UdpConfig,
    ) -> Result<UdpSocket, SysError> {
        let config = UdpConfig { send_only: true, reuse_port: false, ..*config };
        let index = sending.interface.index;
        let address = match source {
            IpAddr::V6(ip) if ip.is_unicast_link_local() => {
                SocketAddrV6::new(ip, 0, 0, index).into()
            }
            _ => SocketAddr::new(source, 0),
        };
        let socket = Self::open(address, &config)?;
        set_sending(&socket, source, sending).map_err(|e| {
            SysError::new(format!("send from {source} to groups on interface {index}"), e)
        })?;
        Self::bound(socket, address, &config)
    }

    /// A socket that receives what is sent to `port` of groups, of `group`'s family, that it then joins; sockets of other
    /// programs on the machine may receive it as well. It also gets what is sent to the machine's own addresses.
    ///
    /// # Errors
    /// If the port is taken by a socket that does not share it, or an option is refused.
    pub fn bind_group_receiver(
        group: IpAddr,
        port: u16,
        config: &UdpConfig,
    ) -> Result<UdpSocket, SysError> {
        let any: IpAddr = match group {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let address = SocketAddr::new(any, port);
        let socket = Self::open(address, config)?;
        // By default a socket gets what any socket of the machine has joined (ip(7), IP_MULTICAST_ALL).
        let only_joined = match group {
            IpAddr::V4(_) => socket.set_multicast_all_v4(false),
            IpAddr::V6(_) => socket.set_multicast_all_v6(false),
        };
        only_joined
            .and_then(|()| socket.set_reuse_address(true))
            .map_err(|e| SysError::new(format!("receive from groups at port {port}"), e))?;
        Self::bound(socket, address, config)
    }

    /// Becomes a member.
    ///
    /// # Errors
    /// With more than [`MEMBERSHIPS`] of IPv4, or what the machine's settings say; if `group` is no group, or this socket
    /// is a member; if the interface is gone.
    pub fn join(&self, membership: &Membership) -> Result<(), SysError> {
        self.change(membership, MCAST_JOIN_SOURCE_GROUP).map_err(|e| {
            let hint = match e.raw_os_error() {
                Some(libc::ENOBUFS) => {
                    "a socket has as many memberships as sysctl net.ipv4.igmp_max_memberships says, by default 20"
                }
                Some(libc::EADDRNOTAVAIL | libc::EADDRINUSE) => {
                    "this socket is a member of it already"
                }
                Some(libc::ENODEV) => "the interface is gone",
                _ => return SysError::new(format!("join {membership}"), e),
            };
            SysError::new(format!("join {membership}"), e).with_hint(hint)
        })
    }

    /// Ends a membership.
    ///
    /// # Errors
    /// If there is none.
    pub fn leave(&self, membership: &Membership) -> Result<(), SysError> {
        self.change(membership, MCAST_LEAVE_SOURCE_GROUP).map_err(|e| {
            let error = SysError::new(format!("leave {membership}"), e);
            error.with_hint("this socket is not a member of it")
        })
    }

    fn change(&self, membership: &Membership, option: i32) -> io::Result<()> {
        let address = |ip| SockAddr::from(SocketAddr::new(ip, 0)).as_storage();
        let request = GroupSourceRequest {
            interface: membership.interface.index,
            group: address(membership.group),
            source: address(membership.source),
        };
        let level = match self.local {
            SocketAddr::V4(_) => libc::IPPROTO_IP,
            SocketAddr::V6(_) => libc::IPPROTO_IPV6,
        };
        request.set(self.as_fd(), level, option)
    }
}

/// What a sender of groups has of its own.
fn set_sending(socket: &Socket, source: IpAddr, sending: &GroupSending) -> io::Result<()> {
    let GroupSending { interface, hops, looped } = *sending;
    match source {
        IpAddr::V4(_) => {
            let none = Ipv4Addr::UNSPECIFIED;
            set_ip_multicast_if_with_ifindex(socket, &none, &none, interface.index)?;
            socket.set_multicast_ttl_v4(hops.into())?;
            socket.set_multicast_loop_v4(looped)
        }
        IpAddr::V6(_) => {
            socket.set_multicast_if_v6(interface.index)?;
            socket.set_multicast_hops_v6(hops.into())?;
            socket.set_multicast_loop_v6(looped)
        }
    }
}

/// `struct group_source_req` (linux/in.h).
#[repr(C)]
struct GroupSourceRequest {
    interface: u32,
    group: SockAddrStorage,
    source: SockAddrStorage,
}

impl GroupSourceRequest {
    fn set(&self, socket: BorrowedFd<'_>, level: i32, option: i32) -> io::Result<()> {
        let length = size_of::<Self>() as libc::socklen_t;
        // SAFETY: the descriptor is open (borrowed); `self` is laid out as the kernel's structure (`SockAddrStorage` is
        // transparent over `sockaddr_storage`), has the stated length and lives through the call; the kernel copies it.
        let result = unsafe {
            libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const *self).cast(), length)
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// The part of `struct ifreq` (netdevice(7)) that SIOCGIFFLAGS uses, and the rest of its 40 bytes.
#[repr(C)]
struct FlagsRequest {
    name: [u8; libc::IFNAMSIZ],
    flags: i16,
    rest: [u8; 22],
}

const _: () = assert!(size_of::<FlagsRequest>() == size_of::<libc::ifreq>());

/// The flags of an interface, `libc::IFF_*`.
fn flags(socket: BorrowedFd<'_>, name: &str) -> io::Result<i32> {
    let mut request = FlagsRequest { name: [0; libc::IFNAMSIZ], flags: 0, rest: [0; 22] };
    let room = request.name.get_mut(..name.len());
    room.ok_or_else(|| io::Error::from_raw_os_error(libc::ENODEV))?
        .copy_from_slice(name.as_bytes());
    // SAFETY: the descriptor is open (borrowed); SIOCGIFFLAGS reads the name of a `struct ifreq` and writes its flags,
    // and `request` has that structure's size and is borrowed exclusively through the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(request.flags.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback() -> Interface {
        Interface::named("lo").unwrap()
    }

    #[test]
    fn an_interface_that_is_not_there_is_named() {
        for name in ["nowhere0", "a name that is much too long", ""] {
            let error = Interface::named(name).unwrap_err();
            assert_eq!(error.errno(), Some(libc::ENODEV), "{name}");
            assert!(error.to_string().contains(&format!("interface {name}")), "{error}");
        }
    }

    #[test]
    fn the_twenty_first_membership_is_refused_and_one_that_ends_makes_room() {
        let socket =
            UdpSocket::bind_group_receiver(Ipv4Addr::UNSPECIFIED.into(), 0, &UdpConfig::default());
        let socket = socket.unwrap();
        let membership = |number: usize| Membership {
            interface: loopback(),
            source: [127, 0, 0, 1].into(),
            group: [232, 9, 0, number as u8].into(),
        };
        // As many as this machine allows.
        let allowed = std::fs::read_to_string("/proc/sys/net/ipv4/igmp_max_memberships").unwrap();
        let allowed: usize = allowed.trim().parse().unwrap();
        for number in 0..allowed.min(200) {
            socket.join(&membership(number)).unwrap();
        }
        let twice = socket.join(&membership(0)).unwrap_err();
        assert!(twice.to_string().contains("a member of it already"), "{twice}");
        if allowed < 200 {
            let full = socket.join(&membership(200)).unwrap_err();
            assert_eq!(full.errno(), Some(libc::ENOBUFS));
            let text = full.to_string();
            assert!(
                text.contains("232.9.0.200") && text.contains("igmp_max_memberships"),
                "{text}"
            );
        }
        socket.leave(&membership(0)).unwrap();
        socket.join(&membership(200)).unwrap();
        assert!(socket.leave(&membership(0)).is_err(), "it ended");
    }

    #[test]
    fn what_is_no_group_cannot_be_joined() {
        let config = UdpConfig::default();
        let socket =
            UdpSocket::bind_group_receiver(Ipv6Addr::UNSPECIFIED.into(), 0, &config).unwrap();
        let (source, interface) = (Ipv6Addr::LOCALHOST.into(), loopback());
        let join = |group: &str| {
            socket.join(&Membership { interface, source, group: group.parse().unwrap() })
        };
        assert!(join("2001:db8::1").is_err());
        assert!(join("232.1.1.1").is_err(), "of the other family");
        join("ff35::1:2").unwrap();
    }
}
