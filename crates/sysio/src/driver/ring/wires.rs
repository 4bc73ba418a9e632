//! Message headers of the sends that the ring has: each stays in its place from submission to
//! completion, since the kernel may read it, and what it points to, at any time between.

use std::cell::UnsafeCell;

use crate::driver::trains::outbox::{Piece, Train};
use crate::driver::trains::wire::{Parts, empty_header};

/// One header and its parts.
struct Wire {
    header: libc::msghdr,
    parts: Parts,
}

/// All wires of a driver, allocated once. The boxes never move, whatever moves the pool.
pub(crate) struct Wires {
    wires: Box<[UnsafeCell<Wire>]>,
    /// What each is used for.
    uses: Box<[Option<Piece>]>,
    free: Vec<u16>,
}

impl Wires {
    pub(crate) fn new(count: u16) -> Wires {
        let wire = || UnsafeCell::new(Wire { header: empty_header(), parts: Parts::new() });
        Wires {
            wires: (0..count).map(|_| wire()).collect(),
            uses: vec![None; usize::from(count)].into(),
            free: (0..count).rev().collect(),
        }
    }

    /// Fills a free wire for a piece: its number and the header's address, good until
    /// [`Self::free`]. `None`: all are in use.
    pub(crate) fn fill(
        &mut self,
        train: &Train,
        piece: Piece,
    ) -> Option<(u16, *const libc::msghdr)> {
        let (number, place) = self.take(piece)?;
        // SAFETY: the number was free, so neither the kernel nor anyone else uses this wire, and
        // `self` is borrowed exclusively. The reference ends before the address is handed out.
        let wire = unsafe { &mut *place };
        // The socket may have a size to cut by, which holds for none but the sends that rely on it.
        wire.header = wire.parts.fill(train, &piece, true);
        // SAFETY: `place` points to a live wire; only an address is taken, nothing is read.
        let header = unsafe { &raw const (*place).header };
        Some((number, header))
    }

    /// Fills a free wire with the address that a train goes to: its number, the address and its
    /// length, good until [`Self::free`]. `None`: all are in use.
    pub(crate) fn fill_address(
        &mut self,
        train: &Train,
        piece: Piece,
    ) -> Option<(u16, *const libc::sockaddr, libc::socklen_t)> {
        let (number, place) = self.take(piece)?;
        // SAFETY: as in `fill`: nobody else uses this wire. What is handed out points into it.
        let wire = unsafe { &mut *place };
        let (name, length) = wire.parts.fill_address(train);
        Some((number, name, length))
    }

    /// A free wire for a piece.
    fn take(&mut self, piece: Piece) -> Option<(u16, *mut Wire)> {
        let number = self.free.pop()?;
        self.uses[usize::from(number)] = Some(piece);
        Some((number, self.wires[usize::from(number)].get()))
    }

    /// Takes a wire back, after its completion or if it was never submitted; what it was used for.
    pub(crate) fn free(&mut self, number: u16) -> Piece {
        let used = self.uses[usize::from(number)].take().expect("a wire completes once");
        self.free.push(number);
        used
    }
}
