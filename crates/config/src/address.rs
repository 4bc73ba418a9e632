//! Addresses as people write them: `192.0.2.1:4870`, `[2001:db8::1]:4870`, `[fe80::1%eth0]:4870`.

use std::net::{IpAddr, SocketAddr};

use rustix::net::{AddressFamily, SocketType, netdevice, socket};

use crate::Problem;

/// Reads an IP address and a port; where `port` is given the port may be missing, and with it the brackets. The interface of
/// a link-local address is given by name or number (RFC 4007, section 11), and an IPv4 address in the clothes of an IPv6
/// one (RFC 4291, section 2.5.5.2) is what it is. `None`: it is no IP address.
///
/// # Errors
/// When an interface is missing, unknown, or given where none belongs.
pub fn read(text: &str, port: Option<u16>) -> Option<Result<SocketAddr, Problem>> {
    let (plain, zone) = split_zone(text);
    let address = plain.parse().ok().or_else(|| {
        let ip: IpAddr = plain.trim_matches(['[', ']']).parse().ok()?;
        Some(SocketAddr::new(ip, port?))
    })?;
    Some(with_zone(address, zone))
}

/// An IPv4 address that came as an IPv6 one is itself again.
#[must_use]
pub fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Takes out what stands between a `%` and the bracket or the end.
fn split_zone(text: &str) -> (String, Option<&str>) {
    let Some((before, after)) = text.split_once('%') else { return (text.to_owned(), None) };
    let (zone, rest) = after.split_at(after.find(']').unwrap_or(after.len()));
    (format!("{before}{rest}"), Some(zone))
}

fn with_zone(address: SocketAddr, zone: Option<&str>) -> Result<SocketAddr, Problem> {
    let SocketAddr::V6(mut v6) = address else {
        return match zone {
            Some(_) => Err(Problem::new("an IPv4 address has no %interface")),
            None => Ok(address),
        };
    };
    match zone {
        Some(zone) => v6.set_scope_id(interface(zone)?),
        None if v6.ip().is_unicast_link_local() => {
            return Err(Problem::new(
                "a link-local address needs its interface, such as \"[fe80::1%eth0]:4870\"",
            ));
        }
        None => return Ok(unmapped(address)),
    }
    Ok(v6.into())
}

/// The number of an interface, by its name or as a number.
fn interface(zone: &str) -> Result<u32, Problem> {
    if let Ok(number) = zone.parse() {
        return Ok(number);
    }
    let index = socket(AddressFamily::INET, SocketType::DGRAM, None)
        .and_then(|any| netdevice::name_to_index(any, zone));
    index.map_err(|error| {
        Problem(format!(
            "no interface \"{zone}\" here ({}); `ip link` lists them",
            std::io::Error::from(error)
        ))
    })
}

#[cfg(test)]
mod tests {
    fn read(text: &str, port: Option<u16>) -> Result<String, String> {
        let read = super::read(text, port).unwrap_or_else(|| panic!("{text} is an address"));
        read.map(|address| address.to_string()).map_err(|problem| problem.to_string())
    }

    #[test]
    fn an_interface_is_given_by_name_or_number() {
        assert_eq!(read("[fe80::1%lo]:4870", None).as_deref(), Ok("[fe80::1%1]:4870"));
        assert_eq!(read("[fe80::1%2]:4870", None).as_deref(), Ok("[fe80::1%2]:4870"));
        assert_eq!(read("fe80::1%lo", Some(7)).as_deref(), Ok("[fe80::1%1]:7"));
        assert_eq!(read("[fe80::1%lo]", Some(7)).as_deref(), Ok("[fe80::1%1]:7"));
    }

    #[test]
    fn an_interface_that_is_missing_unknown_or_out_of_place_is_told() {
        let missing = read("[fe80::1]:4870", None).unwrap_err();
        assert!(missing.contains("needs its interface"), "{missing}");
        let unknown = read("[fe80::1%nosuch0]:4870", None).unwrap_err();
        assert!(unknown.contains("\"nosuch0\""), "{unknown}");
        assert!(read("192.0.2.1%lo", Some(1)).is_err());
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_one_that_it_is() {
        assert_eq!(read("[::ffff:127.0.0.1]:4870", None).as_deref(), Ok("127.0.0.1:4870"));
        assert_eq!(read("::ffff:192.0.2.1", Some(9)).as_deref(), Ok("192.0.2.1:9"));
        assert_eq!(read("[::1]:9", None).as_deref(), Ok("[::1]:9"));
    }

    #[test]
    fn names_and_addresses_without_a_port_are_not_taken() {
        for text in ["localhost", "localhost:1", "127.0.0.1", "::1", "[::1]", "fe80::1%lo", ""] {
            assert!(super::read(text, None).is_none(), "{text}");
        }
    }
}
