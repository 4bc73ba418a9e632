//! One viewer: a session, what it hears of groups, and when it asks.

use rand_core::RngCore;
use segcast_proto::ids::ObjectNumber;
use segcast_proto::limits::SYMBOL;
use segcast_proto::rate::Rate;
use segcast_proto::session::client::groups::{Groups, GroupsConfig, GroupsEvent, PATIENCE, Route};
use segcast_proto::session::client::{ClientEvent, ClientSession, GroupEvent};
use segcast_proto::session::ranges::RangeSet;
use segcast_proto::time::{Duration, Instant};
use segcast_proto::wire::GroupKey;
use segcast_proto::wire::group_report::WINDOW_ALL;

use super::{HANDLE, PLAY, SEGMENT_BYTES, SEGMENTS, SOURCE, START_UP, TITLE, segment};
use crate::endpoint::rig::{MS, Rig};

/// One who plays the title from its beginning.
pub struct Viewer {
    pub(super) number: u32,
    pub(super) session: ClientSession,
    /// What it hears.
    pub groups: Groups,
    begun: Instant,
    /// How long before it needs a segment it asks for it.
    ahead: Vec<Duration>,
    asked: Vec<bool>,
    stored: Vec<bool>,
    pub(super) joined: Vec<Route>,
    /// The newest GROUP_KEY.
    pub(super) key: Option<GroupKey>,
    /// Segments that came too late to be played in time.
    pub late: u32,
    /// What was wrong.
    pub(super) wrong: Option<String>,
}

impl Viewer {
    pub(super) fn new(rig: &mut Rig, number: u32) -> Self {
        let mut session =
            ClientSession::new(rig.config(number), rig.draw(), rig.now).expect("a session");
        session.set_room(rig.now, 16 << 20);
        let rate = Rate::from_kilobits(100_000);
        let config = GroupsConfig { sources: vec![SOURCE.into()], rate, window: WINDOW_ALL };
        let groups = Groups::new(config, &TITLE.manifest, rig.draw());
        let ahead = || MS * (8000 + rig.rng.next_u32() % 8000);
        let count = SEGMENTS as usize;
        Self {
            number,
            session,
            groups,
            begun: rig.now,
            ahead: std::iter::repeat_with(ahead).take(count).collect(),
            asked: vec![false; count],
            stored: vec![false; count],
            joined: Vec::new(),
            key: None,
            late: 0,
            wrong: None,
        }
    }

    fn plays_at(&self, segment: u32) -> Instant {
        self.begun + START_UP + PLAY * segment
    }

    /// When it must be there: a tenth of what was played before it plays, so that something is in store.
    fn needs_at(&self, segment: u32) -> Instant {
        self.begun + START_UP + PLAY * segment * 9 / 10
    }

    /// Whether it has all of the title.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.stored.iter().all(|stored| *stored)
    }

    fn store(&mut self, now: Instant, number: u32, bytes: &[u8]) {
        if *bytes != segment(number) {
            self.wrong = Some(format!("segment {number} is another one"));
        } else if self.stored[number as usize] {
            self.wrong = Some(format!("segment {number} twice"));
        }
        self.stored[number as usize] = true;
        self.groups.set_wanted(number, false);
        self.late += u32::from(now > self.plays_at(number));
        let position = self.stored.iter().position(|stored| !stored);
        self.groups.set_position(now, position.map_or(SEGMENTS, |at| at as u32));
    }

    /// Asks for what it will need and has not.
    pub(super) fn ask(&mut self, now: Instant) {
        for number in 0..SEGMENTS {
            let at = number as usize;
            let needs = self.needs_at(number);
            let is_time = now + self.ahead[at] >= needs;
            // What seems to come may never come: every member can make it seem so.
            let comes = self.groups.is_open(number) && now + PATIENCE < needs;
            if self.asked[at] || self.stored[at] || comes || !is_time {
                continue;
            }
            self.asked[at] = true;
            let (mut bytes, object) = (vec![0; SEGMENT_BYTES], ObjectNumber(number));
            let deadline = needs.saturating_since(now);
            // Who bombs may have it open.
            self.session.cancel(HANDLE, object);
            self.session.fetch_hearing(now, HANDLE, object, &mut bytes, deadline).expect("room");
        }
    }

    /// Timers and events of both.
    pub(super) fn turn(&mut self, now: Instant) {
        self.session.handle_timeout(now);
        self.groups.handle_timeout(now);
        while let Some(event) = self.session.poll_event() {
            match event {
                ClientEvent::Open => self.groups.on_session(),
                ClientEvent::Object(fetched) => match fetched.object.as_leaves() {
                    Some(number) => {
                        self.groups.on_leaves(now, &TITLE.manifest, number, &fetched.bytes);
                    }
                    None if self.stored[fetched.object.0 as usize] => {}
                    None => self.fetched(now, fetched.object.0, fetched.bytes),
                },
                other => self.wrong = Some(format!("{other:?}")),
            }
        }
        while let Some(event) = self.session.poll_group_event() {
            match event {
                GroupEvent::Key { serial, key, .. } => {
                    self.groups.on_group_key(now, serial, &key);
                    self.key = Some(*key);
                }
                GroupEvent::Promised { object, .. } => {
                    if !self.groups.promised(now, object.0) {
                        self.rest(now, object, vec![0; SEGMENT_BYTES], RangeSet::default());
                    }
                }
            }
        }
        while let Some(event) = self.groups.poll_event() {
            match event {
                GroupsEvent::Join(route) => self.joined.push(route),
                GroupsEvent::Leave(route) => self.joined.retain(|joined| *joined != route),
                GroupsEvent::Segment { segment, bytes } => self.heard(now, segment, &bytes),
                GroupsEvent::Rest { object, bytes, have } => {
                    // A request for all of it that is still held would bring it twice.
                    self.session.cancel(HANDLE, object);
                    self.rest(now, object, bytes, have);
                }
                GroupsEvent::Refused(refusal) => self.wrong = Some(refusal.to_string()),
            }
        }
        if let Some(report) = self.groups.poll_report(now) {
            self.session.send_group_report(HANDLE, report);
        }
    }

    fn fetched(&mut self, now: Instant, segment: u32, mut bytes: Vec<u8>) {
        self.groups.complete(segment, &mut bytes);
        self.store(now, segment, &bytes);
    }

    fn heard(&mut self, now: Instant, segment: u32, bytes: &[u8]) {
        self.session.cancel(HANDLE, ObjectNumber(segment));
        self.store(now, segment, bytes);
    }

    fn rest(&mut self, now: Instant, object: ObjectNumber, mut bytes: Vec<u8>, have: RangeSet) {
        let number = object.as_leaves().unwrap_or(object.0);
        if object.as_leaves().is_none() {
            self.groups.set_wanted(number, false);
            self.asked[number as usize] = true;
        }
        let deadline = self.needs_at(number).saturating_since(now);
        self.session.fetch_rest(now, HANDLE, object, &mut bytes, have, deadline).expect("room");
    }

    /// Asks for the repair of what it did not lack, as fast as its session takes it.
    pub(super) fn bomb(&mut self, now: Instant, random: u32) {
        let mut have = RangeSet::default();
        let _ = have.insert(8 * SYMBOL as u32..SEGMENT_BYTES as u32, usize::MAX);
        let (mut bytes, object) = (vec![0; SEGMENT_BYTES], ObjectNumber(random % SEGMENTS));
        if !self.asked[object.0 as usize] || self.stored[object.0 as usize] {
            // More than it may have at once are refused.
            let _ = self.session.fetch_rest(now, HANDLE, object, &mut bytes, have, PLAY);
        }
    }
}
