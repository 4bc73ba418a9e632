//! The structures that sendmsg(2) reads beside the data: message header, address, control message.
//! One set for each send that the kernel can have at a time, allocated once.

use std::ptr;

use socket2::{SockAddr, SockAddrStorage};

use crate::driver::trains::outbox::{Piece, Train};
use crate::udp::control::{SEND_BYTES, SendControl};

/// What a message header points to.
pub(crate) struct Parts {
    iov: libc::iovec,
    name: SockAddr,
    control: SendControl,
}

impl Parts {
    pub(crate) fn new() -> Parts {
        let storage = SockAddrStorage::zeroed();
        let length = storage.size_of();
        // SAFETY: a zeroed storage is a valid address of family AF_UNSPEC, as long as itself. It is
        // replaced before it is ever sent to.
        let name = unsafe { SockAddr::new(storage, length) };
        let iov = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        Parts { iov, name, control: SendControl::EMPTY }
    }

    /// Fills the parts for one piece and returns the header that points to them and to the
    /// train's buffer. The header is good for as long as neither is moved, changed or freed.
    /// `say_size`: a single datagram says so, since the socket may have a size to cut by.
    pub(crate) fn fill(&mut self, train: &Train, piece: &Piece, say_size: bool) -> libc::msghdr {
        let (name, length) = self.fill_address(train);
        self.iov.iov_base = train.address(piece).cast_mut().cast();
        self.iov.iov_len = piece.len;
        let mut header = empty_header();
        header.msg_name = name.cast_mut().cast();
        header.msg_namelen = length;
        header.msg_iov = &raw mut self.iov;
        header.msg_iovlen = 1;
        if piece.segment.is_some() || say_size {
            // 0: not cut (the kernel's own default).
            self.control = SendControl::segment(piece.segment.unwrap_or(0));
            header.msg_control = self.control.0.as_mut_ptr().cast();
            header.msg_controllen = SEND_BYTES as _;
        }
        header
    }

    /// Fills in where the train goes to; address and length are good as long as the parts are
    /// neither moved, changed nor freed.
    pub(crate) fn fill_address(
        &mut self,
        train: &Train,
    ) -> (*const libc::sockaddr, libc::socklen_t) {
        self.name = train.to().clone();
        (self.name.as_ptr().cast(), self.name.len())
    }
}

/// A header that points to nothing.
pub(crate) fn empty_header() -> libc::msghdr {
    // SAFETY: msghdr is plain data of integers and nullable pointers: all zeros is valid.
    unsafe { std::mem::zeroed() }
}

/// Headers of sendmmsg(2) or recvmmsg(2) that point to nothing.
pub(crate) fn empty_headers(count: usize) -> Box<[libc::mmsghdr]> {
    (0..count).map(|_| libc::mmsghdr { msg_hdr: empty_header(), msg_len: 0 }).collect()
}
