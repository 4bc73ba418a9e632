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

impl Endpoint {
    /// The next note for the owner of a set; drain after every `handle_*`. More than 4096 that wait are dropped.
    pub fn poll_note(&mut self) -> Option<(SetId, Note)> {
        let (note, dropped) = self.holds.next_note();
        self.counters.group_notes_dropped += dropped;
        note
    }

    /// The groups of a set opened or changed, or are closed. Sessions that asked for the set with HEARS get a GROUP_KEY.
    /// The same `Arc` again changes nothing; an endpoint that drains keeps them closed.
    pub fn set_groups(&mut self, now: Instant, set: SetId, key: Option<Arc<GroupKey>>) {
        let key = key.filter(|_| !self.draining);
        let before = self.holds.key(&set).cloned();
        for slot in self.holds.set_key(set, key.clone()) {
            let Some(session) = self.table.session_mut(slot) else { continue };
            let keys = [before.as_deref(), key.as_deref()];
            session.on_groups(now, &set, keys, &mut self.holds, &mut self.counters);
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
