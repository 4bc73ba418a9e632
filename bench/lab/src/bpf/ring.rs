//! A BPF ring buffer (Documentation/bpf/ringbuf.rst): programs write records, one reader takes them by shared memory,
//! without system calls.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use memmap2::{Mmap, MmapMut, MmapOptions};

use super::{Attributes, BPF_MAP_CREATE, bpf};

/// BPF_MAP_TYPE_RINGBUF.
const RING_BUFFER: u32 = 27;
/// Before each record: its length and two flags (32 bits), and a page offset that readers do not need.
const HEADER: usize = 8;
/// The record is being written.
const BUSY: u32 = 1 << 31;
/// The program threw the record away.
const DISCARDED: u32 = 1 << 30;

/// The first fields of `union bpf_attr` for BPF_MAP_CREATE; the kernel takes what is missing as zeros.
#[repr(C)]
struct Create {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
}

// SAFETY: the fields are those of BPF_MAP_CREATE in their order, 16 bytes without padding, and no address.
unsafe impl Attributes for Create {}

/// A ring buffer and its one reader.
#[derive(Debug)]
pub struct RingBuffer {
    fd: OwnedFd,
    /// One page with the reader's position, which this side writes.
    consumer: MmapMut,
    /// One page with the writers' position, then the data twice in a row, so that no record is ever cut.
    producer: Mmap,
    page: usize,
    /// Bytes of data: a power of two.
    size: usize,
    /// The reader's position: counts bytes and never falls.
    position: u64,
}

impl RingBuffer {
    /// A ring buffer of `size` bytes: a power of two, and at least a page.
    ///
    /// # Errors
    /// EPERM without CAP_BPF, EINVAL for a wrong size, ENOMEM.
    pub fn new(size: u32) -> io::Result<Self> {
        let mut create =
            Create { map_type: RING_BUFFER, key_size: 0, value_size: 0, max_entries: size };
        let fd = bpf(BPF_MAP_CREATE, &mut create)?;
        let (page, size) = (rustix::param::page_size(), size as usize);
        let file = fd.as_raw_fd();
        // SAFETY: the mapping is of kernel memory that lives as long as it, not of a file that could be cut. This side
        // is the only writer of the page; the kernel reads it by atomic loads, as this side writes it by atomic stores.
        let consumer = unsafe { MmapOptions::new().len(page).map_mut(file) }?;
        let mut producer = MmapOptions::new();
        producer.offset(page as u64).len(page + 2 * size);
        // SAFETY: kernel memory as above, read only. What the kernel changes under it is read by atomic loads alone (the
        // position, the record headers); records behind them do not change until this side gives them back.
        let producer = unsafe { producer.map(file) }?;
        Ok(Self { fd, consumer, producer, page, size, position: 0 })
    }

    /// Gives each finished record, oldest first, at most `limit` of them, to `each`; returns how many there were.
    pub fn consume(&mut self, limit: usize, mut each: impl FnMut(&[u8])) -> usize {
        let written = self.written();
        let mut count = 0;
        while self.position < written && count < limit {
            let at = self.page + self.position as usize % self.size;
            let head = self.head(at);
            if head & BUSY != 0 {
                break;
            }
            let len = (head & !DISCARDED) as usize;
            if head & DISCARDED == 0 {
                // In bounds: the kernel keeps records within the data, which is mapped twice; a wrong length panics.
                each(&self.producer[at + HEADER..at + HEADER + len]);
                count += 1;
            }
            self.position += (HEADER + len).next_multiple_of(8) as u64;
        }
        self.give_back();
        count
    }

    /// The writers' position.
    fn written(&self) -> u64 {
        let position: *const u64 = self.producer.as_ptr().cast();
        // SAFETY: the mapping begins with the position, 8 bytes at a page's start, hence aligned; everyone accesses it
        // by atomics while the ring lives.
        let position = unsafe { AtomicU64::from_ptr(position.cast_mut()) };
        position.load(Ordering::Acquire)
    }

    /// The head of the record at `at` in the mapping: with Acquire, so that a finished record can be read.
    fn head(&self, at: usize) -> u32 {
        let head: *const u32 = self.producer[at..at + HEADER].as_ptr().cast();
        // SAFETY: the slice is in bounds; positions are multiples of 8, hence aligned; the kernel writes the word by
        // atomic stores, and this side only loads it.
        let head = unsafe { AtomicU32::from_ptr(head.cast_mut()) };
        head.load(Ordering::Acquire)
    }

    /// Lets writers have what was consumed.
    fn give_back(&mut self) {
        let position: *mut u64 = self.consumer.as_mut_ptr().cast();
        // SAFETY: the page begins with the position, 8 bytes, aligned; everyone accesses it by atomics.
        let position = unsafe { AtomicU64::from_ptr(position) };
        position.store(self.position, Ordering::Release);
    }
}

impl AsFd for RingBuffer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
