//! The parts of a server, made from its configuration: sockets, drivers, endpoints, and what they cost.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::Arc;

use segcast_config::RateCap;
use segcast_config::amount::{rounded, show_duration};
use segcast_proto::handshake::EdgeIdentity;
use segcast_proto::rate::Rate;
use segcast_proto::session::server::{EgressCap, EndpointConfig};
use segcast_proto::wire::packet_type::PacketType;
use segcast_sysio::SysError;
use segcast_sysio::driver::DriverConfig;
use segcast_sysio::memory;
use segcast_sysio::probe::{self, IoKind};
use segcast_sysio::rlimit::{self, Limit};
use segcast_sysio::udp::steering::{Steering, bind_reuseport_group};
use segcast_sysio::udp::{UdpConfig, UdpSocket};

use super::StartError;
use crate::addresses;
use crate::config::{Config, Cookie, Io, Multicast};
use crate::limits;

/// Where the clear header names the shard (docs/protocol, section 1): the low byte of the receiver index.
const STEERING: Steering =
    Steering { type_offset: 1, hashed_type: PacketType::Hello as u8, shard_offset: 7 };

/// Shards and the core of each.
pub(super) fn shards(config: &Config) -> Result<Vec<Option<usize>>, StartError> {
    let cores = segcast_sysio::cpu::allowed_cores().map_err(|e| StartError::system("cores", e))?;
    let usable = cores.len().min(quota()).max(1);
    let wanted = if config.shards == 0 { usable } else { usize::from(config.shards) };
    let count = wanted.min(usize::from(limits::SHARDS_MAX));
    if config.pin && count > cores.len() {
        tracing::warn!(shards = count, cores = cores.len(), "several shards share a core");
    }
    let core = |shard| config.pin.then(|| cores.get(shard % cores.len().max(1)).copied()).flatten();
    Ok((0..count).map(core).collect())
}

/// How many cores' time this process may use: the quota of its control group, where that is less than the cores.
fn quota() -> usize {
    std::thread::available_parallelism().map_or(usize::MAX, NonZero::get)
}

/// The driver that this kernel allows, and why.
pub(super) fn io(config: &Config) -> Result<IoKind, StartError> {
    let wanted = match config.io {
        Io::Auto => None,
        Io::Ring => Some(IoKind::Ring),
        Io::Mmsg => Some(IoKind::Mmsg),
        Io::TokioUring => Some(IoKind::TokioUring),
        Io::Glommio => Some(IoKind::Glommio),
    };
    let (kind, reason) = probe::choose(wanted).map_err(StartError::Network)?;
    tracing::info!(io = kind.name(), %reason, "driver chosen");
    Ok(kind)
}

/// Raises what a process may raise by itself; what remains is reported where it matters.
pub(super) fn raise_limits() {
    for limit in [Limit::OpenFiles, Limit::LockedMemory] {
        if let Err(error) = rlimit::raise_soft_to_hard(limit) {
            tracing::warn!(?limit, %error, "a limit cannot be raised");
        }
    }
}

/// What is served.
pub(super) struct Bound {
    pub(super) addresses: Vec<SocketAddr>,
    /// Those of them that are on no interface yet.
    pub(super) late: Vec<SocketAddr>,
    /// For each shard its sockets in the order of the addresses.
    pub(super) sockets: Vec<Vec<UdpSocket>>,
}

/// Binds what is listened on. Addresses that are in use are waited for, [`limits::BIND_RETRIES`] times [`limits::BIND_PAUSE`].
pub(super) fn bind(config: &Config, shards: usize) -> Result<Bound, StartError> {
    let addresses = addresses::expand(&config.listen)?;
    let pause = || std::thread::sleep(limits::BIND_PAUSE);
    let bound =
        while_in_use(pause, || bind_once(&addresses, shards)).map_err(StartError::Network)?;
    for address in &bound.late {
        tracing::warn!(%address, "on no interface of this box yet: it is served when it comes");
    }
    for socket in bound.sockets.first().into_iter().flatten() {
        warn_small_buffers(socket);
    }
    Ok(bound)
}

/// Attempts again, after a pause, what failed because an address was in use. The kernel takes the io_uring of a
/// killed process down on a thread of its own, and its sockets go only then: a moment after the process, when a
/// supervisor has started the next one already.
fn while_in_use<T>(
    mut pause: impl FnMut(),
    mut attempt: impl FnMut() -> Result<T, SysError>,
) -> Result<T, SysError> {
    for retry in 0..limits::BIND_RETRIES {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                if retry == 0 {
                    let wait = show_duration(limits::BIND_PAUSE * limits::BIND_RETRIES);
                    tracing::warn!(%error, wait, "the address is in use: waiting, as a killed edge gives it back late");
                }
                pause();
            }
            other => return other,
        }
    }
    attempt()
}

/// Binds `addresses`, waiting for none.
pub(super) fn bind_once(addresses: &[SocketAddr], shards: usize) -> Result<Bound, SysError> {
    let options = UdpConfig {
        count_overflow: true,
        receive_buffer_bytes: limits::SOCKET_RECEIVE_BYTES,
        send_buffer_bytes: limits::SOCKET_SEND_BYTES,
        ..UdpConfig::default()
    };
    let sockets = (0..shards).map(|_| Vec::new()).collect();
    let mut bound = Bound { addresses: Vec::new(), late: Vec::new(), sockets };
    for &address in addresses {
        let free_bind = is_late(address)?;
        let group =
            bind_reuseport_group(address, shards, STEERING, &UdpConfig { free_bind, ..options })?;
        bound.addresses.extend(group.first().map(UdpSocket::local_addr));
        bound.late.extend(free_bind.then_some(address));
        for (list, socket) in bound.sockets.iter_mut().zip(group) {
            list.push(socket);
        }
    }
    Ok(bound)
}

/// Whether `address` is on no interface yet: then it is bound all the same, and served when it comes.
///
/// Another process of the same user with a reuseport group on it would share our datagrams without a word. A plain socket
/// finds out.
fn is_late(address: SocketAddr) -> Result<bool, SysError> {
    if address.port() == 0 {
        return Ok(false);
    }
    let bind =
        |free_bind| UdpSocket::bind(address, &UdpConfig { free_bind, ..UdpConfig::default() });
    match bind(false) {
        Err(error) if error.kind() == ErrorKind::AddrNotAvailable => bind(true).map(|_| true),
        other => other.map(|_| false),
    }
}

fn warn_small_buffers(socket: &UdpSocket) {
    for (name, sysctl, got, wanted) in [
        (
            "receive",
            "net.core.rmem_max",
            socket.receive_buffer_bytes(),
            limits::SOCKET_RECEIVE_BYTES,
        ),
        ("send", "net.core.wmem_max", socket.send_buffer_bytes(), limits::SOCKET_SEND_BYTES),
    ] {
        if got < wanted {
            let address = socket.local_addr();
            tracing::warn!(%address, buffer = name, got, wanted, "small socket buffer: raise {sysctl}");
        }
    }
}

/// The driver's sizes.
pub(super) fn driver(config: &Config) -> DriverConfig {
    let send_buffers = config.send_slab.0 / limits::SEND_BUFFER_BYTES as u64;
    DriverConfig {
        receive_buffers: config.receive_buffers,
        receive_buffer_bytes: limits::RECEIVE_BUFFER_BYTES as u32,
        send_buffers: u16::try_from(send_buffers).unwrap_or(u16::MAX),
        send_buffer_bytes: limits::SEND_BUFFER_BYTES as u32,
        gso: config.gso,
        zero_copy: config.zero_copy.into(),
    }
}

/// What all shards may send together.
pub(super) fn egress_cap(config: &Config) -> Option<Arc<EgressCap>> {
    match config.egress_max {
        RateCap::Unlimited => None,
        RateCap::BitsPerSecond(bits) => Some(Arc::new(EgressCap::new(Rate::new(bits / 8)))),
    }
}

/// One shard's endpoint: its equal part of what the configuration grants the whole edge, and the cap on all of them.
pub(super) fn endpoint(
    config: &Config,
    identity: &Arc<EdgeIdentity>,
    egress_max: Option<Arc<EgressCap>>,
    shard: u8,
    shards: u8,
) -> EndpointConfig {
    let part = |whole: u32| whole.div_ceil(u32::from(shards.max(1)));
    EndpointConfig {
        shard,
        shards,
        sessions_max: part(config.sessions_max),
        pending_max: part(config.pending_max),
        handshakes_per_second: config.handshakes_per_second,
        sessions_per_client: config.sessions_per_client,
        idle_timeout: config.idle_timeout,
        datagram_max: usize::try_from(config.datagram_max.0).unwrap_or(usize::MAX),
        receive_max: limits::RECEIVE_BUFFER_BYTES as u16,
        egress_max,
        egress_queue: config.egress_queue,
        requests_max: part(config.requests_max),
        requests_per_second: config.requests_per_second,
        tell_requests: config.multicast == Multicast::DryRun,
        multicast: config.multicast == Multicast::On,
        cookie_always: config.cookie == Cookie::Always,
        ..EndpointConfig::new(Arc::clone(identity))
    }
}

/// How much of the segments may be locked in memory: what RLIMIT_MEMLOCK allows (anything with CAP_IPC_LOCK), at most half
/// of what this process may use at all. The drivers' registered buffers are counted apart from it (io_uring(7)).
pub(super) fn lock_bytes() -> u64 {
    let half = memory::available_bytes() / 2;
    rlimit::lockable().map_or(half, |limit| limit.min(half))
}

/// What the edge may come to hold in memory, bytes by part.
struct Budget {
    send_slabs: u64,
    receive_buffers: u64,
    idle_sessions: u64,
    pending_handshakes: u64,
    mailboxes: u64,
    residency: u64,
    manifest_pages: u64,
}

impl Budget {
    fn new(config: &Config, shards: usize, page_bytes: u64) -> Self {
        let shards = shards as u64;
        let receive = u64::from(config.receive_buffers) * limits::RECEIVE_BUFFER_BYTES as u64;
        let is_on = config.multicast == Multicast::On;
        let of_groups = limits::GROUP_MAIL_BYTES + limits::GROUP_PARITY_BYTES as u64;
        let group_mail = if is_on { of_groups } else { 0 };
        Self {
            send_slabs: shards * config.send_slab.0,
            receive_buffers: shards * receive,
            idle_sessions: u64::from(config.sessions_max) * limits::SESSION_BYTES,
            pending_handshakes: u64::from(config.pending_max) * limits::PENDING_BYTES,
            mailboxes: shards * (limits::MAILBOX_BYTES + group_mail),
            residency: shards * limits::RESIDENT_BYTES,
            manifest_pages: page_bytes,
        }
    }

    fn total(&self) -> u64 {
        let sessions = self.idle_sessions + self.pending_handshakes;
        let buffers = self.send_slabs + self.receive_buffers + self.mailboxes;
        sessions + buffers + self.residency + self.manifest_pages
    }
}

/// Writes what the edge may come to hold in memory, part by part.
pub(super) fn log_memory_budget(config: &Config, shards: usize, page_bytes: u64) {
    let budget = Budget::new(config, shards, page_bytes);
    tracing::info!(
        send_slabs = rounded::size(budget.send_slabs),
        receive_buffers = rounded::size(budget.receive_buffers),
        idle_sessions = rounded::size(budget.idle_sessions),
        pending_handshakes = rounded::size(budget.pending_handshakes),
        mailboxes = rounded::size(budget.mailboxes),
        residency = rounded::size(budget.residency),
        manifest_pages = rounded::size(budget.manifest_pages),
        locked_segments = rounded::size(lock_bytes()),
        total = rounded::size(budget.total()),
        "memory budget, beside the page cache that holds segments and the work of sending sessions"
    );
}

/// What `config` asks for beyond what this process may use, a sentence each; `page_bytes`: of the manifests in the store.
pub(super) fn excesses(config: &Config, shards: usize, page_bytes: u64) -> Vec<String> {
    let total = Budget::new(config, shards, page_bytes).total();
    excesses_over(shards, quota(), total, memory::available_bytes())
}

fn excesses_over(shards: usize, quota: usize, total: u64, available: u64) -> Vec<String> {
    let mut excesses = Vec::new();
    if shards > quota {
        excesses.push(format!(
            "{shards} shards, but this process may use {quota} cores' time (sched_setaffinity(2), cgroup cpu.max): lower \
             `shards`, or raise CPUQuota="
        ));
    }
    if total > available {
        excesses.push(format!(
            "the memory budget is {}, but this process may use {} (the machine's, or cgroup memory.max): lower \
             `sessions_max`, or raise MemoryMax=",
            rounded::size(total),
            rounded::size(available)
        ));
    }
    excesses
}

#[cfg(test)]
mod tests {
    use segcast_proto::handshake::StaticSecret;

    use super::*;

    fn identity() -> Arc<EdgeIdentity> {
        Arc::new(EdgeIdentity::new(StaticSecret::new([7; 32])))
    }

    #[test]
    fn every_shard_takes_its_equal_part() {
        let config = Config {
            sessions_max: 10,
            pending_max: 9,
            egress_max: RateCap::BitsPerSecond(8_000_000),
            ..Config::default()
        };
        let cap = egress_cap(&config);
        let endpoint = endpoint(&config, &identity(), cap.clone(), 1, 4);
        assert_eq!((endpoint.sessions_max, endpoint.pending_max), (3, 3));
        assert_eq!(cap.map(|cap| cap.rate()), Some(Rate::new(1_000_000)));
        assert_eq!((endpoint.shard, endpoint.shards), (1, 4));
    }

    #[test]
    fn the_default_slab_is_sixteen_trains() {
        assert_eq!(driver(&Config::default()).send_buffers, 16);
    }

    #[test]
    fn every_shard_has_a_socket_for_every_address_in_the_same_order() {
        let listen = ["127.0.0.1:0", "[::1]:0"].map(|text| text.parse().expect(text)).to_vec();
        let config = Config { listen, ..Config::default() };
        let Bound { addresses, late, sockets } = bind(&config, 3).expect("loopback");
        assert!(late.is_empty(), "{late:?}");
        assert_eq!(sockets.len(), 3);
        for list in &sockets {
            assert_eq!(list.iter().map(UdpSocket::local_addr).collect::<Vec<_>>(), addresses);
        }
        // The port is ours now, and a second edge is told so.
        let config = Config { listen: addresses, ..Config::default() };
        assert!(matches!(bind(&config, 3), Err(StartError::Network(_))));
    }

    #[test]
    fn an_address_in_use_is_waited_for_and_nothing_else_is() {
        let holder = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), &UdpConfig::default());
        let mut holder = Some(holder.expect("loopback"));
        let address = holder.as_ref().expect("held").local_addr();
        let mut pauses = 0;
        let release = || {
            pauses += 1;
            if pauses == 3 {
                holder = None;
            }
        };
        let bound = while_in_use(release, || bind_once(&[address], 2)).expect("given back");
        assert_eq!((bound.addresses, pauses), (vec![address], 3));
        // TEST-NET-1 (RFC 5737) is on no interface.
        let nowhere = ["192.0.2.1:0".parse().unwrap()];
        let failed = while_in_use(|| panic!("no use in waiting"), || bind_once(&nowhere, 2));
        assert_eq!(failed.map(|_| ()).unwrap_err().kind(), ErrorKind::AddrNotAvailable);
    }

    #[test]
    fn what_the_machine_does_not_give_is_named_with_both_figures() {
        assert!(excesses_over(2, 2, 1 << 30, 1 << 30).is_empty());
        let excesses = excesses_over(4, 2, 3 << 30, 1 << 30);
        assert!(
            excesses[0].contains("4 shards") && excesses[0].contains("2 cores"),
            "{excesses:?}"
        );
        assert!(
            excesses[1].contains("3.00 GiB") && excesses[1].contains("1.00 GiB"),
            "{excesses:?}"
        );
    }
}
