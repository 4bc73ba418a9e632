//! The slots of a shard: pending handshakes and open sessions, by receiver index.

use std::collections::{BTreeMap, VecDeque};

use super::pending::Pending;
use super::shares::network;
use crate::limits::PENDING_TIME;
use crate::session::server::event::Path;
use crate::session::server::session::state::Session;
use crate::time::Instant;

/// Handshakes of one HELLO that are pending at most: its client's, and that of one who copied it.
const COPIES: usize = 2;

/// One slot.
pub(in crate::session::server) enum Slot {
    Free,
    Pending(Box<Pending>),
    Open(Box<Session>),
}

/// When a pending handshake ends, unless it has become a session or made place.
struct PendingEnd {
    at: Instant,
    slot: u32,
}

/// All slots of a shard, with both bounds.
pub(in crate::session::server) struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// By mac1 and the address that WELCOME went to.
    pending_by_hello: BTreeMap<([u8; 16], Path), u32>,
    /// Of each client's key, the oldest first.
    pending_by_client: BTreeMap<[u8; 32], VecDeque<u32>>,
    /// In the order of their end: all live equally long.
    pending_ends: VecDeque<PendingEnd>,
    pending_max: usize,
    sessions: usize,
}

impl Table {
    pub(in crate::session::server) fn new(pending_max: u32) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            pending_by_hello: BTreeMap::new(),
            pending_by_client: BTreeMap::new(),
            pending_ends: VecDeque::new(),
            pending_max: pending_max as usize,
            sessions: 0,
        }
    }

    /// Open sessions.
    pub(in crate::session::server) fn sessions(&self) -> usize {
        self.sessions
    }

    /// Pending handshakes.
    pub(in crate::session::server) fn pending(&self) -> usize {
        self.pending_by_hello.len()
    }

    /// Whether there is no room for one more of them.
    pub(super) fn pending_is_full(&self) -> bool {
        self.pending() >= self.pending_max
    }

    /// How many slots there are, free ones included.
    pub(in crate::session::server) fn len(&self) -> u32 {
        self.slots.len() as u32
    }

    pub(in crate::session::server) fn slot_mut(&mut self, slot: u32) -> Option<&mut Slot> {
        self.slots.get_mut(slot as usize)
    }

    /// The session in `slot`, if one is open there.
    pub(in crate::session::server) fn session(&self, slot: u32) -> Option<&Session> {
        match self.slots.get(slot as usize) {
            Some(Slot::Open(session)) => Some(session),
            _ => None,
        }
    }

    /// The same, to change it.
    pub(in crate::session::server) fn session_mut(&mut self, slot: u32) -> Option<&mut Session> {
        match self.slots.get_mut(slot as usize) {
            Some(Slot::Open(session)) => Some(session),
            _ => None,
        }
    }

    /// The pending handshake of a HELLO seen before from this address.
    pub(super) fn pending_for(&mut self, mac1: [u8; 16], path: Path) -> Option<&mut Pending> {
        let slot = *self.pending_by_hello.get(&(mac1, path))?;
        match self.slots.get_mut(slot as usize) {
            Some(Slot::Pending(pending)) => Some(pending),
            _ => None,
        }
    }

    /// Whether a HELLO is pending, from whatever address.
    pub(super) fn is_pending(&self, mac1: [u8; 16]) -> bool {
        let next = self.pending_by_hello.range((mac1, Path::LEAST)..).next();
        next.is_some_and(|((found, _), _)| *found == mac1)
    }

    /// Ends one pending handshake of this HELLO where a further one would be too many: one that went to the same network,
    /// or else the oldest, so that who copied it elsewhere displaces copies of their own. Says how many.
    pub(super) fn make_place_of_copy(&mut self, mac1: [u8; 16], path: Path) -> u64 {
        let from = |path: &Path| network(path.remote.ip());
        let copies = self.pending_by_hello.range((mac1, Path::LEAST)..);
        let copies = copies.take_while(|((found, _), _)| *found == mac1);
        if copies.clone().count() < COPIES {
            return 0;
        }
        let order = |&((_, at), slot): &(&([u8; 16], Path), &u32)| {
            let welcomed = match &self.slots[*slot as usize] {
                Slot::Pending(pending) => Some(pending.welcomed),
                _ => None,
            };
            (from(at) != from(&path), welcomed)
        };
        let Some((_, &slot)) = copies.min_by_key(order) else { return 0 };
        self.end_pending(slot);
        1
    }

    /// Ends the oldest pending handshakes of a client until it has less than `most`. Says how many.
    pub(super) fn make_place(&mut self, client: &[u8; 32], most: usize) -> u64 {
        let mut ended = 0;
        while let Some(slots) = self.pending_by_client.get(client)
            && slots.len() >= most.max(1)
            && let Some(&oldest) = slots.front()
        {
            self.end_pending(oldest);
            ended += 1;
        }
        ended
    }

    /// A slot for one more pending handshake; `None`: the pending table is full.
    pub(super) fn reserve(&mut self) -> Option<u32> {
        if self.pending_is_full() {
            return None;
        }
        if let Some(slot) = self.free.pop() {
            return Some(slot);
        }
        let slot = self.slots.len() as u32;
        if slot >= crate::ids::ReceiverIndex::SLOTS {
            return None;
        }
        self.slots.push(Slot::Free);
        Some(slot)
    }

    /// Gives a reserved slot back unused.
    pub(super) fn unreserve(&mut self, slot: u32) {
        self.free.push(slot);
    }

    /// Fills a reserved slot.
    pub(super) fn insert_pending(&mut self, slot: u32, pending: Pending) {
        self.pending_by_hello.insert((pending.hello.mac1, pending.path), slot);
        self.pending_by_client.entry(pending.client_public).or_default().push_back(slot);
        self.pending_ends.push_back(PendingEnd { at: pending.welcomed + PENDING_TIME, slot });
        self.slots[slot as usize] = Slot::Pending(Box::new(pending));
    }

    /// Takes a pending handshake out to make it a session.
    pub(in crate::session::server) fn take_pending(&mut self, slot: u32) -> Option<Box<Pending>> {
        let entry = self.slots.get_mut(slot as usize)?;
        if !matches!(entry, Slot::Pending(_)) {
            return None;
        }
        let Slot::Pending(pending) = core::mem::replace(entry, Slot::Free) else {
            return None;
        };
        self.pending_by_hello.remove(&(pending.hello.mac1, pending.path));
        if let Some(slots) = self.pending_by_client.get_mut(&pending.client_public) {
            slots.retain(|other| *other != slot);
            if slots.is_empty() {
                self.pending_by_client.remove(&pending.client_public);
            }
        }
        Some(pending)
    }

    /// Ends a pending handshake and frees its slot.
    fn end_pending(&mut self, slot: u32) {
        if self.take_pending(slot).is_some() {
            self.free.push(slot);
        }
    }

    /// Opens a session in the slot its pending handshake had.
    pub(in crate::session::server) fn open(&mut self, slot: u32, session: Session) {
        self.slots[slot as usize] = Slot::Open(Box::new(session));
        self.sessions += 1;
    }

    /// Takes an open session out and frees its slot.
    pub(in crate::session::server) fn close(&mut self, slot: u32) -> Option<Box<Session>> {
        let entry = self.slots.get_mut(slot as usize)?;
        if !matches!(entry, Slot::Open(_)) {
            return None;
        }
        let Slot::Open(session) = core::mem::replace(entry, Slot::Free) else {
            return None;
        };
        self.free.push(slot);
        self.sessions -= 1;
        Some(session)
    }

    /// Ends pending handshakes whose time is over.
    pub(in crate::session::server) fn expire_pending(&mut self, now: Instant) {
        while let Some(&PendingEnd { at, slot }) = self.pending_ends.front() {
            if at > now {
                break;
            }
            self.pending_ends.pop_front();
            // Another may have its slot by now.
            if let Some(Slot::Pending(pending)) = self.slot_mut(slot)
                && pending.welcomed + PENDING_TIME <= now
            {
                self.end_pending(slot);
            }
        }
    }

    /// When the next pending handshake ends.
    pub(in crate::session::server) fn next_pending_end(&self) -> Option<Instant> {
        self.pending_ends.front().map(|end| end.at)
    }
}
