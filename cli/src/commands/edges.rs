//! Edges on the command line: where they are, at all addresses of their names, and the keys they must have.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};

use anyhow::Context;
use segcast_client::access::EdgeAddress;
use segcast_config::address;
use segcast_keys::keytext::KeyKind;

use super::keys::public_key;
use crate::failure::Unresolved;

/// Where edges listen unless told otherwise.
const PORT: u16 = 4870;
/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

/// Each edge with its key, by all addresses of its name: one key for all edges, or one for each.
pub(crate) fn edges(names: &[String], keys: &[String]) -> anyhow::Result<Vec<Vec<EdgeAddress>>> {
    anyhow::ensure!(
        keys.len() == 1 || keys.len() == names.len(),
        "{} edges and {} keys: give --edge-key once for all, or once for each edge",
        names.len(),
        keys.len()
    );
    let keys = keys.iter().map(|key| public_key(KeyKind::EdgePublic, key));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    let pairs = names.iter().zip(keys.iter().cycle());
    pairs
        .map(|(name, key)| {
            let addresses = resolve(name)?.into_iter();
            Ok(addresses.map(|address| EdgeAddress { address, public_key: *key }).collect())
        })
        .collect()
}

/// The addresses of `text`, in the system's order of preference (RFC 6724): HOST, HOST:PORT, IPv6 in brackets or bare.
fn resolve(text: &str) -> anyhow::Result<Vec<SocketAddr>> {
    if let Some(address) = address::read(text, Some(PORT)) {
        return Ok(vec![address.with_context(|| format!("edge {text}"))?]);
    }
    let unresolved = |reason: String| Unresolved { name: text.to_owned(), reason };
    let with_port = if text.contains(':') { text.to_owned() } else { format!("{text}:{PORT}") };
    let found = with_port.to_socket_addrs().map_err(|error| unresolved(error.to_string()))?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found.map(address::unmapped) {
        if !addresses.contains(&address) && addresses.len() < ADDRESSES_MAX {
            addresses.push(address);
        }
    }
    if addresses.iter().any(has_family) {
        addresses.retain(has_family);
    }
    if addresses.is_empty() {
        return Err(unresolved("the name has no address".to_owned()).into());
    }
    Ok(addresses)
}

/// Whether this machine has the family of `address` at all: a name may have addresses of one that is switched off.
fn has_family(address: &SocketAddr) -> bool {
    let bound = match address {
        SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)),
    };
    bound.is_ok()
}

#[cfg(test)]
mod tests {
    use segcast_keys::keytext;

    use super::*;

    #[test]
    fn edges_are_addressed_in_every_usual_way() {
        let all = |text: &str| {
            let found = resolve(text).unwrap();
            found.iter().map(SocketAddr::to_string).collect::<Vec<_>>()
        };
        assert_eq!(all("127.0.0.1"), ["127.0.0.1:4870"]);
        assert_eq!(all("127.0.0.1:9"), ["127.0.0.1:9"]);
        assert_eq!(all("::1"), ["[::1]:4870"]);
        assert_eq!(all("[::1]"), ["[::1]:4870"]);
        assert_eq!(all("[::1]:9"), ["[::1]:9"]);
        assert_eq!(all("[::ffff:127.0.0.1]:9"), ["127.0.0.1:9"]);
        assert_eq!(all("fe80::1%lo"), ["[fe80::1%1]:4870"]);
        assert!(resolve("127.0.0.1:port").is_err() && resolve("fe80::1").is_err());
    }

    #[test]
    fn one_key_serves_all_edges_or_each_has_its_own() {
        let key = |byte: u8| {
            let text = keytext::format(KeyKind::EdgePublic, &[byte; 32]);
            text.trim_end().to_owned()
        };
        let two = ["127.0.0.1".to_owned(), "127.0.0.2".to_owned()];
        let found = edges(&two, &[key(1)]).unwrap().concat();
        assert!(found.iter().all(|edge| edge.public_key == [1; 32]));
        let found = edges(&two, &[key(1), key(2)]).unwrap();
        assert_eq!(found[1][0].public_key, [2; 32]);
        assert!(edges(&two, &[key(1), key(2), key(3)]).is_err());
    }
}
