//! Counters of a driver. They only grow.

/// What a driver did since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DriverStats {
    /// Datagrams handed to the caller.
    pub datagrams_in: u64,
    /// Their bytes, UDP payload.
    pub bytes_in: u64,
    /// Datagrams that the kernel accepted.
    pub datagrams_out: u64,
    /// Their bytes, UDP payload.
    pub bytes_out: u64,
    /// Sends with UDP_SEGMENT that the kernel accepted: `datagrams_out / trains_out` is the mean
    /// length when nothing is sent singly.
    pub trains_out: u64,
    /// Trains that a path refused, and that were sent again datagram by datagram.
    pub gso_refused: u64,
    /// Trains that the kernel accepted without copying them so far (SEND_ZC); among `trains_out`.
    pub zero_copy_trains: u64,
    /// Of those, trains that were copied all the same, later, as their notification said.
    pub zero_copy_copied: u64,
    /// Trains that could not be sent without copying, and were sent again with it.
    pub zero_copy_refused: u64,
    /// Times that a socket's datagram size was changed (setsockopt(2), UDP_SEGMENT).
    pub size_changes: u64,
    /// System calls: enters of the ring and changes of size; or epoll, receiving, sending and
    /// waker calls.
    pub system_calls: u64,
    /// Sends that failed because a datagram was too large for the link.
    pub failed_too_large: u64,
    /// Sends that failed because the kernel had no memory.
    pub failed_no_buffers: u64,
    /// Sends that failed for another reason.
    pub failed_other: u64,
    /// Failures that were not reported by ticket, because the list was full.
    pub failures_dropped: u64,
    /// Datagrams that the kernel dropped because a socket's receive buffer was full (sockets with
    /// `count_overflow` only).
    pub receive_overflow: u64,
    /// Datagrams that were larger than a receive buffer, and were dropped.
    pub truncated: u64,
    /// Errors of receiving that were not fatal, among them datagrams without a readable sender.
    pub receive_errors: u64,
    /// Times that all receive buffers of the ring were full of datagrams not yet handed over.
    pub receive_buffers_exhausted: u64,
    /// Times that the ring's completion queue had overflowed into the kernel's memory.
    pub completion_overflows: u64,
}
