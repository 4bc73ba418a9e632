//! Memory for segments that are under way. New memory for each would be zeroed by the kernel page by page, which costs a
//! generator more than to receive it; so what a segment came in is used again.

use std::cell::RefCell;

/// A thread keeps so much for later at most, bytes: what came all at once is not kept for ever.
const KEPT_MAX: usize = 64 << 20;

/// What nobody uses at the moment: never more than was under way at once.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    free: RefCell<Free>,
}

#[derive(Debug, Default)]
struct Free {
    list: Vec<Vec<u8>>,
    bytes: usize,
}

impl Buffers {
    /// `len` bytes, whatever they are.
    pub(super) fn take(&self, len: usize) -> Vec<u8> {
        let free = &mut *self.free.borrow_mut();
        let mut bytes = free.list.pop().unwrap_or_default();
        free.bytes -= bytes.capacity();
        if bytes.capacity() < len {
            // Not by growing, which would copy what is in it.
            return vec![0; len];
        }
        bytes.resize(len, 0);
        bytes
    }

    /// They are not used any more.
    pub(super) fn give_back(&self, bytes: Vec<u8>) {
        let free = &mut *self.free.borrow_mut();
        if bytes.capacity() > 0 && free.bytes + bytes.capacity() <= KEPT_MAX {
            free.bytes += bytes.capacity();
            free.list.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_used_again_and_no_more_is_kept_than_is_allowed() {
        let buffers = Buffers::default();
        let first = buffers.take(1000);
        let place = first.as_ptr();
        buffers.give_back(first);
        let again = buffers.take(500);
        assert_eq!((again.as_ptr(), again.len()), (place, 500));
        buffers.give_back(again);
        assert_eq!(buffers.take(2000).len(), 2000, "too short for this one");
        let large: Vec<_> = (0..3).map(|_| buffers.take(KEPT_MAX / 2)).collect();
        large.into_iter().for_each(|bytes| buffers.give_back(bytes));
        let free = buffers.free.borrow();
        assert_eq!((free.list.len(), free.bytes), (2, KEPT_MAX));
    }
}
