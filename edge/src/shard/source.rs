//! The store as the endpoint sees it: stable set numbers, and never a page fault that waits for a disk.
//!
//! Whether a segment is in memory is found out, and seen to, by the helper threads. What they answer is kept for a while
//! in a small direct-mapped table; what is used is renewed before that time ends. A wrong guess costs a wait or a page
//! fault, never wrong bytes.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Duration;

use segcast_proto::coalesce::SetFacts;
use segcast_proto::ids::{ObjectNumber, SetId, SetIndex};
use segcast_proto::session::server::{Object, SegmentSource};
use segcast_proto::time::Instant;
use segcast_store::{Catalogue, Stored};

use super::facts;
use super::parity::Parity;
use crate::config::Sets;
use crate::limits;
use crate::mailbox::Made;

/// A set that was ever served; its number never changes while the process lives.
#[derive(Clone, Copy, Debug)]
struct Served {
    set: SetId,
    /// Its index in the catalogue's present snapshot, if it is stored and served.
    index: Option<u32>,
    /// What groups must know of it; only where there are groups.
    facts: Option<SetFacts>,
    /// Its leaves are there, so that it can be sent to groups.
    has_leaves: bool,
}

impl Served {
    /// Finds out what groups must know, as far as that is not known.
    fn look(&mut self, catalogue: &Catalogue) {
        let Some((index, info)) = self.index.and_then(|index| Some((index, catalogue.set(index)?)))
        else {
            return;
        };
        if self.facts.is_none() {
            self.facts = facts::facts(catalogue, index);
        }
        let had_leaves = std::mem::replace(&mut self.has_leaves, facts::has_leaves(&info));
        if self.facts.is_some() && !self.has_leaves && !had_leaves {
            let set = self.set;
            tracing::debug!(%set, "no leaves: unicast only, until `segcast store leaves` makes them");
        }
    }
}

/// One shard's view of the store.
pub(crate) struct Source {
    /// Whether groups are to be known, or reckoned with.
    groups: bool,
    catalogue: Catalogue,
    known: Vec<Served>,
    /// Positions in `known`, by name.
    by_name: Vec<(SetId, SetIndex)>,
    resident: RefCell<Residency>,
    parity: Parity,
    /// Segments in use whose time is half over.
    renewals: RefCell<VecDeque<(SetIndex, ObjectNumber)>>,
    now: Cell<Instant>,
}

impl Source {
    pub(crate) fn new(catalogue: Catalogue, sets: &Sets, groups: bool) -> Self {
        let mut source = Self {
            groups,
            catalogue: Catalogue::default(),
            known: Vec::new(),
            by_name: Vec::new(),
            resident: RefCell::new(Residency::new()),
            parity: Parity::default(),
            renewals: RefCell::new(VecDeque::with_capacity(limits::RENEWALS)),
            now: Cell::new(Instant::ZERO),
        };
        source.reload(catalogue, sets);
        source
    }

    /// Shows another snapshot. Sets keep their numbers; those that are gone or no longer served are absent.
    pub(crate) fn reload(&mut self, catalogue: Catalogue, sets: &Sets) {
        self.known.iter_mut().for_each(|known| known.index = None);
        let old = self.by_name.len();
        for (index, info) in (0..).zip(catalogue.sets()) {
            if !sets.contains(&info.set) {
                continue;
            }
            let index = Some(index);
            let found = self.by_name[..old].binary_search_by_key(&info.set, |entry| entry.0);
            match found.ok().and_then(|at| self.known.get_mut(self.by_name[at].1.get() as usize)) {
                // A name is one title at one version: its facts stay.
                Some(known) => known.index = index,
                None => {
                    let number = u32::try_from(self.known.len()).ok().and_then(SetIndex::new);
                    let number = number.expect("a store has few sets");
                    self.by_name.push((info.set, number));
                    let set = info.set;
                    self.known.push(Served { set, index, facts: None, has_leaves: false });
                }
            }
        }
        if self.groups {
            self.known.iter_mut().for_each(|known| known.look(&catalogue));
        }
        self.by_name.sort_unstable();
        self.catalogue = catalogue;
    }

    /// The time against which residency is judged; once per turn.
    pub(crate) fn set_now(&self, now: Instant) {
        self.now.set(now);
    }

    /// The catalogue and the set's index in it.
    pub(crate) fn locate(&self, set: SetIndex) -> Option<(&Catalogue, u32)> {
        let index = self.known.get(set.get() as usize)?.index?;
        Some((&self.catalogue, index))
    }

    /// The name of a set, for messages.
    pub(crate) fn name(&self, set: SetIndex) -> Option<SetId> {
        self.known.get(set.get() as usize).map(|known| known.set)
    }

    /// The name and the facts of a set that could be sent to groups, had it its leaves.
    pub(crate) fn could_have_groups(&self, set: SetIndex) -> Option<(SetId, SetFacts)> {
        let known = self.known.get(set.get() as usize).filter(|known| known.index.is_some())?;
        Some((known.set, known.facts?))
    }

    /// The object is in memory and will stay there for `trust`.
    pub(crate) fn set_resident(&self, set: SetIndex, object: ObjectNumber, trust: Duration) {
        self.resident.borrow_mut().insert(set, object, self.now.get(), trust);
    }

    /// Parity that was asked for.
    pub(crate) fn keep_parity(&mut self, made: Made) {
        self.parity.keep(made);
    }

    /// A segment whose residency should be renewed.
    pub(crate) fn take_renewal(&self) -> Option<(SetIndex, ObjectNumber)> {
        self.renewals.borrow_mut().pop_front()
    }

    /// Whether the object was damaged while it was read: what was sealed from it must not be sent.
    pub(crate) fn faulted(&self, set: SetIndex, object: ObjectNumber) -> bool {
        // The mark is one load; the pages are looked up only in a file that ever faulted.
        self.locate(set).is_some_and(|(catalogue, index)| {
            catalogue.mark(index, object) != 0 && catalogue.faulted(index, object)
        })
    }
}

impl SegmentSource for Source {
    fn find_set(&self, id: &SetId) -> Option<SetIndex> {
        let at = self.by_name.binary_search_by_key(id, |entry| entry.0).ok()?;
        let (_, number) = *self.by_name.get(at)?;
        self.locate(number).map(|_| number)
    }

    fn facts(&self, set: SetIndex) -> Option<(SetId, SetFacts)> {
        self.could_have_groups(set).filter(|_| self.known[set.get() as usize].has_leaves)
    }

    fn parity(&self, set: SetIndex, segment: u32) -> Object<'_> {
        self.parity.of(set, segment).map_or(Object::NotResident { len: 0 }, Object::Ready)
    }

    fn object(&self, set: SetIndex, object: ObjectNumber) -> Object<'_> {
        let Some((catalogue, index)) = self.locate(set) else { return Object::Absent };
        match catalogue.object(index, object) {
            Stored::Page(bytes) => Object::Ready(bytes),
            Stored::Mapped(bytes) => {
                match self.resident.borrow_mut().look(set, object, self.now.get()) {
                    Known::Not => {
                        Object::NotResident { len: u32::try_from(bytes.len()).unwrap_or(u32::MAX) }
                    }
                    Known::Resident => Object::Ready(bytes),
                    Known::ToRenew => {
                        let mut renewals = self.renewals.borrow_mut();
                        if renewals.len() < limits::RENEWALS {
                            renewals.push_back((set, object));
                        }
                        Object::Ready(bytes)
                    }
                }
            }
            Stored::PastEnd => Object::PastEnd,
            Stored::Absent => Object::Absent,
            Stored::Damaged => Object::Damaged,
        }
    }

    #[inline]
    fn prefetch(&self, bytes: &[u8]) {
        segcast_sysio::prefetch::prefetch(bytes);
    }

    #[inline]
    fn prefetch_value<T>(&self, value: &T) {
        segcast_sysio::prefetch::prefetch_value(value);
    }
}

/// What is known of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// Nothing, or nothing any more.
    Not,
    Resident,
    /// It is resident, and its time is half over. Said once for each half.
    ToRenew,
}

/// Objects that were resident a short time ago: a direct-mapped table, so that it never grows.
struct Residency {
    entries: Box<[Entry]>,
}

#[derive(Clone, Copy)]
struct Entry {
    set: SetIndex,
    object: ObjectNumber,
    until: Instant,
    renew: Instant,
}

impl Residency {
    fn new() -> Self {
        let (until, renew) = (Instant::ZERO, Instant::ZERO);
        let empty = Entry { set: SetIndex::FIRST, object: ObjectNumber(0), until, renew };
        Self { entries: vec![empty; limits::RESIDENT_OBJECTS].into_boxed_slice() }
    }

    /// Neighbouring segments of a set have neighbouring entries; sets begin at scattered ones. Leaves lie half a table from
    /// their segment: a group needs both at once.
    fn place(set: SetIndex, object: ObjectNumber) -> usize {
        let leaves = (object.0 >> 31) * (limits::RESIDENT_OBJECTS / 2) as u32;
        let hash = set.get().wrapping_mul(0x9E37_79B1).wrapping_add(object.0).wrapping_add(leaves);
        hash as usize % limits::RESIDENT_OBJECTS
    }

    fn look(&mut self, set: SetIndex, object: ObjectNumber, now: Instant) -> Known {
        let entry = &mut self.entries[Self::place(set, object)];
        if entry.set != set || entry.object != object || now >= entry.until {
            return Known::Not;
        }
        if now < entry.renew {
            return Known::Resident;
        }
        entry.renew = entry.until;
        Known::ToRenew
    }

    fn insert(&mut self, set: SetIndex, object: ObjectNumber, now: Instant, trust: Duration) {
        let (until, renew) = (now + trust, now + trust / 2);
        self.entries[Self::place(set, object)] = Entry { set, object, until, renew };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUST: Duration = Duration::from_secs(4);

    #[test]
    fn residency_is_trusted_for_a_while_and_per_object_and_renewed_once_in_between() {
        let mut residency = Residency::new();
        let now = Instant::from_nanos(1);
        let object = ObjectNumber(0);
        assert_eq!(residency.look(SetIndex::FIRST, object, now), Known::Not);
        residency.insert(SetIndex::FIRST, object, now, TRUST);
        assert_eq!(residency.look(SetIndex::FIRST, object, now), Known::Resident);
        assert_eq!(residency.look(SetIndex::new(1).unwrap(), object, now), Known::Not);
        assert_eq!(residency.look(SetIndex::FIRST, ObjectNumber(1), now), Known::Not);
        assert_eq!(residency.look(SetIndex::FIRST, object, now + TRUST / 2), Known::ToRenew);
        assert_eq!(
            residency.look(SetIndex::FIRST, object, now + TRUST / 2),
            Known::Resident,
            "asked for"
        );
        assert_eq!(residency.look(SetIndex::FIRST, object, now + TRUST), Known::Not);
        residency.insert(SetIndex::FIRST, object, now + TRUST / 2, TRUST);
        assert_eq!(residency.look(SetIndex::FIRST, object, now + TRUST), Known::ToRenew);
    }

    #[test]
    fn two_objects_of_one_place_displace_each_other() {
        let mut residency = Residency::new();
        let (one, two) = (ObjectNumber(5), ObjectNumber(5 + limits::RESIDENT_OBJECTS as u32));
        residency.insert(SetIndex::FIRST, one, Instant::ZERO, TRUST);
        residency.insert(SetIndex::FIRST, two, Instant::ZERO, TRUST);
        assert_eq!(residency.look(SetIndex::FIRST, two, Instant::ZERO), Known::Resident);
        assert_eq!(residency.look(SetIndex::FIRST, one, Instant::ZERO), Known::Not);
    }

    #[test]
    fn a_segment_and_its_leaves_do_not_displace_each_other() {
        let mut residency = Residency::new();
        let both = [ObjectNumber(5), ObjectNumber::leaves_of(5)];
        for object in both {
            residency.insert(SetIndex::FIRST, object, Instant::ZERO, TRUST);
        }
        let known = both.map(|object| residency.look(SetIndex::FIRST, object, Instant::ZERO));
        assert_eq!(known, [Known::Resident; 2]);
    }

    #[test]
    fn an_empty_store_has_nothing() {
        let source = Source::new(Catalogue::default(), &Sets::All, true);
        assert_eq!((source.facts(SetIndex::FIRST), source.groups), (None, true));
        assert_eq!(source.find_set(&SetId([1; 16])), None);
        assert_eq!(source.object(SetIndex::FIRST, ObjectNumber(0)), Object::Absent);
        assert!(
            !source.faulted(SetIndex::FIRST, ObjectNumber(0)) && source.take_renewal().is_none()
        );
    }
}
