//! Connections at once: so many of all, and so many of one network.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The network of an address, as limits count: /24 of IPv4, /56 of IPv6.
#[must_use]
pub(crate) fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => format!("{}/56", Ipv6Addr::from_bits(address.to_bits() >> 72 << 72)),
    }
}

/// Who may connect, and who has.
#[derive(Debug)]
pub(crate) struct Seats {
    all: usize,
    of_network: usize,
    /// Proxies, which stand for many networks.
    trusted: Vec<IpAddr>,
    taken: Mutex<Taken>,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    of: HashMap<String, usize>,
}

impl Seats {
    pub(crate) fn new(all: usize, of_network: usize, trusted: Vec<IpAddr>) -> Self {
        Self { all, of_network, trusted, taken: Mutex::default(), refused: AtomicU64::new(0) }
    }

    /// A seat for a peer; none when there is none left, which is counted.
    pub(crate) fn take(self: &Arc<Self>, peer: IpAddr) -> Option<Seat> {
        let network = network(peer);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_network = taken.of.get(&network).copied().unwrap_or_default();
        let is_crowded =
            of_network >= self.of_network && !self.trusted.contains(&peer.to_canonical());
        if taken.all >= self.all || is_crowded {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        taken.all += 1;
        taken.of.insert(network.clone(), of_network + 1);
        Some(Seat { seats: Arc::clone(self), network })
    }

    /// Connections that are open, and those that were refused since the start.
    pub(crate) fn count(&self) -> (usize, u64) {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner).all;
        (taken, self.refused.load(Ordering::Relaxed))
    }
}

/// Held as long as a connection is open.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    network: String,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        let left = taken.of.get(&self.network).copied().unwrap_or(1) - 1;
        if left == 0 {
            taken.of.remove(&self.network);
        } else {
            taken.of.insert(self.network.clone(), left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_is_what_one_household_or_attacker_has() {
        assert_eq!(network(ip("192.0.2.77")), "192.0.2.0/24");
        assert_eq!(network(ip("::ffff:192.0.2.77")), "192.0.2.0/24");
        assert_eq!(network(ip("2001:db8:1:2ff:3::4")), "2001:db8:1:200::/56");
    }

    #[test]
    fn a_crowded_network_leaves_seats_to_others_and_gets_its_own_back() {
        let seats = Arc::new(Seats::new(4, 2, vec![ip("10.0.0.1")]));
        let held: Vec<_> = (0..3).map(|_| seats.take(ip("192.0.2.1"))).collect();
        assert_eq!(held.iter().flatten().count(), 2);
        assert_eq!(seats.count(), (2, 1));
        let proxied: Vec<_> = (0..3).map(|_| seats.take(ip("10.0.0.1"))).collect();
        assert_eq!(proxied.iter().flatten().count(), 2, "only the bound of all holds for a proxy");
        assert!(seats.take(ip("198.51.100.1")).is_none());
        drop((held, proxied));
        assert_eq!(seats.count(), (0, 3));
        assert!(seats.take(ip("192.0.2.1")).is_some());
        assert!(seats.taken.lock().unwrap().of.is_empty(), "nothing is kept of who went");
    }
}
