//! Who waits for which object, and whose turn it is to have one read in.
//!
//! A session stands here as long as it has a request that waits, and at most once for each object. Objects are asked
//! for by turns of the sessions: who waits for sixty holds nobody up who waits for one. What was asked for is
//! remembered until it is answered, though nobody may wait for it any more: it is never asked for twice. Whoever was the
//! last to give it up has no other turn until then: else who asks and cancels would have a read under way for each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::ids::{ObjectNumber, SetIndex};

/// An object of a set.
pub(super) type Key = (SetIndex, ObjectNumber);

/// One object that is not resident.
#[derive(Debug, Default)]
struct Wanted {
    /// Slots of the sessions that wait for it.
    slots: BTreeSet<u32>,
    /// The caller is reading it in.
    asked: bool,
    /// Who gave it up last while it is read in and nobody waits for it.
    left_by: Option<u32>,
}

/// One session that waits, or did when it joined the round.
#[derive(Debug, Default)]
struct Session {
    /// What it waits for, in the order of its requests' turns: at most one for each open request.
    keys: Vec<Key>,
    in_round: bool,
    /// Objects that it gave up and that are being read in: no turn until there is none. They stay with the slot, should
    /// another session have it by then.
    left: usize,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    objects: BTreeMap<Key, Wanted>,
    sessions: BTreeMap<u32, Session>,
    /// Slots that may wait for something that was not asked for.
    round: VecDeque<u32>,
}

impl Waiters {
    /// The session in `slot` waits for an object.
    pub(super) fn join(&mut self, slot: u32, key: Key) {
        let wanted = self.objects.entry(key).or_default();
        if !wanted.slots.insert(slot) {
            return;
        }
        let (asked, left_by) = (wanted.asked, wanted.left_by.take());
        self.sessions.entry(slot).or_default().keys.push(key);
        if !asked {
            self.enter_round(slot);
        }
        self.settle(left_by);
    }

    /// The session in `slot` does not wait for this object any more.
    pub(super) fn leave(&mut self, slot: u32, key: Key) {
        self.forget(slot, key);
        let Some(wanted) = self.objects.get_mut(&key) else { return };
        if !wanted.slots.remove(&slot) || !wanted.slots.is_empty() {
            return;
        }
        if wanted.asked {
            wanted.left_by = Some(slot);
            self.sessions.entry(slot).or_default().left += 1;
        } else {
            self.objects.remove(&key);
        }
    }

    /// The session in `slot` waits for nothing any more.
    pub(super) fn leave_all(&mut self, slot: u32) {
        while let Some(&key) = self.sessions.get(&slot).and_then(|session| session.keys.last()) {
            self.leave(slot, key);
        }
    }

    /// The next object to ask for.
    pub(super) fn next(&mut self) -> Option<Key> {
        loop {
            let slot = self.round.pop_front()?;
            let Some(session) = self.sessions.get_mut(&slot) else { continue };
            if session.left > 0 {
                session.in_round = false;
                continue;
            }
            let objects = &mut self.objects;
            let mut keys = session.keys.iter().filter(|key| !is_asked(objects, key));
            let (next, more) = (keys.next().copied(), keys.next().is_some());
            session.in_round = more;
            if more {
                self.round.push_back(slot);
            } else if session.keys.is_empty() {
                self.sessions.remove(&slot);
            }
            if let Some(wanted) = next.and_then(|key| objects.get_mut(&key)) {
                wanted.asked = true;
                return next;
            }
        }
    }

    /// An object has been read in, or could not be: who waited for it.
    pub(super) fn take(&mut self, key: Key) -> BTreeSet<u32> {
        let Wanted { slots, left_by, .. } = self.objects.remove(&key).unwrap_or_default();
        self.settle(left_by);
        slots.iter().for_each(|&slot| self.forget(slot, key));
        slots
    }

    /// Objects that are waited for, or being read in.
    pub(super) fn objects(&self) -> usize {
        self.objects.len()
    }

    /// A session has its turns again, unless it gave up others that are being read in.
    fn enter_round(&mut self, slot: u32) {
        if let Some(session) = self.sessions.get_mut(&slot)
            && session.left == 0
            && !core::mem::replace(&mut session.in_round, true)
        {
            self.round.push_back(slot);
        }
    }

    /// What this session gave up has been read in, or somebody waits for it again.
    fn settle(&mut self, left_by: Option<u32>) {
        let Some(slot) = left_by else { return };
        let Some(session) = self.sessions.get_mut(&slot) else { return };
        session.left = session.left.saturating_sub(1);
        if session.keys.is_empty() {
            self.drop_unless_needed(slot);
        } else {
            self.enter_round(slot);
        }
    }

    /// Takes an object off a session's list. A slot in the round stays known until its turn, so that it is there once.
    fn forget(&mut self, slot: u32, key: Key) {
        let Some(session) = self.sessions.get_mut(&slot) else { return };
        session.keys.retain(|other| *other != key);
        self.drop_unless_needed(slot);
    }

    fn drop_unless_needed(&mut self, slot: u32) {
        let needed =
            |session: &Session| !session.keys.is_empty() || session.in_round || session.left > 0;
        if self.sessions.get(&slot).is_some_and(|session| !needed(session)) {
            self.sessions.remove(&slot);
        }
    }
}

fn is_asked(objects: &BTreeMap<Key, Wanted>, key: &Key) -> bool {
    objects.get(key).is_none_or(|wanted| wanted.asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(object: u32) -> Key {
        (SetIndex::FIRST, ObjectNumber(object))
    }

    fn all(waiters: &mut Waiters) -> Vec<u32> {
        core::iter::from_fn(|| waiters.next()).map(|(_, object)| object.0).collect()
    }

    fn nothing_is_left(waiters: &Waiters) {
        let left = (waiters.objects.len(), waiters.sessions.len(), waiters.round.len());
        assert_eq!(left, (0, 0, 0), "{waiters:?}");
    }

    #[test]
    fn objects_are_asked_for_by_turns_of_sessions_and_once() {
        let mut waiters = Waiters::default();
        (0..4).for_each(|object| waiters.join(1, key(object)));
        [10, 0, 11].into_iter().for_each(|object| waiters.join(2, key(object)));
        waiters.join(1, key(0));
        assert_eq!(all(&mut waiters), [0, 10, 1, 11, 2, 3]);
        assert_eq!(waiters.take(key(0)), BTreeSet::from([1, 2]));
        assert_eq!(waiters.take(key(0)), BTreeSet::new());
        waiters.join(2, key(1));
        assert_eq!(all(&mut waiters), [0; 0], "it is being read in");
    }

    #[test]
    fn who_leaves_before_the_object_is_asked_for_leaves_nothing() {
        let mut waiters = Waiters::default();
        for turn in 0..1000 {
            waiters.join(3, key(turn));
            waiters.leave(3, key(turn));
        }
        assert_eq!((waiters.round.len(), waiters.objects()), (1, 0));
        (0..64).for_each(|object| waiters.join(3, key(object)));
        waiters.leave_all(3);
        assert_eq!(all(&mut waiters), [0; 0]);
        nothing_is_left(&waiters);
    }

    #[test]
    fn what_is_asked_for_is_known_until_it_is_answered() {
        let mut waiters = Waiters::default();
        waiters.join(3, key(7));
        assert_eq!(all(&mut waiters), [7]);
        waiters.leave(3, key(7));
        waiters.leave(3, key(7));
        assert_eq!(waiters.objects(), 1);
        waiters.join(4, key(7));
        assert_eq!(all(&mut waiters), [0; 0]);
        assert_eq!(waiters.take(key(7)), BTreeSet::from([4]));
        nothing_is_left(&waiters);
    }

    #[test]
    fn who_gave_up_what_is_being_read_in_has_no_turn_until_that_is_done_or_wanted_again() {
        let mut waiters = Waiters::default();
        [1, 2, 3].into_iter().for_each(|object| waiters.join(3, key(object)));
        let first_two = [waiters.next(), waiters.next()];
        assert_eq!(first_two, [Some(key(1)), Some(key(2))]);
        (1..=2).for_each(|object| waiters.leave(3, key(object)));
        waiters.join(3, key(4));
        assert_eq!(all(&mut waiters), [0; 0]);
        waiters.take(key(1));
        assert_eq!(all(&mut waiters), [0; 0], "the second is still under way");
        waiters.join(4, key(2));
        assert_eq!(all(&mut waiters), [3, 4]);
        (2..=4).for_each(|object| drop(waiters.take(key(object))));
        nothing_is_left(&waiters);
    }
}
