//! Wildcard addresses become the addresses that this box has.
//!
//! A socket on a wildcard lets the kernel choose the source of an answer, and a client behind a firewall never
//! sees an answer from another address than it asked. So every address gets a socket of its own.

use std::net::{IpAddr, SocketAddr};

/// No address is left to serve on.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// The system does not say which addresses there are.
    #[error(
        "cannot list the addresses of this box: {0}; name them in `listen` instead of a wildcard"
    )]
    Unlisted(#[source] std::io::Error),
    /// A family has no address.
    #[error("`listen` names {0}, but this box has no such address")]
    NoneOf(SocketAddr),
    /// More sockets than a receive buffer's index can name.
    #[error("`listen` stands for {0} addresses, more than {max}; name those that clients use", max = crate::limits::ADDRESSES_MAX)]
    TooMany(usize),
}

/// The addresses to bind, each once, in the order of `listen`.
///
/// # Errors
/// [`AddressError`]: see there. A wildcard of a family that this box does not have is an error only when
/// nothing else is left.
pub(crate) fn expand(listen: &[SocketAddr]) -> Result<Vec<SocketAddr>, AddressError> {
    let local = if listen.iter().any(|address| address.ip().is_unspecified()) {
        if_addrs::get_if_addrs()
            .map_err(AddressError::Unlisted)?
            .into_iter()
            .map(|interface| interface.ip())
            .collect()
    } else {
        Vec::new()
    };
    expand_among(listen, &local)
}

fn expand_among(listen: &[SocketAddr], local: &[IpAddr]) -> Result<Vec<SocketAddr>, AddressError> {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    let mut empty = None;
    for &wanted in listen {
        let before = addresses.len();
        let mut add = |address: SocketAddr| {
            // Equal ports are one socket; port 0 is a fresh port each time it is asked for.
            if wanted.port() == 0 || !addresses.contains(&address) {
                addresses.push(address);
            }
        };
        if wanted.ip().is_unspecified() {
            let same_family = |ip: &&IpAddr| ip.is_ipv4() == wanted.is_ipv4() && usable(ip);
            local
                .iter()
                .filter(same_family)
                .for_each(|&ip| add(SocketAddr::new(ip, wanted.port())));
            if addresses.len() == before {
                empty = Some(wanted);
            }
        } else {
            add(wanted);
        }
    }
    match empty {
        Some(wanted) if addresses.is_empty() => Err(AddressError::NoneOf(wanted)),
        _ if addresses.len() > crate::limits::ADDRESSES_MAX => {
            Err(AddressError::TooMany(addresses.len()))
        }
        _ => Ok(addresses),
    }
}

/// Link-local addresses need a scope that a client cannot be told.
fn usable(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_link_local() && !ip.is_unspecified(),
        IpAddr::V6(ip) => !ip.is_unicast_link_local() && !ip.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|text| text.parse().expect(text)).collect()
    }

    fn local() -> Vec<IpAddr> {
        ["127.0.0.1", "192.0.2.1", "169.254.1.1", "::1", "2001:db8::1", "fe80::1"]
            .map(|text| text.parse().expect(text))
            .to_vec()
    }

    #[test]
    fn a_wildcard_stands_for_the_addresses_of_its_family_without_link_local() {
        let found = expand_among(&addresses(&["0.0.0.0:7", "[::]:8"]), &local()).expect("some");
        assert_eq!(found, addresses(&["127.0.0.1:7", "192.0.2.1:7", "[::1]:8", "[2001:db8::1]:8"]));
    }

    #[test]
    fn an_address_is_bound_once_though_named_twice() {
        let found =
            expand_among(&addresses(&["192.0.2.1:7", "0.0.0.0:7"]), &local()).expect("some");
        assert_eq!(found, addresses(&["192.0.2.1:7", "127.0.0.1:7"]));
    }

    #[test]
    fn a_missing_family_is_an_error_only_when_nothing_is_left() {
        let v4 = [IpAddr::from([127, 0, 0, 1])];
        assert_eq!(expand_among(&addresses(&["0.0.0.0:7", "[::]:7"]), &v4).expect("v4").len(), 1);
        assert!(matches!(expand_among(&addresses(&["[::]:7"]), &v4), Err(AddressError::NoneOf(_))));
    }

    #[test]
    fn this_box_has_loopback() {
        let found = expand(&addresses(&["0.0.0.0:9"])).expect("addresses");
        assert!(found.contains(&"127.0.0.1:9".parse().expect("address")));
    }
}
