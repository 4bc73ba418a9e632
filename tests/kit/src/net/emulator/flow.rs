//! Which flow a frame belongs to: its transport protocol and destination port.

/// A flow in one direction of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flow {
    /// IP protocol number: [`Flow::TCP`], [`Flow::UDP`], others; 0 for frames that are not IP.
    pub protocol: u8,
    /// Destination port of TCP and UDP, else 0.
    pub port: u16,
}

impl Flow {
    /// IP protocol number of TCP.
    pub const TCP: u8 = 6;
    /// IP protocol number of UDP.
    pub const UDP: u8 = 17;

    /// The flow of an Ethernet frame. IPv6 extension headers are not looked behind, and a fragment
    /// behind the first one has no ports: both are flows of their own.
    pub(super) fn of(frame: &[u8]) -> Self {
        let field =
            |at: usize| frame.get(at..at + 2).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]));
        let byte = |at: usize| frame.get(at).copied().unwrap_or_default();
        let (protocol, transport) = match field(12) {
            0x0800 if field(20) & 0x1FFF == 0 => (byte(23), 14 + usize::from(byte(14) & 15) * 4),
            0x86DD => (byte(20), 54),
            _ => return Flow::default(),
        };
        match protocol {
            Flow::TCP | Flow::UDP => Flow { protocol, port: field(transport + 2) },
            _ => Flow { protocol, port: 0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_are_told_by_protocol_and_port() {
        let mut v4 = [0_u8; 60];
        v4[12..15].copy_from_slice(&[0x08, 0x00, 0x46]);
        v4[23] = Flow::UDP;
        v4[40..42].copy_from_slice(&[0x13, 0x06]);
        assert_eq!(Flow::of(&v4), Flow { protocol: Flow::UDP, port: 4870 });
        v4[21] = 1;
        assert_eq!(Flow::of(&v4), Flow::default(), "a later fragment");
        let mut v6 = [0_u8; 60];
        v6[12..15].copy_from_slice(&[0x86, 0xDD, 0x60]);
        v6[20] = Flow::TCP;
        v6[57] = 80;
        assert_eq!(Flow::of(&v6), Flow { protocol: Flow::TCP, port: 80 });
    }

    #[test]
    fn frames_that_are_cut_short_are_some_flow() {
        for kind in [[0x08, 0x00], [0x86, 0xDD], [0x08, 0x06]] {
            let mut frame = [Flow::UDP; 60];
            frame[12..14].copy_from_slice(&kind);
            for length in 0..frame.len() {
                let flow = Flow::of(&frame[..length]);
                assert!(flow.protocol == 0 || flow.protocol == Flow::UDP, "{flow:?}");
            }
        }
    }
}
