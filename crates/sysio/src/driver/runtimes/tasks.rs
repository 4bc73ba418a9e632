//! What a driver and the tasks inside its runtime share: filled receive buffers, sends that ended, and who is to be told.
//! For drivers that wrap an executor (`on_tokio_uring`, `on_glommio`). All on one thread.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::driver::base::Base;
use crate::driver::inbox::is_fatal;
use crate::driver::trains::outbox::{After, Piece};
use crate::driver::{DriverConfig, RECEIVES_PER_TURN, Received};
use crate::error::SysError;

/// The kernel's answer to a receive: who sent and how many bytes, or the errno.
pub(crate) type Answer = Result<(SocketAddr, usize), i32>;

/// A receive that is over, with the buffer that it filled.
struct Arrival {
    socket: u16,
    answer: Answer,
    buffer: Vec<u8>,
}

/// A send that is over.
struct Ended {
    slot: u16,
    piece: Piece,
    answer: Result<(), i32>,
}

/// Receive buffers of one socket that are empty, and tasks that wait for one.
#[derive(Default)]
struct Pool {
    free: Vec<Vec<u8>>,
    waiting: VecDeque<Waker>,
}

/// The board that both sides read and write.
pub(crate) struct Board {
    /// Payload bytes of a datagram at most. Buffers hold one more, which tells what was cut off.
    payload_bytes: usize,
    pools: RefCell<Box<[Pool]>>,
    arrived: RefCell<VecDeque<Arrival>>,
    ended: RefCell<VecDeque<Ended>>,
    woken: Cell<bool>,
    closing: Cell<bool>,
    /// Operations whose memory the kernel may have. At 0 a runtime can be dropped.
    in_kernel: Cell<usize>,
    exhausted: Cell<u64>,
    /// The turn that waits for something to happen.
    turn: RefCell<Option<Waker>>,
}

/// An operation of the kernel's, from before its first poll until its answer.
pub(crate) struct InKernel<'a>(&'a Board);

impl Drop for InKernel<'_> {
    fn drop(&mut self) {
        self.0.in_kernel.set(self.0.in_kernel.get() - 1);
    }
}

impl Board {
    /// For so many sockets; the receive buffers are shared out among them, at least one for each.
    pub(crate) fn new(sockets: usize, config: DriverConfig) -> Rc<Board> {
        let payload_bytes = config.receive_buffer_bytes.max(1) as usize;
        let each = buffers_each(sockets, config);
        let buffers = || (0..each).map(|_| vec![0; payload_bytes + 1]).collect();
        let pool = |_| Pool { free: buffers(), waiting: VecDeque::new() };
        Rc::new(Board {
            payload_bytes,
            pools: RefCell::new((0..sockets).map(pool).collect()),
            arrived: RefCell::new(VecDeque::with_capacity(each * sockets)),
            ended: RefCell::default(),
            woken: Cell::new(false),
            closing: Cell::new(false),
            in_kernel: Cell::new(0),
            exhausted: Cell::new(0),
            turn: RefCell::new(None),
        })
    }

    /// An empty receive buffer, as soon as there is one; `None` once the driver closes.
    pub(crate) async fn buffer(&self, socket: u16) -> Option<Vec<u8>> {
        poll_fn(|cx| {
            if self.closing.get() {
                return Poll::Ready(None);
            }
            let pool = &mut self.pools.borrow_mut()[usize::from(socket)];
            if let Some(buffer) = pool.free.pop() {
                return Poll::Ready(Some(buffer));
            }
            self.exhausted.set(self.exhausted.get() + 1);
            pool.waiting.push_back(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Takes a receive buffer back.
    pub(crate) fn give_back(&self, socket: u16, buffer: Vec<u8>) {
        let pool = &mut self.pools.borrow_mut()[usize::from(socket)];
        pool.free.push(buffer);
        if let Some(task) = pool.waiting.pop_front() {
            task.wake();
        }
    }

    /// To be held while an operation has memory of ours.
    pub(crate) fn enter_kernel(&self) -> InKernel<'_> {
        self.in_kernel.set(self.in_kernel.get() + 1);
        InKernel(self)
    }

    /// Takes note of a receive's answer.
    pub(crate) fn arrived(&self, socket: u16, answer: Answer, buffer: Vec<u8>) {
        self.arrived.borrow_mut().push_back(Arrival { socket, answer, buffer });
        self.tell();
    }

    /// Takes note of a send's answer.
    pub(crate) fn ended(&self, slot: u16, piece: Piece, answer: Result<(), i32>) {
        self.ended.borrow_mut().push_back(Ended { slot, piece, answer });
        self.tell();
    }

    /// Somebody used a waker of the driver.
    pub(crate) fn woken(&self) {
        self.woken.set(true);
        self.tell();
    }

    /// No new receive begins from now on.
    pub(crate) fn close(&self) {
        self.closing.set(true);
        let mut pools = self.pools.borrow_mut();
        pools.iter_mut().flat_map(|pool| pool.waiting.drain(..)).for_each(Waker::wake);
    }

    /// Whether no new receive is to begin.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// Whether the kernel has no memory of ours any more.
    pub(crate) fn is_quiet(&self) -> bool {
        self.in_kernel.get() == 0
    }

    /// Whether the driver has something to look at.
    pub(crate) fn has_news(&self) -> bool {
        self.woken.get() || !self.arrived.borrow().is_empty() || !self.ended.borrow().is_empty()
    }

    /// Ready when there is something to look at.
    pub(crate) fn poll_news(&self, cx: &Context<'_>) -> Poll<()> {
        if self.has_news() {
            return Poll::Ready(());
        }
        self.watch(cx);
        Poll::Pending
    }

    /// Has the calling task woken when anything happens.
    pub(crate) fn watch(&self, cx: &Context<'_>) {
        *self.turn.borrow_mut() = Some(cx.waker().clone());
    }

    /// Wakes the turn that waits.
    pub(crate) fn tell(&self) {
        if let Some(turn) = self.turn.borrow_mut().take() {
            turn.wake();
        }
    }

    /// Whether a waker was used since the last call.
    pub(crate) fn take_woken(&self) -> bool {
        self.woken.replace(false)
    }

    /// How many sends ended and are not settled.
    pub(crate) fn ended_count(&self) -> usize {
        self.ended.borrow().len()
    }

    /// Settles the sends that ended: how many trains are over. Those that begin again come to the front of `queue`.
    pub(crate) fn settle(&self, base: &mut Base, queue: &mut VecDeque<u16>) -> u32 {
        let mut over = 0;
        for Ended { slot, piece, answer } in self.ended.borrow_mut().drain(..) {
            match base.outbox.finish(slot, &piece, answer, &mut base.stats) {
                After::Pending => {}
                After::Again => queue.push_front(slot),
                After::Over => {
                    // A train that failed may still be listed for what is not tried any more.
                    queue.retain(|&listed| listed != slot);
                    over += 1;
                }
            }
        }
        over
    }

    /// Hands over what arrived, at most [`RECEIVES_PER_TURN`] datagrams, and gives the buffers back; how many datagrams.
    pub(crate) fn deliver(
        &self,
        base: &mut Base,
        on_datagram: &mut dyn FnMut(Received<'_>),
    ) -> Result<u32, SysError> {
        base.stats.receive_buffers_exhausted += self.exhausted.take();
        let mut count = 0;
        for _ in 0..RECEIVES_PER_TURN {
            let Some(arrival) = self.arrived.borrow_mut().pop_front() else { break };
            let Arrival { socket, answer, mut buffer } = arrival;
            match answer {
                Ok((_, length)) if length > self.payload_bytes => base.stats.truncated += 1,
                Ok((from, length)) => {
                    count += 1;
                    base.stats.datagrams_in += 1;
                    base.stats.bytes_in += length as u64;
                    // The runtimes do not read control messages: no ECN bits.
                    on_datagram(Received { socket, from, ecn: 0, bytes: &mut buffer[..length] });
                }
                Err(errno) if is_fatal(Some(errno)) => {
                    let local = base.sockets[usize::from(socket)].local_addr();
                    let cause = std::io::Error::from_raw_os_error(errno);
                    return Err(SysError::new(format!("receive on {local}"), cause));
                }
                Err(_) => base.stats.receive_errors += 1,
            }
            self.give_back(socket, buffer);
        }
        Ok(count)
    }
}

/// Receive buffers of each socket.
pub(crate) fn buffers_each(sockets: usize, config: DriverConfig) -> usize {
    (usize::from(config.receive_buffers) / sockets.max(1)).max(1)
}

/// Lets the other tasks of the runtime run once.
pub(crate) async fn let_others_run() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A driver that listens on two sockets, for a test of one whose probe said this; it says what is missing and gives none
/// where this machine cannot run it.
#[cfg(test)]
pub(super) fn listening<B: crate::driver::backend::Backend>(
    probe: Result<(), SysError>,
) -> Option<B> {
    use crate::udp::{UdpConfig, UdpSocket};
    if let Err(missing) = probe {
        let all = std::env::var_os("SEGCAST_REQUIRE_ALL");
        assert!(all.is_none_or(|all| all != "1"), "{missing}");
        println!("not tested: {missing}");
        return None;
    }
    let config = UdpConfig::default();
    let socket = |_| UdpSocket::bind("127.0.0.1:0".parse().unwrap(), &config).unwrap();
    let mut driver = B::new((0..2).map(socket).collect(), DriverConfig::EDGE).unwrap();
    driver.turn(Some(std::time::Duration::ZERO), &mut |_| ()).unwrap();
    Some(driver)
}
