//! The io_uring driver: multishot receives into provided buffers, sends from a registered arena,
//! one io_uring_enter(2) per turn.
//!
//! What the kernel may touch, and until when:
//! - a provided buffer: from `publish` until a completion names it;
//! - a wire: from submission until its answer;
//! - a send buffer: from submission until its answer, or its notification if one is announced;
//! - the receive header: while a receive is armed.
//!
//! All of it lives in `KernelMemory` and in the outbox's trains, which are freed only once every
//! operation has completed, and leaked if that cannot be reached.

mod buffers;
mod door;
mod sends;
pub(crate) mod setup;
mod sizes;
mod wires;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fixed, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use crate::driver::backend::Backend;
use crate::driver::base::Base;
use crate::driver::inbox::{Message, is_fatal};
use crate::driver::ring::buffers::{GROUP, ReceiveBuffers};
use crate::driver::ring::door::Door;
use crate::driver::ring::sends::Sends;
use crate::driver::trains::wire::empty_header;
use crate::driver::{DriverConfig, RECEIVES_PER_TURN, Received, Turn, ZeroCopy};
use crate::error::SysError;
use crate::kind::IoKind;
use crate::udp::control::RECEIVE_BYTES;
use crate::udp::kernel_abi::{ADDRESS_BYTES, u32_at};
use crate::udp::{MAX_TRAIN_DATAGRAMS, UdpSocket};

/// Most completions looked at in one turn: as many as messages received at most, plus sends.
const COMPLETIONS_PER_TURN: usize = RECEIVES_PER_TURN;
/// Wires beyond one for each send buffer: so many datagrams of split trains are in flight.
const SPLIT_WIRES: u16 = MAX_TRAIN_DATAGRAMS as u16;
/// Length of `struct io_uring_recvmsg_out`, which precedes name, control messages and payload.
const OUT_BYTES: usize = 16;
/// Where the payload begins in a receive buffer: 16 + 32 + 96 = 144.
const PAYLOAD_OFFSET: usize = OUT_BYTES + ADDRESS_BYTES + RECEIVE_BYTES;

/// High half of the user data: what completed. The low half is a number of that kind.
const RECEIVE: u64 = 1 << 32;
const SEND: u64 = 2 << 32;
const WAKE: u64 = 3 << 32;

/// What the kernel reads and writes while operations are in flight, but for the send buffers.
struct KernelMemory {
    buffers: ReceiveBuffers,
    sends: Sends,
    /// Says how much room a receive leaves for name and control messages.
    receive_header: Box<libc::msghdr>,
}

/// See [`crate::driver::Driver`].
pub struct RingDriver {
    // First, then the ring, then the memory (field order), though by then no operation is left.
    door: Door,
    ring: IoUring,
    memory: ManuallyDrop<Box<KernelMemory>>,
    base: Base,
    /// Sockets whose receive is to be armed.
    disarmed: VecDeque<u16>,
    waker_armed: bool,
    /// Operations submitted, or in the submission queue, whose last completion did not come yet.
    operations: usize,
    completions: Vec<cqueue::Entry>,
}

/// A ring and its receive buffers: all of a driver that counts as locked memory, but for the send buffers.
pub(crate) struct Parts {
    ring: IoUring,
    buffers: ReceiveBuffers,
}

impl Parts {
    /// For a driver of so many sockets.
    ///
    /// # Errors
    /// `ENOMEM` where the limit of locked memory does not allow it.
    pub(crate) fn new(sockets: usize, config: &DriverConfig) -> Result<Parts, SysError> {
        // At most one entry for each wire and socket, and one for the waker.
        let submissions = u32::from(wires(config)) + sockets as u32 + 1;
        let in_flight = submissions + u32::from(config.receive_buffers);
        let completions = 4 * in_flight;
        let hinted = |error: SysError| match error.errno() {
            Some(libc::ENOMEM) => {
                let bytes = setup::ring_bytes(submissions, completions, config.receive_buffers);
                error.with_hint(setup::locked_memory_hint("each ring", bytes))
            }
            _ => error,
        };
        let ring = setup::open(submissions, completions).map_err(setup::cannot_open);
        let ring = ring.map_err(hinted)?;
        let buffer_bytes = PAYLOAD_OFFSET + config.receive_buffer_bytes as usize;
        let buffers = ReceiveBuffers::new(&ring, config.receive_buffers, buffer_bytes);
        Ok(Parts { buffers: buffers.map_err(hinted)?, ring })
    }
}

fn wires(config: &DriverConfig) -> u16 {
    config.send_buffers.saturating_add(SPLIT_WIRES)
}

impl Backend for RingDriver {
    const KIND: IoKind = IoKind::Ring;

    fn new(sockets: Vec<UdpSocket>, config: DriverConfig) -> Result<RingDriver, SysError> {
        RingDriver::of(Parts::new(sockets.len(), &config)?, sockets, config)
    }

    fn register_send_buffers(&mut self, config: DriverConfig) {
        if config.gso && config.zero_copy != ZeroCopy::Never {
            let registered = setup::register_arena(&self.ring, &self.base.arena);
            self.base.choose_zero_copy(config.zero_copy, registered);
        }
    }
    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    fn queue(&mut self, slot: u16, _: u16) {
        self.memory.sends.queue(slot);
    }

    fn turn(
        &mut self,
        timeout: Option<Duration>,
        on_datagram: &mut dyn FnMut(Received<'_>),
    ) -> Result<Turn, SysError> {
        self.arm();
        self.submit_sends();
        self.enter(timeout).map_err(|e| SysError::new("enter the ring (io_uring_enter)", e))?;
        self.reap(on_datagram)
    }
}

impl RingDriver {
    pub(crate) fn of(
        parts: Parts,
        sockets: Vec<UdpSocket>,
        config: DriverConfig,
    ) -> Result<RingDriver, SysError> {
        let Parts { ring, buffers } = parts;
        let base = Base::new(sockets, config)?;
        let mut files: Vec<i32> = base.sockets.iter().map(UdpSocket::raw).collect();
        files.push(base.waker.raw());
        ring.submitter().register_files(&files).map_err(|e| {
            SysError::new("register sockets with the ring", e)
                .with_hint("raise the limit of open files: ulimit -n")
        })?;
        let mut receive_header = Box::new(empty_header());
        receive_header.msg_namelen = ADDRESS_BYTES as libc::socklen_t;
        receive_header.msg_controllen = RECEIVE_BYTES as _;
        let sends = Sends::new(wires(&config), config.send_buffers, base.sockets.len());
        let memory = KernelMemory { buffers, sends, receive_header };
        Ok(RingDriver {
            door: Door::new(&ring),
            ring,
            memory: ManuallyDrop::new(Box::new(memory)),
            disarmed: base.receiving().collect(),
            waker_armed: false,
            operations: 0,
            completions: Vec::with_capacity(COMPLETIONS_PER_TURN),
            base,
        })
    }

    /// Arms what is not armed: the waker's poll, and receives that ended or never began.
    fn arm(&mut self) {
        if !self.waker_armed {
            let fd = Fixed(self.base.sockets.len() as u32);
            // Multishot polls complete on every write to the eventfd, so it is never read.
            let poll = opcode::PollAdd::new(fd, libc::POLLIN as u32).multi(true);
            let poll = poll.build().user_data(WAKE);
            self.waker_armed = push(&mut self.ring, &mut self.operations, &poll);
        }
        while let Some(&socket) = self.disarmed.front() {
            let header: *const libc::msghdr = &raw const *self.memory.receive_header;
            let receive = opcode::RecvMsgMulti::new(Fixed(socket.into()), header, GROUP);
            let receive = receive.build().user_data(RECEIVE | u64::from(socket));
            if !push(&mut self.ring, &mut self.operations, &receive) {
                return;
            }
            self.disarmed.pop_front();
        }
    }

    fn submit_sends(&mut self) {
        let RingDriver { ring, operations, memory, base, .. } = self;
        memory.sends.submit(base, &mut |entry, number| {
            push(ring, operations, &entry.user_data(SEND | u64::from(number)))
        });
    }

    /// Submits, and waits for a completion or the timeout.
    fn enter(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.base.stats.system_calls += 1;
        let waiting = self.ring.completion().is_empty() && timeout != Some(Duration::ZERO);
        let submission = self.ring.submission();
        self.base.stats.completion_overflows += u64::from(submission.cq_overflow());
        let submissions = submission.len() as u32;
        drop(submission);
        // SAFETY: `submissions` entries are in the queue, pushed under `push`'s argument.
        let result = unsafe { self.door.enter(submissions, waiting, timeout) };
        match result {
            Ok(()) => Ok(()),
            // A timeout, a signal; or completions must be taken first (EBUSY, EAGAIN): `reap` does.
            Err(e) => match e.raw_os_error() {
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(e),
            },
        }
    }

    /// Handles completions, at most [`COMPLETIONS_PER_TURN`].
    fn reap(&mut self, on_datagram: &mut dyn FnMut(Received<'_>)) -> Result<Turn, SysError> {
        let mut turn = Turn::default();
        let mut fatal = None;
        let mut completions = std::mem::take(&mut self.completions);
        completions.extend(self.ring.completion().take(COMPLETIONS_PER_TURN));
        for entry in completions.drain(..) {
            let more = cqueue::more(entry.flags());
            self.operations -= usize::from(!more);
            let number = entry.user_data() as u32;
            match entry.user_data() & !0xFFFF_FFFF {
                RECEIVE => {
                    let socket = number as u16;
                    if !more {
                        self.disarmed.push_back(socket);
                    }
                    match self.received(socket, &entry, on_datagram) {
                        Ok(datagrams) => turn.datagrams += datagrams,
                        Err(e) => fatal = Some(e),
                    }
                }
                SEND => {
                    let sends = &mut self.memory.sends;
                    turn.trains_over += u32::from(sends.completed(&mut self.base, number, &entry));
                }
                WAKE => {
                    self.waker_armed = more;
                    turn.woken = true;
                }
                other => unreachable!("completion of kind {other:#x}, which is never submitted"),
            }
        }
        self.completions = completions;
        self.memory.buffers.publish();
        fatal.map_or(Ok(turn), Err)
    }

    /// One completion of a receive; how many datagrams it brought.
    fn received(
        &mut self,
        socket: u16,
        entry: &cqueue::Entry,
        on_datagram: &mut dyn FnMut(Received<'_>),
    ) -> Result<u32, SysError> {
        let Ok(length) = usize::try_from(entry.result()) else {
            let errno = -entry.result();
            match errno {
                // All buffers were full. They are given back by now, and the receive is armed anew.
                libc::ENOBUFS => self.base.stats.receive_buffers_exhausted += 1,
                _ if is_fatal(Some(errno)) || errno == libc::EINVAL => {
                    let local = self.base.sockets[usize::from(socket)].local_addr();
                    let cause = io::Error::from_raw_os_error(errno);
                    return Err(SysError::new(format!("receive on {local} (ring)"), cause));
                }
                _ => self.base.stats.receive_errors += 1,
            }
            return Ok(0);
        };
        let Some(id) = cqueue::buffer_select(entry.flags()) else {
            self.base.stats.receive_errors += 1;
            return Ok(0);
        };
        // SAFETY: this completion gave buffer `id` to us, and it is given back only below.
        let bytes = unsafe { self.memory.buffers.filled(id, length) };
        let datagrams = match message(bytes, socket) {
            Some(message) => self.base.inbox.deliver(message, &mut self.base.stats, on_datagram),
            None => {
                self.base.stats.receive_errors += 1;
                0
            }
        };
        self.memory.buffers.give_back(id);
        Ok(datagrams)
    }

    /// Cancels everything and waits until the kernel has let go of all memory; `false`: it did not.
    fn quiesce(&mut self) -> bool {
        // So that everything pushed is cancelled, and not left in the queue.
        let mut settled = self.enter(Some(Duration::ZERO)).is_ok();
        let everything = CancelBuilder::any().all();
        let limit = Timespec::from(Duration::from_secs(1));
        // An error: nothing was left to cancel, or what is left is waited for below.
        let _ = self.ring.submitter().register_sync_cancel(Some(limit), everything);
        // Each round takes what has completed; a cancelled operation completes at once.
        const ROUNDS: usize = 1000;
        for _ in 0..ROUNDS {
            let finished = self.ring.completion().filter(|e| !cqueue::more(e.flags())).count();
            self.operations = self.operations.saturating_sub(finished);
            if self.operations == 0 || !settled {
                break;
            }
            settled = self.enter(Some(Duration::from_millis(1))).is_ok();
        }
        self.operations == 0
    }
}

impl Drop for RingDriver {
    fn drop(&mut self) {
        let quiet = self.quiesce();
        // A closed ring lets go of its files some time later; this frees the port at once.
        let _ = self.ring.submitter().unregister_files();
        if quiet {
            // Likewise the pins on the arena, which count against RLIMIT_MEMLOCK. An error: it was
            // not registered.
            let _ = self.ring.submitter().unregister_buffers();
            // SAFETY: dropped once, here. No operation is left, so the kernel writes to no provided
            // buffer and reads no wire; it holds its own pins on the buffer ring's pages until the
            // ring is closed.
            unsafe { ManuallyDrop::drop(&mut self.memory) };
        } else {
            // Memory that the kernel may still touch stays: the rest of `memory` by not dropping it,
            // the send buffers by this.
            self.base.outbox.leak();
        }
    }
}

/// Queues a submission; `false` if the queue is full, for the next turn to try again.
fn push(ring: &mut IoUring, operations: &mut usize, entry: &squeue::Entry) -> bool {
    // SAFETY: what the entry points to (wire and send buffer, or receive header and provided
    // buffers) stays where it is, and unfreed, until the operation's last completion: wires are
    // freed by their answer, and trains end by answer and notification only; `drop` waits for all
    // or leaks them.
    let pushed = unsafe { ring.submission().push(entry) }.is_ok();
    *operations += usize::from(pushed);
    pushed
}

impl fmt::Debug for RingDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.base.fmt_as("RingDriver", f)
    }
}

/// Takes a filled receive buffer apart: `struct io_uring_recvmsg_out` (name length, control length,
/// payload length, flags), then room for the name, for control messages, and the payload.
fn message(bytes: &mut [u8], socket: u16) -> Option<Message<'_>> {
    let (head, payload) = bytes.split_at_mut_checked(PAYLOAD_OFFSET)?;
    let name_bytes = u32_at(head, 0)? as usize;
    let control_bytes = u32_at(head, 4)? as usize;
    let flags = u32_at(head, 12)?.cast_signed();
    let (name, control) = head[OUT_BYTES..].split_at(ADDRESS_BYTES);
    Some(Message {
        socket,
        name: &name[..name_bytes.min(ADDRESS_BYTES)],
        control: &control[..control_bytes.min(RECEIVE_BYTES)],
        flags,
        payload,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::Outgoing;
    use crate::udp::UdpConfig;

    #[test]
    fn everything_in_flight_can_be_cancelled() {
        if let Err(missing) = crate::probe::ring() {
            assert!(
                std::env::var_os("SEGCAST_REQUIRE_ALL").is_none_or(|all| all != "1"),
                "{missing}"
            );
            println!("not tested: {missing}");
            return;
        }
        let socket = || UdpSocket::bind("127.0.0.1:0".parse().unwrap(), &UdpConfig::default());
        let sockets = vec![socket().unwrap(), socket().unwrap()];
        let mut driver = RingDriver::new(sockets, DriverConfig::EDGE).unwrap();
        driver.turn(Some(Duration::ZERO), &mut |_| ()).unwrap();
        assert_eq!(driver.operations, 3, "two receives and a poll are armed");
        let to = driver.base.sockets[0].local_addr();
        for _ in 0..3 {
            let buffer = driver.base.send_buffer().unwrap();
            let train =
                Outgoing { buffer, len: 5000, datagram_bytes: 1000, socket: 0, to, ticket: 0 };
            let slot = driver.base.accept(train);
            driver.queue(slot, 0);
        }
        driver.submit_sends();
        assert_eq!(driver.operations, 6);
        assert!(driver.quiesce());
        assert!(driver.quiesce(), "again, with nothing left");
    }

    #[test]
    fn a_receive_buffer_is_taken_apart_within_its_bounds() {
        let mut bytes = [0xFF; PAYLOAD_OFFSET + 5];
        let parts = message(&mut bytes, 3).unwrap();
        assert_eq!((parts.socket, parts.payload.len()), (3, 5));
        assert_eq!((parts.name.len(), parts.control.len()), (ADDRESS_BYTES, RECEIVE_BYTES));
        assert!(message(&mut bytes[..PAYLOAD_OFFSET - 1], 0).is_none());
        assert_eq!(message(&mut bytes[..PAYLOAD_OFFSET], 0).unwrap().payload, []);
    }
}
