//! Reads the structures that the kernel writes into byte buffers: socket addresses and integers
//! in the machine's byte order. All by checked slices; a short buffer gives `None`.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Room for any address that a UDP socket receives from: `sockaddr_in6` is 28 bytes; a multiple of 16.
pub(crate) const ADDRESS_BYTES: usize = 32;

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

// Host order: the kernel's own structures.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_ne_bytes)
}

// Host order: the kernel's own structures.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_ne_bytes)
}

// Host order: the kernel's own structures.
pub(crate) fn usize_at(bytes: &[u8], at: usize) -> Option<usize> {
    array(bytes, at).map(usize::from_ne_bytes)
}

/// Reads a `sockaddr_in` or `sockaddr_in6` (ip(7), ipv6(7)).
pub(crate) fn socket_address(bytes: &[u8]) -> Option<SocketAddr> {
    let port = || array(bytes, 2).map(u16::from_be_bytes);
    match i32::from(u16_at(bytes, 0)?) {
        libc::AF_INET => {
            let ip = Ipv4Addr::from(array::<4>(bytes, 4)?);
            Some(SocketAddr::V4(SocketAddrV4::new(ip, port()?)))
        }
        libc::AF_INET6 => {
            let ip = Ipv6Addr::from(array::<16>(bytes, 8)?);
            let flow = array(bytes, 4).map(u32::from_be_bytes)?;
            Some(SocketAddr::V6(SocketAddrV6::new(ip, port()?, flow, u32_at(bytes, 24)?)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of an address as socket2 (that is, the kernel) lays them out.
    fn laid_out(address: SocketAddr) -> Vec<u8> {
        let raw = socket2::SockAddr::from(address);
        // SAFETY: as_ptr points to at least len() initialised bytes owned by `raw`.
        let bytes = unsafe { std::slice::from_raw_parts(raw.as_ptr().cast(), raw.len() as usize) };
        bytes.to_vec()
    }

    #[test]
    fn addresses_survive_the_kernels_layout() {
        for text in ["127.0.0.1:4433", "255.1.2.3:1", "[2001:db8::7]:65535", "[fe80::1%3]:9"] {
            let address: SocketAddr = text.parse().unwrap();
            let bytes = laid_out(address);
            assert!(bytes.len() <= ADDRESS_BYTES);
            assert_eq!(socket_address(&bytes), Some(address));
            for cut in 0..8 {
                assert_eq!(socket_address(&bytes[..cut]), None);
            }
        }
        assert_eq!(socket_address(&[0; ADDRESS_BYTES]), None, "family 0");
    }
}
