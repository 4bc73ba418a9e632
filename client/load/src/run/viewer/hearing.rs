//! What groups bring to a viewer who watches, and what is asked for when they do not.

use segcast_proto::ids::{ChannelId, ObjectNumber};
use segcast_proto::session::client::GroupEvent;
use segcast_proto::session::client::groups::{Groups, GroupsEvent, Route};
use segcast_proto::session::ranges::RangeSet;
use segcast_proto::time::Instant;
use segcast_proto::wire::ClearHeader;

use super::{Link, Viewer};
use crate::record::{Class, Failure, Wire};
use crate::run::fan::Wish;
use crate::run::segment::Segment;
use crate::run::setting::{Setting, Wanted};
use crate::run::tally::{End, Tally};

impl Viewer {
    /// A datagram came to a group of the edge; `scratch`: where it can be opened. Says whether the viewer is a member.
    pub(in crate::run) fn hear(
        &mut self,
        setting: &Setting<'_>,
        now: Instant,
        datagram: &[u8],
        scratch: &mut Vec<u8>,
    ) -> bool {
        let groups = self.watching.as_mut().and_then(|watching| watching.groups.as_mut());
        let Ok(header) = ClearHeader::decode(datagram) else { return false };
        let channel = ChannelId(header.receiver.0);
        let Some(groups) = groups.filter(|groups| groups.is_member(channel)) else { return false };
        scratch.clear();
        scratch.extend_from_slice(datagram);
        groups.handle_datagram(now, setting.manifest(self.viewing.title), scratch);
        true
    }

    /// What is to be joined or left next.
    pub(in crate::run) fn take_wish(&mut self) -> Option<Wish> {
        self.watching.as_mut()?.take_wish()
    }

    /// The system has refused to join a group.
    pub(in crate::run) fn join_failed(&mut self, now: Instant, route: Route) {
        if let Some(watching) = &mut self.watching {
            watching.join_failed(now, route);
        }
    }

    /// Wants the segments whose time has come.
    pub(super) fn watch(&mut self, setting: &Setting<'_>, now: Instant, tally: &mut Tally) {
        while now < self.until
            && !matches!(self.link, Link::Waiting(_))
            && let Some((number, due, deadline)) =
                self.watching.as_mut().and_then(|watching| watching.take_due(now))
        {
            if self.segments.iter().all(|segment| segment.number != number) {
                let wanted = self.wanted_of(number);
                self.intend(
                    setting.watched(wanted, due.max(self.came_at(setting)), deadline),
                    tally,
                );
            }
        }
    }

    fn came_at(&self, setting: &Setting<'_>) -> Instant {
        setting.begin + self.viewing.at
    }

    fn wanted_of(&self, number: u32) -> Wanted {
        let class = if number == 0 { Class::Start } else { Class::Next };
        Wanted { title: self.viewing.title, number, k: number, class }
    }

    /// Takes in what the session and the groups tell of groups.
    pub(super) fn hear_groups(&mut self, setting: &Setting<'_>, now: Instant, tally: &mut Tally) {
        let groups = self.watching.as_mut().and_then(|watching| watching.groups.take());
        let Some(mut groups) = groups else { return };
        while let Some(event) = self.session.poll_group_event() {
            match event {
                GroupEvent::Key { serial, key, .. } => groups.on_group_key(now, serial, &key),
                GroupEvent::Promised { object, .. } => {
                    if !groups.promised(now, object.0) {
                        let bytes =
                            setting.plan.titles[usize::from(self.viewing.title)].segment_bytes;
                        let nothing = (vec![0; bytes as usize], RangeSet::default());
                        self.rest(setting, now, object, nothing, tally);
                    }
                }
            }
        }
        let mut came = Vec::new();
        while let Some(event) = groups.poll_event() {
            match event {
                GroupsEvent::Segment { segment, bytes } => came.push((segment, bytes)),
                GroupsEvent::Rest { object, bytes, have } => {
                    self.rest(setting, now, object, (bytes, have), tally);
                }
                GroupsEvent::Join(route) => self.wish(Wish::Join(route)),
                GroupsEvent::Leave(route) => self.wish(Wish::Leave(route)),
                GroupsEvent::Refused(refusal) => tracing::warn!(%refusal, "groups are not joined"),
            }
        }
        self.send_report(setting, now, &mut groups);
        if let Some(watching) = &mut self.watching {
            watching.groups = Some(groups);
        }
        for (segment, bytes) in came {
            self.on_whole(setting, now, segment, &bytes, tally);
        }
    }

    fn send_report(&mut self, setting: &Setting<'_>, now: Instant, groups: &mut Groups) {
        if let Some(report) = groups.poll_report(now) {
            let handle = setting.plan.titles[usize::from(self.viewing.title)].handle;
            self.session.send_group_report(handle, report);
        }
    }

    fn wish(&mut self, wish: Wish) {
        if let Some(watching) = &mut self.watching {
            watching.wish(wish);
        }
    }

    /// A segment came by a group as a whole.
    fn on_whole(
        &mut self,
        setting: &Setting<'_>,
        now: Instant,
        number: u32,
        bytes: &[u8],
        tally: &mut Tally,
    ) {
        if self.watching.as_ref().is_none_or(|watching| watching.has(number)) {
            return;
        }
        let at = self.known(setting, now, number, tally);
        let segment = self.segments.remove(at);
        if segment.asked.is_some() {
            self.asked -= 1;
            self.session.cancel(segment.handle, ObjectNumber(number));
            self.note_free(now);
        }
        tally.wire(Wire { heard_bytes: bytes.len() as u64, ..Wire::default() });
        let end = if !setting.is_right(&segment, bytes) {
            End::Failed(Failure::WrongBytes)
        } else if now > segment.deadline {
            End::Late
        } else {
            End::Complete
        };
        self.end_segment(segment, end, now, tally);
    }

    /// Where a segment stands that is wanted; one that a group brought unasked is from now on.
    fn known(
        &mut self,
        setting: &Setting<'_>,
        now: Instant,
        number: u32,
        tally: &mut Tally,
    ) -> usize {
        let known = self.segments.iter().position(|segment| segment.number == number);
        known.unwrap_or_else(|| {
            let deadline = self.watching.as_ref().map_or(now, |w| w.deadline(number));
            let segment = setting.watched(self.wanted_of(number), now, deadline);
            tally.intended(segment.phase);
            self.segments.push(segment);
            self.segments.len() - 1
        })
    }

    /// Asks for what a group left out of a segment, or of its leaves.
    fn rest(
        &mut self,
        setting: &Setting<'_>,
        now: Instant,
        object: ObjectNumber,
        (mut bytes, have): (Vec<u8>, RangeSet),
        tally: &mut Tally,
    ) {
        let number = object.as_leaves().unwrap_or(object.0);
        let Some(watching) = self.watching.as_ref().filter(|w| !w.has(number)) else { return };
        let left = watching.deadline(number).saturating_since(now);
        let handle = setting.plan.titles[usize::from(self.viewing.title)].handle;
        self.session.cancel(handle, object);
        let heard_bytes = have.len();
        if object.as_leaves().is_some() {
            // Without them the symbols that wait for them count as missing.
            let _ = self.session.fetch_rest(now, handle, object, &mut bytes, have, left);
            return;
        }
        let at = self.known(setting, now, number, tally);
        if self.session.fetch_rest(now, handle, object, &mut bytes, have, left).is_ok() {
            tally.wire(Wire { heard_bytes, ..Wire::default() });
            self.asked += usize::from(self.segments[at].asked.is_none());
            self.segments[at].asked.get_or_insert(now);
        } else if self.segments[at].asked.take().is_some() {
            // It is asked for as a whole, when there is room.
            self.asked -= 1;
        }
    }

    /// Leaves of a segment that were asked for have come; false for anything else.
    pub(super) fn on_leaves(
        &mut self,
        setting: &Setting<'_>,
        now: Instant,
        object: ObjectNumber,
        bytes: &[u8],
    ) -> bool {
        let Some(segment) = object.as_leaves() else { return false };
        if let Some(groups) = self.watching.as_mut().and_then(|watching| watching.groups.as_mut()) {
            groups.on_leaves(now, setting.manifest(self.viewing.title), segment, bytes);
        }
        true
    }

    /// A segment has come by unicast: what of it parity of a group replaces was not asked for, and is computed.
    pub(super) fn compute(&mut self, object: ObjectNumber, bytes: &mut [u8]) {
        if let Some(groups) = self.watching.as_mut().and_then(|watching| watching.groups.as_mut()) {
            groups.complete(object.0, bytes);
        }
    }

    /// Asks for a segment that a group may bring.
    pub(super) fn ask_hearing(&mut self, segment: &Segment, now: Instant) -> bool {
        // Memory that nobody has written to yet costs nothing, and most of it never will be.
        let mut bytes = vec![0; segment.bytes as usize];
        let (object, left) = (ObjectNumber(segment.number), segment.deadline.saturating_since(now));
        self.session.fetch_hearing(now, segment.handle, object, &mut bytes, left).is_ok()
    }
}
