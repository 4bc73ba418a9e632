//! Which requests of this shard are held for which segments, and what the owners of the sets are told of it.
//!
//! A set is known here as long as its groups are open or a session of this shard has asked for it with HEARS. Sessions are
//! slots; what each of them is in a set it knows itself (`session/membership.rs`).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::coalesce::{Member, Note};
use crate::ids::{ReceiverIndex, SetId};
use crate::time::{Duration, Instant};
use crate::wire::GroupKey;

/// Notes that wait for the caller; more are dropped and counted: each costs a unicast at most.
const NOTES_MAX: usize = 4096;
/// The owner is told of an earlier deadline when it is earlier by this.
const FORWARD: Duration = Duration::from_millis(50);

/// A held request of a listening member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    pub(super) slot: u32,
    pub(super) segment: u32,
    pub(super) deadline: Instant,
    /// What the segment takes by unicast.
    pub(super) unicast: Duration,
}

/// What waits for one segment.
#[derive(Debug)]
struct Wanted {
    slots: BTreeSet<u32>,
    /// What the owner was told of: the earliest.
    told: Hold,
}

/// One set.
#[derive(Debug, Default)]
struct Set {
    /// Its groups, while they are open.
    key: Option<Arc<GroupKey>>,
    /// Slots of the sessions that asked for it with HEARS.
    members: BTreeSet<u32>,
    wants: BTreeMap<u32, Wanted>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Holds {
    shard: u8,
    sets: BTreeMap<SetId, Set>,
    notes: VecDeque<(SetId, Note)>,
    dropped: u64,
}

impl Holds {
    pub(super) fn new(shard: u8) -> Self {
        Self { shard, sets: BTreeMap::new(), notes: VecDeque::new(), dropped: 0 }
    }

    /// The groups of a set, if they are open.
    pub(super) fn key(&self, set: &SetId) -> Option<&Arc<GroupKey>> {
        self.sets.get(set)?.key.as_ref()
    }

    /// Sets whose groups are open.
    pub(super) fn open(&self) -> Vec<SetId> {
        let open = self.sets.iter().filter(|(_, state)| state.key.is_some());
        open.map(|(set, _)| *set).collect()
    }

    /// Opens, changes or closes the groups of a set. Says whether that changes anything for its members.
    pub(super) fn set_key(&mut self, set: SetId, key: Option<Arc<GroupKey>>) -> bool {
        let state = self.sets.entry(set).or_default();
        let same = match (&state.key, &key) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (None, None) => true,
            _ => false,
        };
        state.key = key;
        let changed = !same && !state.members.is_empty();
        self.forget_unused(set);
        changed
    }

    /// The first of a set's members in slot `from` or behind.
    pub(super) fn next_member(&self, set: &SetId, from: u32) -> Option<u32> {
        self.sets.get(set)?.members.range(from..).next().copied()
    }

    /// The session in `slot` asks for a set with HEARS.
    pub(super) fn hears(&mut self, set: SetId, slot: u32) {
        self.sets.entry(set).or_default().members.insert(slot);
        let member = self.member(slot);
        self.note(set, Note::Hears { member });
    }

    /// The session in `slot` has nothing to do with a set any more; it holds no request for it.
    pub(super) fn gone(&mut self, set: SetId, slot: u32) {
        let member = self.member(slot);
        self.note(set, Note::Gone { member });
        if let Some(state) = self.sets.get_mut(&set) {
            state.members.remove(&slot);
        }
        self.forget_unused(set);
    }

    /// A request is held for a segment: the owner is told of the first, of the second, and of an earlier deadline.
    pub(super) fn want(&mut self, set: SetId, hold: &Hold) {
        let wants = &mut self.sets.entry(set).or_default().wants;
        let (wanted, first) = match wants.entry(hold.segment) {
            Entry::Occupied(entry) => (entry.into_mut(), false),
            Entry::Vacant(entry) => {
                (entry.insert(Wanted { slots: BTreeSet::new(), told: *hold }), true)
            }
        };
        let second = wanted.slots.insert(hold.slot) && wanted.slots.len() == 2;
        let earlier = hold.deadline + FORWARD <= wanted.told.deadline;
        if earlier {
            wanted.told = *hold;
        }
        if first || second || earlier {
            let Hold { slot, segment, deadline, unicast } = wanted.told;
            let waiters = u16::try_from(wanted.slots.len()).unwrap_or(u16::MAX);
            let member = self.member(slot);
            self.note(set, Note::Want { segment, deadline, unicast, member, waiters });
        }
    }

    /// The session in `slot` holds no request for a segment any longer.
    pub(super) fn unwant(&mut self, set: SetId, segment: u32, slot: u32) {
        let Some(state) = self.sets.get_mut(&set) else { return };
        let Some(wanted) = state.wants.get_mut(&segment) else { return };
        if wanted.slots.remove(&slot) && wanted.slots.is_empty() {
            state.wants.remove(&segment);
            let shard = self.shard;
            self.note(set, Note::Unwant { segment, shard });
        }
    }

    /// Whether a request of this shard is held for a segment.
    pub(super) fn is_wanted(&self, set: &SetId, segment: u32) -> bool {
        self.sets.get(set).is_some_and(|state| state.wants.contains_key(&segment))
    }

    /// The owner has decided on a segment: whose requests waited for that.
    pub(super) fn take(&mut self, set: &SetId, segment: u32) -> BTreeSet<u32> {
        let state = self.sets.get_mut(set);
        state.and_then(|state| state.wants.remove(&segment)).map(|w| w.slots).unwrap_or_default()
    }

    /// Tells the owner of a set something.
    pub(super) fn note(&mut self, set: SetId, note: Note) {
        if self.notes.len() < NOTES_MAX {
            self.notes.push_back((set, note));
        } else {
            self.dropped += 1;
        }
    }

    /// The next note, and how many were dropped since the last call.
    pub(super) fn next_note(&mut self) -> (Option<(SetId, Note)>, u64) {
        (self.notes.pop_front(), core::mem::take(&mut self.dropped))
    }

    /// Segments that requests are held for.
    pub(super) fn segments(&self) -> usize {
        self.sets.values().map(|state| state.wants.len()).sum()
    }

    /// A session of this shard, as owners know it.
    pub(super) fn member(&self, slot: u32) -> Member {
        Member { shard: self.shard, session: ReceiverIndex::new(slot, self.shard) }
    }

    fn forget_unused(&mut self, set: SetId) {
        if let Some(state) = self.sets.get(&set)
            && state.key.is_none()
            && state.members.is_empty()
        {
            self.sets.remove(&set);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: SetId = SetId([7; 16]);
    const MS: Duration = Duration::from_millis(1);

    fn hold(slot: u32, segment: u32, deadline_ms: u32) -> Hold {
        Hold { slot, segment, deadline: Instant::ZERO + MS * deadline_ms, unicast: MS * 300 }
    }

    fn notes(holds: &mut Holds) -> Vec<Note> {
        core::iter::from_fn(|| holds.next_note().0).map(|(_, note)| note).collect()
    }

    /// Deadline, slot and waiters of each Want.
    fn wants(holds: &mut Holds) -> Vec<(u64, u32, u16)> {
        let told = |note| match note {
            Note::Want { deadline, member, waiters, .. } => {
                Some((deadline.as_nanos() / 1_000_000, member.session.slot(), waiters))
            }
            _ => None,
        };
        notes(holds).into_iter().filter_map(told).collect()
    }

    #[test]
    fn the_owner_is_told_of_the_first_the_second_and_the_earlier() {
        let mut holds = Holds::new(3);
        holds.want(SET, &hold(1, 9, 10_000));
        holds.want(SET, &hold(1, 9, 10_000));
        assert_eq!(wants(&mut holds), [(10_000, 1, 1)]);
        holds.want(SET, &hold(2, 9, 12_000));
        assert_eq!(wants(&mut holds), [(10_000, 1, 2)], "the first one's is the earliest");
        holds.want(SET, &hold(3, 9, 9_951));
        assert_eq!(wants(&mut holds), [], "49 ms");
        holds.want(SET, &hold(4, 9, 9_950));
        assert_eq!(wants(&mut holds), [(9_950, 4, 4)]);
    }

    #[test]
    fn the_last_one_that_leaves_says_so_and_nobody_does_who_was_served() {
        let mut holds = Holds::new(3);
        (1..=2).for_each(|slot| holds.want(SET, &hold(slot, 9, 10_000)));
        holds.want(SET, &hold(1, 10, 10_000));
        notes(&mut holds);
        holds.unwant(SET, 9, 1);
        holds.unwant(SET, 9, 1);
        assert_eq!(notes(&mut holds), []);
        holds.unwant(SET, 9, 2);
        assert_eq!(notes(&mut holds), [Note::Unwant { segment: 9, shard: 3 }]);
        assert_eq!(holds.take(&SET, 10), BTreeSet::from([1]));
        assert_eq!(holds.take(&SET, 10), BTreeSet::new());
        holds.unwant(SET, 10, 1);
        assert_eq!((notes(&mut holds), holds.segments()), (vec![], 0));
    }

    #[test]
    fn notes_beyond_their_bound_are_dropped_and_counted() {
        let mut holds = Holds::new(0);
        (0..NOTES_MAX as u32 + 5).for_each(|slot| holds.hears(SET, slot));
        assert_eq!(holds.next_note().1, 5);
        assert_eq!(holds.next_note().1, 0);
        assert_eq!(notes(&mut holds).len(), NOTES_MAX - 2);
    }

    #[test]
    fn a_set_is_forgotten_with_its_last_member_once_it_is_closed() {
        let mut holds = Holds::new(0);
        holds.hears(SET, 1);
        let open = Arc::new(GroupKey::closed());
        assert!(holds.set_key(SET, Some(Arc::clone(&open))));
        assert_eq!([0, 1, 2].map(|from| holds.next_member(&SET, from)), [Some(1), Some(1), None]);
        assert!(!holds.set_key(SET, Some(open)), "the same again");
        assert_eq!(holds.open(), [SET]);
        holds.gone(SET, 1);
        assert_eq!(holds.sets.len(), 1, "it is open");
        assert!(!holds.set_key(SET, None), "nobody is to be told");
        assert_eq!(holds.sets.len(), 0);
        assert!(!holds.set_key(SET, None), "nobody is to be told");
        assert_eq!(holds.sets.len(), 0);
    }
}
