//! What a shard does with what comes in: datagrams, mail from other threads, timers, events.
//!
//! It knows no driver, so that the closure that receives can borrow it beside the driver.

use std::sync::Arc;

use segcast_proto::coalesce::Member;
use segcast_proto::ids::{ObjectNumber, SetIndex};
use segcast_proto::session::server::{
    Asked, Disposition, Endpoint, Path, ServerEvent, SessionRecord,
};
use segcast_proto::time::Instant;
use segcast_sysio::clock;

use super::groups::Groups;
use super::now;
use super::source::Source;
use crate::board::{Board, Values};
use crate::dry_run::{self, Told};
use crate::limits;
use crate::mailbox::{Control, Mailbox, Populated, Served, Stray};
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
    /// Unix time of the last turn, seconds: at most a sleep old, and tokens allow 30 s.
    unix: u64,
    pub(super) draining: bool,
    pub(super) stopping: bool,
    mailboxes: Arc<[Mailbox]>,
    populate: Arc<populate::Queue>,
    /// Where requests are told, if they are.
    pub(super) dry_run: Option<Arc<dry_run::Queue>>,
    /// Only of an edge that sends to groups.
    pub(super) groups: Option<Box<Groups>>,
    /// Objects that were asked for and not answered: those that are renewed, and those that requests wait for.
    renewed: usize,
    waited: usize,
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
            unix: clock::unix_seconds(),
            draining: false,
            stopping: false,
            mailboxes,
            populate,
            dry_run: None,
            groups: None,
            renewed: 0,
            waited: 0,
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
        self.unix = clock::unix_seconds();
        self.source.set_now(now);
        self.count(Metric::Turns);
    }

    /// One received datagram.
    pub(super) fn receive(&mut self, path: Path, datagram: &mut [u8]) {
        let now = now();
        match self.endpoint.handle_datagram(now, self.unix, path, datagram, &self.source) {
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
        if let Some(keyring) = mailbox.take_keyring() {
            self.endpoint.set_keyring(keyring);
        }
        if let Some(Served { catalogue, sets }) = mailbox.take_served() {
            self.source.reload(catalogue, &sets);
        }
        while let Some(control) = mailbox.take_control() {
            self.obey(control);
        }
        while let Some(made) = mailbox.take_made() {
            self.source.keep_parity(made);
        }
        while let Some(populated) = mailbox.take_populated() {
            self.populated(populated);
        }
        let mut taken = 0;
        while taken < limits::HANDOFFS_PER_TURN
            && let Some(handoff) = mailbox.take_handoff()
        {
            self.endpoint.handle_handoff(self.now, self.unix, *handoff);
            taken += 1;
        }
        let mut more = taken == limits::HANDOFFS_PER_TURN;
        taken = 0;
        while taken < limits::STRAYS_PER_TURN
            && let Some(mut stray) = mailbox.take_stray()
        {
            let path = stray.path;
            // Whatever its disposition, it does not travel twice.
            let _ = self.endpoint.handle_datagram(
                self.now,
                self.unix,
                path,
                stray.datagram(),
                &self.source,
            );
            taken += 1;
        }
        more |= taken == limits::STRAYS_PER_TURN;
        if let Some(groups) = &mut self.groups {
            more |= groups.take_mail(self.now, &mut self.endpoint, &self.source);
        }
        if more {
            mailbox.look_again();
        }
    }

    fn obey(&mut self, control: Control) {
        match control {
            Control::Drain => {
                self.draining = true;
                // Nobody hears them any longer: sessions are told so.
                self.groups = None;
                self.endpoint.drain(self.now);
            }
            Control::Cut => self.endpoint.cut(self.now),
            Control::Stop => self.stopping = true,
        }
    }

    fn populated(&mut self, populated: Populated) {
        let Populated { set, object, ready, renewal, trust } = populated;
        let under_way = if renewal { &mut self.renewed } else { &mut self.waited };
        *under_way = under_way.saturating_sub(1);
        if ready {
            self.count(Metric::PopulateReady);
            self.source.set_resident(set, object, trust);
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
        if let Some(groups) = &mut self.groups {
            groups.timers(self.now, &self.source);
        }
    }

    /// Takes the endpoint's events.
    pub(super) fn events(&mut self) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                ServerEvent::SessionOpened { .. } => {}
                ServerEvent::SessionClosed(record) => self.closed(&record),
            }
        }
        if let Some(dry_run) = self.dry_run.clone() {
            self.tell(&dry_run);
        }
        if let Some(groups) = &mut self.groups {
            groups.exchange(self.now, &mut self.endpoint, &self.source);
        }
        self.ask();
    }

    /// Tells the dry run what segments were asked for.
    fn tell(&mut self, dry_run: &dry_run::Queue) {
        while let Some(asked) = self.endpoint.poll_asked() {
            let Some(segment) = asked.object.as_segment() else { continue };
            let Some(set) = self.source.name(asked.set) else { continue };
            let facts = self.source.could_have_groups(asked.set).map(|(_, facts)| facts);
            let Asked { session, bytes, repair, deadline, rate, .. } = asked;
            // All are told to one owner; the session's name has its shard in it.
            let member = Member { shard: 0, session };
            let at = self.now;
            dry_run.tell(Told { at, member, set, facts, segment, bytes, repair, deadline, rate });
        }
    }

    /// Asks for what must be renewed and what requests wait for, as far as there is room.
    fn ask(&mut self) {
        while self.renewed + self.waited < limits::POPULATE_QUEUE {
            let renewed = self.source.take_renewal();
            let renewal = renewed.is_some();
            let room = self.waited < self.populate.waited_max();
            let parity = if renewal || !room { None } else { self.next_parity() };
            let next = renewed.or(parity);
            let next = next.or_else(|| if room { self.next_waited() } else { None });
            let Some((set, object)) = next else { return };
            let Some((catalogue, index)) = self.source.locate(set) else {
                // Gone, not damaged: who waits asks the source, which says so.
                self.endpoint.object_ready(self.now, set, object);
                continue;
            };
            let (shard, catalogue) = (self.shard, catalogue.clone());
            let parity = parity.is_some();
            let request =
                populate::Request { shard, set, object, catalogue, index, renewal, parity };
            // The queue has places for all that all shards may have under way.
            if self.populate.push(request).is_err() {
                self.endpoint.object_failed(self.now, set, object);
            } else if renewal {
                self.renewed += 1;
            } else {
                self.waited += 1;
            }
        }
    }

    /// A segment whose parity a group is sent in a moment.
    fn next_parity(&mut self) -> Option<(SetIndex, ObjectNumber)> {
        let (set, segment) = self.groups.as_mut()?.next_parity()?;
        Some((set, ObjectNumber(segment)))
    }

    /// What a group, which goes at its time, or a request waits for.
    fn next_waited(&mut self) -> Option<(SetIndex, ObjectNumber)> {
        let for_group = self.groups.as_mut().and_then(|groups| groups.next_object());
        for_group.or_else(|| self.endpoint.next_object())
    }

    fn closed(&mut self, record: &SessionRecord) {
        self.values[metric::closed_at(record.code)] += 1;
        if !self.board.session_log() {
            return;
        }
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
        let waiting = self.endpoint.gauges().waiting_objects + self.renewed as u64;
        self.values[Metric::PopulateWaiting as usize] = waiting;
        // One number for the whole process, and readers add the shards up.
        let locked = if self.shard == 0 { self.populate.locked_bytes() } else { 0 };
        self.values[Metric::LockedBytes as usize] = locked;
    }
}

#[cfg(test)]
mod tests {
    use crossbeam::channel::bounded;
    use segcast_proto::handshake::{EdgeIdentity, StaticSecret};
    use segcast_proto::session::server::{DropReason, EndpointConfig};
    use segcast_proto::token::Keyring;
    use segcast_store::Catalogue;

    use super::*;
    use crate::config::Sets;
    use crate::populate::Pool;

    const PATH: Path = Path {
        socket: 0,
        remote: std::net::SocketAddr::V4(std::net::SocketAddrV4::new(
            std::net::Ipv4Addr::LOCALHOST,
            9,
        )),
    };

    /// Both shards of an edge without threads, and the threads that read segments in.
    fn shards() -> (Pool, [Core; 2]) {
        let mailboxes: Arc<[Mailbox]> = (0..2).map(|_| Mailbox::new()).collect();
        let (board, (reports, _)) = (Arc::new(Board::new(2)), bounded(1));
        let pool = Pool::start(1, 0, Arc::clone(&mailboxes), &board, &reports).expect("thread");
        let identity = Arc::new(EdgeIdentity::new(StaticSecret::new([1; 32])));
        let shard = |shard| {
            let config =
                EndpointConfig { shard, shards: 2, ..EndpointConfig::new(Arc::clone(&identity)) };
            let endpoint =
                Endpoint::new(config, Arc::new(Keyring::new([])), [2; 32], [shard; 32], now());
            let source = Source::new(Catalogue::default(), &Sets::All, false);
            let mailboxes = Arc::clone(&mailboxes);
            Core::new(shard, endpoint, source, mailboxes, pool.queue(), Arc::clone(&board))
        };
        let cores = [shard(0), shard(1)];
        (pool, cores)
    }

    /// A REPORT for slot 0 of a shard, of no session.
    fn report_for(shard: u8) -> [u8; 48] {
        let mut packet = [0; 48];
        packet[..8].copy_from_slice(&[0x10, 0x21, 0, 0, 0, 0, 0, shard]);
        packet
    }

    #[test]
    fn a_stray_crosses_to_its_shard_once() {
        let (_pool, [mut zero, mut one]) = shards();
        zero.receive(PATH, &mut report_for(1));
        assert_eq!(zero.values[Metric::MailStray as usize], 1);
        assert!(one.must_not_sleep());
        one.take_mail();
        assert!(!one.must_not_sleep());
        assert_eq!(one.endpoint.counters().dropped_for(DropReason::UnknownSession), 1);
        assert!(!zero.must_not_sleep(), "nothing comes back");
    }

    #[test]
    fn strays_beyond_the_mailbox_are_dropped_and_counted_and_the_rest_is_taken_in_bounded_turns() {
        let (_pool, [mut zero, mut one]) = shards();
        let extra = 3;
        for _ in 0..limits::MAILBOX_STRAYS + extra {
            zero.receive(PATH, &mut report_for(1));
        }
        assert_eq!(zero.values[Metric::MailStrayDropped as usize], extra as u64);
        let mut turns = 0;
        while one.must_not_sleep() {
            one.take_mail();
            turns += 1;
        }
        assert_eq!(turns, limits::MAILBOX_STRAYS / limits::STRAYS_PER_TURN + 1);
        let taken = one.endpoint.counters().dropped_for(DropReason::UnknownSession);
        assert_eq!(taken, limits::MAILBOX_STRAYS as u64);
    }

    #[test]
    fn orders_are_obeyed() {
        let (_pool, [mut zero, _one]) = shards();
        let mailboxes = Arc::clone(&zero.mailboxes);
        assert!(
            mailboxes[0].post_control(Control::Drain) && mailboxes[0].post_control(Control::Stop)
        );
        zero.take_mail();
        assert!(zero.draining && zero.stopping && zero.must_not_sleep());
    }
}
