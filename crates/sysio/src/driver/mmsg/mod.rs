//! The driver for machines without io_uring: epoll(7), recvmmsg(2), sendmmsg(2).
//!
//! Sockets stay in blocking mode; every call says `MSG_DONTWAIT`. A socket whose send buffer is
//! full keeps its queue and is polled for writing until it has gone out.

mod receive;

use std::collections::VecDeque;
use std::fmt;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

use crate::driver::backend::Backend;
use crate::driver::base::Base;
use crate::driver::inbox::is_fatal;
use crate::driver::mmsg::receive::ReceiveBatch;
use crate::driver::trains::outbox::{After, Piece};
use crate::driver::trains::wire::{Parts, empty_headers};
use crate::driver::{DriverConfig, RECEIVES_PER_TURN, Received, Turn};
use crate::error::SysError;
use crate::probe::IoKind;
use crate::udp::UdpSocket;

/// Most messages of one sendmmsg call: 64 × 64 KiB is far beyond any socket buffer.
const SEND_BATCH: usize = 64;
/// Most events of one epoll_wait call; other ready sockets come first the next time.
const EVENTS: usize = 64;
/// The event number of the waker; sockets have their index.
const WAKER: u64 = u64::MAX;

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
    events: Box<[libc::epoll_event]>,
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
        // SAFETY: epoll_create1 takes no pointers.
        let raw = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if raw < 0 {
            return Err(SysError::last("open an epoll descriptor"));
        }
        // SAFETY: `raw` was opened just now and belongs to nobody else.
        let epoll = unsafe { OwnedFd::from_raw_fd(raw) };
        let mut base = Base::new(sockets, config)?;
        base.refuse_zero_copy(config.zero_copy, "epoll", "only the ring can: --io ring");
        watch(&epoll, libc::EPOLL_CTL_ADD, base.waker.raw(), libc::EPOLLIN, WAKER)?;
        for (index, socket) in base.sockets.iter().enumerate() {
            watch(&epoll, libc::EPOLL_CTL_ADD, socket.raw(), libc::EPOLLIN, index as u64)?;
        }
        let slots = usize::from(config.send_buffers);
        let queue = || SendQueue { slots: VecDeque::with_capacity(slots), blocked: false };
        Ok(MmsgDriver {
            epoll,
            events: vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS].into(),
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
            let libc::epoll_event { events, u64: number } = self.events[at];
            if number == WAKER {
                self.base.waker.drain();
                self.base.stats.system_calls += 1;
                turn.woken = true;
                continue;
            }
            let socket = number as usize;
            if events & libc::EPOLLOUT as u32 != 0 {
                self.unblock(socket)?;
                self.flush(socket)?;
            }
            if events & !(libc::EPOLLOUT as u32) != 0 && room > 0 {
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
        match epoll_wait(self.epoll.as_raw_fd(), &mut self.events, timeout) {
            Ok(ready) => Ok(ready),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => Ok(0),
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
                self.base.stats.receive_errors +=
                    u64::from(e.kind() != std::io::ErrorKind::WouldBlock);
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
                        let e = std::io::Error::from_raw_os_error(errno);
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
        self.base.stats.system_calls += 1;
        let events = libc::EPOLLIN | libc::EPOLLOUT;
        watch(
            &self.epoll,
            libc::EPOLL_CTL_MOD,
            self.base.sockets[socket].raw(),
            events,
            socket as u64,
        )
    }

    fn unblock(&mut self, socket: usize) -> Result<(), SysError> {
        self.queues[socket].blocked = false;
        self.base.stats.system_calls += 1;
        let raw = self.base.sockets[socket].raw();
        watch(&self.epoll, libc::EPOLL_CTL_MOD, raw, libc::EPOLLIN, socket as u64)
    }
}

impl fmt::Debug for MmsgDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.base.fmt_as("MmsgDriver", f)
    }
}

/// epoll_ctl(2).
fn watch(
    epoll: &OwnedFd,
    operation: i32,
    fd: RawFd,
    events: i32,
    number: u64,
) -> Result<(), SysError> {
    let mut event = libc::epoll_event { events: events as u32, u64: number };
    // SAFETY: `event` lives through the call, which copies it. The descriptors are the caller's.
    let result = unsafe { libc::epoll_ctl(epoll.as_raw_fd(), operation, fd, &mut event) };
    if result == 0 { Ok(()) } else { Err(SysError::last("watch a socket (epoll_ctl)")) }
}

/// epoll_pwait2(2), which takes nanoseconds; before Linux 5.11 epoll_wait(2), whose milliseconds
/// are rounded up, so that a wait never ends before its time.
fn epoll_wait(
    epoll: RawFd,
    events: &mut [libc::epoll_event],
    timeout: Option<Duration>,
) -> std::io::Result<usize> {
    let limit = events.len() as i32;
    let spec = timeout.map(|timeout| libc::timespec {
        tv_sec: timeout.as_secs().min(i32::MAX as u64) as libc::time_t,
        tv_nsec: timeout.subsec_nanos().into(),
    });
    let spec = spec.as_ref().map_or(ptr::null(), ptr::from_ref);
    let mask: *const libc::sigset_t = ptr::null();
    // The system call itself, since glibc has a function for it only from 2.35 on.
    // SAFETY: `events` has room for `limit` events, and `spec` is null or lives through the call;
    // no signal mask is given.
    let result = unsafe {
        libc::syscall(libc::SYS_epoll_pwait2, epoll, events.as_mut_ptr(), limit, spec, mask, 8)
    };
    if let Ok(ready) = usize::try_from(result) {
        return Ok(ready);
    }
    let error = std::io::Error::last_os_error();
    if error.raw_os_error() != Some(libc::ENOSYS) {
        return Err(error);
    }
    epoll_wait_milliseconds(epoll, events, timeout)
}

/// epoll_wait(2).
fn epoll_wait_milliseconds(
    epoll: RawFd,
    events: &mut [libc::epoll_event],
    timeout: Option<Duration>,
) -> std::io::Result<usize> {
    let limit = events.len() as i32;
    let milliseconds = timeout.map_or(-1, |timeout| {
        i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
    });
    // SAFETY: `events` has room for `limit` events.
    let result = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), limit, milliseconds) };
    usize::try_from(result).map_err(|_| std::io::Error::last_os_error())
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
        .map_err(|_| std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_works_without_epoll_pwait2_and_rounds_up() {
        let driver = MmsgDriver::new(Vec::new(), DriverConfig::CLIENT).unwrap();
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 2];
        let epoll = driver.epoll.as_raw_fd();
        for wait in [Duration::ZERO, Duration::from_micros(1), Duration::from_millis(2)] {
            let begin = std::time::Instant::now();
            assert_eq!(epoll_wait_milliseconds(epoll, &mut events, Some(wait)).unwrap(), 0);
            assert!(begin.elapsed() >= wait);
        }
        driver.base.waker.wake();
        assert_eq!(epoll_wait_milliseconds(epoll, &mut events, None).unwrap(), 1);
        assert_eq!({ events[0].u64 }, WAKER);
    }
}
