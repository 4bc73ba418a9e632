//! Groups, as one shard takes part in them: it owns some of the sets, and its sessions hear those of all shards.
//!
//! Notes go to the shard that owns a set, by the set's keyed hash; what it decides goes to all shards. Within a shard both
//! are calls, between shards a mailbox, which may be full: what is lost there costs a unicast.

use std::collections::BTreeMap;
use std::sync::Arc;

use segcast_proto::coalesce::Note;
use segcast_proto::crypto::hash;
use segcast_proto::ids::{ObjectNumber, SetId, SetIndex};
use segcast_proto::owner::{GroupTransmit, News, Owner, OwnerConfig};
use segcast_proto::session::server::Endpoint;
use segcast_proto::time::Instant;
use segcast_proto::wire::GroupKey;

use super::source::Source;
use crate::board::Values;
use crate::limits;
use crate::mailbox::{Decision, Mailbox, Table};
use crate::metric::Metric;

/// What a failed send to a group is reported with: no endpoint's ticket, as no datagram is as large.
pub(super) const TICKET: u64 = u64::MAX;

/// What a shard of an edge with groups is made of.
pub(crate) struct GroupSetup {
    pub(crate) owner: OwnerConfig,
    /// Fresh randomness, for this shard alone.
    pub(crate) seed: [u8; 32],
}

/// The groups of one shard.
pub(crate) struct Groups {
    shard: u8,
    owner: Owner,
    /// The socket that sends to groups: the last of the driver's.
    socket: u16,
    /// Says who owns a set; the same on all shards.
    key: [u8; 32],
    mailboxes: Arc<[Mailbox]>,
    /// What each owner said last, by shard.
    tables: Vec<Arc<BTreeMap<SetId, Arc<GroupKey>>>>,
    /// The groups of this shard's sets changed since they were told.
    changed: bool,
    tell_at: Instant,
    notes_dropped: u64,
}

impl Groups {
    pub(super) fn new(
        setup: &GroupSetup,
        socket: u16,
        shared_secret: &[u8; 32],
        mailboxes: Arc<[Mailbox]>,
        now: Instant,
    ) -> Self {
        Self {
            shard: setup.owner.coalescer.shard,
            owner: Owner::new(setup.owner, setup.seed, now),
            socket,
            key: hash::hmac256(shared_secret, &[b"owner of a set"]),
            tables: vec![Arc::default(); mailboxes.len()],
            mailboxes,
            changed: false,
            tell_at: now,
            notes_dropped: 0,
        }
    }

    /// The socket that sends to groups.
    pub(super) fn socket(&self) -> u16 {
        self.socket
    }

    /// When there is something to do next.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let due = self.owner.poll_timeout();
        if self.has_told_of_groups() {
            Some(due.map_or(self.tell_at, |due| due.min(self.tell_at)))
        } else {
            due
        }
    }

    pub(super) fn timers(&mut self, now: Instant, source: &Source) {
        if self.owner.poll_timeout().is_some_and(|due| due <= now) {
            let before = self.owner.coalescer().broken;
            self.owner.handle_timeout(now, source);
            if self.owner.coalescer().broken > before {
                let shard = self.shard;
                tracing::warn!(
                    shard,
                    "groups of a title are closed for a while: members lose much"
                );
            }
        }
    }

    /// What must be read into memory for a group.
    pub(super) fn next_object(&mut self) -> Option<(SetIndex, ObjectNumber)> {
        self.owner.next_object()
    }

    /// A segment whose parity is to be computed for a group.
    pub(super) fn next_parity(&mut self) -> Option<(SetIndex, u32)> {
        self.owner.next_parity()
    }

    /// The next train to a group.
    pub(super) fn poll_transmit(
        &mut self,
        now: Instant,
        source: &Source,
        out: &mut [u8],
    ) -> Option<GroupTransmit> {
        self.owner.poll_transmit(now, source, out)
    }

    /// Takes in what other shards say, up to the turn's budget; whether there may be more.
    pub(super) fn take_mail(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        source: &Source,
    ) -> bool {
        let mailboxes = Arc::clone(&self.mailboxes);
        let Some(mailbox) = mailboxes.get(usize::from(self.shard)) else { return false };
        while let Some(table) = mailbox.take_table() {
            self.show(now, endpoint, table);
        }
        let mut taken = 0;
        while taken < limits::GROUP_NOTES_PER_TURN
            && let Some((set, note)) = mailbox.take_note()
        {
            self.owner.note(now, set, note, source);
            taken += 1;
        }
        let mut more = taken == limits::GROUP_NOTES_PER_TURN;
        taken = 0;
        while taken < limits::GROUP_NOTES_PER_TURN
            && let Some(decision) = mailbox.take_decision()
        {
            decide(now, endpoint, decision);
            taken += 1;
        }
        more |= taken == limits::GROUP_NOTES_PER_TURN;
        more
    }

    /// Takes the notes of this shard's sessions to the owners of their sets, and what this shard decides to all.
    pub(super) fn exchange(&mut self, now: Instant, endpoint: &mut Endpoint, source: &Source) {
        while let Some((set, note)) = endpoint.poll_note() {
            self.take_note_to_owner(now, set, note, source);
        }
        while let Some((set, news)) = self.owner.poll_news() {
            let (segment, by_group) = match news {
                News::Groups => {
                    self.changed = true;
                    continue;
                }
                News::Begun(segment) => (segment, true),
                News::Alone(segment) => (segment, false),
            };
            let decision = Decision { set, segment, by_group };
            decide(now, endpoint, decision);
            let lost = self.others().filter(|other| !other.post_decision(decision)).count();
            self.notes_dropped += lost as u64;
        }
        if self.changed || (now >= self.tell_at && self.has_told_of_groups()) {
            self.tell(now, endpoint);
        }
    }

    fn take_note_to_owner(&mut self, now: Instant, set: SetId, note: Note, source: &Source) {
        let owner = self.owner_of(&set);
        if owner == self.shard {
            self.owner.note(now, set, note, source);
        } else {
            let mailbox = self.mailboxes.get(usize::from(owner));
            let posted = mailbox.is_some_and(|mailbox| mailbox.post_note(set, note));
            self.notes_dropped += u64::from(!posted);
        }
    }

    /// Keyed, or who packs sets could have one shard own them all.
    fn owner_of(&self, set: &SetId) -> u8 {
        let digest = hash::hmac16(&self.key, &[&set.0]);
        let number = u64::from_be_bytes(std::array::from_fn(|at| digest[at]));
        (number % self.mailboxes.len().max(1) as u64) as u8
    }

    /// Tells all shards of the groups of this one's sets. Repeated, since a table may be lost.
    fn tell(&mut self, now: Instant, endpoint: &mut Endpoint) {
        (self.changed, self.tell_at) = (false, now + limits::GROUP_TABLE_INTERVAL);
        let sets = self.owner.groups().map(|(set, key)| (set, Arc::clone(key))).collect();
        let table = Table { owner: self.shard, sets: Arc::new(sets) };
        self.others().for_each(|mailbox| mailbox.post_table(table.clone()));
        self.show(now, endpoint, table);
    }

    fn has_told_of_groups(&self) -> bool {
        self.tables.get(usize::from(self.shard)).is_some_and(|sets| !sets.is_empty())
    }

    /// Shows the endpoint what an owner says.
    fn show(&mut self, now: Instant, endpoint: &mut Endpoint, table: Table) {
        let Some(told) = self.tables.get_mut(usize::from(table.owner)) else { return };
        let before = std::mem::replace(told, Arc::clone(&table.sets));
        for set in before.keys().filter(|set| !table.sets.contains_key(set)) {
            endpoint.set_groups(now, *set, None);
        }
        for (set, key) in &*table.sets {
            if before.get(set).is_none_or(|before| !Arc::ptr_eq(before, key)) {
                endpoint.set_groups(now, *set, Some(Arc::clone(key)));
            }
        }
    }

    fn others(&self) -> impl Iterator<Item = &Mailbox> {
        let shard = usize::from(self.shard);
        self.mailboxes
            .iter()
            .enumerate()
            .filter(move |(at, _)| *at != shard)
            .map(|(_, other)| other)
    }

    pub(super) fn publish(&self, values: &mut Values) {
        let (owner, decided) = (self.owner.counters(), self.owner.coalescer());
        for (metric, value) in [
            (Metric::GroupBytes, owner.bytes),
            (Metric::GroupSends, decided.sends),
            (Metric::GroupBroken, decided.broken),
            (Metric::GroupLost, owner.lost),
            (Metric::GroupNotesDropped, self.notes_dropped),
            (Metric::GroupMembers, self.owner.members()),
            (Metric::GroupChannels, self.owner.channels() as u64),
        ] {
            values[metric as usize] = value;
        }
    }
}

fn decide(now: Instant, endpoint: &mut Endpoint, decision: Decision) {
    let Decision { set, segment, by_group } = decision;
    if by_group {
        endpoint.group_begun(now, set, segment);
    } else {
        endpoint.group_alone(now, set, segment);
    }
}
