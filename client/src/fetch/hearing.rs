//! Groups of a title that is watched: what comes to them is taken in, whole segments are handed over, and what is missing of
//! others is asked for.

use std::net::IpAddr;

use segcast_proto::ids::{ObjectNumber, SetHandle};
use segcast_proto::rate::Rate;
use segcast_proto::segment::manifest::Manifest;
use segcast_proto::session::client::GroupEvent;
use segcast_proto::session::client::groups::{Groups, GroupsConfig, GroupsEvent};
use segcast_proto::session::ranges::RangeSet;
use segcast_proto::time::Instant;
use segcast_proto::wire::group_report::WINDOW_ALL;

use super::edges::Edges;
use super::report::Heard;
use super::schedule::Schedule;
use crate::connection::now;

/// The groups of one title, by one session at a time.
pub(super) struct Hearing {
    groups: Groups,
    handle: SetHandle,
    /// Bytes of a segment.
    bytes: usize,
    /// The session.
    session: Option<usize>,
    /// The first segment that is not there.
    position: u32,
    /// Times that a group was given up, as far as that was told.
    deaf: u64,
}

impl Hearing {
    /// Joins what one of `sources` announces, up to `rate`.
    pub(super) fn new(
        sources: Vec<IpAddr>,
        rate: Rate,
        manifest: &Manifest,
        handle: SetHandle,
        seed: [u8; 32],
    ) -> Self {
        let config = GroupsConfig { sources, rate, window: WINDOW_ALL };
        let bytes = manifest.root().geometry().segment_bytes() as usize;
        let groups = Groups::new(config, manifest, seed);
        Self { groups, handle, bytes, session: None, position: 0, deaf: 0 }
    }

    /// The session by which groups are heard: the first one that is open, as long as it is. A new one begins anew.
    pub(super) fn choose_session(&mut self, edges: &mut Edges) -> Option<usize> {
        let chosen = self.session.filter(|index| edges.is_open(*index));
        if chosen.is_none() {
            self.session = (0..edges.connections().len()).find(|index| edges.is_open(*index));
            if self.session.is_some() {
                self.groups.on_session();
            }
        }
        self.session
    }

    /// The session was closed by one of its sides.
    pub(super) fn lost(&mut self, index: usize) {
        self.session.take_if(|session| *session == index);
    }

    /// `segment` is there, or on its way by unicast.
    pub(super) fn taken(&mut self, segment: u32) {
        self.groups.set_wanted(segment, false);
    }

    /// It is wanted from groups, too: what came of it was wrong.
    pub(super) fn wanted(&mut self, segment: u32) {
        self.groups.set_wanted(segment, true);
    }

    /// Whether a part of `segment` has come by a group, and the rest may.
    pub(super) fn is_coming(&self, segment: u32) -> bool {
        self.groups.is_open(segment)
    }

    /// `segment` has come by unicast: its last bytes, after what a group brought, or all of it.
    pub(super) fn complete(&mut self, segment: u32, bytes: &mut [u8]) {
        self.groups.complete(segment, bytes);
    }

    /// Leaves that were asked for have come.
    pub(super) fn on_leaves(&mut self, manifest: &Manifest, segment: u32, bytes: &[u8]) {
        self.groups.on_leaves(now(), manifest, segment, bytes);
    }

    /// Takes in what has come to groups, and does what is to be done. Gives the segments that came whole; they are being
    /// checked, as the schedule has it.
    pub(super) fn turn(
        &mut self,
        manifest: &Manifest,
        edges: &mut Edges,
        schedule: &mut Schedule,
    ) -> Vec<(u32, Vec<u8>)> {
        while let Some(mut datagram) = edges.connections().take_heard() {
            self.groups.handle_datagram(now(), manifest, &mut datagram);
        }
        let at = now();
        self.groups.handle_timeout(at);
        self.move_on(at, schedule);
        let mut whole = Vec::new();
        let Some(session) = self.session else { return whole };
        while let Some(event) = edges.connections().session(session).poll_group_event() {
            self.on_session(at, session, event, edges, schedule);
        }
        while let Some(event) = self.groups.poll_event() {
            match event {
                GroupsEvent::Segment { segment, bytes } => {
                    if schedule.overheard(segment, session) {
                        self.cancel(edges, ObjectNumber(segment));
                        whole.push((segment, bytes));
                    }
                }
                GroupsEvent::Rest { object, bytes, have } => {
                    self.cancel(edges, object);
                    self.rest(at, session, object, (bytes, have), edges, schedule);
                }
                other => self.on_group(at, other, edges),
            }
        }
        self.tell_if_deaf();
        if let Some(report) = self.groups.poll_report(at) {
            edges.connections().session(session).send_group_report(self.handle, report);
        }
        whole
    }

    fn move_on(&mut self, at: Instant, schedule: &Schedule) {
        let before = self.position;
        while schedule.has(self.position) {
            self.position += 1;
        }
        if self.position != before {
            self.groups.set_position(at, self.position);
        }
    }

    fn on_session(
        &mut self,
        at: Instant,
        session: usize,
        event: GroupEvent,
        edges: &mut Edges,
        schedule: &mut Schedule,
    ) {
        match event {
            GroupEvent::Key { serial, key, .. } => self.groups.on_group_key(at, serial, &key),
            GroupEvent::Promised { object, .. } => {
                if !self.groups.promised(at, object.0) {
                    let nothing = (vec![0; self.bytes], RangeSet::default());
                    self.rest(at, session, object, nothing, edges, schedule);
                }
            }
        }
    }

    fn tell_if_deaf(&mut self) {
        let before = std::mem::replace(&mut self.deaf, self.groups.stats().deaf);
        if self.deaf > before {
            tracing::warn!(
                "nothing comes by a group that was joined: does the network carry multicast, and let IGMP or MLD through? \
                 All comes by unicast; it is tried again in a minute"
            );
        }
    }

    fn on_group(&mut self, at: Instant, event: GroupsEvent, edges: &mut Edges) {
        match event {
            GroupsEvent::Join(route) => {
                if let Err(error) = edges.connections().join(&route) {
                    tracing::warn!(group = %route.group, %error, "not joined: all comes by unicast");
                    self.groups.join_failed(at, route);
                    self.deaf = self.groups.stats().deaf;
                }
            }
            GroupsEvent::Leave(route) => {
                if let Err(error) = edges.connections().leave(&route) {
                    tracing::debug!(group = %route.group, %error, "not left");
                }
            }
            GroupsEvent::Refused(refusal) => {
                tracing::warn!(%refusal, "groups are not joined: all comes by unicast");
            }
            GroupsEvent::Segment { .. } | GroupsEvent::Rest { .. } => {}
        }
    }

    /// Whoever was asked for it need not send it.
    fn cancel(&self, edges: &mut Edges, object: ObjectNumber) {
        for index in 0..edges.connections().len() {
            edges.connections().session(index).cancel(self.handle, object);
        }
    }

    /// Asks for what a group left out.
    fn rest(
        &mut self,
        at: Instant,
        session: usize,
        object: ObjectNumber,
        (mut bytes, have): (Vec<u8>, RangeSet),
        edges: &mut Edges,
        schedule: &mut Schedule,
    ) {
        let segment = object.as_leaves().unwrap_or(object.0);
        let left = schedule.time_left(segment, at);
        let is_segment = object.as_leaves().is_none();
        if is_segment && !schedule.completing(segment, session, at) {
            return;
        }
        let session_of = edges.connections().session(session);
        let asked = session_of.fetch_rest(at, self.handle, object, &mut bytes, have, left);
        if let Err(error) = asked {
            tracing::debug!(%error, object = object.0, "the rest could not be asked for");
            if is_segment {
                schedule.postponed(segment, session, at);
            }
        }
    }

    /// What came.
    pub(super) fn report(&self) -> Heard {
        let stats = self.groups.stats();
        Heard {
            segments: stats.segments,
            completed: stats.rests,
            bytes: stats.bytes,
            forged: stats.forged,
            deaf: stats.deaf,
        }
    }
}
