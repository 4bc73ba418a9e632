//! Which segments are locked in memory (mlock(2)), within a budget, the least recently used released first.
//!
//! Only helper threads come here, and the server's own when the store has changed. A shard trusts what it was told for
//! [`limits::RESIDENT_TRUST`], so a lock is held for longer than that after its last renewal.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use segcast_proto::ids::ObjectNumber;
use segcast_store::Catalogue;
use segcast_sysio::mapped::page_bytes;

use crate::limits;

/// A lock that nobody renewed for this long may go: the trust of the last answer and what it took to arrive.
const HOLD: Duration = limits::RESIDENT_TRUST.saturating_add(Duration::from_secs(2));
/// And after this it goes although nothing else needs its place.
const FORGET: Duration = HOLD.saturating_mul(3);

/// A segment of the catalogue that the locks are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// The set's index in the catalogue.
    pub(super) index: u32,
    pub(super) object: ObjectNumber,
}

#[derive(Debug)]
struct Locked {
    bytes: u64,
    renewed: Instant,
}

/// The locked segments of one catalogue.
#[derive(Debug)]
pub(super) struct Locks {
    /// Bytes at most. It shrinks to what the kernel allows, should that be less.
    budget: u64,
    bytes: u64,
    catalogue: Catalogue,
    locked: BTreeMap<Key, Locked>,
    /// The same in the order of their last renewal.
    order: BTreeSet<(Instant, Key)>,
}

impl Locks {
    pub(super) fn new(budget: u64) -> Self {
        Self {
            budget,
            bytes: 0,
            catalogue: Catalogue::default(),
            locked: BTreeMap::new(),
            order: BTreeSet::new(),
        }
    }

    /// Bytes that are locked.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Goes over to `catalogue`: locks of sets that are in it too stay, those of all others go.
    pub(super) fn adopt(&mut self, catalogue: &Catalogue) {
        let mut stay = BTreeMap::new();
        for key in self.locked.keys().copied().collect::<Vec<_>>() {
            let Some(index) = self.catalogue.index_in(key.index, catalogue) else {
                self.release(key);
                continue;
            };
            stay.extend(self.locked.remove(&key).map(|locked| (Key { index, ..key }, locked)));
        }
        self.order = stay.iter().map(|(key, locked)| (locked.renewed, *key)).collect();
        self.locked = stay;
        self.catalogue = catalogue.clone();
    }

    /// Renews the lock of a segment; false: it has none.
    pub(super) fn renew(&mut self, catalogue: &Catalogue, key: Key, now: Instant) -> bool {
        self.here(catalogue, key).is_some_and(|key| self.renew_here(key, now))
    }

    fn renew_here(&mut self, key: Key, now: Instant) -> bool {
        let Some(locked) = self.locked.get_mut(&key) else { return false };
        self.order.remove(&(locked.renewed, key));
        locked.renewed = now;
        self.order.insert((now, key));
        true
    }

    /// Locks a segment that is resident, or renews its lock; false: there is no room, and it may be evicted.
    pub(super) fn keep(&mut self, catalogue: &Catalogue, key: Key, now: Instant) -> bool {
        // A shard that has not heard of the newest catalogue asks with an older one.
        let Some(key) = self.here(catalogue, key) else { return false };
        if self.renew_here(key, now) {
            return true;
        }
        let Some(set) = self.catalogue.set(key.index) else { return false };
        let is_leaves = key.object.as_leaves().is_some();
        let bytes = if is_leaves { set.leaves_bytes } else { set.segment_bytes };
        let bytes = u64::from(bytes).next_multiple_of(page_bytes() as u64);
        self.make_room(bytes, now) && self.lock(key, bytes, now)
    }

    /// Releases what has not been used for long.
    pub(super) fn tidy(&mut self, now: Instant) {
        let Some(time) = now.checked_sub(FORGET) else { return };
        while let Some(&(renewed, key)) = self.order.first()
            && renewed <= time
        {
            self.release(key);
        }
    }

    /// A segment of `catalogue` in the catalogue of the locks, if it is there.
    fn here(&self, catalogue: &Catalogue, key: Key) -> Option<Key> {
        let index = catalogue.index_in(key.index, &self.catalogue)?;
        Some(Key { index, ..key })
    }

    /// Releases locks that nobody relies on, the oldest first, until `bytes` more fit.
    fn make_room(&mut self, bytes: u64, now: Instant) -> bool {
        if bytes > self.budget {
            return false;
        }
        while self.bytes + bytes > self.budget || self.locked.len() >= limits::LOCKED_OBJECTS {
            let Some(&(renewed, key)) = self.order.first() else { return false };
            if now.saturating_duration_since(renewed) < HOLD {
                return false;
            }
            self.release(key);
        }
        true
    }

    fn lock(&mut self, key: Key, bytes: u64, now: Instant) -> bool {
        if let Err(error) = self.catalogue.lock(key.index, key.object) {
            tracing::warn!(%error, locked = self.bytes, "no more segments can be locked in memory");
            self.budget = self.bytes;
            return false;
        }
        self.bytes += bytes;
        self.locked.insert(key, Locked { bytes, renewed: now });
        self.order.insert((now, key));
        true
    }

    fn release(&mut self, key: Key) {
        let Some(locked) = self.locked.remove(&key) else { return };
        self.order.remove(&(locked.renewed, key));
        self.bytes -= locked.bytes;
        if let Err(error) = self.catalogue.unlock(key.index, key.object) {
            tracing::warn!(%error, "a segment cannot be unlocked");
        }
    }
}

#[cfg(test)]
mod tests {
    use segcast_proto::ids::SetId;
    use segcast_proto::limits::SEGMENT_UNIT;
    use segcast_store::{Options, Store};

    use super::*;

    const SEGMENT: u64 = SEGMENT_UNIT as u64;

    fn key(index: u32, number: u32) -> Key {
        Key { index, object: ObjectNumber(number) }
    }

    fn locks(catalogue: &Catalogue, budget: u64) -> Locks {
        let mut locks = Locks::new(budget);
        locks.adopt(catalogue);
        locks
    }

    fn catalogue(directory: &std::path::Path) -> (Store, Catalogue) {
        let options = Options { create: true, file_bytes: Some(64 << 20), ..Options::default() };
        let store = Store::open(directory, &options).expect("store");
        let mut writer = store.begin_set(SetId([1; 16]), SEGMENT as u32, 4).expect("set");
        (0..4).for_each(|n| writer.write_segment(n, &[7; SEGMENT_UNIT]).expect("segment"));
        writer.commit(&[&[1; 100]]).expect("commit");
        let catalogue = store.catalogue();
        (0..4).for_each(|n| catalogue.populate(0, ObjectNumber(n)).expect("read in"));
        (store, catalogue)
    }

    /// What the kernel says is locked of the files below `directory` (proc_pid_smaps(5)), bytes.
    fn locked_bytes(directory: &std::path::Path) -> u64 {
        let smaps = std::fs::read_to_string("/proc/self/smaps").expect("smaps");
        let (mut ours, mut kib) = (false, 0);
        for line in smaps.lines() {
            if line.split(' ').next().is_some_and(|word| !word.ends_with(':')) {
                ours = line.contains(directory.to_str().expect("a name"));
            } else if let Some(locked) = line.strip_prefix("Locked:").filter(|_| ours) {
                kib += locked.trim().trim_end_matches(" kB").parse::<u64>().expect("a number");
            }
        }
        kib * 1024
    }

    #[test]
    fn locks_stay_within_the_budget_and_the_oldest_makes_room_when_nobody_relies_on_it() {
        let directory = tempfile::tempdir().expect("tempdir");
        let (_store, catalogue) = catalogue(directory.path());
        let mut locks = locks(&catalogue, 2 * SEGMENT);
        let now = Instant::now();
        let mut keep = |number, at| locks.keep(&catalogue, key(0, number), at);
        assert!(keep(0, now) && keep(1, now + Duration::from_secs(1)));
        assert_eq!(locked_bytes(directory.path()), 2 * SEGMENT, "the kernel knows of it");
        assert!(!keep(2, now + Duration::from_secs(2)), "both are in use");
        assert!(keep(0, now + Duration::from_secs(2)), "renewed");
        let later = now + Duration::from_secs(1) + HOLD;
        assert!(keep(2, later), "segment 1 has gone");
        assert!(!keep(3, later) && !keep(1, later));
        assert_eq!(locks.bytes(), 2 * SEGMENT);
        locks.tidy(later + FORGET);
        assert_eq!(locks.bytes(), 0);
        assert_eq!(locked_bytes(directory.path()), 0);
    }

    #[test]
    fn another_catalogue_keeps_the_locks_of_what_is_still_there() {
        let directory = tempfile::tempdir().expect("tempdir");
        let (store, old) = catalogue(directory.path());
        let mut locks = locks(&old, 4 * SEGMENT);
        let now = Instant::now();
        assert!(locks.keep(&old, key(0, 1), now) && locks.keep(&old, key(0, 2), now));
        // A set that comes before it in the new catalogue, so that its index there is another.
        let writer = store.begin_set(SetId([0; 16]), SEGMENT as u32, 0).expect("set");
        writer.commit(&[&[1; 100]]).expect("commit");
        let new = store.catalogue();
        locks.adopt(&new);
        assert_eq!(locked_bytes(directory.path()), 2 * SEGMENT);
        assert!(locks.renew(&new, key(1, 1), now) && !locks.renew(&new, key(0, 1), now));
        assert!(locks.keep(&old, key(0, 2), now), "a shard still has the old one");
        assert_eq!(locks.bytes(), 2 * SEGMENT);
        assert!(!locks.keep(&new, key(7, 0), now), "no such set");
        store.remove_set(&SetId([1; 16])).expect("removed");
        locks.adopt(&store.catalogue());
        assert_eq!((locks.bytes(), locked_bytes(directory.path())), (0, 0));
        assert!(!locks.keep(&old, key(0, 1), now), "it is gone");
    }

    #[test]
    fn what_is_larger_than_the_budget_is_never_locked() {
        let directory = tempfile::tempdir().expect("tempdir");
        let (_store, catalogue) = catalogue(directory.path());
        let mut locks = locks(&catalogue, SEGMENT - 1);
        assert!(!locks.keep(&catalogue, key(0, 0), Instant::now()));
    }
}
