//! Receiving for the driver without a ring: buffers and headers of one recvmmsg(2) call.

use std::io;
use std::os::fd::RawFd;
use std::ptr;

use crate::driver::DriverConfig;
use crate::driver::inbox::Message;
use crate::driver::trains::wire::empty_headers;
use crate::udp::control::RECEIVE_BYTES;
use crate::udp::kernel_abi::ADDRESS_BYTES;

/// Most messages of one call. More would push the first ones out of the cache before they are read.
const MOST: usize = 64;

/// Where the kernel puts what comes with a datagram; aligned for the structures in it.
#[derive(Clone)]
#[repr(C, align(16))]
struct Beside {
    name: [u8; ADDRESS_BYTES],
    control: [u8; RECEIVE_BYTES],
}

/// Everything that one recvmmsg call writes to.
pub(crate) struct ReceiveBatch {
    payload: Box<[u8]>,
    payload_bytes: usize,
    beside: Box<[Beside]>,
    iovs: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

impl ReceiveBatch {
    pub(crate) fn new(config: DriverConfig) -> ReceiveBatch {
        let count = usize::from(config.receive_buffers).clamp(1, MOST);
        let payload_bytes = config.receive_buffer_bytes.max(1) as usize;
        let beside = Beside { name: [0; ADDRESS_BYTES], control: [0; RECEIVE_BYTES] };
        ReceiveBatch {
            payload: vec![0; count * payload_bytes].into(),
            payload_bytes,
            beside: vec![beside; count].into(),
            iovs: vec![libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; count].into(),
            headers: empty_headers(count),
        }
    }

    /// Receives at most `room` messages without waiting; returns how many.
    pub(crate) fn receive(&mut self, socket: RawFd, room: usize) -> io::Result<usize> {
        // Pointed anew every time: the kernel overwrites the lengths, and pointers that outlived
        // the reading of the last batch would not be good by Rust's rules.
        for (((header, iov), beside), payload) in (self.headers.iter_mut())
            .zip(&mut self.iovs)
            .zip(&mut self.beside)
            .zip(self.payload.chunks_exact_mut(self.payload_bytes))
        {
            iov.iov_base = payload.as_mut_ptr().cast();
            iov.iov_len = payload.len();
            let header = &mut header.msg_hdr;
            header.msg_name = beside.name.as_mut_ptr().cast();
            header.msg_namelen = ADDRESS_BYTES as libc::socklen_t;
            header.msg_iov = ptr::from_mut(iov);
            header.msg_iovlen = 1;
            header.msg_control = beside.control.as_mut_ptr().cast();
            header.msg_controllen = RECEIVE_BYTES as _;
            header.msg_flags = 0;
        }
        let count = room.min(self.headers.len()) as u32;
        let headers = self.headers.as_mut_ptr();
        // SAFETY: the first `count` headers point to distinct buffers of the stated lengths, which
        // `self` owns and nothing refers to during the call; no timeout is given.
        let result =
            unsafe { libc::recvmmsg(socket, headers, count, libc::MSG_DONTWAIT, ptr::null_mut()) };
        usize::try_from(result).map_err(|_| io::Error::last_os_error())
    }

    /// Message `index` of the last call.
    pub(crate) fn message(&mut self, index: usize, socket: u16) -> Message<'_> {
        let header = &self.headers[index];
        let beside = &self.beside[index];
        let name_bytes = (header.msg_hdr.msg_namelen as usize).min(ADDRESS_BYTES);
        let control_bytes = header.msg_hdr.msg_controllen.min(RECEIVE_BYTES);
        let payload_bytes = (header.msg_len as usize).min(self.payload_bytes);
        let start = index * self.payload_bytes;
        Message {
            socket,
            name: &beside.name[..name_bytes],
            control: &beside.control[..control_bytes],
            flags: header.msg_hdr.msg_flags,
            payload: &mut self.payload[start..start + payload_bytes],
        }
    }
}
