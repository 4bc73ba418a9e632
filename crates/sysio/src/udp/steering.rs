//! Which socket of a reuseport group gets a datagram: a byte of the datagram names it.
//!
//! A classic BPF program (socket(7), SO_ATTACH_REUSEPORT_CBPF) runs for every datagram, with the
//! UDP payload at offset 0, and returns an index into the group, which is the order of binding.
//! An index out of range lets the kernel's hash of the addresses decide.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use crate::error::SysError;
use crate::udp::{UdpConfig, UdpSocket};

/// Where the steering byte lies. Which values they have is the protocol's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steering {
    /// Offset of the packet type in the UDP payload.
    pub type_offset: u8,
    /// Packets of this type are spread by the kernel's hash.
    pub hashed_type: u8,
    /// Offset of the byte that names the socket for all other types.
    pub shard_offset: u8,
}

/// Out of range for every group (at most 65 535 sockets).
const BY_HASH: u32 = u32::MAX;

const fn instruction(code: u32, jump_true: u8, jump_false: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: jump_true, jf: jump_false, k }
}

/// The program: payloads too short for both bytes, the hashed type, and numbers out of range go
/// by hash; all others to the socket that the shard byte names.
pub fn steering_program(steering: Steering) -> [libc::sock_filter; 7] {
    use libc::{BPF_ABS, BPF_B, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_LEN, BPF_RET, BPF_W};
    const BPF_A: u32 = 0x10;
    let needed = u32::from(steering.type_offset.max(steering.shard_offset)) + 1;
    [
        // The length is asked first: a load beyond the end would end the program with 0, which
        // is socket 0 and not the hash.
        instruction(BPF_LD | BPF_W | BPF_LEN, 0, 0, 0),
        instruction(BPF_JMP | BPF_JGE | BPF_K, 0, 4, needed),
        instruction(BPF_LD | BPF_B | BPF_ABS, 0, 0, u32::from(steering.type_offset)),
        instruction(BPF_JMP | BPF_JEQ | BPF_K, 2, 0, u32::from(steering.hashed_type)),
        instruction(BPF_LD | BPF_B | BPF_ABS, 0, 0, u32::from(steering.shard_offset)),
        instruction(BPF_RET | BPF_A, 0, 0, 0),
        instruction(BPF_RET | BPF_K, 0, 0, BY_HASH),
    ]
}

/// Attaches a steering program to the whole reuseport group of `socket`.
fn attach(socket: BorrowedFd<'_>, program: &[libc::sock_filter]) -> Result<(), SysError> {
    let filter =
        libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    let length = size_of::<libc::sock_fprog>() as libc::socklen_t;
    // SAFETY: the descriptor is open (borrowed); `filter` and the program it points to live through
    // the call, have the stated lengths, and are copied, not written, by the kernel.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const filter).cast(),
            length,
        )
    };
    if result == 0 {
        return Ok(());
    }
    Err(SysError::last("attach the steering program (SO_ATTACH_REUSEPORT_CBPF)")
        .with_hint("needs Linux 4.5 and SO_REUSEPORT"))
}

/// Binds `count` sockets to one address, in shard order, and steers between them. With port 0 the
/// kernel chooses one. A socket of the group must never be closed alone: the last one would take
/// its place in the order.
///
/// # Errors
/// If a socket cannot be bound or the program is refused.
pub fn bind_reuseport_group(
    address: SocketAddr,
    count: usize,
    steering: Steering,
    config: &UdpConfig,
) -> Result<Vec<UdpSocket>, SysError> {
    // Of a socket with reuseport the kernel takes a port for free that another group of this user has.
    let address = match address.port() {
        0 => UdpSocket::bind(address, &UdpConfig { reuse_port: false, ..*config })?.local_addr(),
        _ => address,
    };
    let config = UdpConfig { reuse_port: true, ..*config };
    let sockets = (0..count).map(|_| UdpSocket::bind(address, &config));
    let sockets = sockets.collect::<Result<Vec<_>, _>>()?;
    if let Some(first) = sockets.first() {
        attach(first.as_fd(), &steering_program(steering))?;
    }
    Ok(sockets)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket as Plain;

    use super::*;

    const STEERING: Steering = Steering { type_offset: 1, hashed_type: 1, shard_offset: 7 };

    /// The sockets of a group of four as std's, which can receive with a timeout.
    fn group(address: &str) -> (SocketAddr, Vec<Plain>) {
        let address = address.parse().unwrap();
        let sockets = bind_reuseport_group(address, 4, STEERING, &UdpConfig::default()).unwrap();
        let local = sockets[0].local_addr();
        let plain: Vec<Plain> = sockets
            .iter()
            .map(|socket| Plain::from(socket.as_fd().try_clone_to_owned().unwrap()))
            .collect();
        // The clones share the sockets, so the group stays whole when the originals go.
        plain.iter().for_each(|s| s.set_nonblocking(true).unwrap());
        (local, plain)
    }

    /// What each socket got, once all `count` datagrams are there.
    fn received(sockets: &[Plain], count: usize) -> Vec<Vec<Vec<u8>>> {
        let mut got: Vec<Vec<Vec<u8>>> = vec![Vec::new(); sockets.len()];
        let mut buffer = [0; 64];
        while got.iter().map(Vec::len).sum::<usize>() < count {
            for (socket, got) in sockets.iter().zip(&mut got) {
                while let Ok(length) = socket.recv(&mut buffer) {
                    got.push(buffer[..length].to_vec());
                }
            }
            std::thread::yield_now();
        }
        got
    }

    fn datagrams_go_to_the_shard_they_name(address: &str) {
        let (to, sockets) = group(address);
        let sender = Plain::bind((to.ip(), 0)).unwrap();
        for shard in [2, 0, 3, 1, 1] {
            sender.send_to(&[0x10, 0x20, 0, 0, 9, 9, 9, shard], to).unwrap();
        }
        let received = received(&sockets, 5);
        let counts: Vec<usize> = received.iter().map(Vec::len).collect();
        assert_eq!(counts, [1, 2, 1, 1]);
        for (shard, datagrams) in received.iter().enumerate() {
            assert!(datagrams.iter().all(|d| usize::from(d[7]) == shard));
        }
    }

    #[test]
    fn datagrams_go_to_the_shard_they_name_over_ipv4() {
        datagrams_go_to_the_shard_they_name("127.0.0.1:0");
    }

    #[test]
    fn datagrams_go_to_the_shard_they_name_over_ipv6() {
        datagrams_go_to_the_shard_they_name("[::1]:0");
    }

    #[test]
    fn hellos_short_datagrams_and_unknown_shards_arrive_by_hash() {
        let (to, sockets) = group("127.0.0.1:0");
        let kinds: [&[u8]; 4] =
            [&[0x10, 1, 0, 0, 0, 0, 0, 2], &[0x10, 0x20, 0, 0, 0, 0, 0], &[], &[0x10; 8]];
        for kind in kinds {
            // 32 senders: that the hash puts all of them on one of four sockets has odds of 4^-31.
            let senders: Vec<Plain> =
                (0..32).map(|_| Plain::bind("127.0.0.1:0").unwrap()).collect();
            senders.iter().for_each(|s| assert_eq!(s.send_to(kind, to).unwrap(), kind.len()));
            let counts: Vec<usize> = received(&sockets, 32).iter().map(Vec::len).collect();
            assert_eq!(counts.iter().sum::<usize>(), 32, "{kind:?}");
            assert!(counts.iter().all(|&n| n < 32), "{kind:?}: {counts:?}");
        }
    }
}
