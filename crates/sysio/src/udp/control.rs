//! Control messages (cmsg(3)) as plain bytes: the segment size of a train to be sent, and what
//! the kernel says about a received datagram (ECN bits, size of merged datagrams, overflow count).

use crate::udp::kernel_abi::{u16_at, u32_at, usize_at};

/// Length of `struct cmsghdr`: a `size_t` and two `int`s.
const HEADER: usize = size_of::<libc::cmsghdr>();
/// Control messages begin at multiples of this (`CMSG_ALIGN`).
const ALIGN: usize = size_of::<usize>();

/// Bytes that a control message with `data` bytes takes (`CMSG_SPACE`).
const fn space(data: usize) -> usize {
    HEADER.next_multiple_of(ALIGN) + data.next_multiple_of(ALIGN)
}

/// Room for what is sent: one message, UDP_SEGMENT, a `u16`.
pub(crate) const SEND_BYTES: usize = space(2);
/// Room for what is received: TOS or TCLASS, UDP_GRO and SO_RXQ_OVFL, each at most an `int`, and
/// one more; 96 bytes.
pub(crate) const RECEIVE_BYTES: usize = 4 * space(4);

/// The control messages of one send, aligned as the kernel wants them.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct SendControl(pub(crate) [u8; SEND_BYTES]);

impl SendControl {
    pub(crate) const EMPTY: SendControl = SendControl([0; SEND_BYTES]);

    /// One UDP_SEGMENT message: the send is cut into datagrams of `datagram_bytes` (udp(7)).
    #[expect(clippy::host_endian_bytes, reason = "the kernel's own structures are in host order")]
    pub(crate) fn segment(datagram_bytes: u16) -> SendControl {
        let mut bytes = [0; SEND_BYTES];
        let length = HEADER + size_of::<u16>();
        let (head, data) = bytes.split_at_mut(HEADER);
        let (size, kind) = head.split_at_mut(size_of::<usize>());
        size.copy_from_slice(&length.to_ne_bytes());
        kind[..4].copy_from_slice(&libc::SOL_UDP.to_ne_bytes());
        kind[4..8].copy_from_slice(&libc::UDP_SEGMENT.to_ne_bytes());
        data[..2].copy_from_slice(&datagram_bytes.to_ne_bytes());
        SendControl(bytes)
    }
}

/// What the control messages of a received message say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ReceivedControl {
    /// Low two bits of TOS or TCLASS.
    pub(crate) ecn: u8,
    /// Size of each datagram but the last, when several were merged (UDP_GRO); else 0.
    pub(crate) merged: usize,
    /// Datagrams that this socket dropped for lack of room, since it was opened.
    pub(crate) overflow: Option<u32>,
}

/// Reads the messages in `bytes`; stops at the first that is cut or malformed.
pub(crate) fn parse(mut bytes: &[u8]) -> ReceivedControl {
    let mut found = ReceivedControl::default();
    while let Some(length) = usize_at(bytes, 0) {
        let Some(data) = bytes.get(HEADER..length) else { break };
        let level = u32_at(bytes, size_of::<usize>()).map(u32::cast_signed);
        let name = u32_at(bytes, size_of::<usize>() + 4).map(u32::cast_signed);
        match (level, name) {
            // IPv4 gives a byte, IPv6 an int; both are below 256.
            (Some(libc::IPPROTO_IP), Some(libc::IP_TOS)) => {
                found.ecn = data.first().copied().unwrap_or(0) & 0b11;
            }
            (Some(libc::IPPROTO_IPV6), Some(libc::IPV6_TCLASS)) => {
                found.ecn = (u32_at(data, 0).unwrap_or(0) & 0b11) as u8;
            }
            // The kernel writes an int; early ones a u16. On big-endian machines only the int counts.
            (Some(libc::SOL_UDP), Some(libc::UDP_GRO)) => {
                let size = u32_at(data, 0).or_else(|| u16_at(data, 0).map(u32::from));
                found.merged = size.unwrap_or(0) as usize;
            }
            (Some(libc::SOL_SOCKET), Some(libc::SO_RXQ_OVFL)) => found.overflow = u32_at(data, 0),
            _ => {}
        }
        match bytes.get(length.next_multiple_of(ALIGN)..) {
            Some(rest) => bytes = rest,
            None => break,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::host_endian_bytes, reason = "the kernel's own structures are in host order")]
    fn message(level: i32, name: i32, data: &[u8]) -> Vec<u8> {
        let mut bytes = (HEADER + data.len()).to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(name.to_ne_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
        bytes
    }

    #[test]
    #[expect(clippy::host_endian_bytes, reason = "the kernel's own structures are in host order")]
    fn reads_what_the_kernel_writes() {
        let mut bytes = message(libc::IPPROTO_IP, libc::IP_TOS, &[0xB7]);
        bytes.extend(message(libc::SOL_UDP, libc::UDP_GRO, &1416_u32.to_ne_bytes()));
        bytes.extend(message(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &9_u32.to_ne_bytes()));
        let expected = ReceivedControl { ecn: 3, merged: 1416, overflow: Some(9) };
        assert_eq!(parse(&bytes), expected);
        assert!(bytes.len() <= RECEIVE_BYTES);
        let v6 = message(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, &2_u32.to_ne_bytes());
        assert_eq!(parse(&v6).ecn, 2);
    }

    #[test]
    fn cut_and_malformed_messages_end_the_reading() {
        let bytes = message(libc::IPPROTO_IP, libc::IP_TOS, &[3]);
        for cut in 0..bytes.len() - 8 {
            assert_eq!(parse(&bytes[..cut]).ecn, 0, "{cut}");
        }
        assert_eq!(parse(&[0xFF; RECEIVE_BYTES]), ReceivedControl::default());
        assert_eq!(parse(&[0; RECEIVE_BYTES]), ReceivedControl::default());
    }

    #[test]
    #[expect(clippy::host_endian_bytes, reason = "the kernel's own structures are in host order")]
    fn the_segment_message_is_laid_out_as_cmsg_wants() {
        let expected = message(libc::SOL_UDP, libc::UDP_SEGMENT, &1416_u16.to_ne_bytes());
        assert_eq!(SendControl::segment(1416).0[..], expected[..]);
        assert_eq!(size_of::<SendControl>(), SEND_BYTES);
        assert_eq!(align_of::<SendControl>(), align_of::<libc::cmsghdr>());
    }
}
