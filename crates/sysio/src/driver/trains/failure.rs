//! Sends that failed: a bounded list that the caller empties, by ticket.

use std::collections::VecDeque;

/// Most failures kept until they are taken. More are counted and dropped: a caller that does not
/// empty the list every turn learns of lost datagrams through the protocol anyway.
pub(crate) const MAX_FAILURES: usize = 256;

/// Why a send failed. A full socket buffer is no failure: such sends stay queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// A datagram is larger than the link takes (`EMSGSIZE`): use smaller ones.
    TooLarge,
    /// The kernel is out of memory for packets (`ENOBUFS`, `ENOMEM`): send less.
    NoBuffers,
    /// Another errno: no route, a firewall, an ICMP error of an earlier datagram.
    Other(i32),
}

impl FailureKind {
    /// The errno.
    pub fn errno(self) -> i32 {
        match self {
            FailureKind::TooLarge => libc::EMSGSIZE,
            FailureKind::NoBuffers => libc::ENOBUFS,
            FailureKind::Other(errno) => errno,
        }
    }

    pub(crate) fn of(errno: i32) -> FailureKind {
        match errno {
            libc::EMSGSIZE => FailureKind::TooLarge,
            libc::ENOBUFS | libc::ENOMEM => FailureKind::NoBuffers,
            other => FailureKind::Other(other),
        }
    }
}

/// A train that was not sent, or not all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendFailure {
    /// What the caller gave to `send`.
    pub ticket: u64,
    /// Why, by the first datagram that failed.
    pub kind: FailureKind,
}

/// The list.
#[derive(Debug)]
pub(crate) struct Failures {
    list: VecDeque<SendFailure>,
}

impl Failures {
    pub(crate) fn new() -> Failures {
        Failures { list: VecDeque::with_capacity(MAX_FAILURES) }
    }

    /// `false`: the list is full and the failure was dropped.
    pub(crate) fn push(&mut self, failure: SendFailure) -> bool {
        if self.list.len() == MAX_FAILURES {
            return false;
        }
        self.list.push_back(failure);
        true
    }

    pub(crate) fn take(&mut self) -> Option<SendFailure> {
        self.list.pop_front()
    }
}
