//! A shard: one thread, its sockets, its sessions. No lock and no allocation on the data path; everything in
//! a turn is bounded.
//!
//! One turn: the driver sends what was queued, waits, and hands over what came; the mailbox is emptied; timers
//! fire; trains are sealed into free send buffers; failures go back to the endpoint; counters are published.

pub(crate) mod core;
mod facts;
mod groups;
mod parity;
mod pressure;
mod publish;
pub(crate) mod source;
mod train;

use core::Core;
use std::sync::{Arc, Once};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::Sender;
use crossbeam::sync::WaitGroup;
pub(crate) use groups::GroupSetup;
use groups::Groups;
use pressure::Pressure;
use segcast_proto::ids::{ObjectNumber, SetIndex};
use segcast_proto::session::server::{Endpoint, EndpointConfig, Path, SendFailure, SendTicket};
use segcast_proto::time::Instant;
use segcast_proto::token::Keyring;
use segcast_store::Catalogue;
use segcast_sysio::driver::{Driver, DriverConfig, FailureKind, Outgoing};
use segcast_sysio::probe::IoKind;
use segcast_sysio::udp::UdpSocket;
use segcast_sysio::{SysError, clock, cpu};
use source::Source;
use train::{Sealed, Train};

use crate::board::Board;
use crate::config::Sets;
use crate::guard::Guard;
use crate::limits;
use crate::mailbox::{Mailbox, Report};
use crate::metric::Metric;
use crate::{dry_run, populate};

/// What a shard is made of.
pub(crate) struct Setup {
    pub(crate) shard: u8,
    /// The core to stay on.
    pub(crate) core: Option<usize>,
    pub(crate) io: IoKind,
    /// Nobody insists on `io`: where the ring needs more locked memory than there is, it may be epoll.
    pub(crate) or_mmsg: bool,
    /// Waits until the rings of all shards are made.
    pub(crate) rings: WaitGroup,
    /// One for each address, in the same order on all shards; with groups one more, which sends to them.
    pub(crate) sockets: Vec<UdpSocket>,
    pub(crate) driver: DriverConfig,
    pub(crate) endpoint: EndpointConfig,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) shared_secret: [u8; 32],
    pub(crate) seed: [u8; 32],
    pub(crate) catalogue: Catalogue,
    pub(crate) sets: Arc<Sets>,
    /// Whether groups are to be known, or reckoned with.
    pub(crate) groups: bool,
    pub(crate) mailboxes: Arc<[Mailbox]>,
    pub(crate) populate: Arc<populate::Queue>,
    /// Where requests are told, if they are.
    pub(crate) dry_run: Option<Arc<dry_run::Queue>>,
    pub(crate) board: Arc<Board>,
    pub(crate) reports: Sender<Report>,
    /// Only where the edge sends to groups.
    pub(crate) sending: Option<GroupSetup>,
}

/// Whether there is more to send than a turn could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backlog {
    /// Nothing before the next timer or datagram.
    None,
    /// The turn's budget is used up.
    Budget,
    /// All send buffers are in flight.
    Buffers,
}

/// Starts a shard. It reports [`Report::Serving`] and, in the end, [`Report::Ended`].
///
/// # Errors
/// When the thread cannot be made.
pub(crate) fn spawn(setup: Setup) -> std::io::Result<JoinHandle<()>> {
    let name = format!("segcast-{}", setup.shard);
    std::thread::Builder::new().name(name).spawn(move || {
        let (board, reports) = (Arc::clone(&setup.board), setup.reports.clone());
        let guard = Guard::new(format!("shard {}", setup.shard), board, reports);
        let failure = Shard::new(setup).and_then(Shard::run).err();
        guard.end(failure.map(|error| error.to_string()));
    })
}

/// Now, on the clock of all shards.
pub(crate) fn now() -> Instant {
    Instant::from_nanos(clock::monotonic_nanoseconds())
}

/// Says why a shard cannot send as it should, once for all shards: they share the limit, and the reason.
fn tell_once(shard: u8, reason: Option<&SysError>, consequence: &str) {
    static TOLD: Once = Once::new();
    if let Some(reason) = reason {
        TOLD.call_once(|| tracing::warn!(shard, %reason, "{consequence}"));
    }
}

struct Shard {
    driver: Driver,
    core: Core,
    backlog: Backlog,
    drained: bool,
    pressure: Pressure,
    reports: Sender<Report>,
}

impl Shard {
    fn new(setup: Setup) -> Result<Self, SysError> {
        if let Some(core) = setup.core {
            cpu::pin_current_thread(core)?;
        }
        let shard = setup.shard;
        let make = if setup.or_mmsg { Driver::fitting } else { Driver::unregistered };
        let mut driver = make(setup.io, setup.sockets, setup.driver)?;
        tell_once(shard, driver.no_ring(), "a shard has no ring, but epoll");
        // A shard that fails drops its part: nobody waits for it.
        setup.rings.wait();
        driver.register(setup.driver);
        tell_once(shard, driver.no_zero_copy(), "trains are copied into the kernel");
        if shard == 0 {
            setup.board.set_io(driver.kind().name());
        }
        if let Some(mailbox) = setup.mailboxes.get(usize::from(shard)) {
            mailbox.set_waker(driver.waker());
        }
        let Setup { endpoint, keyring, shared_secret, seed, .. } = setup;
        let endpoint = Endpoint::new(endpoint, keyring, shared_secret, seed, now());
        let groups = setup.sending.map(|sending| {
            let socket = driver.sockets().len().saturating_sub(1) as u16;
            let mailboxes = Arc::clone(&setup.mailboxes);
            Box::new(Groups::new(&sending, socket, &shared_secret, mailboxes, now()))
        });
        let mut core = Core::new(
            shard,
            endpoint,
            Source::new(setup.catalogue, &setup.sets, setup.groups),
            setup.mailboxes,
            setup.populate,
            setup.board,
        );
        core.dry_run = setup.dry_run;
        core.groups = groups;
        Ok(Self {
            driver,
            core,
            backlog: Backlog::None,
            drained: false,
            pressure: Pressure::of_this_thread(now()),
            reports: setup.reports,
        })
    }

    fn run(mut self) -> Result<(), SysError> {
        self.core.board.set_ready(usize::from(self.core.shard));
        let _ = self.reports.send(Report::Serving);
        while !self.core.stopping {
            self.turn()?;
        }
        self.flush()
    }

    fn turn(&mut self) -> Result<(), SysError> {
        let timeout = self.timeout();
        let core = &mut self.core;
        self.driver.turn(Some(timeout), &mut |received| {
            let path = Path { socket: received.socket, remote: received.from };
            core.receive(path, received.bytes);
        })?;
        self.core.begin(now());
        if let Some(pressed) = self.pressure.look(self.core.now) {
            self.core.endpoint.set_pressed(self.core.now, pressed);
        }
        self.core.take_mail();
        self.core.timers();
        self.transmit();
        self.failures();
        self.core.events();
        self.core.publish(self.driver.stats());
        self.report_drained();
        Ok(())
    }

    /// How long the next wait may last.
    fn timeout(&self) -> Duration {
        if self.backlog == Backlog::Budget || self.core.must_not_sleep() {
            return Duration::ZERO;
        }
        let now = now();
        let mut due = self.core.endpoint.poll_timeout();
        if let Some(groups) = &self.core.groups {
            due = due.into_iter().chain(groups.poll_timeout()).min();
        }
        let wait = due.map_or(limits::TURN_MAX, |due| due.saturating_since(now));
        match self.backlog {
            // The driver also returns when a buffer comes back; a due timer alone must not spin.
            Backlog::Buffers => wait.clamp(limits::BUFFER_WAIT_MIN, limits::BUFFER_WAIT_MAX),
            _ => wait.min(limits::TURN_MAX),
        }
    }

    /// Seals trains into free buffers until there is nothing to send or the budget ends. What is due to groups comes before
    /// all sessions, and is bounded by its rate.
    fn transmit(&mut self) {
        self.backlog = Backlog::Budget;
        if self.core.groups.is_some() {
            for _ in 0..limits::GROUP_TRAINS_PER_TURN {
                match self.send_one(Core::group_train) {
                    Sealed::Train => {}
                    Sealed::Nothing => break,
                    Sealed::NoBuffer => return,
                }
            }
        }
        for _ in 0..limits::TRAINS_PER_TURN {
            match self.send_one(Core::train) {
                Sealed::Train => {}
                Sealed::Nothing => {
                    self.backlog = Backlog::None;
                    return;
                }
                Sealed::NoBuffer => return,
            }
        }
    }

    /// Has `seal` put a train into a free buffer, and sends that.
    #[inline]
    fn send_one(
        &mut self,
        seal: impl FnOnce(&mut Core, Instant, &mut [u8]) -> Option<Train>,
    ) -> Sealed {
        let Some(mut buffer) = self.driver.send_buffer() else {
            self.core.count(Metric::NoSendBuffer);
            self.backlog = Backlog::Buffers;
            return Sealed::NoBuffer;
        };
        let now = now();
        let Some(train) = seal(&mut self.core, now, &mut buffer) else {
            self.driver.release(buffer);
            return Sealed::Nothing;
        };
        // What was sealed from a page that could not be read is zeros: it must not go out.
        if let Some((set, object)) = train.data
            && self.core.source.faulted(set, object)
        {
            self.driver.release(buffer);
            self.object_faulted(now, set, object);
            return Sealed::Train;
        }
        let Train { len, datagram_bytes, socket, to, ticket, .. } = train;
        self.driver.send(Outgoing { buffer, len, datagram_bytes, socket, to, ticket });
        Sealed::Train
    }

    #[cold]
    fn object_faulted(&mut self, now: Instant, set: SetIndex, object: ObjectNumber) {
        let name = self.core.source.name(set);
        tracing::error!(set = ?name, segment = object.0, "a segment cannot be read from its file");
        self.core.count(Metric::FaultedTrains);
        self.core.endpoint.object_failed(now, set, object);
    }

    fn failures(&mut self) {
        while let Some(failure) = self.driver.take_failure() {
            if failure.ticket == groups::TICKET {
                // Counted with all others; members repair it.
                continue;
            }
            let kind = match failure.kind {
                FailureKind::TooLarge => SendFailure::TooLarge,
                FailureKind::NoBuffers | FailureKind::Other(_) => SendFailure::Other,
            };
            let ticket = SendTicket::from_bits(failure.ticket);
            self.core.endpoint.handle_send_failure(self.core.now, ticket, kind);
        }
    }

    fn report_drained(&mut self) {
        let idle = self.backlog == Backlog::None && self.core.endpoint.sessions() == 0;
        if self.core.draining && idle && !self.drained {
            self.drained = true;
            let _ = self.reports.send(Report::Drained);
        }
    }

    /// Gives the last trains the time of a few turns to leave.
    fn flush(&mut self) -> Result<(), SysError> {
        for _ in 0..limits::FLUSH_TURNS {
            self.driver.turn(Some(limits::FLUSH_WAIT), &mut |_| {})?;
        }
        self.core.publish(self.driver.stats());
        Ok(())
    }
}

#[cfg(test)]
mod cold;
#[cfg(test)]
mod tests;
