//! Processor time of other programs on the generator's box: it makes a server look slower than it is.

use std::net::SocketAddr;
use std::time::Instant;

use procfs::process::{FDTarget, all_processes};
use procfs::{CpuPressure, Current, CurrentSI, KernelStats};
use serde::{Deserialize, Serialize};

use crate::server::Process;
use crate::words::share;

/// What other programs took of the generator's box.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Others {
    /// Processor time, seconds: all of the box but the generator's, that of a server on this box, and interrupts; what other
    /// virtual machines stole is in it.
    pub cpu_s: f64,
    /// The same as a share of all processors' time.
    pub share: f64,
    /// Share of the time in which some task had to wait for a processor, the generator's own among them (PSI); null where the
    /// kernel does not tell.
    pub waited: Option<f64>,
    /// The share above which what was missed is not judged.
    pub limit: f64,
}

impl Others {
    /// Whether what was missed may be their doing.
    #[must_use]
    pub fn are_too_many(&self) -> bool {
        self.share > self.limit
    }
}

/// For people.
impl std::fmt::Display for Others {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "other programs used {} of the box's processors", share(self.share))?;
        let Some(waited) = self.waited else { return Ok(()) };
        write!(f, "; somebody waited for one {} of the time", share(waited))
    }
}

/// Looks at the box from the beginning of a run to its end.
#[derive(Debug)]
pub struct Watch {
    server: Option<u32>,
    begun: Reading,
    limit: f64,
}

impl Watch {
    /// Takes the first reading. `server`: its process, if it is on this box and known; else it is looked for by the address
    /// of its socket. None where the box does not tell, and where the server's part could not be told from the others'.
    #[must_use]
    pub fn begin(server: Option<u32>, address: SocketAddr, limit: f64) -> Option<Self> {
        let is_here = is_here(&address);
        let server = server.or_else(|| is_here.then(|| process_at(address))?);
        if is_here && server.is_none() {
            return None;
        }
        Some(Self { server, begun: Reading::take(server)?, limit })
    }

    /// Takes the last reading. None as in [`Watch::begin`], and when the server's process has gone.
    #[must_use]
    pub fn finish(self) -> Option<Others> {
        Some(between(&self.begun, &Reading::take(self.server)?, self.limit))
    }
}

/// The box at one moment.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Instant,
    cpus: usize,
    /// Processor time since boot without interrupts, and of it the generator's and the server's, seconds.
    busy_s: f64,
    ours_s: f64,
    /// Time in which somebody waited, since boot, seconds.
    waited_s: Option<f64>,
}

impl Reading {
    fn take(server: Option<u32>) -> Option<Self> {
        let own = std::process::id();
        let mut ours_s = Process::read(own).ok()?.cpu_s;
        if let Some(server) = server.filter(|server| *server != own) {
            ours_s += Process::read(server).ok()?.cpu_s;
        }
        let stat = KernelStats::current().ok()?;
        // Interrupts are the network's work, for whomever.
        let total = &stat.total;
        let busy = total.user + total.nice + total.system + total.steal.unwrap_or(0);
        let pressure = CpuPressure::current().ok();
        Some(Self {
            at: Instant::now(),
            cpus: stat.cpu_time.len(),
            busy_s: busy as f64 / procfs::ticks_per_second() as f64,
            ours_s,
            waited_s: pressure.map(|pressure| pressure.some.total as f64 / 1e6),
        })
    }
}

fn between(from: &Reading, to: &Reading, limit: f64) -> Others {
    let seconds = to.at.duration_since(from.at).as_secs_f64().max(1e-3);
    // Ticks of the two are counted apart.
    let cpu_s = (to.busy_s - from.busy_s - (to.ours_s - from.ours_s)).max(0.0);
    let waited = from.waited_s.zip(to.waited_s).map(|(from, to)| (to - from) / seconds);
    Others { cpu_s, share: cpu_s / (seconds * to.cpus.max(1) as f64), waited, limit }
}

/// Whether `server` is an address of this box.
pub(crate) fn is_here(server: &SocketAddr) -> bool {
    let own = if_addrs::get_if_addrs().unwrap_or_default();
    server.ip().is_loopback() || own.iter().any(|interface| interface.ip() == server.ip())
}

/// The process that has the UDP socket of `address`, as far as this user may look (proc_pid_fd(5)).
fn process_at(address: SocketAddr) -> Option<u32> {
    let tables = [procfs::net::udp(), procfs::net::udp6()].into_iter().flatten().flatten();
    let sockets: Vec<_> = tables.map(|entry| (entry.local_address, entry.inode)).collect();
    let inodes = sockets_of(address, &sockets);
    let has_it = |process: &procfs::process::Process| {
        let fds = process.fd().into_iter().flatten().flatten();
        fds.into_iter().any(|fd| matches!(fd.target, FDTarget::Socket(i) if inodes.contains(&i)))
    };
    let found = all_processes().ok()?.flatten().find(has_it)?;
    u32::try_from(found.pid).ok()
}

/// Which of `sockets` (local address, inode) get what is sent to `address`: those of the address itself, else those of all
/// addresses, of its own family first. Another edge may have the same port of another address.
fn sockets_of(address: SocketAddr, sockets: &[(SocketAddr, u64)]) -> Vec<u64> {
    let ip = address.ip().to_canonical();
    let strangeness = |local: &SocketAddr| match local.ip().to_canonical() {
        _ if local.port() != address.port() => None,
        local if local == ip => Some(0),
        local if local.is_unspecified() && local.is_ipv4() == ip.is_ipv4() => Some(1),
        local => (local.is_unspecified() && local.is_ipv6()).then_some(2),
    };
    let fitting = sockets.iter().filter_map(|(local, inode)| Some((strangeness(local)?, *inode)));
    let fitting: Vec<_> = fitting.collect();
    let least = fitting.iter().map(|(strange, _)| *strange).min();
    fitting.iter().filter(|(strange, _)| Some(*strange) == least).map(|(_, inode)| *inode).collect()
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_neither_the_generators_nor_the_servers_is_the_others() {
        let at = Instant::now();
        let from = Reading { at, cpus: 4, busy_s: 100.0, ours_s: 10.0, waited_s: Some(3.0) };
        let at = at + Duration::from_secs(10);
        let to = Reading { at, cpus: 4, busy_s: 125.0, ours_s: 31.0, waited_s: Some(5.0) };
        let others = between(&from, &to, 0.03);
        assert!((others.cpu_s - 4.0).abs() < 1e-9 && (others.share - 0.1).abs() < 1e-9);
        assert_eq!(others.waited, Some(0.2));
        assert!(others.are_too_many());
        // Ticks: ours may be ahead.
        let to = Reading { ours_s: 36.0, waited_s: None, ..to };
        let others = between(&from, &to, 0.03);
        assert_eq!((others.cpu_s, others.waited, others.are_too_many()), (0.0, None, false));
    }

    #[test]
    fn a_server_on_this_box_is_known() {
        assert!(is_here(&([127, 0, 0, 9], 1).into()));
        // TEST-NET-1, RFC 5737.
        assert!(!is_here(&([192, 0, 2, 1], 1).into()));
    }

    #[test]
    fn of_two_servers_with_one_port_the_one_at_the_address_is_found() {
        let table = ["127.0.0.2:7", "0.0.0.0:7", "127.0.0.1:7", "127.0.0.1:8", "[::]:7", "[::]:9"];
        let sockets: Vec<_> = (0..).zip(table).map(|(i, at)| (at.parse().expect(at), i)).collect();
        let of = |address: &str| sockets_of(address.parse().expect(address), &sockets);
        assert_eq!(of("127.0.0.1:7"), [2]);
        assert_eq!(of("127.0.0.3:7"), [1], "one of all addresses");
        assert_eq!(of("[::1]:7"), [4]);
        assert_eq!(of("127.0.0.1:9"), [5], "also of IPv4");
        assert!(of("127.0.0.3:8").is_empty(), "of another address");
    }

    #[test]
    fn a_server_on_this_box_is_found_by_its_socket() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let address = socket.local_addr().expect("its address");
        assert_eq!(process_at(address), Some(std::process::id()));
        let watch = Watch::begin(None, address, 0.03).expect("this box tells");
        assert!(watch.finish().is_some());
        drop(socket);
        assert!(Watch::begin(None, address, 0.03).is_none(), "nobody is there");
        // TEST-NET-1, RFC 5737: not on this box.
        assert!(Watch::begin(None, ([192, 0, 2, 1], 1).into(), 0.03).is_some());
        assert!(Watch::begin(Some(u32::MAX), address, 0.03).is_none());
    }
}
