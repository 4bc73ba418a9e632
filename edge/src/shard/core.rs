//! What a shard does with what comes in: datagrams, mail from other threads, timers, events.
//!
//! It knows no driver, so that the closure that receives can borrow it beside the driver.

use std::collections::VecDeque;
use std::sync::Arc;

use segcast_proto::ids::ObjectNumber;
use segcast_proto::session::server::{Disposition, Endpoint, Path, ServerEvent, SessionRecord};
use segcast_proto::time::Instant;
use segcast_sysio::clock;

use super::control::Control;
use super::mail::{Mailbox, Populated, Stray};
use super::now;
use super::source::Source;
use crate::board::{Board, Values};
use crate::limits;
use crate::metric::{self, Metric, VALUES};
use crate::populate;
use crate::record::Closed;

/// A shard without its driver.
pub(crate) struct Core {
    pub(super) shard: u8,
    pub(super) endpoint: Endpoint,
    pub(super) source: Source,
    pub(super) board: Arc<Board>,
    /// The time of this turn; the wire's time is read afresh for each train.
    pub(super) now: Instant,
    pub(super) draining: bool,
    pub(super) stopping: bool,
    mailboxes: Arc<[Mailbox]>,
    populate: Arc<populate::Queue>,
    /// Objects that wait to be asked for.
    backlog: VecDeque<(u32, ObjectNumber)>,
    /// Objects that were asked for and not answered.
    under_way: usize,
    pub(super) values: Values,
    pub(super) published: Values,
}

impl Core {
    pub(super) fn new(
        shard: u8,
        endpoint: Endpoint,
        source: Source,
        mailboxes: Arc<[Mailbox]>,
        populate: Arc<populate::Queue>,
        board: Arc<Board>,
    ) -> Self {
        let now = now();
        source.set_now(now);
        Self {
            shard,
            endpoint,
            source,
            board,
            now,
            draining: false,
            stopping: false,
            mailboxes,
            populate,
            backlog: VecDeque::new(),
            under_way: 0,
            values: [0; VALUES],
            published: [0; VALUES],
        }
    }

    /// Counts one.
    pub(super) fn count(&mut self, metric: Metric) {
        self.values[metric as usize] += 1;
    }

    /// The time of a new turn.
    pub(super) fn begin(&mut self, now: Instant) {
        self.now = now;
        self.source.set_now(now);
        self.count(Metric::Turns);
    }

    /// One received datagram.
    pub(super) fn receive(&mut self, path: Path, datagram: &mut [u8]) {
        let now = now();
        let unix = clock::unix_seconds();
        match self.endpoint.handle_datagram(now, unix, path, datagram, &self.source) {
            Disposition::Done | Disposition::Dropped(_) => {}
            Disposition::Stray { shard } => {
                let posted =
                    match (self.mailboxes.get(usize::from(shard)), Stray::new(path, datagram)) {
                        (Some(mailbox), Some(stray)) => mailbox.post_stray(stray),
                        _ => false,
                    };
                self.count(if posted { Metric::MailStray } else { Metric::MailStrayDropped });
            }
            Disposition::Handoff { shard, hello } => {
                let mailbox = self.mailboxes.get(usize::from(shard));
                let posted = mailbox.is_some_and(|mailbox| mailbox.post_handoff(hello));
                self.count(if posted { Metric::MailHandoff } else { Metric::MailHandoffDropped });
            }
        }
    }

    /// Whether something waits that no descriptor announces.
    pub(super) fn must_not_sleep(&self) -> bool {
        self.stopping || self.mailboxes.get(usize::from(self.shard)).is_some_and(Mailbox::is_posted)
    }

    /// Empties the mailbox, up to the turn's budget.
    pub(super) fn take_mail(&mut self) {
        let mailboxes = Arc::clone(&self.mailboxes);
        let Some(mailbox) = mailboxes.get(usize::from(self.shard)) else { return };
        if !mailbox.take_posted() {
            return;
        }
        while let Some(control) = mailbox.take_control() {
            self.obey(control);
        }
        while let Some(populated) = mailbox.take_populated() {
            self.populated(populated);
        }
        let unix = clock::unix_seconds();
        for _ in 0..limits::MAIL_PER_TURN {
            if let Some(handoff) = mailbox.take_handoff() {
                self.endpoint.handle_handoff(self.now, unix, *handoff);
            } else if let Some(mut stray) = mailbox.take_stray() {
                let path = stray.path;
                // Whatever its disposition, it does not travel twice.
                let _ = self.endpoint.handle_datagram(
                    self.now,
                    unix,
                    path,
                    stray.datagram(),
                    &self.source,
                );
            } else {
                return;
            }
        }
        mailbox.look_again();
    }

    fn obey(&mut self, control: Control) {
        match control {
            Control::Reload { keyring, catalogue, sets } => {
                self.endpoint.set_keyring(keyring);
                self.source.reload(catalogue, &sets);
            }
            Control::Drain => {
                self.draining = true;
                self.endpoint.drain(self.now);
            }
            Control::Stop => self.stopping = true,
        }
    }

    fn populated(&mut self, populated: Populated) {
        let Populated { set, object, ready } = populated;
        self.under_way = self.under_way.saturating_sub(1);
        if ready {
            self.count(Metric::PopulateReady);
            self.source.set_resident(set, object);
            self.endpoint.object_ready(self.now, set, object);
        } else {
            self.count(Metric::PopulateFailed);
            self.endpoint.object_failed(self.now, set, object);
        }
        self.ask();
    }

    pub(super) fn timers(&mut self) {
        if self.endpoint.poll_timeout().is_some_and(|due| due <= self.now) {
            self.endpoint.handle_timeout(self.now);
        }
    }

    /// Takes the endpoint's events.
    pub(super) fn events(&mut self) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                ServerEvent::NeedObject { set, object } => self.need(set, object),
                ServerEvent::SessionOpened { .. } => {}
                ServerEvent::SessionClosed(record) => self.closed(&record),
            }
        }
        self.ask();
    }

    fn need(&mut self, set: u32, object: ObjectNumber) {
        if self.backlog.len() < limits::POPULATE_BACKLOG {
            self.backlog.push_back((set, object));
        } else {
            self.endpoint.object_failed(self.now, set, object);
        }
    }

    /// Asks for what waits, as far as there is room.
    fn ask(&mut self) {
        while self.under_way < limits::POPULATE_QUEUE {
            let Some((set, object)) = self.backlog.pop_front() else { return };
            let Some((catalogue, index)) = self.source.locate(set) else {
                self.endpoint.object_failed(self.now, set, object);
                continue;
            };
            let catalogue = catalogue.clone();
            let request = populate::Request { shard: self.shard, set, object, catalogue, index };
            if self.populate.push(request).is_err() {
                self.backlog.push_front((set, object));
                return;
            }
            self.under_way += 1;
        }
    }

    fn closed(&mut self, record: &SessionRecord) {
        self.values[metric::closed_at(record.code)] += 1;
        let closed = Closed {
            shard: self.shard,
            code: u16::from(record.code),
            reason: record.code.name(),
            by_client: record.by_client,
            token_id: record.token_id,
            client: record.remote,
            duration: record.closed.saturating_since(record.opened),
            bytes_sent: record.bytes_sent,
            bytes_retransmitted: record.bytes_retransmitted,
            datagrams_sent: record.datagrams_sent,
            requests: record.requests,
        };
        if !self.board.record(closed) {
            self.count(Metric::RecordsDropped);
        }
    }

    /// Sets the gauges that only the core knows.
    pub(super) fn gauges(&mut self) {
        let queued = self.mailboxes.get(usize::from(self.shard)).map_or(0, Mailbox::queued);
        self.values[Metric::MailQueued as usize] = queued as u64;
        let waiting = self.backlog.len() + self.under_way;
        self.values[Metric::PopulateWaiting as usize] = waiting as u64;
    }
}
