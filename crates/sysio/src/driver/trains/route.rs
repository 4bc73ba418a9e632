//! Destinations whose path refused a train (UDP_SEGMENT): to those, datagrams go one by one.
//!
//! A device without checksum offload, an IPsec policy or a driver's bug refuse trains at run time
//! although the option exists, and for some destinations only.

use std::collections::{HashSet, VecDeque};
use std::net::IpAddr;

/// Most destinations remembered. The oldest makes room: it costs one more refused send.
pub(crate) const MAX_ROUTES: usize = 1024;

/// The set of refusing destinations.
#[derive(Debug)]
pub(crate) struct RouteTable {
    refusing: HashSet<IpAddr>,
    oldest_first: VecDeque<IpAddr>,
}

impl RouteTable {
    pub(crate) fn new() -> RouteTable {
        RouteTable {
            // Twice the entries: with at most half of the capacity in use, the table clears the
            // marks of removed entries in place and never allocates again.
            refusing: HashSet::with_capacity(2 * MAX_ROUTES),
            oldest_first: VecDeque::with_capacity(MAX_ROUTES),
        }
    }

    pub(crate) fn refuses(&self, ip: IpAddr) -> bool {
        // Almost always empty: then nothing is hashed.
        !self.refusing.is_empty() && self.refusing.contains(&ip)
    }

    pub(crate) fn remember(&mut self, ip: IpAddr) {
        if self.refuses(ip) {
            return;
        }
        if self.oldest_first.len() == MAX_ROUTES
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.refusing.remove(&oldest);
        }
        self.refusing.insert(ip);
        self.oldest_first.push_back(ip);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn ip(number: usize) -> IpAddr {
        Ipv4Addr::from_bits(number as u32).into()
    }

    #[test]
    fn the_oldest_makes_room_and_repeats_count_once() {
        let mut table = RouteTable::new();
        assert!(!table.refuses(ip(0)));
        let capacity = table.refusing.capacity();
        for number in 0..20 * MAX_ROUTES {
            table.remember(ip(number));
            table.remember(ip(number));
        }
        assert_eq!(table.refusing.len(), MAX_ROUTES);
        assert_eq!(table.oldest_first.len(), MAX_ROUTES);
        assert!(!table.refuses(ip(19 * MAX_ROUTES - 1)));
        assert!(table.refuses(ip(19 * MAX_ROUTES)) && table.refuses(ip(20 * MAX_ROUTES - 1)));
        // Marks of removed entries count as used until they are cleared, so it may be less.
        assert!(table.refusing.capacity() <= capacity, "nothing was allocated");
    }
}
