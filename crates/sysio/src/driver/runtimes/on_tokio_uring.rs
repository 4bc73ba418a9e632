//! The driver on tokio-uring 0.5, for comparison: receives and sends are tasks of a runtime that runs for one turn at a time.
//!
//! What is avoided, since it is unsound or panics:
//! - A dropped receive. The runtime's own end frees the buffers of pending operations before it has cancelled them, and the
//!   kernel writes to freed memory. Here no operation is dropped: every one is awaited to its end, and a driver that is
//!   dropped first cancels all (IORING_OP_ASYNC_CANCEL, which the crate can submit but has no name for), lets the tasks
//!   take the answers, and drops the runtime only then; if answers stay away it leaks runtime and buffers.
//! - `send_zc` and `sendmsg_zc`, which panic when the kernel refuses a send: `zero_copy` is refused.
//! - `DEFER_TASKRUN`: the runtime sleeps in epoll, where such a ring is never readable. It has the crate's default ring.
//! - A full submission queue: the crate may panic there. The ring has an entry for every operation that can be pending.
//!
//! What is lost: zero copy; control messages of what is received, and so the ECN bits, receive offload (switched off) and the
//! count of datagrams that the kernel dropped; and each operation allocates.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use io_uring_06::types::{CancelBuilder, Fd};
use io_uring_06::{cqueue, opcode};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio_uring::buf::IoBuf;
use tokio_uring::net::UdpSocket as Async;
use tokio_uring::{OneshotOutputTransform, Runtime, UnsubmittedOneshot};

use crate::driver::backend::Backend;
use crate::driver::base::Base;
use crate::driver::ring::setup::cannot_open;
use crate::driver::runtimes::tasks::{Board, buffers_each, let_others_run};
use crate::driver::trains::arena::Lent;
use crate::driver::trains::outbox::Piece;
use crate::driver::{DriverConfig, Received, Turn, Waker};
use crate::error::SysError;
use crate::kind::IoKind;
use crate::udp::control::{SEND_BYTES, SendControl};
use crate::udp::{MAX_TRAIN_DATAGRAMS, UdpSocket};

/// Most receives that a socket has pending. One takes a turn for each datagram; but a datagram wakes all that wait.
const RECEIVES: usize = 4;
/// Sends beyond one for each send buffer: so many datagrams of split trains are in flight.
const SPLIT_SENDS: usize = MAX_TRAIN_DATAGRAMS;
/// Looks at what is still pending when a driver is dropped, and the time between them: a second together.
const ROUNDS: usize = 1000;
const ROUND: Duration = Duration::from_millis(1);
/// Most entries of a submission queue (io_uring_setup(2)).
const MOST_ENTRIES: usize = 32_768;

/// See [`crate::driver::Driver`].
pub struct TokioUringDriver {
    base: Base,
    runtime: ManuallyDrop<Runtime>,
    board: Rc<Board>,
    sockets: Vec<Rc<Async>>,
    timer: AsyncFd<OwnedFd>,
    /// Trains of which a piece is still to be handed over.
    queue: VecDeque<u16>,
    sends: usize,
    most_sends: usize,
}

/// Opens a runtime with a ring of `entries`.
fn open(entries: usize) -> Result<Runtime, SysError> {
    let mut builder = tokio_uring::builder();
    builder.entries(entries as u32);
    Runtime::new(&builder).map_err(cannot_open)
}

/// Whether a runtime can be had here.
///
/// # Errors
/// What is in the way of a ring, with a hint.
pub(crate) fn probe() -> Result<(), SysError> {
    open(8).map(drop)
}

impl Backend for TokioUringDriver {
    const KIND: IoKind = IoKind::TokioUring;

    fn new(sockets: Vec<UdpSocket>, config: DriverConfig) -> Result<TokioUringDriver, SysError> {
        let mut base = Base::new(sockets, config)?;
        base.refuse_zero_copy(
            config.zero_copy,
            "tokio-uring",
            "its SEND_ZC panics on errors; --io ring can",
        );
        base.no_receive_offload()?;
        let receives = RECEIVES.min(buffers_each(base.sockets.len(), config));
        let most_sends = usize::from(config.send_buffers) + SPLIT_SENDS;
        // And a cancellation for each socket, and the no-op of a turn that does not wait.
        let entries = base.sockets.len() * (receives + 1) + most_sends + 1;
        if entries > MOST_ENTRIES {
            let cause = io::Error::from_raw_os_error(libc::EINVAL);
            let text = format!("serve {} sockets with tokio-uring", base.sockets.len());
            return Err(SysError::new(text, cause).with_hint("use fewer addresses"));
        }
        let runtime = open(entries.next_power_of_two())?;
        let board = Board::new(base.sockets.len(), config);
        let failed = |e| SysError::new("make a driver with tokio-uring", e);
        let (sockets, timer) = runtime.block_on(begin(&base, &board, receives)).map_err(failed)?;
        Ok(TokioUringDriver {
            base,
            runtime: ManuallyDrop::new(runtime),
            board,
            sockets,
            timer,
            queue: VecDeque::with_capacity(config.send_buffers.into()),
            sends: 0,
            most_sends,
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
        // What is left of the last turn is not waited for.
        let timeout = if self.board.has_news() { Some(Duration::ZERO) } else { timeout };
        // Two rounds of the runtime, each of which submits (io_uring_enter) and looks for events (epoll_wait).
        self.base.stats.system_calls += 4;
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        if let Some(timeout) = timeout.filter(|timeout| !timeout.is_zero()) {
            self.base.stats.system_calls += 1;
            set_timer(&self.timer, timeout)?;
        }
        let TokioUringDriver { runtime, board, base, sockets, timer, queue, sends, .. } = self;
        let most_sends = self.most_sends;
        runtime.block_on(async {
            start_sends(base, board, sockets, queue, sends, most_sends);
            if timeout == Some(Duration::ZERO) {
                // Over once the runtime has submitted everything and taken what was completed. It cannot fail.
                let _ = tokio_uring::no_op().await;
            } else {
                wait(board, timer, deadline).await;
            }
        });
        let ended = board.ended_count();
        *sends -= ended;
        let trains_over = board.settle(base, queue);
        let datagrams = board.deliver(base, on_datagram)?;
        Ok(Turn { datagrams, trains_over, woken: board.take_woken() })
    }
}

impl TokioUringDriver {
    /// Cancels everything and waits until the kernel has let go of all memory; `false`: it did not.
    fn quiesce(&mut self) -> bool {
        let TokioUringDriver { runtime, board, sockets, .. } = self;
        board.close();
        runtime.block_on(async {
            // A cancelled operation completes at once: one round, but for those on their way to a kernel worker.
            for round in 0..ROUNDS {
                for socket in sockets.iter() {
                    let all = CancelBuilder::fd(Fd(socket.as_raw_fd())).all();
                    let cancel = opcode::AsyncCancel2::new(all).build();
                    // An error: there was nothing to cancel.
                    UnsubmittedOneshot::new((), Plain, cancel).submit().await;
                }
                // Tasks take the answers.
                let_others_run().await;
                if board.is_quiet() {
                    return;
                }
                if round > 0 {
                    std::thread::sleep(ROUND);
                }
            }
        });
        board.is_quiet()
    }
}

impl Drop for TokioUringDriver {
    fn drop(&mut self) {
        if self.quiesce() {
            // SAFETY: dropped once, here. No task has an operation in the kernel, so the runtime frees nothing that the
            // kernel still uses.
            unsafe { ManuallyDrop::drop(&mut self.runtime) };
        } else {
            // The runtime stays with its tasks and the buffers of their operations; the send buffers by this.
            self.base.outbox.leak();
        }
    }
}

/// Starts the tasks that receive and listen for wakers; makes what a turn needs.
async fn begin(
    base: &Base,
    board: &Rc<Board>,
    receives: usize,
) -> io::Result<(Vec<Rc<Async>>, AsyncFd<OwnedFd>)> {
    let mut sockets = Vec::with_capacity(base.sockets.len());
    for (index, bound) in base.sockets.iter().enumerate() {
        let own = bound.as_fd().try_clone_to_owned()?;
        let socket = Rc::new(Async::from_std(own.into()));
        let receives = if bound.send_only() { 0 } else { receives };
        for _ in 0..receives {
            tokio_uring::spawn(receive(Rc::clone(&socket), index as u16, Rc::clone(board)));
        }
        sockets.push(socket);
    }
    // SAFETY: the waker owns its descriptor, and nobody replaces or closes it while it is registered.
    let event = unsafe { AsyncFd::register(Listening(base.waker.clone())) }?;
    let told = Rc::clone(board);
    tokio_uring::spawn(async move {
        while let Ok(mut ready) = event.readable().await {
            ready.get_inner().0.drain();
            ready.clear_ready();
            told.woken();
        }
    });
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
    // SAFETY: as above: an owned descriptor, which the AsyncFd keeps.
    let timer = unsafe { AsyncFd::register(timer) }?;
    Ok((sockets, timer))
}

/// A waker's descriptor, kept open for as long as it is watched.
struct Listening(Waker);

impl AsRawFd for Listening {
    fn as_raw_fd(&self) -> RawFd {
        self.0.raw()
    }
}

/// Receives datagram after datagram, until the driver closes.
async fn receive(socket: Rc<Async>, index: u16, board: Rc<Board>) {
    while let Some(buffer) = board.buffer(index).await {
        let held = board.enter_kernel();
        // Awaited to its end, never dropped before.
        let (answer, buffer) = socket.recv_from(buffer).await;
        drop(held);
        if board.is_closing() {
            return;
        }
        let answer = answer.map(|(length, from)| (from, length));
        board.arrived(index, answer.map_err(|e| errno(&e)), buffer);
    }
}

/// Starts a task for each piece of the queued trains, as far as the ring has room.
fn start_sends(
    base: &mut Base,
    board: &Rc<Board>,
    sockets: &[Rc<Async>],
    queue: &mut VecDeque<u16>,
    sends: &mut usize,
    most_sends: usize,
) {
    while let Some(&slot) = queue.front() {
        let train = base.outbox.train(slot);
        // No piece: the train failed with pieces in flight, and the rest is not tried.
        let Some(piece) = base.outbox.piece(slot, train.next()) else {
            queue.pop_front();
            continue;
        };
        if *sends == most_sends {
            return;
        }
        let socket = Rc::clone(&sockets[usize::from(train.socket())]);
        let to = train.to().as_socket().expect("trains go to addresses of IP");
        tokio_uring::spawn(send(socket, train.lend(&piece), to, slot, piece, Rc::clone(board)));
        *sends += 1;
        if !base.outbox.start(slot, &piece) {
            queue.pop_front();
        }
    }
}

/// Sends one piece. Header, address and control message are the operation's own, and so is the loan of the send buffer.
async fn send(
    socket: Rc<Async>,
    bytes: Lent,
    to: SocketAddr,
    slot: u16,
    piece: Piece,
    board: Rc<Board>,
) {
    if board.is_closing() {
        return;
    }
    let control = piece.segment.map(|size| Control(Box::new(SendControl::segment(size))));
    let held = board.enter_kernel();
    // Awaited to its end, never dropped before.
    let (answer, _, _) = socket.sendmsg(vec![bytes], Some(to), control).await;
    drop(held);
    board.ended(slot, piece, answer.map(drop).map_err(|e| errno(&e)));
}

/// Waits for news or the deadline.
async fn wait(board: &Board, timer: &AsyncFd<OwnedFd>, deadline: Option<Instant>) {
    let timer = async {
        let Some(deadline) = deadline else { return std::future::pending().await };
        // The timer may still be ready for an earlier deadline.
        while Instant::now() < deadline {
            match timer.readable().await {
                Ok(mut ready) => ready.clear_ready(),
                Err(_) => return,
            }
        }
    };
    let mut timer = pin!(timer);
    poll_fn(|cx: &mut Context<'_>| match board.poll_news(cx) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => timer.as_mut().poll(cx),
    })
    .await;
}

/// Has the timer expire once, after `timeout`.
fn set_timer(timer: &AsyncFd<OwnedFd>, timeout: Duration) -> Result<(), SysError> {
    let seconds = timeout.as_secs().min(i32::MAX as u64).cast_signed();
    let value = Timespec { tv_sec: seconds, tv_nsec: timeout.subsec_nanos().into() };
    let once = Itimerspec { it_interval: Timespec::default(), it_value: value };
    timerfd_settime(timer.get_ref(), TimerfdTimerFlags::empty(), &once)
        .map(drop)
        .map_err(|e| SysError::new("set a timer (timerfd_settime)", e.into()))
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

/// The answer of an operation as it is.
struct Plain;

impl OneshotOutputTransform for Plain {
    type Output = i32;
    type StoredData = ();

    fn transform_oneshot_output(self, (): (), entry: cqueue::Entry) -> i32 {
        entry.result()
    }
}

// SAFETY: the address is that of mapped memory which does not move and which the loan keeps mapped; all of it is initialised
// (an anonymous mapping), and nobody writes it while it is lent (`Lent`).
unsafe impl IoBuf for Lent {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.len()
    }

    fn bytes_total(&self) -> usize {
        self.len()
    }
}

/// The control message of a send, where it does not move.
struct Control(Box<SendControl>);

// SAFETY: the bytes lie in a box, which does not move with its owner; they are initialised and as many as stated.
unsafe impl IoBuf for Control {
    fn stable_ptr(&self) -> *const u8 {
        self.0.0.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        SEND_BYTES
    }

    fn bytes_total(&self) -> usize {
        SEND_BYTES
    }
}

impl fmt::Debug for TokioUringDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.base.fmt_as("TokioUringDriver", f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::runtimes::tasks;
    use crate::driver::{Outgoing, ZeroCopy};

    /// A driver with two sockets, whose receives the kernel has.
    fn listening() -> Option<TokioUringDriver> {
        let driver: TokioUringDriver = tasks::listening(probe())?;
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
    fn a_driver_whose_operations_do_not_end_is_leaked_with_their_buffers() {
        let Some(mut driver) = listening() else { return };
        let to = driver.base.sockets[0].local_addr();
        let buffer = driver.base.send_buffer().unwrap();
        let train = Outgoing { buffer, len: 5000, datagram_bytes: 1000, socket: 0, to, ticket: 0 };
        let slot = driver.base.accept(train);
        driver.queue(slot, 0);
        // An operation that the kernel never answers.
        std::mem::forget(driver.board.enter_kernel());
        let (tasks, arena) = (Rc::downgrade(&driver.board), Rc::downgrade(&driver.base.arena));
        drop(driver);
        assert!(tasks.upgrade().is_some() && arena.upgrade().is_some());
    }

    #[test]
    fn zero_copy_is_refused_and_trains_are_copied() {
        if listening().is_none() {
            return;
        }
        let config = DriverConfig { zero_copy: ZeroCopy::Always, ..DriverConfig::EDGE };
        let driver = TokioUringDriver::new(Vec::new(), config).unwrap();
        let refused = driver.base.no_zero_copy.as_ref().unwrap().to_string();
        assert!(refused.contains("--io ring"), "{refused}");
    }
}
