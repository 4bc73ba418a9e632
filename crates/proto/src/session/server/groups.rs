//! What the owners of sets and the sessions of this shard tell each other (section 20).
//!
//! A session's requests with HEARS become notes to the owner of their set; the owner's answers end the holds of all sessions
//! that wait for a segment. Nothing here depends on an answer: each hold ends by its own session's timer, too.

use std::sync::Arc;

use super::Endpoint;
use crate::coalesce::Note;
use crate::ids::SetId;
use crate::time::{Duration, Instant};
use crate::wire::GroupKey;

/// Members that are told of changed groups in one turn; each costs about a microsecond.
const TOLD_MAX: usize = 256;

impl Endpoint {
    /// The next note for the owner of a set; drain after every `handle_*`. More than 4096 that wait are dropped.
    pub fn poll_note(&mut self) -> Option<(SetId, Note)> {
        let (note, dropped) = self.holds.next_note();
        self.counters.group_notes_dropped += dropped;
        note
    }

    /// The groups of a set opened or changed, or are closed. Sessions that asked for the set with HEARS get a GROUP_KEY.
    /// The same `Arc` again changes nothing; an endpoint that drains keeps them closed. More than 256 members are told in
    /// the turns that follow.
    pub fn set_groups(&mut self, now: Instant, set: SetId, key: Option<Arc<GroupKey>>) {
        let key = key.filter(|_| !self.draining);
        if self.holds.set_key(set, key) {
            self.telling.insert(set, 0);
            self.tell_members(now);
        }
    }

    /// Tells members of sets whose groups changed. A set that changes again meanwhile begins anew: each member knows what
    /// it was told last.
    pub(super) fn tell_members(&mut self, now: Instant) {
        let mut left = TOLD_MAX;
        while left > 0
            && let Some((&set, &from)) = self.telling.first_key_value()
        {
            let Some(slot) = self.holds.next_member(&set, from) else {
                self.telling.remove(&set);
                continue;
            };
            self.telling.insert(set, slot + 1);
            left -= 1;
            let key = self.holds.key(&set).cloned();
            let Some(session) = self.table.session_mut(slot) else { continue };
            session.on_groups(now, &set, key.as_ref(), &mut self.holds, &mut self.counters);
            self.plan(now, slot, Duration::ZERO);
        }
    }

    /// A segment begins to be sent to its group: the requests that are held for it are finished.
    pub fn group_begun(&mut self, now: Instant, set: SetId, segment: u32) {
        for slot in self.holds.take(&set, segment) {
            let Some(session) = self.table.session_mut(slot) else { continue };
            self.counters.holds_by_group += session.on_begun(now, &set, segment);
            self.plan(now, slot, Duration::ZERO);
        }
    }

    /// A segment is not sent to its group: the requests that are held for it are served by unicast.
    pub fn group_alone(&mut self, now: Instant, set: SetId, segment: u32) {
        for slot in self.holds.take(&set, segment) {
            let Some(session) = self.table.session_mut(slot) else { continue };
            self.counters.holds_alone += session.on_alone(&set, segment);
            self.plan(now, slot, Duration::ZERO);
        }
    }

    /// Closes the groups of all sets.
    pub(super) fn close_groups(&mut self, now: Instant) {
        for set in self.holds.open() {
            self.set_groups(now, set, None);
        }
    }
}
