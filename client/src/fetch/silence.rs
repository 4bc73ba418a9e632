//! Why nothing comes from an address: what the kernel and the routers say of it, and what to do about that.

use rustix::io::Errno;
use segcast_proto::limits::DATAGRAM_BASE;
use segcast_proto::time::Duration;
use segcast_sysio::udp::sounding::Sounding;

use crate::access::EdgeAddress;

/// An edge that has not answered for so long is asked about: ARP and routers need some seconds to give up themselves.
const AFTER: Duration = Duration::from_millis(500);

/// What is known of one address's silence.
#[derive(Debug, Default)]
pub(super) struct Silence {
    sounding: Option<Sounding>,
    last: Option<i32>,
}

impl Silence {
    /// Nothing has come from `edge` for `waited`; beyond half a second the network is asked, once.
    pub(super) fn lasts(&mut self, edge: &EdgeAddress, waited: Duration) {
        match &self.sounding {
            None if waited > AFTER => {
                self.sounding = Sounding::start(edge.address, DATAGRAM_BASE).ok();
            }
            None => {}
            Some(sounding) => self.last = sounding.error().or(self.last),
        }
    }

    /// What to say of it. `not_sent`: why a session's datagram was not sent.
    pub(super) fn why(&self, not_sent: Option<i32>) -> Option<String> {
        let errno = Errno::from_raw_os_error(self.last.or(not_sent)?);
        let said = std::io::Error::from(errno);
        Some(match advice(errno) {
            Some(advice) => format!("{said}: {advice}"),
            None => said.to_string(),
        })
    }
}

fn advice(errno: Errno) -> Option<&'static str> {
    Some(match errno {
        Errno::CONNREFUSED => {
            "no program has that UDP port there; is the edge running, is the port right?"
        }
        Errno::NETUNREACH | Errno::HOSTUNREACH => {
            "no way leads there; look at the address, the routes of this machine and the link"
        }
        Errno::MSGSIZE => {
            "the path does not take datagrams of 1200 bytes: its MTU must be 1228 (IPv4) or 1248 (IPv6)"
        }
        Errno::PERM | Errno::ACCESS => {
            "a firewall forbids it, or the address is that of a whole network"
        }
        Errno::INVAL => {
            "no machine has such an address, seen from here; a link-local one needs its %interface"
        }
        Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL => "this machine has no address of that family",
        _ => return None,
    })
}
