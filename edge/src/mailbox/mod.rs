//! A shard's mailbox: bounded queues that other threads fill, and the waker that ends the shard's sleep.
//!
//! Posting takes no lock. A waker is called only by the first post after the shard has looked, so that a
//! burst costs one system call.

mod control;
mod groups;
mod posted;
/// The atomics of `posted`.
mod sync {
    pub(super) use std::sync::atomic::{AtomicBool, Ordering};
}

use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub(crate) use control::{Control, Report, Served};
use crossbeam::queue::ArrayQueue;
use groups::GroupMail;
pub(crate) use groups::{Decision, Made, Table};
use posted::Posted;
use segcast_proto::coalesce::Note;
use segcast_proto::ids::{ObjectNumber, SetId, SetIndex};
use segcast_proto::session::server::{Handoff, Path};
use segcast_proto::token::Keyring;
use segcast_sysio::driver::Waker;

use crate::limits;

/// A datagram that the kernel gave to a shard it does not belong to.
pub(crate) struct Stray {
    pub(crate) path: Path,
    len: usize,
    bytes: [u8; limits::RECEIVE_BUFFER_BYTES],
}

impl Stray {
    /// A copy of `datagram`; `None` when it is larger than any that a client sends.
    pub(crate) fn new(path: Path, datagram: &[u8]) -> Option<Self> {
        let mut bytes = [0; limits::RECEIVE_BUFFER_BYTES];
        bytes.get_mut(..datagram.len())?.copy_from_slice(datagram);
        Some(Self { path, len: datagram.len(), bytes })
    }

    pub(crate) fn datagram(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }
}

/// An object that was asked for is in memory, or cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Populated {
    pub(crate) set: SetIndex,
    pub(crate) object: ObjectNumber,
    pub(crate) ready: bool,
    /// Nobody waited for it.
    pub(crate) renewal: bool,
    /// How long it will stay in memory.
    pub(crate) trust: Duration,
}

/// What other threads tell a shard.
pub(crate) struct Mailbox {
    strays: ArrayQueue<Stray>,
    handoffs: ArrayQueue<Box<Handoff>>,
    populated: ArrayQueue<Populated>,
    /// Every center that is accepted, and what is served: of each only the newest, however long the shard does not look.
    keyring: ArrayQueue<Arc<Keyring>>,
    served: ArrayQueue<Served>,
    control: ArrayQueue<Control>,
    groups: Option<Box<GroupMail>>,
    posted: Posted,
    waker: OnceLock<Waker>,
}

impl Mailbox {
    pub(crate) fn new() -> Self {
        Self {
            strays: ArrayQueue::new(limits::MAILBOX_STRAYS),
            handoffs: ArrayQueue::new(limits::MAILBOX_HANDOFFS),
            populated: ArrayQueue::new(limits::POPULATE_QUEUE),
            keyring: ArrayQueue::new(1),
            served: ArrayQueue::new(1),
            control: ArrayQueue::new(limits::MAILBOX_CONTROL),
            groups: None,
            posted: Posted::new(),
            waker: OnceLock::new(),
        }
    }

    /// With room for what shards tell each other of groups.
    pub(crate) fn with_groups() -> Self {
        Self { groups: Some(Box::new(GroupMail::new())), ..Self::new() }
    }

    /// Called by the shard once its driver exists.
    pub(crate) fn set_waker(&self, waker: Waker) {
        let _ = self.waker.set(waker);
    }

    /// False: full, and the datagram is lost.
    pub(crate) fn post_stray(&self, stray: Stray) -> bool {
        self.after_push(self.strays.push(stray).is_ok())
    }

    /// False: full, and the handshake is lost.
    pub(crate) fn post_handoff(&self, handoff: Box<Handoff>) -> bool {
        self.after_push(self.handoffs.push(handoff).is_ok())
    }

    /// False: full. A shard has no more objects under way than fit, so this does not happen.
    pub(crate) fn post_populated(&self, populated: Populated) -> bool {
        self.after_push(self.populated.push(populated).is_ok())
    }

    /// In place of one that the shard has not taken.
    pub(crate) fn post_keyring(&self, keyring: Arc<Keyring>) {
        drop(self.keyring.force_push(keyring));
        self.after_push(true);
    }

    /// In place of what the shard has not taken.
    pub(crate) fn post_served(&self, served: Served) {
        drop(self.served.force_push(served));
        self.after_push(true);
    }

    /// False: full, which each order given once does not make it.
    pub(crate) fn post_control(&self, control: Control) -> bool {
        self.after_push(self.control.push(control).is_ok())
    }

    /// False: full, or there are no groups; and the note is lost.
    pub(crate) fn post_note(&self, set: SetId, note: Note) -> bool {
        let groups = self.groups.as_ref();
        self.after_push(groups.is_some_and(|groups| groups.notes.push((set, note)).is_ok()))
    }

    /// False: likewise.
    pub(crate) fn post_decision(&self, decision: Decision) -> bool {
        let groups = self.groups.as_ref();
        self.after_push(groups.is_some_and(|groups| groups.decisions.push(decision).is_ok()))
    }

    /// In place of the oldest, if there are too many; owners repeat them.
    pub(crate) fn post_table(&self, table: Table) {
        let Some(groups) = &self.groups else { return };
        drop(groups.tables.force_push(table));
        self.after_push(true);
    }

    /// In place of the oldest, if there are too many: that of a segment which has been sent meanwhile.
    pub(crate) fn post_made(&self, made: Made) {
        let Some(groups) = &self.groups else { return };
        drop(groups.made.force_push(made));
        self.after_push(true);
    }

    fn after_push(&self, pushed: bool) -> bool {
        if pushed
            && self.posted.set()
            && let Some(waker) = self.waker.get()
        {
            waker.wake();
        }
        pushed
    }

    /// Whether something was posted since the last call; the shard then looks into every queue.
    pub(crate) fn take_posted(&self) -> bool {
        self.posted.take()
    }

    /// What a turn could not take stays for the next one.
    pub(crate) fn look_again(&self) {
        self.posted.again();
    }

    /// Whether the shard must not sleep.
    pub(crate) fn is_posted(&self) -> bool {
        self.posted.is_set()
    }

    pub(crate) fn take_stray(&self) -> Option<Stray> {
        self.strays.pop()
    }

    pub(crate) fn take_handoff(&self) -> Option<Box<Handoff>> {
        self.handoffs.pop()
    }

    pub(crate) fn take_populated(&self) -> Option<Populated> {
        self.populated.pop()
    }

    pub(crate) fn take_keyring(&self) -> Option<Arc<Keyring>> {
        self.keyring.pop()
    }

    pub(crate) fn take_served(&self) -> Option<Served> {
        self.served.pop()
    }

    pub(crate) fn take_control(&self) -> Option<Control> {
        self.control.pop()
    }

    pub(crate) fn take_note(&self) -> Option<(SetId, Note)> {
        self.groups.as_ref()?.notes.pop()
    }

    pub(crate) fn take_decision(&self) -> Option<Decision> {
        self.groups.as_ref()?.decisions.pop()
    }

    pub(crate) fn take_table(&self) -> Option<Table> {
        self.groups.as_ref()?.tables.pop()
    }

    pub(crate) fn take_made(&self) -> Option<Made> {
        self.groups.as_ref()?.made.pop()
    }

    /// Datagrams that wait.
    pub(crate) fn queued(&self) -> usize {
        self.strays.len() + self.handoffs.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sets;

    fn path() -> Path {
        Path { socket: 0, remote: std::net::SocketAddr::from(([127, 0, 0, 1], 9)) }
    }

    #[test]
    fn a_full_mailbox_refuses_and_keeps_what_it_has() {
        let mailbox = Mailbox::new();
        for number in 0..limits::MAILBOX_STRAYS {
            let stray = Stray::new(path(), &number.to_be_bytes()).expect("small");
            assert!(mailbox.post_stray(stray));
        }
        assert!(!mailbox.post_stray(Stray::new(path(), b"one too many").expect("small")));
        assert!(mailbox.take_posted() && !mailbox.take_posted());
        let mut first = mailbox.take_stray().expect("first");
        assert_eq!(first.datagram(), 0usize.to_be_bytes());
        assert_eq!(mailbox.queued(), limits::MAILBOX_STRAYS - 1);
    }

    #[test]
    fn a_shard_that_does_not_look_loses_no_order_to_reloads_and_a_store_that_changes() {
        let mailbox = Mailbox::new();
        let mut newest = Arc::new(Sets::All);
        for number in 0..100 {
            newest = Arc::new(Sets::Only([SetId([number; 16])].into()));
            mailbox.post_keyring(Arc::new(Keyring::new([])));
            let catalogue = segcast_store::Catalogue::default();
            mailbox.post_served(Served { catalogue, sets: Arc::clone(&newest) });
        }
        for order in [Control::Drain, Control::Cut, Control::Stop] {
            assert!(mailbox.post_control(order));
        }
        assert!(mailbox.take_posted());
        let served = mailbox.take_served().expect("the newest");
        assert!(Arc::ptr_eq(&served.sets, &newest) && mailbox.take_served().is_none());
        assert!(mailbox.take_keyring().is_some() && mailbox.take_keyring().is_none());
        let orders: Vec<_> = std::iter::from_fn(|| mailbox.take_control()).collect();
        assert!(matches!(orders[..], [Control::Drain, Control::Cut, Control::Stop]));
    }

    #[test]
    fn notes_about_groups_are_bounded_and_an_edge_without_has_no_room_for_them() {
        use segcast_proto::coalesce::Note;
        let (set, note) = (SetId([1; 16]), Note::Unwant { segment: 3, shard: 0 });
        let without = Mailbox::new();
        assert!(!without.post_note(set, note) && !without.is_posted());
        let mailbox = Mailbox::with_groups();
        for _ in 0..limits::GROUP_NOTES {
            assert!(mailbox.post_note(set, note));
        }
        assert!(!mailbox.post_note(set, note));
        assert_eq!(mailbox.take_note(), Some((set, note)));
        let decision = Decision { set, segment: 3, by_group: true };
        assert!(mailbox.post_decision(decision));
        assert_eq!(mailbox.take_decision(), Some(decision));
        // The newest of an owner, however many it told.
        (0..1000).for_each(|_| mailbox.post_table(Table::default()));
        mailbox.post_table(Table { owner: 7, ..Table::default() });
        let last = std::iter::from_fn(|| mailbox.take_table()).last();
        assert_eq!(last.map(|table| table.owner), Some(7));
    }

    #[test]
    fn a_datagram_larger_than_a_receive_buffer_is_no_stray() {
        assert!(Stray::new(path(), &[0; limits::RECEIVE_BUFFER_BYTES]).is_some());
        assert!(Stray::new(path(), &[0; limits::RECEIVE_BUFFER_BYTES + 1]).is_none());
    }
}
