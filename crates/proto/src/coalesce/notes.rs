//! What is done with each note.

use super::members::State;
use super::note::{Member, Note, SetFacts, UNICAST_MARGIN};
use super::queue::Queued;
use super::set::Set;
use super::{Coalescer, Event};
use crate::ids::SetId;
use crate::time::{Duration, Instant};

/// What is sent for somebody has been sent so long before they need it; and it begins so long before it would have to be
/// sent to them by unicast as [`UNICAST_MARGIN`] says.
const MARGIN: Duration = Duration::from_millis(500);

/// A [`Note::Want`].
struct Want {
    segment: u32,
    deadline: Instant,
    unicast: Duration,
    member: Member,
    waiters: u16,
}

impl Coalescer {
    /// Takes a note about `set`. What it asks for beyond a bound is refused and counted; nothing of it is believed that
    /// could touch another set, or another member's deadlines but by a group's order.
    pub fn note(&mut self, now: Instant, set: SetId, facts: &SetFacts, note: Note) {
        match note {
            Note::Hears { member } => self.on_hears(now, set, facts, member),
            Note::Gone { member } => self.on_gone(set, member),
            Note::Member { member, position, window, listening, lossy } => {
                if self.admit(now, set, facts, member) {
                    let state = State { hears: 0, position, window, lossy, told: now };
                    self.on_member(set, member, listening, state);
                }
            }
            Note::Want { segment, deadline, unicast, member, waiters } => {
                if let Some(slot) = self.line_of(&set, segment) {
                    let want = Want { segment, deadline, unicast, member, waiters };
                    self.on_want(set, slot, &want);
                }
            }
            Note::Unwant { segment, shard } => self.on_unwant(&set, segment, shard),
            Note::Lack { segment, symbols, .. } => {
                let slot = self.line_of(&set, segment);
                // Who lacks more than there is parity heard nothing: parity would not help them.
                if symbols <= facts.parity
                    && let Some(line) = slot.and_then(|slot| self.lines.get_mut(slot))
                {
                    line.first_parity.on_lack(symbols);
                }
            }
        }
    }

    /// The slot of the line that sends this segment.
    fn line_of(&self, set: &SetId, segment: u32) -> Option<u32> {
        self.sets.get(set)?.line_of(segment)
    }

    fn on_hears(&mut self, now: Instant, id: SetId, facts: &SetFacts, member: Member) {
        if !self.admit(now, id, facts, member) {
            return;
        }
        if let Some(set) = self.sets.get_mut(&id) {
            set.members.asks(now, member);
        }
        self.open(now, id);
    }

    /// Whether `member` is one of the set's, or becomes one.
    fn admit(&mut self, now: Instant, id: SetId, facts: &SetFacts, member: Member) -> bool {
        if self.sets.get(&id).is_some_and(|set| set.members.has(member)) {
            return true;
        }
        if self.members >= self.config.members {
            self.counters.members_refused += 1;
            return false;
        }
        self.members += 1;
        let chores = &mut self.chores;
        let set = self.sets.entry(id).or_insert_with(|| {
            let chore_at = now + super::chores::LOOK;
            chores.insert((chore_at, id));
            Set::new(*facts, chore_at)
        });
        set.members.asks(now, member);
        true
    }

    fn on_gone(&mut self, id: SetId, member: Member) {
        let Some(set) = self.sets.get_mut(&id) else { return };
        if set.members.has(member) {
            set.members.remove(member);
            self.members -= 1;
        }
        self.drop_empty(id);
    }

    /// `member` listens to the channels with these places in the list of all, and is otherwise as `state` says.
    fn on_member(&mut self, id: SetId, member: Member, listening: u32, state: State) {
        let Some(set) = self.sets.get_mut(&id) else { return };
        let (now, lines) = (state.told, &mut self.lines);
        let heard = set.lines.iter().enumerate().filter(|(at, _)| listening >> at & 1 != 0);
        let bits = heard.filter_map(|(_, slot)| lines.get(*slot)).fold(0, |bits, l| bits | l.bit);
        let before = set.members.hears(member, State { hears: bits, ..state });
        for slot in &set.lines {
            if let Some(line) = lines.get_mut(*slot)
                && bits & line.bit != 0
                && line.is_joined_anew(before, now)
            {
                line.joiners.push(member, now);
            }
        }
    }

    fn on_want(&mut self, id: SetId, slot: u32, want: &Want) {
        let Some(line) = self.lines.get_mut(slot) else { return };
        let Some(set) = self.sets.get(&id) else { return };
        if let Some(sending) = line.sending()
            && sending.job.segment == want.segment
        {
            sending.job.is_wanted_by(want.member.shard, want.waiters.max(1));
            // Who listens since before it began has all of it so far; who does not will be sent it anew.
            if !sending.has_begun() {
                return;
            }
            if set.heard_from_start(line, want.member, want.segment) {
                self.events.push_back((id, Event::Begun { segment: want.segment }));
                return;
            }
        }
        let before = (want.unicast + UNICAST_MARGIN).saturating_sub(line.takes()).max(MARGIN);
        let end_by = want.deadline - before;
        match line.queue.want(want.segment, end_by, want.member, want.waiters) {
            Queued::New => {
                self.events.push_back((id, Event::Populate { segment: want.segment }));
            }
            Queued::Known => {}
            Queued::Refused => {
                self.counters.jobs_refused += 1;
                self.events.push_back((id, Event::Alone { segment: want.segment }));
            }
        }
        self.lines.plan(slot);
    }

    fn on_unwant(&mut self, id: &SetId, segment: u32, shard: u8) {
        let Some(slot) = self.line_of(id, segment) else { return };
        let Some(line) = self.lines.get_mut(slot) else { return };
        line.queue.unwant(segment, shard);
        if let Some(sending) = line.sending()
            && sending.job.segment == segment
            && !sending.job.is_wanted_by(shard, 0)
            && !sending.has_begun()
        {
            line.stop();
        }
        self.lines.plan(slot);
    }
}
