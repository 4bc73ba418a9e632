//! The ring's sends: which train goes next and as which operation, and what an answer means.
//!
//! A train goes as SEND_ZC with the registered arena, or as SEND, which copies; both are cut by the
//! size that the socket is set to. Single datagrams go as SENDMSG, which says its own size. SEND_ZC
//! has two completions: the answer, after which the kernel reads no more of the request, and the
//! notification, after which it reads no more of the send buffer (io_uring_prep_send_zc(3)).

use std::collections::VecDeque;

use io_uring::types::Fixed;
use io_uring::{cqueue, opcode, squeue};

use crate::driver::base::Base;
use crate::driver::ring::sizes::Sizes;
use crate::driver::ring::wires::Wires;
use crate::driver::trains::outbox::{After, Piece, Train};

/// `IORING_SEND_ZC_REPORT_USAGE` (linux/io_uring.h, Linux 6.2): the notification says whether data
/// was copied.
const REPORT_USAGE: u16 = 1 << 3;
/// `IORING_NOTIF_USAGE_ZC_COPIED`: it was.
const COPIED: u32 = 1 << 31;
/// The arena is the only registered buffer.
pub(crate) const ARENA: u16 = 0;

/// Trains with something to submit, and the memory of the sends that the ring has.
pub(crate) struct Sends {
    wires: Wires,
    sizes: Sizes,
    queue: VecDeque<u16>,
    /// Whether a slot is in `queue`.
    queued: Box<[bool]>,
}

/// What could be done with a queued train.
enum Step {
    /// A piece is submitted; more of the train may wait.
    Again,
    /// Nothing is left to submit.
    Done,
    /// It has to wait for another turn; others may go.
    Later,
    /// No wire or no place in the submission queue: nothing goes any more.
    Full,
}

impl Sends {
    pub(crate) fn new(wires: u16, slots: u16, sockets: usize) -> Sends {
        Sends {
            wires: Wires::new(wires),
            sizes: Sizes::new(sockets),
            queue: VecDeque::with_capacity(slots.into()),
            queued: vec![false; slots.into()].into(),
        }
    }

    /// Queues the accepted train in `slot`.
    pub(crate) fn queue(&mut self, slot: u16) {
        self.queued[usize::from(slot)] = true;
        self.queue.push_back(slot);
    }

    /// Turns queued trains into submissions, as far as wires reach. `push` puts an entry into the
    /// submission queue, with a number to find it by, and says whether there was room.
    pub(crate) fn submit(
        &mut self,
        base: &mut Base,
        push: &mut dyn FnMut(squeue::Entry, u32) -> bool,
    ) {
        self.sizes.begin();
        let mut at = 0;
        while let Some(&slot) = self.queue.get(at) {
            match self.step(slot, base, push) {
                Step::Again => {}
                Step::Done => {
                    self.queue.remove(at);
                    self.queued[usize::from(slot)] = false;
                }
                Step::Later => at += 1,
                Step::Full => return,
            }
        }
    }

    fn step(
        &mut self,
        slot: u16,
        base: &mut Base,
        push: &mut dyn FnMut(squeue::Entry, u32) -> bool,
    ) -> Step {
        let train = base.outbox.train(slot);
        // No piece: the train failed with pieces in flight, and the rest is not tried.
        let Some(piece) = base.outbox.piece(slot, train.next()) else { return Step::Done };
        let socket = train.socket();
        if let Some(size) = piece.segment {
            let file = &base.sockets[usize::from(socket)];
            match self.sizes.claim(socket, file, size, &mut base.stats) {
                Ok(true) => {}
                Ok(false) => return Step::Later,
                Err(_) => {
                    base.outbox.split(slot, &mut base.stats);
                    return Step::Again;
                }
            }
        }
        let Some((wire, entry)) = self.entry(base.outbox.train(slot), piece) else {
            self.unclaim(socket, &piece);
            return Step::Full;
        };
        if !push(entry, u32::from(slot) << 16 | u32::from(wire)) {
            self.wires.free(wire);
            self.unclaim(socket, &piece);
            return Step::Full;
        }
        if base.outbox.start(slot, &piece) { Step::Again } else { Step::Done }
    }

    /// A filled wire and the entry that points to it; `None`: no wire is free.
    fn entry(&mut self, train: &Train, piece: Piece) -> Option<(u16, squeue::Entry)> {
        let socket = Fixed(train.socket().into());
        if piece.zero_copy {
            let (wire, name, length) = self.wires.fill_address(train, piece)?;
            let send = opcode::SendZc::new(socket, train.address(&piece), piece.len as u32)
                .buf_index(Some(ARENA))
                .dest_addr(name)
                .dest_addr_len(length)
                .zc_flags(REPORT_USAGE);
            return Some((wire, send.build()));
        }
        if piece.segment.is_some() {
            let (wire, name, length) = self.wires.fill_address(train, piece)?;
            let send = opcode::Send::new(socket, train.address(&piece), piece.len as u32)
                .dest_addr(name)
                .dest_addr_len(length);
            return Some((wire, send.build()));
        }
        // A single datagram says that it has no size: a train behind it may give its socket one before it leaves.
        let (wire, header) = self.wires.fill(train, piece)?;
        Some((wire, opcode::SendMsg::new(socket, header).build()))
    }

    fn unclaim(&mut self, socket: u16, piece: &Piece) {
        if piece.segment.is_some() {
            self.sizes.answered(socket);
        }
    }

    /// A completion of the send with `number`; whether its train is over.
    pub(crate) fn completed(
        &mut self,
        base: &mut Base,
        number: u32,
        completion: &cqueue::Entry,
    ) -> bool {
        let (slot, wire) = ((number >> 16) as u16, number as u16);
        let (result, flags) = (completion.result(), completion.flags());
        let after = if cqueue::notif(flags) {
            let copied = result.cast_unsigned() & COPIED != 0;
            base.outbox.notified(slot, copied, &mut base.stats)
        } else {
            let piece = self.wires.free(wire);
            self.unclaim(base.outbox.train(slot).socket(), &piece);
            if cqueue::more(flags) {
                base.outbox.expect_notification(slot);
            }
            let answer = if result < 0 { Err(-result) } else { Ok(()) };
            base.outbox.finish(slot, &piece, answer, &mut base.stats)
        };
        match after {
            After::Pending => false,
            After::Again => {
                self.queued[usize::from(slot)] = true;
                self.queue.push_front(slot);
                false
            }
            After::Over => {
                // A train that failed may still be listed for what is not tried any more.
                if std::mem::take(&mut self.queued[usize::from(slot)]) {
                    self.queue.retain(|&listed| listed != slot);
                }
                true
            }
        }
    }
}
