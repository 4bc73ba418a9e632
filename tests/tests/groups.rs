//! A title to several viewers, once to a group: an endpoint, the owner of its sets, and clients with all that they do, in
//! virtual time; the network loses what a test says.
#![forbid(unsafe_code)]

use std::sync::{Arc, LazyLock};

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use segcast_kit::endpoint::rig::{MS, Rig, address};
use segcast_kit::source::{MemorySource, content, set_id};
use segcast_kit::title::Title;
use segcast_proto::coalesce::CoalescerConfig;
use segcast_proto::ids::{ObjectNumber, SetHandle};
use segcast_proto::owner::{GroupRange, News, Owner, OwnerConfig};
use segcast_proto::rate::Rate;
use segcast_proto::segment::geometry::UNIT;
use segcast_proto::session::client::groups::{Groups, GroupsConfig, GroupsEvent, Route};
use segcast_proto::session::client::{ClientEvent, ClientSession, GroupEvent};
use segcast_proto::session::ranges::RangeSet;
use segcast_proto::time::{Duration, Instant};
use segcast_proto::wire::group_report::WINDOW_ALL;

const SEGMENTS: u32 = 20;
const SEGMENT_BYTES: usize = UNIT as usize;
/// What a segment plays for.
const PLAY: Duration = Duration::from_secs(3);
/// A viewer begins to play after this.
const START_UP: Duration = Duration::from_secs(2);
const SOURCE: [u8; 4] = [192, 0, 2, 1];
const HANDLE: SetHandle = SetHandle::FIRST;

static TITLE: LazyLock<Title> =
    LazyLock::new(|| Title::new(set_id(0), SEGMENTS, PLAY * SEGMENTS, segment));

/// The title as an edge has it.
fn source() -> MemorySource {
    let mut objects: Vec<(ObjectNumber, Arc<[u8]>)> = Vec::new();
    for (number, (stored, leaves)) in (0..).zip(TITLE.stored.iter().zip(&TITLE.leaves)) {
        objects.push((ObjectNumber(number), stored.as_slice().into()));
        objects.push((ObjectNumber::leaves_of(number), leaves.as_slice().into()));
    }
    let mut source = MemorySource::default();
    source.playing = Some(PLAY);
    source.add(objects);
    source
}

fn segment(number: u32) -> Vec<u8> {
    content(0, ObjectNumber(number), SEGMENT_BYTES)
}

/// One who plays the title from its beginning.
struct Viewer {
    number: u32,
    session: ClientSession,
    groups: Groups,
    begun: Instant,
    /// How long before it needs a segment it asks for it.
    ahead: Vec<Duration>,
    asked: Vec<bool>,
    stored: Vec<bool>,
    joined: Vec<Route>,
    /// Segments that came too late to be played in time.
    late: u32,
}

impl Viewer {
    fn new(rig: &mut Rig, number: u32) -> Self {
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
            late: 0,
        }
    }

    fn plays_at(&self, segment: u32) -> Instant {
        self.begun + START_UP + PLAY * segment
    }

    /// When it must be there: a tenth of what was played before it plays, so that something is in store.
    fn needs_at(&self, segment: u32) -> Instant {
        self.begun + START_UP + PLAY * segment * 9 / 10
    }

    fn is_done(&self) -> bool {
        self.stored.iter().all(|stored| *stored)
    }

    fn store(&mut self, now: Instant, number: u32, bytes: &[u8]) {
        assert!(*bytes == segment(number), "segment {number} is another one");
        assert!(!self.stored[number as usize], "segment {number} twice");
        self.stored[number as usize] = true;
        self.groups.set_wanted(number, false);
        self.late += u32::from(now > self.plays_at(number));
        let position = self.stored.iter().position(|stored| !stored);
        self.groups.set_position(now, position.map_or(SEGMENTS, |at| at as u32));
    }

    /// Asks for what it will need and has not.
    fn ask(&mut self, now: Instant) {
        for number in 0..SEGMENTS {
            let at = number as usize;
            let needs = self.needs_at(number);
            let is_time = now + self.ahead[at] >= needs;
            if self.asked[at] || self.stored[at] || self.groups.is_open(number) || !is_time {
                continue;
            }
            self.asked[at] = true;
            let (mut bytes, object) = (vec![0; SEGMENT_BYTES], ObjectNumber(number));
            let deadline = needs.saturating_since(now);
            self.session.fetch_hearing(now, HANDLE, object, &mut bytes, deadline).expect("room");
        }
    }

    /// Timers and events of both.
    fn turn(&mut self, now: Instant) {
        self.session.handle_timeout(now);
        self.groups.handle_timeout(now);
        while let Some(event) = self.session.poll_event() {
            match event {
                ClientEvent::Open => self.groups.on_session(),
                ClientEvent::Object(fetched) => match fetched.object.as_leaves() {
                    Some(number) => {
                        self.groups.on_leaves(now, &TITLE.manifest, number, &fetched.bytes);
                    }
                    None => self.fetched(now, fetched.object.0, fetched.bytes),
                },
                other => panic!("{other:?}"),
            }
        }
        while let Some(event) = self.session.poll_group_event() {
            match event {
                GroupEvent::Key { serial, key, .. } => self.groups.on_group_key(now, serial, &key),
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
                GroupsEvent::Refused(refusal) => panic!("{refusal}"),
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
}

/// All of them, and what was sent.
struct World {
    rig: Rig,
    owner: Owner,
    viewers: Vec<Viewer>,
    loss: ChaCha20Rng,
    /// Of a thousand datagrams to each who listens.
    lost: u32,
    /// Nothing that goes to groups comes from then on.
    cut_at: Option<Instant>,
    group_bytes: u64,
    unicast_bytes: u64,
}

impl World {
    fn new(seed: u64, lost: u32) -> Self {
        let mut rig = Rig::new(seed, |config| config.multicast = true);
        rig.source = source();
        let rate = Rate::from_kilobits(1_000_000);
        let coalescer = CoalescerConfig {
            shard: 0,
            channels: 8,
            members: 100,
            rate,
            channel_rate: rate,
            bulk_rate: rate,
        };
        let groups = GroupRange { first: [232, 9, 0, 0].into(), count: 256 };
        let config =
            OwnerConfig { coalescer, shards: 1, groups, source: SOURCE.into(), port: 4872 };
        let owner = Owner::new(config, rig.draw(), rig.now);
        let loss = ChaCha20Rng::from_seed(rig.draw());
        let (group_bytes, unicast_bytes) = (0, 0);
        let viewers = Vec::new();
        Self { rig, owner, viewers, loss, lost, cut_at: None, group_bytes, unicast_bytes }
    }

    /// What both sides of the edge have to say to each other.
    fn exchange(&mut self) {
        let now = self.rig.now;
        self.owner.handle_timeout(now, &self.rig.source);
        while let Some((set, note)) = self.rig.server.poll_note() {
            self.owner.note(now, set, note, &self.rig.source);
        }
        while let Some((set, segment)) = self.owner.next_parity() {
            self.rig.source.make_parity(set, segment);
        }
        self.multicast();
        while let Some((set, news)) = self.owner.poll_news() {
            match news {
                News::Groups => {
                    let key = self.owner.groups().find(|(id, _)| *id == set);
                    let key = key.map(|(_, key)| Arc::clone(key));
                    self.rig.server.set_groups(now, set, key);
                }
                News::Begun(segment) => self.rig.server.group_begun(now, set, segment),
                News::Alone(segment) => self.rig.server.group_alone(now, set, segment),
            }
        }
    }

    /// What the owner sends, to all who joined.
    fn multicast(&mut self) {
        let now = self.rig.now;
        let mut out = vec![0; 54 * 1200];
        while let Some(sent) = self.owner.poll_transmit(now, &self.rig.source, &mut out) {
            self.group_bytes += sent.len as u64;
            let is_cut = self.cut_at.is_some_and(|at| at <= now);
            for viewer in self.viewers.iter_mut().filter(|_| !is_cut) {
                if !viewer.joined.iter().any(|route| route.group == sent.to.ip()) {
                    continue;
                }
                for datagram in out[..sent.len].chunks(sent.datagram_bytes) {
                    if self.loss.next_u32() % 1000 >= self.lost {
                        let mut bytes = datagram.to_vec();
                        viewer.groups.handle_datagram(now, &TITLE.manifest, &mut bytes);
                    }
                }
            }
        }
    }

    /// One step of 2 ms.
    fn step(&mut self) {
        self.rig.pass(MS * 2);
        let (now, mut out) = (self.rig.now, [0; 2048]);
        for at in 0..self.viewers.len() {
            self.viewers[at].ask(now);
            self.viewers[at].turn(now);
            while let Some(len) = self.viewers[at].session.poll_transmit(now, &mut out) {
                self.rig.hand(address(self.viewers[at].number), &out[..len]);
            }
        }
        self.exchange();
        for (to, mut bytes) in self.rig.drain() {
            self.unicast_bytes += bytes.len() as u64;
            let viewer = self.viewers.iter_mut().find(|viewer| address(viewer.number) == to);
            viewer.expect("a viewer").session.handle_datagram(now, 0, &mut bytes);
        }
    }

    /// Viewers who start `apart`, until all have all of it. Gives the titles that were sent.
    fn play(&mut self, count: u32, apart: Duration) -> f64 {
        let end = self.rig.now + apart * count + PLAY * SEGMENTS + PLAY * 3;
        let mut next = self.rig.now;
        while self.viewers.len() < count as usize || !self.viewers.iter().all(Viewer::is_done) {
            if next <= self.rig.now && self.viewers.len() < count as usize {
                let viewer = Viewer::new(&mut self.rig, self.viewers.len() as u32 + 1);
                self.viewers.push(viewer);
                next += apart;
            }
            self.step();
            assert!(self.rig.now < end, "viewers have not got all");
        }
        let title = f64::from(SEGMENTS) * SEGMENT_BYTES as f64;
        let [group, unicast] = [self.group_bytes, self.unicast_bytes].map(|b| b as f64 / title);
        let late: u32 = self.viewers.iter().map(|viewer| viewer.late).sum();
        let rests: u64 = self.viewers.iter().map(|viewer| viewer.groups.stats().rests).sum();
        println!(
            "{group:.3} titles to groups, {unicast:.3} by unicast, {rests} rests, {late} late"
        );
        assert_eq!(late, 0, "segments came too late");
        group + unicast
    }
}

#[test]
fn eight_who_start_together_cost_little_more_than_one() {
    let sent = World::new(70, 0).play(8, MS * 100);
    assert!(sent < 1.2, "{sent} titles");
}

#[test]
fn eight_who_start_one_after_another_share_what_is_to_come() {
    let sent = World::new(71, 0).play(8, Duration::from_secs(5));
    assert!(sent < 3.6, "{sent} titles");
}

#[test]
fn what_is_lost_on_the_way_is_repaired_in_time() {
    let sent = World::new(72, 20).play(8, MS * 100);
    assert!(sent < 1.8, "{sent} titles");
}

#[test]
fn who_hears_nothing_from_the_start_or_from_the_middle_on_misses_nothing() {
    for cut in [Duration::ZERO, Duration::from_secs(25)] {
        let mut world = World::new(73, 0);
        world.cut_at = Some(world.rig.now + cut);
        world.play(4, MS * 100);
        assert!(world.viewers.iter().all(|viewer| viewer.groups.stats().deaf > 0));
    }
}
