//! Trains on their way out, for all drivers: what to hand to the kernel next, and what its answer
//! means. Decides between one send with UDP_SEGMENT and one send for each datagram.

use std::net::IpAddr;

use socket2::SockAddr;

use crate::driver::stats::DriverStats;
use crate::driver::trains::arena::SendBuffer;
use crate::driver::trains::failure::{FailureKind, Failures, SendFailure};
use crate::driver::trains::outgoing::Outgoing;
use crate::driver::trains::route::RouteTable;
use crate::driver::trains::zero_copy::Choice;
use crate::udp::{MAX_SEND_BYTES, MAX_TRAIN_DATAGRAMS};

/// How a train goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// One send that the kernel does not copy, if the path allows it.
    ZeroCopy,
    /// One send; the kernel or the device cuts it into datagrams.
    Whole,
    /// A send for each datagram.
    Split,
    /// Split after a refusal. If a datagram now passes, the refusal was about trains, and the
    /// route is remembered; if not, it was about something else.
    SplitOnTrial,
}

/// One train: from `send` until the kernel is done with it.
#[derive(Debug)]
pub(crate) struct Train {
    buffer: SendBuffer,
    len: usize,
    datagram_bytes: usize,
    socket: u16,
    to: SockAddr,
    ip: IpAddr,
    ticket: u64,
    mode: Mode,
    /// Offset of what was not handed to the kernel yet.
    next: usize,
    /// Pieces that the kernel has and that it has not answered.
    in_flight: usize,
    /// Sends after which the kernel may still read the buffer, until it notifies.
    notifications: usize,
    failed: bool,
}

impl Train {
    pub(crate) fn socket(&self) -> u16 {
        self.socket
    }

    pub(crate) fn to(&self) -> &SockAddr {
        &self.to
    }

    /// Offset of what was not handed to the kernel yet.
    pub(crate) fn next(&self) -> usize {
        self.next
    }

    /// Length in bytes, all datagrams together.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The bytes of a piece, for an operation of a runtime to read.
    #[cfg(any(feature = "tokio-uring", feature = "glommio"))]
    pub(crate) fn lend(&self, piece: &Piece) -> crate::driver::trains::arena::Lent {
        self.buffer.lend(piece.start..piece.start + piece.len)
    }

    /// The bytes of a piece, for the kernel to read.
    pub(crate) fn address(&self, piece: &Piece) -> *const u8 {
        self.buffer[piece.start..piece.start + piece.len].as_ptr()
    }
}

/// What one system call or submission sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) start: usize,
    pub(crate) len: usize,
    /// The datagram size for UDP_SEGMENT; `None`: a single datagram.
    pub(crate) segment: Option<u16>,
    /// The kernel reads the buffer beyond its answer, until it notifies.
    pub(crate) zero_copy: bool,
}

/// What is left of a train after an answer of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// The kernel still has pieces, or pieces wait as before.
    Pending,
    /// The train begins again, with copying or datagram by datagram.
    Again,
    /// The train is over and its buffer is free.
    Over,
}

/// All trains of a driver, by slot of their send buffer.
#[derive(Debug)]
pub(crate) struct Outbox {
    trains: Box<[Option<Train>]>,
    routes: RouteTable,
    pub(crate) zero_copy: Choice,
    pub(crate) failures: Failures,
    gso: bool,
}

impl Outbox {
    pub(crate) fn new(slots: u16, gso: bool) -> Outbox {
        Outbox {
            trains: (0..slots).map(|_| None).collect(),
            routes: RouteTable::new(),
            zero_copy: Choice::never(),
            failures: Failures::new(),
            gso,
        }
    }

    /// Takes a train over and returns its slot.
    pub(crate) fn accept(&mut self, outgoing: Outgoing) -> u16 {
        let Outgoing { buffer, len, datagram_bytes, socket, to, ticket } = outgoing;
        assert!(len <= buffer.len() && datagram_bytes > 0, "{len} bytes by {datagram_bytes}");
        let slot = buffer.slot();
        let datagrams = len.div_ceil(datagram_bytes);
        let train = self.gso
            && datagrams <= MAX_TRAIN_DATAGRAMS
            && len <= MAX_SEND_BYTES
            && !self.routes.refuses(to.ip());
        let mode = match (datagrams <= 1, train) {
            (true, _) => Mode::Whole,
            (false, false) => Mode::Split,
            (false, true) if self.zero_copy.wants(socket, to.ip(), len) => Mode::ZeroCopy,
            (false, true) => Mode::Whole,
        };
        let previous = self.trains[usize::from(slot)].replace(Train {
            buffer,
            len,
            datagram_bytes,
            socket,
            to: to.into(),
            ip: to.ip(),
            ticket,
            mode,
            next: 0,
            in_flight: 0,
            notifications: 0,
            failed: false,
        });
        assert!(previous.is_none(), "slot {slot} was in flight and handed out");
        slot
    }

    pub(crate) fn train(&self, slot: u16) -> &Train {
        self.trains[usize::from(slot)].as_ref().expect("a queued slot holds a train")
    }

    fn train_mut(&mut self, slot: u16) -> &mut Train {
        self.trains[usize::from(slot)].as_mut().expect("a queued slot holds a train")
    }

    /// The piece of a train that begins at `from`; `None` at its end. Changes nothing. An empty
    /// train is one empty datagram.
    pub(crate) fn piece(&self, slot: u16, from: usize) -> Option<Piece> {
        let train = self.train(slot);
        let left = train.len.checked_sub(from)?;
        if left == 0 && train.len != 0 {
            return None;
        }
        let zero_copy = train.mode == Mode::ZeroCopy;
        if zero_copy || train.mode == Mode::Whole {
            let several = train.len > train.datagram_bytes;
            let segment = if several { u16::try_from(train.datagram_bytes).ok() } else { None };
            return Some(Piece { start: from, len: left, segment, zero_copy });
        }
        let len = left.min(train.datagram_bytes);
        Some(Piece { start: from, len, segment: None, zero_copy })
    }

    /// Notes that the kernel has `piece` now. Returns whether more of the train is to be handed over.
    pub(crate) fn start(&mut self, slot: u16, piece: &Piece) -> bool {
        let train = self.train_mut(slot);
        train.next = piece.start + piece.len;
        train.in_flight += 1;
        train.next < train.len
    }

    /// Notes the kernel's answer about a started piece: `Err` holds the errno.
    pub(crate) fn finish(
        &mut self,
        slot: u16,
        piece: &Piece,
        result: Result<(), i32>,
        stats: &mut DriverStats,
    ) -> After {
        let train = self.train_mut(slot);
        train.in_flight -= 1;
        let mut after = After::Pending;
        match result {
            Ok(()) => {
                let datagrams = piece.segment.map_or(1, |size| piece.len.div_ceil(size.into()));
                stats.datagrams_out += datagrams as u64;
                stats.bytes_out += piece.len as u64;
                stats.trains_out += u64::from(piece.segment.is_some());
                stats.zero_copy_trains += u64::from(piece.zero_copy);
                if train.mode == Mode::SplitOnTrial {
                    train.mode = Mode::Split;
                    let ip = train.ip;
                    self.routes.remember(ip);
                }
            }
            Err(errno) if piece.zero_copy && may_pass_copied(errno) => {
                stats.zero_copy_refused += 1;
                let (socket, ip) = (train.socket, train.ip);
                self.zero_copy.learn(socket, ip, true);
                self.copy(slot);
                after = After::Again;
            }
            Err(errno) if piece.segment.is_some() && refuses_trains(errno) => {
                self.split(slot, stats);
                after = After::Again;
            }
            Err(errno) => {
                // What is left would fail likewise; what was sent is sent.
                train.next = train.len;
                let first = !std::mem::replace(&mut train.failed, true);
                let ticket = train.ticket;
                if first {
                    self.fail(ticket, FailureKind::of(errno), stats);
                }
            }
        }
        if after == After::Again { after } else { self.settle(slot) }
    }

    /// Notes that the answer that is just being taken will be followed by a notification: until
    /// then the kernel may read the buffer.
    pub(crate) fn expect_notification(&mut self, slot: u16) {
        self.train_mut(slot).notifications += 1;
    }

    /// Notes a notification: the kernel reads the buffer no more, on behalf of one send.
    pub(crate) fn notified(&mut self, slot: u16, copied: bool, stats: &mut DriverStats) -> After {
        let train = self.train_mut(slot);
        train.notifications -= 1;
        let (socket, ip) = (train.socket, train.ip);
        stats.zero_copy_copied += u64::from(copied);
        self.zero_copy.learn(socket, ip, copied);
        self.settle(slot)
    }

    /// Sends a train with copying that was refused without.
    fn copy(&mut self, slot: u16) {
        let train = self.train_mut(slot);
        train.mode = Mode::Whole;
        train.next = 0;
    }

    /// Sends a train datagram by datagram that was refused as a train.
    pub(crate) fn split(&mut self, slot: u16, stats: &mut DriverStats) {
        stats.gso_refused += 1;
        let train = self.train_mut(slot);
        train.mode = Mode::SplitOnTrial;
        train.next = 0;
    }

    /// Ends a train that the kernel needs no more.
    fn settle(&mut self, slot: u16) -> After {
        let train = self.train_mut(slot);
        if train.in_flight > 0 || train.notifications > 0 || train.next < train.len {
            return After::Pending;
        }
        self.trains[usize::from(slot)] = None;
        After::Over
    }

    fn fail(&mut self, ticket: u64, kind: FailureKind, stats: &mut DriverStats) {
        match kind {
            FailureKind::TooLarge => stats.failed_too_large += 1,
            FailureKind::NoBuffers => stats.failed_no_buffers += 1,
            FailureKind::Other(_) => stats.failed_other += 1,
        }
        if !self.failures.push(SendFailure { ticket, kind }) {
            stats.failures_dropped += 1;
        }
    }

    /// Forgets all trains without freeing their buffers, whose arena then stays mapped for ever: for
    /// a kernel that would not say that it is done with them.
    pub(crate) fn leak(&mut self) {
        for train in self.trains.iter_mut().filter_map(Option::take) {
            std::mem::forget(train);
        }
    }
}

/// Whether an errno of a train says "not as a train" (udp(7); kernel: net/ipv4/udp.c): `EIO` from
/// an IPsec policy or a device without checksum offload, `EINVAL` and `EOPNOTSUPP` from old kernels.
fn refuses_trains(errno: i32) -> bool {
    matches!(errno, libc::EIO | libc::EINVAL | libc::EOPNOTSUPP)
}

/// Whether a train that was refused without copying may pass with it (kernel: io_uring/net.c and
/// net/ipv4/ip_output.c): `EMSGSIZE` also means too many fragments, `EINVAL` and `EOPNOTSUPP` an
/// old kernel, the others a lack of memory for pinning.
fn may_pass_copied(errno: i32) -> bool {
    matches!(
        errno,
        libc::EMSGSIZE
            | libc::EINVAL
            | libc::EOPNOTSUPP
            | libc::ENOBUFS
            | libc::ENOMEM
            | libc::EFAULT
    )
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::driver::trains::arena::Arena;
    use crate::driver::trains::zero_copy::ZeroCopy;

    const TO: &str = "192.0.2.1:9";

    /// An outbox with one train of 10 × 100 bytes in slot 0, handed over whole.
    fn whole() -> (Outbox, Piece, DriverStats) {
        let mut outbox = Outbox::new(2, true);
        let piece = queue(&mut outbox);
        assert_eq!(piece, Piece { start: 0, len: 1000, segment: Some(100), zero_copy: false });
        (outbox, piece, DriverStats::default())
    }

    fn queue(outbox: &mut Outbox) -> Piece {
        let buffer = Arena::new(1, 4096).unwrap().take().unwrap();
        let to = TO.parse().unwrap();
        let train = Outgoing { buffer, len: 1000, datagram_bytes: 100, socket: 0, to, ticket: 5 };
        let slot = outbox.accept(train);
        assert_eq!(slot, 0);
        let piece = outbox.piece(0, 0).unwrap();
        outbox.start(0, &piece);
        piece
    }

    #[test]
    fn a_refusal_is_remembered_once_a_datagram_passed() {
        let (mut outbox, piece, mut stats) = whole();
        assert_eq!(outbox.finish(0, &piece, Err(libc::EIO), &mut stats), After::Again);
        let ip = TO.parse::<SocketAddr>().unwrap().ip();
        assert!(!outbox.routes.refuses(ip));
        let mut from = 0;
        while let Some(piece) = outbox.piece(0, from) {
            assert_eq!(piece, Piece { start: from, len: 100, segment: None, zero_copy: false });
            from += piece.len;
            assert_eq!(outbox.start(0, &piece), from < 1000);
            let after = outbox.finish(0, &piece, Ok(()), &mut stats);
            assert_eq!(after, if from < 1000 { After::Pending } else { After::Over });
            if after == After::Over {
                break;
            }
        }
        assert_eq!((from, stats.datagrams_out, stats.gso_refused), (1000, 10, 1));
        assert!(outbox.routes.refuses(ip));
        assert_eq!(queue(&mut outbox).segment, None, "the next train does not try");
        assert_eq!(outbox.failures.take(), None);
    }

    #[test]
    fn datagrams_that_are_too_large_do_not_condemn_the_route() {
        // Old kernels say EINVAL to a train of datagrams larger than the link.
        let (mut outbox, piece, mut stats) = whole();
        outbox.finish(0, &piece, Err(libc::EINVAL), &mut stats);
        let first = outbox.piece(0, 0).unwrap();
        outbox.start(0, &first);
        let second = outbox.piece(0, 100).unwrap();
        outbox.start(0, &second);
        assert_eq!(outbox.finish(0, &first, Err(libc::EMSGSIZE), &mut stats), After::Pending);
        assert_eq!(outbox.piece(0, outbox.train(0).next()), None, "the rest is not tried");
        assert_eq!(outbox.finish(0, &second, Err(libc::EMSGSIZE), &mut stats), After::Over);
        let failure = SendFailure { ticket: 5, kind: FailureKind::TooLarge };
        assert_eq!(outbox.failures.take(), Some(failure));
        assert_eq!(outbox.failures.take(), None, "one failure for the train");
        assert_eq!(queue(&mut outbox).segment, Some(100));
    }

    /// The same train, handed over to be sent without copying.
    fn without_copying() -> (Outbox, Piece, DriverStats) {
        let mut outbox = Outbox::new(2, true);
        outbox.zero_copy = Choice::new(ZeroCopy::Always, ["192.0.2.9".parse().unwrap()].into());
        let piece = queue(&mut outbox);
        assert_eq!(piece, Piece { start: 0, len: 1000, segment: Some(100), zero_copy: true });
        (outbox, piece, DriverStats::default())
    }

    #[test]
    fn a_buffer_is_kept_until_the_notification() {
        let (mut outbox, piece, mut stats) = without_copying();
        outbox.expect_notification(0);
        assert_eq!(outbox.finish(0, &piece, Ok(()), &mut stats), After::Pending);
        assert_eq!((stats.trains_out, stats.zero_copy_trains), (1, 1));
        assert_eq!(outbox.notified(0, true, &mut stats), After::Over);
        assert_eq!(stats.zero_copy_copied, 1);
        // Failures notify too, and the buffer is the kernel's until then.
        let piece = queue(&mut outbox);
        outbox.expect_notification(0);
        assert_eq!(outbox.finish(0, &piece, Err(libc::EPERM), &mut stats), After::Pending);
        assert_eq!(outbox.notified(0, false, &mut stats), After::Over);
        assert_eq!(outbox.failures.take().unwrap().kind, FailureKind::Other(libc::EPERM));
    }

    #[test]
    fn too_many_fragments_do_not_blame_the_datagrams() {
        let (mut outbox, piece, mut stats) = without_copying();
        outbox.expect_notification(0);
        assert_eq!(outbox.finish(0, &piece, Err(libc::EMSGSIZE), &mut stats), After::Again);
        let again = outbox.piece(0, outbox.train(0).next()).unwrap();
        assert_eq!(again, Piece { zero_copy: false, ..piece });
        outbox.start(0, &again);
        assert_eq!(outbox.finish(0, &again, Ok(()), &mut stats), After::Pending);
        assert_eq!(outbox.notified(0, false, &mut stats), After::Over);
        assert_eq!(outbox.failures.take(), None);
        assert_eq!((stats.zero_copy_refused, stats.zero_copy_trains, stats.gso_refused), (1, 0, 0));
        // With copying the same errno is about the datagrams.
        let piece = queue(&mut outbox);
        assert_eq!(outbox.finish(0, &piece, Err(libc::EMSGSIZE), &mut stats), After::Again);
        let again = outbox.piece(0, 0).unwrap();
        outbox.start(0, &again);
        assert_eq!(outbox.finish(0, &again, Err(libc::EMSGSIZE), &mut stats), After::Over);
        assert_eq!(outbox.failures.take().unwrap().kind, FailureKind::TooLarge);
    }

    #[test]
    fn lack_of_memory_is_no_refusal() {
        let (mut outbox, piece, mut stats) = whole();
        assert_eq!(outbox.finish(0, &piece, Err(libc::ENOBUFS), &mut stats), After::Over);
        assert_eq!(outbox.failures.take().unwrap().kind, FailureKind::NoBuffers);
        assert_eq!((stats.failed_no_buffers, stats.gso_refused), (1, 0));
    }
}
