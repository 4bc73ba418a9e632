//! The ring's receive buffers: a provided-buffer ring (io_uring_register_buf_ring(3)), from which
//! the kernel takes a buffer for each datagram, and into which the driver puts it back.

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::{IoUring, types::BufRingEntry};

use crate::driver::trains::pages::Pages;
use crate::error::SysError;

/// The only buffer group of a driver's ring.
pub(crate) const GROUP: u16 = 0;

/// Most buffers a ring can have (io_uring_register_buf_ring(3)).
const MOST: u16 = 1 << 15;

/// Bytes of one entry: address 8, length 4, buffer id 2, reserved 2 (`struct io_uring_buf`).
const ENTRY_BYTES: usize = size_of::<BufRingEntry>();
/// Offset of the ring's tail: the reserved field of the first entry.
const TAIL_OFFSET: usize = 14;

/// Buffers and the ring that offers them to the kernel. It must outlive every receive that was
/// submitted against it; `driver::ring` sees to that.
#[derive(Debug)]
pub(crate) struct ReceiveBuffers {
    entries: Pages,
    data: Pages,
    count: u16,
    /// What the kernel may write to a buffer, exactly: a datagram beyond it counts as truncated.
    bytes: usize,
    /// Distance between buffers: `bytes`, rounded up to cache lines, so that none is shared.
    stride: usize,
    /// Entries ever written, modulo 2^16; the kernel sees it after `publish`.
    tail: u16,
}

impl ReceiveBuffers {
    /// At least `count` buffers of `bytes`, registered with `ring` and all offered.
    pub(crate) fn new(ring: &IoUring, count: u16, bytes: usize) -> Result<Self, SysError> {
        let count = count.clamp(1, MOST).next_power_of_two();
        let stride = bytes.next_multiple_of(64);
        let mut buffers = ReceiveBuffers {
            entries: Pages::new(usize::from(count) * ENTRY_BYTES)?,
            data: Pages::new(usize::from(count) * stride)?,
            count,
            bytes,
            stride,
            tail: 0,
        };
        let address = buffers.entries.address(0).expose_provenance() as u64;
        // SAFETY: the entries are page-aligned memory for `count` entries that lives as long as
        // `buffers`, which the driver keeps until nothing uses it, or for ever (`RingDriver::drop`).
        // The kernel pins the pages until the ring is closed.
        unsafe { ring.submitter().register_buf_ring_with_flags(address, count, GROUP, 0) }
            .map_err(failed)?;
        for id in 0..count {
            buffers.give_back(id);
        }
        buffers.publish();
        Ok(buffers)
    }

    /// The first `len` bytes of a buffer that a completion named.
    ///
    /// # Safety
    /// A completion gave buffer `id` to the program, and it was not given back since.
    pub(crate) unsafe fn filled(&mut self, id: u16, len: usize) -> &mut [u8] {
        assert!(id < self.count, "the kernel named buffer {id} of {}", self.count);
        let start = usize::from(id) * self.stride;
        // SAFETY: buffers do not overlap; the kernel does not write to one that it gave to the
        // program; and `self` is borrowed exclusively.
        unsafe { self.data.slice_mut(start..start + len.min(self.bytes)) }
    }

    /// Writes an entry that offers buffer `id` again; the kernel sees it after [`Self::publish`].
    #[expect(clippy::host_endian_bytes, reason = "the kernel's own structures are in host order")]
    pub(crate) fn give_back(&mut self, id: u16) {
        let at = usize::from(self.tail & (self.count - 1)) * ENTRY_BYTES;
        let address = self.data.address(usize::from(id) * self.stride).expose_provenance() as u64;
        // The last two bytes of an entry stay: in the first one they are the tail.
        // SAFETY: the range lies in the entries; the kernel reads entries only between its own head
        // and the published tail, and this one lies beyond: there are as many entries as buffers,
        // and this buffer is not in the ring. `self` is borrowed exclusively.
        let entry = unsafe { self.entries.slice_mut(at..at + TAIL_OFFSET) };
        entry[..8].copy_from_slice(&address.to_ne_bytes());
        entry[8..12].copy_from_slice(&(self.bytes as u32).to_ne_bytes());
        entry[12..14].copy_from_slice(&id.to_ne_bytes());
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the kernel all entries written so far.
    pub(crate) fn publish(&mut self) {
        let tail: *mut u16 = self.entries.address(TAIL_OFFSET).cast();
        // SAFETY: aligned (page + 14), inside the first entry, only ever accessed atomically (see
        // `give_back`), and mapped as long as `self`.
        let tail = unsafe { AtomicU16::from_ptr(tail) };
        // Release: the entries are written before the kernel, which acquires, sees the tail.
        tail.store(self.tail, Ordering::Release);
    }
}

fn failed(e: io::Error) -> SysError {
    SysError::new("register receive buffers with the ring (IORING_REGISTER_PBUF_RING)", e)
        .with_hint("needs Linux 5.19; with ENOMEM raise RLIMIT_MEMLOCK: ulimit -l")
}
