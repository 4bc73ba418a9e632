//! Send buffers: equal page-aligned slots of memory that is allocated once and handed out last in,
//! first out, so that the slots in use stay few and in the cache.

use std::cell::RefCell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use crate::driver::trains::pages::Pages;
use crate::error::SysError;
use crate::mapped::page_bytes;

/// All send buffers of a driver. `Rc`: a driver stays on its thread.
pub(crate) struct Arena {
    pages: Pages,
    slot_bytes: usize,
    /// Slots that nobody has. Its capacity is the number of slots, so it never grows.
    free: RefCell<Vec<u16>>,
}

impl Arena {
    /// `slots` buffers of `slot_bytes`, rounded up to whole pages.
    pub(crate) fn new(slots: u16, slot_bytes: usize) -> Result<Rc<Arena>, SysError> {
        let slot_bytes = slot_bytes.max(1).next_multiple_of(page_bytes());
        let pages = Pages::huge(slot_bytes * usize::from(slots))?;
        // Reversed: slot 0 goes out first.
        let free = RefCell::new((0..slots).rev().collect());
        Ok(Rc::new(Arena { pages, slot_bytes, free }))
    }

    /// Address and length of all slots together, for the kernel.
    pub(crate) fn memory(&self) -> (*mut u8, usize) {
        (self.pages.address(0), self.pages.len())
    }

    /// The slot given back last, or `None` if all are out.
    pub(crate) fn take(self: &Rc<Self>) -> Option<SendBuffer> {
        let slot = self.free.borrow_mut().pop()?;
        Some(SendBuffer { arena: Rc::clone(self), slot })
    }
}

/// One send buffer, owned: by the caller who fills it, then by the driver until the kernel is done
/// with it. Dropping it gives the slot back. Its contents are whatever was in it last.
pub struct SendBuffer {
    arena: Rc<Arena>,
    slot: u16,
}

impl SendBuffer {
    pub(crate) fn slot(&self) -> u16 {
        self.slot
    }

    /// Whether it came from `arena`.
    pub(crate) fn is_of(&self, arena: &Rc<Arena>) -> bool {
        Rc::ptr_eq(&self.arena, arena)
    }

    /// The bytes of `range` of it, for an operation of a runtime. To be lent only by a train, which holds the buffer and
    /// does not write it.
    #[cfg(any(feature = "tokio-uring", feature = "glommio"))]
    pub(crate) fn lend(&self, range: std::ops::Range<usize>) -> Lent {
        assert!(range.start <= range.end && range.end <= self.len(), "{range:?} is outside");
        let start = self.range().start;
        let range = start + range.start..start + range.end;
        Lent { arena: Rc::clone(&self.arena), range }
    }

    fn range(&self) -> std::ops::Range<usize> {
        let start = usize::from(self.slot) * self.arena.slot_bytes;
        start..start + self.arena.slot_bytes
    }
}

impl Deref for SendBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: a slot is popped from the free list once and pushed back on drop, so this is the
        // only SendBuffer of its range, and the slice borrows it. The kernel only reads.
        unsafe { self.arena.pages.slice(self.range()) }
    }
}

impl DerefMut for SendBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `self` is borrowed exclusively. The kernel reads it only while
        // the driver owns it, and the driver never calls this.
        unsafe { self.arena.pages.slice_mut(self.range()) }
    }
}

impl Drop for SendBuffer {
    fn drop(&mut self) {
        self.arena.free.borrow_mut().push(self.slot);
    }
}

impl fmt::Debug for SendBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendBuffer").field("slot", &self.slot).finish_non_exhaustive()
    }
}

/// Part of a send buffer, lent to an operation of a runtime; keeps the memory mapped for as long as it lives. Nobody writes
/// the bytes meanwhile: the train that lent them holds their buffer until every piece was answered, or for ever if a driver
/// has to be leaked.
#[cfg(any(feature = "tokio-uring", feature = "glommio"))]
pub(crate) struct Lent {
    arena: Rc<Arena>,
    range: std::ops::Range<usize>,
}

#[cfg(any(feature = "tokio-uring", feature = "glommio"))]
impl Deref for Lent {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the train that lent the bytes has their SendBuffer, writes nothing to it, and gives it back only when the
        // operation that has this loan was answered. The kernel only reads.
        unsafe { self.arena.pages.slice(self.range.clone()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_distinct_aligned_and_last_in_first_out() {
        let arena = Arena::new(3, 65_536).unwrap();
        let mut buffers: Vec<SendBuffer> = std::iter::from_fn(|| arena.take()).collect();
        assert_eq!(buffers.len(), 3);
        for (number, buffer) in buffers.iter_mut().enumerate() {
            assert_eq!(buffer.len(), 65_536);
            assert_eq!(buffer.as_ptr().addr() % page_bytes(), 0);
            buffer.fill(number as u8);
        }
        for (number, buffer) in buffers.iter().enumerate() {
            assert!(buffer.iter().all(|&byte| usize::from(byte) == number));
        }
        let last = buffers.remove(1);
        let slot = last.slot();
        drop(last);
        assert_eq!(arena.take().unwrap().slot(), slot);
    }

    #[test]
    fn a_buffer_outlives_its_arenas_owner() {
        let arena = Arena::new(1, 1).unwrap();
        let mut buffer = arena.take().unwrap();
        drop(arena);
        buffer[0] = 1;
        assert_eq!(buffer.len(), page_bytes());
    }
}
