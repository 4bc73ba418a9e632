//! A session that asks with HEARS: requests that a group may serve, and how each of them ends (section 20).
//!
//! A request is *held* as long as a group may still serve it in time. It ends in one of four ways: the segment begins to be
//! sent to the group, its owner says that it stays alone, the time that unicast needs begins, or the session no longer
//! hears the group. The last three wake it, and it is served like any other.

use core::ops::Range;
use std::sync::Arc;

use super::ending::Ending;
use super::line::Line;
use super::membership::Membership;
use super::messages::Context;
use super::state::Session;
use crate::coalesce::{Note, UNICAST_MARGIN, UNICAST_MAX, UNICAST_MIN, UNKNOWN_PATH};
use crate::crypto::Opened;
use crate::ids::{ObjectNumber, SetId, SetIndex};
use crate::limits::{DATAGRAM_BASE, SYMBOL};
use crate::segment::geometry::LEAVES_PER_GROUP;
use crate::session::server::counters::Counters;
use crate::session::server::holds::{Hold, Holds};
use crate::session::server::source::SegmentSource;
use crate::time::{Duration, Instant};
use crate::wire::code::Code;
use crate::wire::request::{FLAG_HEARS, FLAG_REPAIR, Request};
use crate::wire::{FrameHeader, GroupChannel, GroupKey, GroupReport};

/// What the owner is told that unicast takes longer than it does, so that its word comes before the hold ends.
const NOTES: Duration = Duration::from_millis(20);

/// A request that is to be held.
pub(super) struct Held {
    set: SetId,
    hold: Hold,
    pub(super) deadline: Instant,
    /// The hold ends so long before the deadline.
    pub(super) lead: Duration,
    listens: bool,
    /// Another request of this shard is held for the segment.
    pub(super) has_company: bool,
}

impl Session {
    /// A REQUEST for an object of `len` bytes. With HEARS it makes the session a member of its set, and invites it if the
    /// set's groups are open; says how the request is held, if it is.
    pub(super) fn hears<S: SegmentSource>(
        &mut self,
        frame: &FrameHeader,
        set: SetIndex,
        request: &Request,
        len: u32,
        source: &S,
        context: &mut Context<'_>,
    ) -> Option<Held> {
        if !context.multicast || request.flags & FLAG_HEARS == 0 {
            return None;
        }
        let (now, holds) = (context.now, &mut *context.holds);
        let segment = frame.object.as_segment()?;
        let (id, facts) = source.facts(set)?;
        let playing = facts.playing.filter(|_| segment < facts.segments)?;
        self.note_path();
        let waits = context.overload.wait(now);
        let unicast = (self.unicast_time(len, playing) + waits).clamp(UNICAST_MIN, UNICAST_MAX);
        let slot = self.index().slot();
        let joins = || Membership::new(now, id, set, frame.set_handle, Line::new(now, segment));
        let member = self.groups.get_or_insert_default().join(id, joins, slot, holds)?;
        if member.asks(now) {
            holds.hears(id, slot);
        }
        if let Some(key) = holds.key(&id).filter(|_| member.is_to_be_invited()) {
            member.announce(now, key);
        }
        if request.flags & FLAG_REPAIR != 0 {
            if member.hears(segment) {
                let (member, deadline) = (holds.member(slot), now + deadline_of(request));
                let symbols = symbols_of(request, len);
                holds.note(id, Note::Lack { segment, member, symbols, deadline });
            }
            return None;
        }
        if context.draining || !request.ranges.is_empty() {
            return None;
        }
        let claimed = now + deadline_of(request);
        let deadline = member.line.deadline(now, segment, claimed, playing);
        // What begins to be sent later than this comes too late by the group, or would by unicast.
        let by_group = member.key().map_or(Duration::ZERO, |key| send_time(key, segment, len));
        let lead = unicast.max(by_group) + UNICAST_MARGIN;
        (deadline > now + lead && member.may_hold(segment)).then(|| Held {
            set: id,
            hold: Hold { slot, segment, deadline, unicast: unicast + NOTES },
            deadline,
            lead,
            listens: member.hears(segment),
            has_company: holds.is_wanted(&id, segment),
        })
    }

    /// A request stands in the queue and is held.
    pub(super) fn on_held(&self, held: &Held, context: &mut Context<'_>) {
        context.counters.holds += 1;
        if held.listens {
            context.holds.want(held.set, &held.hold);
        }
    }

    /// Remembers what the path carries, beyond the rate model, which goes when nothing is sent.
    fn note_path(&mut self) {
        let known = self.known_rate();
        if known.is_some()
            && let Some(groups) = &mut self.groups
        {
            groups.path = known;
        }
    }

    /// What a segment of `len` bytes that plays for `playing` takes by unicast.
    fn unicast_time(&self, len: u32, playing: Duration) -> Duration {
        let path = self.groups.as_ref().and_then(|groups| groups.path);
        let cap = self.rate_cap.map_or(Duration::ZERO, |cap| cap.time_for(len.into()));
        path.map_or(playing / UNKNOWN_PATH, |path| path.time_for(len.into())).max(cap)
    }

    /// GROUP_REPORT: what the session listens to, and what it lacks.
    pub(super) fn on_group_report(
        &mut self,
        opened: &Opened<'_>,
        context: Context<'_>,
    ) -> Result<(), Ending> {
        let report = GroupReport::decode(opened.payload).map_err(|_| Code::ProtocolViolation)?;
        let Context { now, counters, holds, .. } = context;
        counters.group_reports += 1;
        let FrameHeader { set_handle, offset: number, object, .. } = opened.frame;
        let groups = self.groups.as_mut();
        let found = groups.and_then(|groups| groups.with_handle(set_handle));
        let Some((at, member)) = found.filter(|(_, member)| member.is_newer(number)) else {
            return Ok(());
        };
        member.on_report(now, number, object.0, &report);
        self.review(now, at, holds, counters);
        Ok(())
    }

    /// The groups of a set are others than before, or closed.
    pub(in crate::session::server) fn on_groups(
        &mut self,
        now: Instant,
        set: &SetId,
        key: Option<&Arc<GroupKey>>,
        holds: &mut Holds,
        counters: &mut Counters,
    ) {
        let Some((at, member)) = self.groups.as_mut().and_then(|groups| groups.of(set)) else {
            return;
        };
        match key {
            Some(key) => member.announce(now, key),
            None => member.close(now),
        }
        self.review(now, at, holds, counters);
    }

    /// What a member listens to may have changed: its owner is told of it, of what is held and can be heard now, and
    /// what cannot be heard any more wakes.
    fn review(&mut self, now: Instant, at: usize, holds: &mut Holds, counters: &mut Counters) {
        let slot = self.index().slot();
        let Some(member) = self.groups.as_mut().and_then(|groups| groups.sets.get_mut(at)) else {
            return;
        };
        if let Some(note) = member.tell(now, holds.member(slot)) {
            holds.note(member.set, note);
        }
        let (set, index) = (member.set, member.index);
        let Some(work) = self.work.as_mut() else { return };
        let mut next = 0;
        while let Some((at, request)) =
            work.queue.find_held(|(at, request)| *at >= next && request.set == index)
        {
            next = at + 1;
            let (segment, deadline) = (request.object.0, request.deadline);
            let unicast = deadline.saturating_since(request.hold_until() + UNICAST_MARGIN) + NOTES;
            if member.hears(segment) {
                holds.want(set, &Hold { slot, segment, deadline, unicast });
            } else if !member.may_hold(segment) {
                work.queue.release(at);
                holds.unwant(set, segment, slot);
                counters.holds_ended += 1;
            }
        }
    }

    /// The segment begins to be sent to the group: the requests that are held for it are finished. Says how many.
    pub(in crate::session::server) fn on_begun(
        &mut self,
        now: Instant,
        set: &SetId,
        segment: u32,
    ) -> u64 {
        let mut served = 0;
        while let Some((at, bytes)) = self.held_for(set, segment) {
            self.finish(now, at);
            if let Some(groups) = &mut self.groups {
                groups.served += bytes;
            }
            served += 1;
        }
        served
    }

    /// The segment is not sent to the group: the requests that are held for it wake. Says how many.
    pub(in crate::session::server) fn on_alone(&mut self, set: &SetId, segment: u32) -> u64 {
        let mut woken = 0;
        while let Some((at, _)) = self.held_for(set, segment) {
            let Some(work) = self.work.as_mut() else { break };
            work.queue.release(at);
            woken += 1;
        }
        woken
    }

    /// Position and bytes of a request that is held for a segment.
    fn held_for(&mut self, set: &SetId, segment: u32) -> Option<(usize, u64)> {
        let (_, member) = self.groups.as_mut()?.of(set)?;
        let object = ObjectNumber(segment);
        let queue = &self.work.as_ref()?.queue;
        let (at, request) = queue.find_held(|(_, r)| r.is_for(member.index, object))?;
        Some((at, request.left()))
    }

    /// When something of its memberships is due, or a hold ends.
    pub(super) fn group_timer(&self) -> Instant {
        let Some(groups) = &self.groups else { return Instant::FAR_FUTURE };
        let held = self.work.as_ref().and_then(|work| work.queue.next_release());
        let times = groups.sets.iter().map(Membership::timer).chain(held);
        times.min().unwrap_or(Instant::FAR_FUTURE)
    }

    /// Lets the timers of its memberships fire, and ends the holds whose time has come.
    pub(in crate::session::server) fn on_group_timer(
        &mut self,
        now: Instant,
        holds: &mut Holds,
        counters: &mut Counters,
    ) {
        let sets = self.groups.as_ref().map_or(0, |groups| groups.sets.len());
        for at in 0..sets {
            let member = self.groups.as_mut().and_then(|groups| groups.sets.get_mut(at));
            if member.is_some_and(|member| member.on_timer(now)) {
                self.review(now, at, holds, counters);
            }
        }
        while let Some(work) = self.work.as_mut()
            && let Some((at, request)) = work.queue.find_held(|(_, r)| r.hold_until() <= now)
        {
            let (set, object) = (request.set, request.object);
            work.queue.release(at);
            counters.holds_late += 1;
            self.unwant(set, object, holds);
        }
    }

    /// A request that was held for an object is not any more.
    pub(super) fn unwant(&mut self, set: SetIndex, object: ObjectNumber, holds: &mut Holds) {
        let slot = self.index().slot();
        let (Some(groups), Some(work)) = (&self.groups, &self.work) else { return };
        let member = groups.sets.iter().find(|member| member.index == set);
        if let Some(member) = member.filter(|_| !work.queue.holds(set, object)) {
            holds.unwant(member.set, object.0, slot);
        }
    }

    /// Its requests go, whatever they wait for.
    pub(super) fn unwant_all(&mut self, holds: &mut Holds) {
        while let Some(work) = self.work.as_mut()
            && let Some((at, request)) = work.queue.find_held(|_| true)
        {
            let (set, object) = (request.set, request.object);
            work.queue.release(at);
            self.unwant(set, object, holds);
        }
    }

    /// It ends, and is a member of no set any more.
    pub(in crate::session::server) fn leave_groups(&mut self, holds: &mut Holds) {
        self.unwant_all(holds);
        let slot = self.index().slot();
        for member in self.groups.take().into_iter().flat_map(|groups| groups.sets) {
            holds.gone(member.set, slot);
        }
    }

    /// Whether a GROUP_KEY is due.
    pub(super) fn has_group_key(&self, now: Instant) -> bool {
        self.groups
            .as_ref()
            .is_some_and(|groups| groups.sets.iter().any(|member| member.key_due(now).is_some()))
    }
}

/// What a segment of `len` bytes takes by its group at most: leaves twice, and an eighth more of symbols as parity.
fn send_time(key: &GroupKey, segment: u32, len: u32) -> Duration {
    let covers = |channel: &&GroupChannel| (channel.first..channel.end).contains(&segment);
    let symbols = u64::from(len.div_ceil(SYMBOL as u32)) * 9 / 8 + 1;
    let datagrams = symbols + 2 * symbols.div_ceil(LEAVES_PER_GROUP.into());
    let takes = |channel: &GroupChannel| channel.pace().time_for(datagrams * DATAGRAM_BASE as u64);
    key.channels.iter().find(covers).map_or(Duration::ZERO, takes)
}

fn deadline_of(request: &Request) -> Duration {
    Duration::from_millis(request.deadline_ms.into())
}

/// Symbols of an object of `len` bytes that a request asks for, whole or in part.
fn symbols_of(request: &Request, len: u32) -> u16 {
    let symbol = SYMBOL as u32;
    let touched = |range: Range<u32>| {
        let end = range.end.min(len).div_ceil(symbol);
        end.saturating_sub(range.start / symbol)
    };
    let all = if request.ranges.is_empty() { touched(0..len) } else { 0 };
    let ranges = request.ranges.iter().map(touched).fold(all, u32::saturating_add);
    u16::try_from(ranges).unwrap_or(u16::MAX)
}
