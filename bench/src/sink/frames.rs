//! Ethernet frames with IPv4 and UDP as they pass through the TAP device, behind the 10 bytes of `virtio_net_hdr`.

use std::net::Ipv4Addr;
use std::ops::Range;

/// `struct virtio_net_hdr` without the field for merged buffers (virtio 1.2, 5.1.6).
const VIRTIO: usize = 10;
/// Ethernet, IPv4 without options, UDP.
const ETHERNET: usize = 14;
const IPV4: usize = 20;
const UDP: usize = 8;
/// What stands before a UDP payload on the wire.
pub(super) const WIRE_HEADERS: usize = ETHERNET + IPV4 + UDP;
/// Where the UDP payload begins in what is read from and written to the device.
pub(super) const PAYLOAD: usize = VIRTIO + WIRE_HEADERS;
/// The longest that the device gives.
pub(super) const FRAME_MAX: usize = VIRTIO + ETHERNET + 65_535;

/// VIRTIO_NET_HDR_F_DATA_VALID: the checksum has been checked, as a card does it.
const DATA_VALID: u8 = 2;
/// VIRTIO_NET_HDR_GSO_UDP_L4: the frame is a train.
const GSO_UDP_L4: u8 = 5;

/// Where one end of the cable is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) mac: [u8; 6],
    pub(super) address: Ipv4Addr,
    pub(super) port: u16,
}

/// A frame that the server sent to a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Received {
    /// Where the UDP payload lies.
    pub(super) payload: Range<usize>,
    /// Of a train: payload bytes of each datagram but the last.
    pub(super) datagram_bytes: Option<usize>,
    pub(super) to: Ipv4Addr,
}

/// Reads a frame; `None` when it is no UDP over IPv4 without options.
pub(super) fn parse(frame: &[u8]) -> Option<Received> {
    let virtio = frame.get(..VIRTIO)?;
    let ip = frame.get(VIRTIO + ETHERNET..)?;
    let is_udp = frame[VIRTIO + 12..VIRTIO + ETHERNET] == [0x08, 0x00]
        && ip.first() == Some(&0x45)
        && ip.get(9) == Some(&17);
    let udp = ip.get(IPV4..IPV4 + UDP).filter(|_| is_udp)?;
    let len = usize::from(u16::from_be_bytes([udp[4], udp[5]])).checked_sub(UDP)?;
    let is_train = virtio[1] == GSO_UDP_L4;
    // A train's UDP length may be that of one datagram; the frame's own length is the truth.
    let len = if is_train { frame.len().checked_sub(PAYLOAD)? } else { len };
    frame.get(PAYLOAD..PAYLOAD + len)?;
    let to = Ipv4Addr::from(<[u8; 4]>::try_from(ip.get(16..20)?).ok()?);
    let size = usize::from(u16::from_le_bytes([virtio[4], virtio[5]]));
    if is_train && size == 0 {
        return None;
    }
    let datagram_bytes = is_train.then_some(size);
    Some(Received { payload: PAYLOAD..PAYLOAD + len, datagram_bytes, to })
}

/// Completes a frame whose UDP payload of `len` bytes lies at [`PAYLOAD`]; returns the frame's length.
pub(super) fn complete(frame: &mut [u8], from: Endpoint, to: Endpoint, len: usize) -> usize {
    let (head, _) = frame.split_at_mut(PAYLOAD);
    head.fill(0);
    head[0] = DATA_VALID;
    let (ethernet, rest) = head[VIRTIO..].split_at_mut(ETHERNET);
    ethernet[..6].copy_from_slice(&to.mac);
    ethernet[6..12].copy_from_slice(&from.mac);
    ethernet[12..].copy_from_slice(&[0x08, 0x00]);
    let (ip, udp) = rest.split_at_mut(IPV4);
    let total = (IPV4 + UDP + len) as u16;
    ip[..2].copy_from_slice(&[0x45, 0]);
    ip[2..4].copy_from_slice(&total.to_be_bytes());
    ip[6] = 0x40; // don't fragment
    ip[8..10].copy_from_slice(&[64, 17]); // time to live, UDP
    ip[12..16].copy_from_slice(&from.address.octets());
    ip[16..20].copy_from_slice(&to.address.octets());
    let sum = checksum(ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    udp[..2].copy_from_slice(&from.port.to_be_bytes());
    udp[2..4].copy_from_slice(&to.port.to_be_bytes());
    // No UDP checksum: the field stays 0 (RFC 768).
    udp[4..6].copy_from_slice(&((UDP + len) as u16).to_be_bytes());
    PAYLOAD + len
}

/// The internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(last: u8) -> Endpoint {
        Endpoint { mac: [2, 0, 0, 0, 0, last], address: [10, 0, 0, last].into(), port: 4000 }
    }

    #[test]
    fn what_was_completed_can_be_parsed() {
        let mut frame = vec![9; 200];
        let len = complete(&mut frame, end(1), end(2), 100);
        let received = parse(&frame[..len]).expect("a frame");
        let payload = PAYLOAD..PAYLOAD + 100;
        let to = end(2).address;
        assert_eq!(received, Received { payload, datagram_bytes: None, to });
        assert_eq!(checksum(&frame[VIRTIO + ETHERNET..VIRTIO + ETHERNET + IPV4]), 0);
        assert_eq!(parse(&frame[..len - 1]), None);
    }

    #[test]
    fn a_train_has_the_length_of_its_frame() {
        let mut frame = vec![9; PAYLOAD + 250];
        complete(&mut frame, end(1), end(2), 100);
        frame[1] = GSO_UDP_L4;
        frame[4..6].copy_from_slice(&100_u16.to_le_bytes());
        let received = parse(&frame).expect("a frame");
        assert_eq!((received.payload.len(), received.datagram_bytes), (250, Some(100)));
        frame[4..6].fill(0);
        assert_eq!(parse(&frame), None);
    }

    #[test]
    fn other_frames_are_none_of_ours() {
        assert_eq!(parse(&[]), None);
        let mut frame = vec![0; 100];
        frame[VIRTIO + 12..VIRTIO + 14].copy_from_slice(&[0x86, 0xdd]);
        assert_eq!(parse(&frame), None);
    }
}
