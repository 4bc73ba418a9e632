//! Which datagram size each socket is set to (UDP_SEGMENT, udp(7)).
//!
//! SEND and SEND_ZC have no control message: they are cut by the size that their socket has at the
//! moment of sending. That may be later than the submission, when the socket's buffer is full. So
//! a size changes only while no such send of the socket is unanswered, at most once a turn, and
//! trains of another size wait for the next turn. Sends with a control message, which goes before
//! the socket's size, may go at any time.

use std::io;

use crate::driver::DriverStats;
use crate::udp::UdpSocket;

#[derive(Debug, Clone, Copy, Default)]
struct Size {
    /// 0: none.
    bytes: u16,
    /// Sends by this size that are submitted and not answered.
    unanswered: u16,
    /// The turn in which the size was decided last, and whether sends may go by it in that turn.
    turn: u64,
    open: bool,
}

/// The sizes of a driver's sockets.
#[derive(Debug)]
pub(crate) struct Sizes {
    sizes: Box<[Size]>,
    turn: u64,
}

impl Sizes {
    pub(crate) fn new(sockets: usize) -> Sizes {
        Sizes { sizes: vec![Size::default(); sockets].into(), turn: 0 }
    }

    /// A new turn: each socket may change its size once.
    pub(crate) fn begin(&mut self) {
        self.turn += 1;
    }

    /// Asks to send by size `bytes`. `true`: the send is to be submitted now, and counts as
    /// unanswered. `false`: not in this turn. The first one of a turn that asks decides; if it has
    /// to wait for answers, so do all behind it, lest they keep it waiting for ever.
    ///
    /// # Errors
    /// If the socket does not take the size.
    pub(crate) fn claim(
        &mut self,
        socket: u16,
        file: &UdpSocket,
        bytes: u16,
        stats: &mut DriverStats,
    ) -> io::Result<bool> {
        let size = &mut self.sizes[usize::from(socket)];
        if size.turn != self.turn {
            size.turn = self.turn;
            size.open = size.bytes == bytes || size.unanswered == 0;
            if size.open && size.bytes != bytes {
                stats.size_changes += 1;
                stats.system_calls += 1;
                file.set_segment(bytes)?;
                size.bytes = bytes;
            }
        }
        let granted = size.open && size.bytes == bytes;
        size.unanswered += u16::from(granted);
        Ok(granted)
    }

    /// A claimed send was answered, or was not submitted after all.
    pub(crate) fn answered(&mut self, socket: u16) {
        self.sizes[usize::from(socket)].unanswered -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::udp::UdpConfig;

    #[test]
    fn a_size_changes_once_a_turn_and_never_under_a_send() {
        let file = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), &UdpConfig::default()).unwrap();
        let (mut sizes, mut stats) = (Sizes::new(2), DriverStats::default());
        let mut claim =
            |sizes: &mut Sizes, bytes| sizes.claim(1, &file, bytes, &mut stats).unwrap();
        sizes.begin();
        assert_eq!(sizes.sizes[1].bytes, 0);
        assert!(claim(&mut sizes, 1200));
        assert_eq!((sizes.sizes[0].bytes, sizes.sizes[1].bytes), (0, 1200));
        assert!(!claim(&mut sizes, 8952), "the first decides");
        assert!(claim(&mut sizes, 1200));
        sizes.answered(1);
        // One is unanswered: nothing changes, and nothing overtakes the one that waits.
        sizes.begin();
        assert!(!claim(&mut sizes, 8952));
        assert!(!claim(&mut sizes, 1200));
        sizes.answered(1);
        assert!(!claim(&mut sizes, 8952), "not before the next turn");
        sizes.begin();
        assert!(claim(&mut sizes, 8952));
        assert!(!claim(&mut sizes, 1200));
        sizes.begin();
        assert!(claim(&mut sizes, 8952), "the same size may go beside unanswered ones");
        assert_eq!((stats.size_changes, stats.system_calls), (2, 2));
    }
}
