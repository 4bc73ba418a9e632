//! The driver for machines without io_uring: epoll(7), recvmmsg(2), sendmmsg(2).
//!
//! Sockets stay in blocking mode; every call says `MSG_DONTWAIT`. A socket whose send buffer is
//! full keeps its queue and is polled for writing until it has gone out.

mod receive;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

use rustix::event::{Timespec, epoll};

use crate::driver::backend::Backend;
use crate::driver::base::Base;
use crate::driver::inbox::is_fatal;
use crate::driver::mmsg::receive::ReceiveBatch;
use crate::driver::trains::outbox::{After, Piece};
use crate::driver::trains::wire::{Parts, empty_headers};
use crate::driver::{DriverConfig, RECEIVES_PER_TURN, Received, Turn};
use crate::error::SysError;
use crate::kind::IoKind;
use crate::udp::UdpSocket;

/// Most messages of one sendmmsg call: 64 × 64 KiB is far beyond any socket buffer.
const SEND_BATCH: usize = 64;
/// Most events of one epoll_wait call; other ready sockets come first the next time.
const EVENTS: usize = 64;
/// The event number of the waker; sockets have their index.
const WAKER: u64 = u64::MAX;
/// The longest wait, 24 days: epoll_wait(2) takes an `int` of milliseconds. A turn may end early.
const LONGEST_WAIT: Duration = Duration::from_millis(i32::MAX as u64);
const NO_EVENT: epoll::Event =
    epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) };

/// What one socket has queued.
#[derive(Debug)]
struct SendQueue {
    /// Slots of trains; room for all of them, so it never grows.
    slots: VecDeque<u16>,
    /// The socket's buffer is full: epoll watches for room.
    blocked: bool,
}

/// One message of a sendmmsg call.
#[derive(Clone, Copy)]
struct Queued {
    slot: u16,
    piece: Piece,
}

/// See [`crate::driver::Driver`].
pub struct MmsgDriver {
    base: Base,
    epoll: OwnedFd,
    events: Box<[epoll::Event]>,
    queues: Vec<SendQueue>,
    /// Trains over since the last turn returned.
    over: u32,
    batch: Vec<Queued>,
    headers: Box<[libc::mmsghdr]>,
    parts: Box<[Parts]>,
    receive: ReceiveBatch,
}

impl Backend for MmsgDriver {
    const KIND: IoKind = IoKind::Mmsg;

    fn new(sockets: Vec<UdpSocket>, config: DriverConfig) -> Result<MmsgDriver, SysError> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(|e| SysError::new("open an epoll descriptor", e.into()))?;
        let mut base = Base::new(sockets, config)?;
        base.refuse_zero_copy(config.zero_copy, "epoll", "only the ring can: --io ring");
        let number = epoll::EventData::new_u64(WAKER);
        epoll::add(&epoll, &base.waker, number, epoll::EventFlags::IN).map_err(cannot_watch)?;
        for (index, socket) in base.sockets.iter().enumerate() {
            let number = epoll::EventData::new_u64(index as u64);
            epoll::add(&epoll, socket, number, arrivals(socket)).map_err(cannot_watch)?;
        }
        let slots = usize::from(config.send_buffers);
        let queue = || SendQueue { slots: VecDeque::with_capacity(slots), blocked: false };
        Ok(MmsgDriver {
            epoll,
            events: vec![NO_EVENT; EVENTS].into(),
            queues: base.sockets.iter().map(|_| queue()).collect(),
            over: 0,
            batch: Vec::with_capacity(SEND_BATCH),
            headers: empty_headers(SEND_BATCH),
            parts: (0..SEND_BATCH).map(|_| Parts::new()).collect(),
            receive: ReceiveBatch::new(config),
            base,
        })
    }

    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    fn queue(&mut self, slot: u16, socket: u16) {
        self.queues[usize::from(socket)].slots.push_back(slot);
    }

    fn turn(
        &mut self,
        timeout: Option<Duration>,
        on_datagram: &mut dyn FnMut(Received<'_>),
    ) -> Result<Turn, SysError> {
        for socket in 0..self.base.sockets.len() {
            if !self.queues[socket].blocked {
                self.flush(socket)?;
            }
        }
        // A train that ended is an event: the caller may have more to put into its buffer.
        let timeout = if self.over > 0 { Some(Duration::ZERO) } else { timeout };
        let ready = self.wait(timeout)?;
        let mut turn = Turn::default();
        let mut room = RECEIVES_PER_TURN;
        for at in 0..ready {
            let epoll::Event { flags, data } = self.events[at];
            if data.u64() == WAKER {
                self.base.waker.drain();
                self.base.stats.system_calls += 1;
                turn.woken = true;
                continue;
            }
            let socket = data.u64() as usize;
            if flags.contains(epoll::EventFlags::OUT) {
                self.unblock(socket)?;
                self.flush(socket)?;
            }
            // Also errors, which a receive takes.
            if !flags.difference(epoll::EventFlags::OUT).is_empty() && room > 0 {
                let (messages, datagrams) = self.receive(socket, room, on_datagram)?;
                room -= messages;
                turn.datagrams += datagrams;
            }
        }
        turn.trains_over = std::mem::take(&mut self.over);
        Ok(turn)
    }
}

impl MmsgDriver {
    /// Waits for events; returns how many there are.
    fn wait(&mut self, timeout: Option<Duration>) -> Result<usize, SysError> {
        self.base.stats.system_calls += 1;
        match epoll_wait(&self.epoll, &mut self.events, timeout) {
            Ok(ready) => Ok(ready),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(e) => Err(SysError::new("wait for sockets (epoll)", e)),
        }
    }

    /// Receives at most `room` messages of one socket; returns how many, and their datagrams.
    fn receive(
        &mut self,
        socket: usize,
        room: usize,
        on_datagram: &mut dyn FnMut(Received<'_>),
    ) -> Result<(usize, u32), SysError> {
        self.base.stats.system_calls += 1;
        let messages = match self.receive.receive(self.base.sockets[socket].raw(), room) {
            Ok(messages) => messages,
            Err(e) if is_fatal(e.raw_os_error()) => {
                let local = self.base.sockets[socket].local_addr();
                return Err(SysError::new(format!("receive on {local} (recvmmsg)"), e));
            }
            // Nothing there after all, or an ICMP error of something sent earlier.
            Err(e) => {
                self.base.stats.receive_errors += u64::from(e.kind() != io::ErrorKind::WouldBlock);
                return Ok((0, 0));
            }
        };
        let mut datagrams = 0;
        for index in 0..messages {
            let message = self.receive.message(index, socket as u16);
            datagrams += self.base.inbox.deliver(message, &mut self.base.stats, on_datagram);
        }
        Ok((messages, datagrams))
    }

    /// Sends what a socket has queued until it is all out or the socket is full.
    fn flush(&mut self, socket: usize) -> Result<(), SysError> {
        while !self.queues[socket].slots.is_empty() {
            self.fill_batch(socket);
            self.base.stats.system_calls += 1;
            let sent =
                match send_batch(self.base.sockets[socket].raw(), &mut self.headers, &self.batch) {
                    Ok(sent) => sent,
                    Err(libc::EINTR) => continue,
                    Err(libc::EAGAIN) => return self.block(socket),
                    Err(errno) if is_fatal(Some(errno)) => {
                        let e = io::Error::from_raw_os_error(errno);
                        let local = self.base.sockets[socket].local_addr();
                        return Err(SysError::new(format!("send from {local} (sendmmsg)"), e));
                    }
                    Err(errno) => {
                        // The first message of the batch failed; the others were not tried.
                        self.finish(socket, 0, Err(errno));
                        continue;
                    }
                };
            // Fewer than asked: the next round learns why.
            for index in 0..sent {
                self.finish(socket, index, Ok(()));
            }
        }
        Ok(())
    }

    /// Lays out the next messages of a socket's queue.
    fn fill_batch(&mut self, socket: usize) {
        self.batch.clear();
        for &slot in &self.queues[socket].slots {
            let train = self.base.outbox.train(slot);
            let mut from = train.next();
            while self.batch.len() < SEND_BATCH
                && let Some(piece) = self.base.outbox.piece(slot, from)
            {
                let index = self.batch.len();
                self.headers[index].msg_hdr = self.parts[index].fill(train, &piece, false);
                self.batch.push(Queued { slot, piece });
                from += piece.len;
                if from == train.len() {
                    break;
                }
            }
        }
    }

    /// Takes note of the answer to message `index` of the batch, which is at the queue's head.
    fn finish(&mut self, socket: usize, index: usize, result: Result<(), i32>) {
        let Queued { slot, piece } = self.batch[index];
        debug_assert_eq!(self.queues[socket].slots.front(), Some(&slot), "sent in order");
        self.base.outbox.start(slot, &piece);
        // `Again` leaves the train at the head, to be sent datagram by datagram.
        if self.base.outbox.finish(slot, &piece, result, &mut self.base.stats) == After::Over {
            self.queues[socket].slots.pop_front();
            self.over += 1;
        }
    }

    fn block(&mut self, socket: usize) -> Result<(), SysError> {
        self.queues[socket].blocked = true;
        let arrivals = arrivals(&self.base.sockets[socket]);
        self.watch_for(socket, arrivals | epoll::EventFlags::OUT)
    }

    fn unblock(&mut self, socket: usize) -> Result<(), SysError> {
        self.queues[socket].blocked = false;
        let arrivals = arrivals(&self.base.sockets[socket]);
        self.watch_for(socket, arrivals)
    }

    /// Has epoll watch a socket for these events and no others.
    fn watch_for(&mut self, socket: usize, flags: epoll::EventFlags) -> Result<(), SysError> {
        self.base.stats.system_calls += 1;
        let number = epoll::EventData::new_u64(socket as u64);
        epoll::modify(&self.epoll, &self.base.sockets[socket], number, flags).map_err(cannot_watch)
    }
}

impl fmt::Debug for MmsgDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.base.fmt_as("MmsgDriver", f)
    }
}

/// What epoll says of a socket that has something to receive: nothing of one that only sends.
fn arrivals(socket: &UdpSocket) -> epoll::EventFlags {
    if socket.send_only() { epoll::EventFlags::empty() } else { epoll::EventFlags::IN }
}

fn cannot_watch(e: rustix::io::Errno) -> SysError {
    SysError::new("watch a socket (epoll_ctl)", e.into())
}

/// epoll_pwait2(2), which takes nanoseconds; before Linux 5.11 epoll_wait(2), whose milliseconds
/// are rounded up, so that a wait never ends before its time.
fn epoll_wait(
    epoll: &OwnedFd,
    events: &mut [epoll::Event],
    timeout: Option<Duration>,
) -> io::Result<usize> {
    let spec = timeout.and_then(|timeout| Timespec::try_from(timeout.min(LONGEST_WAIT)).ok());
    let address = spec.as_ref().map_or(ptr::null(), ptr::from_ref);
    let mask: *const libc::sigset_t = ptr::null();
    let (fd, limit) = (epoll.as_raw_fd(), events.len() as i32);
    // The system call itself: glibc has a function for it only from 2.35 on, and rustix one that takes
    // milliseconds, or else fails before Linux 5.11.
    // SAFETY: `events` has room for `limit` events, which are `struct epoll_event`; `address` is null or that of a
    // timespec of 64-bit fields, as the kernel has it, which lives through the call; no signal mask is given.
    let result = unsafe {
        libc::syscall(libc::SYS_epoll_pwait2, fd, events.as_mut_ptr(), limit, address, mask, 8)
    };
    if let Ok(ready) = usize::try_from(result) {
        return Ok(ready);
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() != Some(libc::ENOSYS) {
        return Err(error);
    }
    Ok(epoll::wait(epoll, events, spec.as_ref())?)
}

/// sendmmsg(2) of the whole batch; how many messages were sent, or the errno of the first one.
fn send_batch(
    socket: RawFd,
    headers: &mut [libc::mmsghdr],
    batch: &[Queued],
) -> Result<usize, i32> {
    let count = batch.len().min(headers.len()) as u32;
    // SAFETY: the first `count` headers were filled for this batch (`fill_batch`): they point to
    // parts that lie still in their box and to buffers of trains that the outbox holds; none of
    // them is touched until the call returns, and the kernel keeps no pointer after that.
    let result = unsafe { libc::sendmmsg(socket, headers.as_mut_ptr(), count, libc::MSG_DONTWAIT) };
    usize::try_from(result)
        .map_err(|_| io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_rounds_up_and_ends_by_a_waker() {
        let driver = MmsgDriver::new(Vec::new(), DriverConfig::CLIENT).unwrap();
        // With epoll_pwait2, and with what there is before Linux 5.11.
        let wait_for = |old: bool, events: &mut [epoll::Event], wait: Option<Duration>| {
            if !old {
                return epoll_wait(&driver.epoll, events, wait).unwrap();
            }
            let wait = wait.map(|wait| Timespec::try_from(wait).unwrap());
            epoll::wait(&driver.epoll, events, wait.as_ref()).unwrap()
        };
        let mut events = [NO_EVENT; 2];
        for old in [false, true] {
            for wait in [Duration::ZERO, Duration::from_micros(1), Duration::from_millis(2)] {
                let begin = std::time::Instant::now();
                assert_eq!(wait_for(old, &mut events, Some(wait)), 0);
                assert!(begin.elapsed() >= wait);
            }
        }
        driver.base.waker.wake();
        for old in [false, true] {
            assert_eq!(wait_for(old, &mut events, None), 1);
            assert_eq!({ events[0].data }.u64(), WAKER);
        }
    }
}
