//! The driver on glommio 0.9, for comparison: an executor on the shard's own thread that runs for one turn at a time.
//!
//! Its UDP sockets try the system call first (recvmsg, sendmsg), and go through its ring only when that would wait. What is
//! avoided:
//! - A send through its ring. It sends one byte of the datagram, whatever its length (`rushed_sendmsg`, `iov_len: 1`). So a
//!   send is tried only where poll(2) says that the socket has room, and the ring is never needed.
//! - A dropped receive. Its buffer is freed with the executor, which does not wait for what it has cancelled; and a timed one
//!   that was not submitted yet leaves a pointer to freed memory in the queue. Here every receive is awaited to its end: each
//!   has a limit of 50 ms, and a driver that is dropped waits for the last, or leaks its executor.
//! - Kernels and limits at which it panics or ends the process: the probe asks first.
//!
//! What is left to the executor's own end is a pending read of its eventfd, which nobody writes any more.
//!
//! What is lost: zero copy; control messages both ways, and so the ECN bits, receive offload (switched off) and the count of
//! datagrams that the kernel dropped; waiting for room in a full socket, which is looked at every millisecond instead; an
//! idle socket wakes the thread every 50 ms; each operation of the ring allocates, and each executor has a thread more.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::os::fd::{AsFd, FromRawFd, IntoRawFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use glommio::net::UdpSocket as Async;
use glommio::timer::Timer;
use glommio::{GlommioError, LocalExecutor, LocalExecutorBuilder, spawn_local};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::RecvFlags;

use crate::driver::backend::Backend;
use crate::driver::base::Base;
use crate::driver::ring::setup::cannot_open;
use crate::driver::runtimes::tasks::{Board, let_others_run};
use crate::driver::trains::outbox::After;
use crate::driver::{DriverConfig, DriverStats, Received, Turn, Waker};
use crate::error::SysError;
use crate::kind::IoKind;
use crate::rlimit::{Limit, soft};
use crate::udp::UdpSocket;

/// How long a receive stays in the executor's ring. The driver's end takes as long at most.
const LIFE: Duration = Duration::from_millis(50);
/// The longest wait while a socket has no room.
const ROOM_WAIT: Duration = Duration::from_millis(1);
/// How long a driver that is dropped waits for its receives.
const CLOSE: Duration = Duration::from_millis(500);
/// What glommio asks of RLIMIT_MEMLOCK, bytes (glommio 0.9, sys/uring.rs).
const LOCKED_MEMORY: u64 = 512 << 10;
/// The executor's memory for files, of which nothing is used: the least that it takes.
const IO_MEMORY: usize = 64 << 10;

/// See [`crate::driver::Driver`].
pub struct GlommioDriver {
    base: Base,
    executor: ManuallyDrop<LocalExecutor>,
    board: Rc<Board>,
    outlets: Vec<Outlet>,
    /// Trains of which a piece is still to be sent.
    queue: VecDeque<u16>,
}

/// One socket's way out.
struct Outlet {
    socket: Rc<Async>,
    /// The size that the socket cuts sends by (UDP_SEGMENT); 0: none.
    size: u16,
    /// Bytes of kernel memory that the socket takes for certain.
    credit: usize,
    /// It has no room: not before the next turn.
    full: bool,
}

/// Whether an executor can be had here.
///
/// # Errors
/// What is in the way, with a hint: rings that are not allowed, or the limit of locked memory.
pub(crate) fn probe() -> Result<(), SysError> {
    enough_locked_memory(soft(Limit::LockedMemory))?;
    // Without rings glommio panics, and with a kernel that is too old it ends the process: 6.1 has all that it uses.
    crate::driver::ring::setup::open(8, 32).map(drop).map_err(cannot_open)
}

/// glommio compares the limit itself, also where a capability lifts it.
fn enough_locked_memory(limit: Option<u64>) -> Result<(), SysError> {
    let Some(bytes) = limit.filter(|&bytes| bytes < LOCKED_MEMORY) else { return Ok(()) };
    let cause = io::Error::from_raw_os_error(libc::ENOMEM);
    let error = SysError::new("start a glommio executor", cause);
    Err(error.with_hint(format!(
        "RLIMIT_MEMLOCK is {} KiB and glommio wants {}: ulimit -l {}, or LimitMEMLOCK= in the unit",
        bytes >> 10,
        LOCKED_MEMORY >> 10,
        LOCKED_MEMORY >> 10,
    )))
}

impl Backend for GlommioDriver {
    const KIND: IoKind = IoKind::Glommio;

    fn new(sockets: Vec<UdpSocket>, config: DriverConfig) -> Result<GlommioDriver, SysError> {
        probe()?;
        let mut base = Base::new(sockets, config)?;
        base.refuse_zero_copy(config.zero_copy, "glommio", "only the ring can: --io ring");
        base.no_receive_offload()?;
        let builder = LocalExecutorBuilder::default().io_memory(IO_MEMORY).name("segcast");
        let failed = |e: GlommioError<()>| SysError::new("make a driver with glommio", e.into());
        let executor = builder.make().map_err(failed)?;
        let board = Board::new(base.sockets.len(), config);
        let (waker, outlets) = executor.run(begin(&base, &board)).map_err(failed)?;
        base.waker = waker;
        Ok(GlommioDriver {
            base,
            executor: ManuallyDrop::new(executor),
            board,
            outlets,
            queue: VecDeque::with_capacity(config.send_buffers.into()),
        })
    }

    fn base(&self) -> &Base {
        &self.base
    }

    fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    fn queue(&mut self, slot: u16, _: u16) {
        self.queue.push_back(slot);
    }

    fn turn(
        &mut self,
        timeout: Option<Duration>,
        on_datagram: &mut dyn FnMut(Received<'_>),
    ) -> Result<Turn, SysError> {
        let GlommioDriver { base, executor, board, outlets, queue } = self;
        // The executor enters each of its rings at least once.
        base.stats.system_calls += 3;
        let trains_over = executor.run(async {
            let over = flush(base, outlets, queue).await?;
            // Receives that are ready get their turn before anything is waited for.
            let_others_run().await;
            let timeout = match timeout {
                _ if over > 0 => Some(Duration::ZERO),
                _ if queue.is_empty() => timeout,
                timeout => Some(timeout.map_or(ROOM_WAIT, |timeout| timeout.min(ROOM_WAIT))),
            };
            if timeout != Some(Duration::ZERO) {
                wait(board, timeout).await;
            }
            Ok::<u32, SysError>(over)
        })?;
        let datagrams = board.deliver(base, on_datagram)?;
        Ok(Turn { datagrams, trains_over, woken: board.take_woken() })
    }
}

impl GlommioDriver {
    /// Waits until no receive is pending any more; `false`: one still is.
    fn quiesce(&mut self) -> bool {
        self.board.close();
        // Ends the task that listens for wakers; the others end by their limit.
        self.base.waker.wake();
        let board = &self.board;
        self.executor.run(async {
            let mut limit = Timer::new(CLOSE);
            poll_fn(|cx| {
                if board.is_quiet() {
                    return Poll::Ready(());
                }
                board.watch(cx);
                Pin::new(&mut limit).poll(cx).map(drop)
            })
            .await;
        });
        self.board.is_quiet()
    }
}

impl Drop for GlommioDriver {
    fn drop(&mut self) {
        if self.quiesce() {
            // SAFETY: dropped once, here. No task waits for a receive, so the executor frees no buffer that the kernel may
            // still fill.
            unsafe { ManuallyDrop::drop(&mut self.executor) };
        }
        // Else it stays, with its rings and buffers. The send buffers are not with it: sends are system calls.
    }
}

/// Starts the tasks that receive and listen for wakers; what a turn sends with.
async fn begin(base: &Base, board: &Rc<Board>) -> Result<(Waker, Vec<Outlet>), GlommioError<()>> {
    let mut outlets = Vec::with_capacity(base.sockets.len());
    for (index, bound) in base.sockets.iter().enumerate() {
        let own = bound.as_fd().try_clone_to_owned()?;
        // SAFETY: the descriptor was made just now and belongs to nobody else.
        let socket = Rc::new(unsafe { Async::from_raw_fd(own.into_raw_fd()) });
        socket.set_read_timeout(Some(LIFE))?;
        if !bound.send_only() {
            spawn_local(receive(Rc::clone(&socket), index as u16, Rc::clone(board))).detach();
        }
        outlets.push(Outlet { socket, size: 0, credit: 0, full: false });
    }
    // glommio cannot wait for an eventfd, but for a pair of sockets, of which the waker has the other end.
    let (ours, theirs) = UnixStream::pair()?;
    let waker = Waker::of(theirs.into()).map_err(io::Error::from)?;
    let own = ours.as_fd().try_clone_to_owned()?;
    // SAFETY: as above.
    let watched = unsafe { glommio::net::UnixStream::from_raw_fd(own.into_raw_fd()) };
    spawn_local(listen(watched, ours, Rc::clone(board))).detach();
    Ok((waker, outlets))
}

/// Receives datagram after datagram, until the driver closes.
async fn receive(socket: Rc<Async>, index: u16, board: Rc<Board>) {
    while let Some(mut buffer) = board.buffer(index).await {
        let held = board.enter_kernel();
        // Awaited to its end, never dropped before.
        let answer = socket.recv_from(&mut buffer).await;
        drop(held);
        if board.is_closing() {
            break;
        }
        match answer {
            Ok((length, from)) => board.arrived(index, Ok((from, length)), buffer),
            Err(e) => match errno(&e) {
                // Its life is over.
                libc::ETIMEDOUT => board.give_back(index, buffer),
                errno => board.arrived(index, Err(errno), buffer),
            },
        }
    }
    board.tell();
}

/// Waits for what wakers write, until the driver closes.
async fn listen(watched: glommio::net::UnixStream, ours: UnixStream, board: Rc<Board>) {
    loop {
        let held = board.enter_kernel();
        let seen = watched.peek(&mut [0; 8]).await;
        drop(held);
        if board.is_closing() || seen.is_err() {
            return board.tell();
        }
        let mut bytes = [0; 512];
        while rustix::net::recv(&ours, &mut bytes, RecvFlags::DONTWAIT).is_ok_and(|n| n.1 > 0) {}
        board.woken();
    }
}

/// Sends what is queued, but for sockets that are full; how many trains are over.
async fn flush(
    base: &mut Base,
    outlets: &mut [Outlet],
    queue: &mut VecDeque<u16>,
) -> Result<u32, SysError> {
    let mut over = 0;
    outlets.iter_mut().for_each(|outlet| outlet.full = false);
    let mut at = 0;
    while let Some(&slot) = queue.get(at) {
        let train = base.outbox.train(slot);
        let piece = base.outbox.piece(slot, train.next()).expect("a queued train has a rest");
        let (socket, outlet) =
            (&base.sockets[usize::from(train.socket())], &mut outlets[usize::from(train.socket())]);
        if !outlet.has_room(socket, piece.len, &mut base.stats)? {
            at += 1;
            continue;
        }
        let (bytes, to) = (train.lend(&piece), train.to().as_socket());
        if outlet.cut_by(socket, piece.segment.unwrap_or(0), &mut base.stats).is_err() {
            base.outbox.split(slot, &mut base.stats);
            continue;
        }
        base.stats.system_calls += 1;
        let to: SocketAddr = to.expect("trains go to addresses of IP");
        let answer = match outlet.socket.send_to(&bytes, to).await {
            Ok(length) if length == piece.len => Ok(()),
            // It went through the ring after all: one byte left, and the piece is still to be sent.
            Ok(_) => {
                outlet.full = true;
                continue;
            }
            Err(e) => Err(errno(&e)),
        };
        base.outbox.start(slot, &piece);
        // `Again` leaves the train where it is, to be sent datagram by datagram.
        if base.outbox.finish(slot, &piece, answer, &mut base.stats) == After::Over {
            queue.remove(at);
            over += 1;
        }
    }
    Ok(over)
}

impl Outlet {
    /// Whether a send of `length` bytes will not have to wait.
    ///
    /// The kernel lets a send wait only if the memory of what is on its way exceeds the send buffer (socket(7), SO_SNDBUF),
    /// and says POLLOUT while it is below the half (`sock_writeable`, net/sock.h). So after one POLLOUT half a buffer may be
    /// sent without asking again. A send takes less than twice its bytes and a page.
    fn has_room(
        &mut self,
        socket: &UdpSocket,
        length: usize,
        stats: &mut DriverStats,
    ) -> Result<bool, SysError> {
        let cost = 2 * length + 4096;
        if self.full || self.credit >= cost {
            self.credit = self.credit.saturating_sub(cost);
            return Ok(!self.full);
        }
        stats.system_calls += 1;
        let mut asked = [PollFd::new(socket, PollFlags::OUT)];
        poll(&mut asked, Some(&Timespec::default()))
            .map_err(|e| SysError::new("ask a socket for room (poll)", e.into()))?;
        self.full = !asked[0].revents().contains(PollFlags::OUT);
        self.credit = if self.full { 0 } else { socket.send_buffer_bytes().saturating_sub(cost) };
        Ok(!self.full)
    }

    /// Has the socket cut sends into datagrams of `size`; 0: not at all. glommio sends no control message that could say it.
    fn cut_by(&mut self, socket: &UdpSocket, size: u16, stats: &mut DriverStats) -> io::Result<()> {
        if self.size == size {
            return Ok(());
        }
        stats.size_changes += 1;
        stats.system_calls += 1;
        socket.set_segment(size)?;
        self.size = size;
        Ok(())
    }
}

/// Waits for news or the end of `timeout`.
async fn wait(board: &Board, timeout: Option<Duration>) {
    let mut timer = timeout.map(Timer::new);
    poll_fn(|cx: &mut Context<'_>| match (board.poll_news(cx), &mut timer) {
        (Poll::Pending, Some(timer)) => Pin::new(timer).poll(cx).map(drop),
        (news, _) => news,
    })
    .await;
}

fn errno(error: &GlommioError<()>) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

impl fmt::Debug for GlommioDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.base.fmt_as("GlommioDriver", f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::runtimes::tasks;

    /// A driver with two sockets, whose receives the kernel has.
    fn listening() -> Option<GlommioDriver> {
        let driver: GlommioDriver = tasks::listening(probe())?;
        assert!(!driver.board.is_quiet(), "receives are pending");
        Some(driver)
    }

    #[test]
    fn a_dropped_driver_ends_its_receives_before_it_frees_their_buffers() {
        let Some(mut driver) = listening() else { return };
        assert!(driver.quiesce());
        assert!(driver.quiesce(), "again, with nothing left");
        let tasks = Rc::downgrade(&driver.board);
        drop(driver);
        assert!(tasks.upgrade().is_none(), "tasks and buffers are gone");
    }

    #[test]
    fn a_driver_whose_operations_do_not_end_does_not_wait_for_ever() {
        let Some(mut driver) = listening() else { return };
        // An operation that the kernel never answers.
        std::mem::forget(driver.board.enter_kernel());
        assert!(!driver.quiesce(), "then the executor is not dropped");
        // Nothing of it may be touched after this: not by the kernel, and not by a task.
        drop(driver);
    }

    #[test]
    fn too_little_locked_memory_is_named_with_both_limits() {
        assert!(
            enough_locked_memory(None).is_ok() && enough_locked_memory(Some(512 << 10)).is_ok()
        );
        let error = enough_locked_memory(Some(64 << 10)).unwrap_err().to_string();
        for wanted in ["RLIMIT_MEMLOCK is 64 KiB", "wants 512", "ulimit -l 512", "LimitMEMLOCK="] {
            assert!(error.contains(wanted), "{error}");
        }
    }
}
