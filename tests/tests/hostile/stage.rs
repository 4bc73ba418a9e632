//! An edge whose groups a test opens, and viewers who say of them what the test wants.

use std::sync::Arc;

use segcast_kit::endpoint::rig::{MS, Rig, address};
use segcast_kit::session::raw::{EMPTY_FRAME, RawClient};
use segcast_kit::source::{MemorySource, set_id};
use segcast_proto::coalesce::Note;
use segcast_proto::ids::{ChannelId, ObjectNumber, SetId};
use segcast_proto::time::{Duration, Instant};
use segcast_proto::wire::group_report::WINDOW_ALL;
use segcast_proto::wire::request::{FLAG_HEARS, Request};
use segcast_proto::wire::{
    ChannelReport, ChannelState, Code, FrameHeader, GroupChannel, GroupKey, GroupReport,
    GroupSecret, PacketType, Refuse, Status,
};

/// Segments of the title; each leaves in one train, so that no test waits for reports.
pub(crate) const SEGMENTS: u32 = 1000;
pub(crate) const SEGMENT_BYTES: usize = 8 * 1152;
pub(crate) const PLAYS: Duration = Duration::from_secs(3);
pub(crate) const CHANNEL: ChannelId = ChannelId::new(1, 0);

/// A client that keeps to no rule, and what came for it.
pub(crate) struct Viewer {
    pub(crate) client: RawClient,
    pub(crate) number: u32,
    pub(crate) reports: u32,
    /// When DATA of which segment came, and how many bytes.
    pub(crate) data: Vec<(Instant, u32, usize)>,
    pub(crate) status: Option<(u32, Status)>,
    pub(crate) refused: Vec<Code>,
    /// When GROUP_KEYs came, their serials, and how many channels they had.
    pub(crate) keys: Vec<(Instant, u32, usize)>,
}

impl Viewer {
    /// Whether STATUS says that a request is finished.
    pub(crate) fn is_finished(&self, id: u32) -> bool {
        self.status.is_some_and(|(highest, status)| status.finished >> (highest - id) & 1 == 1)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.data.iter().map(|(_, _, bytes)| bytes).sum()
    }
}

/// An edge whose groups a test opens, and its viewers.
pub(crate) struct Stage {
    pub(crate) rig: Rig,
    pub(crate) viewers: Vec<Viewer>,
    pub(crate) notes: Vec<Note>,
}

pub(crate) fn set() -> SetId {
    set_id(0)
}

pub(crate) fn key() -> Arc<GroupKey> {
    let group = [232, 1, 2, 3].into();
    let channel = GroupChannel { id: CHANNEL, group, first: 0, end: SEGMENTS, pace_kbit: 40_000 };
    Arc::new(GroupKey {
        epoch: 0,
        suite: 1,
        report_interval_ms: 1000,
        members: 2,
        secret: GroupSecret::new([9; 32]),
        source: [192, 0, 2, 1].into(),
        port: 4872,
        channels: vec![channel],
    })
}

impl Stage {
    /// With so many viewers that nobody has invited.
    pub(crate) fn new(seed: u64, viewers: u32) -> Self {
        let mut rig = Rig::new(seed, |config| config.multicast = true);
        rig.source = MemorySource::new(1, SEGMENTS, SEGMENT_BYTES, 3000);
        rig.source.playing = Some(PLAYS);
        let open = |number| {
            if number % 32 == 31 {
                // So many handshakes at one moment are too many.
                rig.pass(Duration::from_secs(1));
            }
            let client = rig.open(number);
            let (data, keys, refused) = (vec![], vec![], vec![]);
            Viewer { client, number, reports: 0, data, status: None, refused, keys }
        };
        let viewers = (0..viewers).map(open).collect();
        Self { rig, viewers, notes: Vec::new() }
    }

    /// The same with open groups, and all of them listening. They have asked for segment 0, and have it.
    pub(crate) fn listening(seed: u64, viewers: u32) -> Self {
        let mut stage = Self::new(seed, viewers);
        for viewer in 0..viewers as usize {
            stage.ask(viewer, 1, 0, 0);
        }
        let now = stage.rig.now;
        stage.rig.server.set_groups(now, set(), Some(key()));
        stage.run(MS * 5);
        for viewer in 0..viewers as usize {
            assert_eq!(stage.viewers[viewer].keys.len(), 1, "invited");
            stage.report(viewer, 1, ChannelState::Listening);
            assert_eq!(stage.viewers[viewer].bytes(), SEGMENT_BYTES);
            stage.viewers[viewer].data.clear();
        }
        stage.run(MS);
        stage.notes.clear();
        stage
    }

    pub(crate) fn send(
        &mut self,
        viewer: usize,
        packet_type: PacketType,
        frame: FrameHeader,
        payload: &[u8],
    ) {
        let Viewer { client, number, .. } = &mut self.viewers[viewer];
        let packet = client.seal(self.rig.now, packet_type, frame, payload);
        self.rig.hand(address(*number), &packet);
    }

    pub(crate) fn request(&mut self, viewer: usize, id: u32, segment: u32, request: &Request) {
        let frame = FrameHeader { object: ObjectNumber(segment), offset: id, ..EMPTY_FRAME };
        let mut payload = [0; Request::LEN_MAX];
        let len = request.encode(&mut payload).expect("any request fits");
        self.send(viewer, PacketType::Request, frame, &payload[..len]);
    }

    /// Asks for a whole segment with HEARS.
    pub(crate) fn ask(&mut self, viewer: usize, id: u32, segment: u32, deadline_ms: u32) {
        let request = Request { deadline_ms, flags: FLAG_HEARS, ..Request::default() };
        self.request(viewer, id, segment, &request);
    }

    pub(crate) fn cancel(&mut self, viewer: usize, id: u32) {
        self.send(viewer, PacketType::Cancel, FrameHeader { offset: id, ..EMPTY_FRAME }, &[]);
    }

    pub(crate) fn report(&mut self, viewer: usize, serial: u32, state: ChannelState) {
        self.report_of(viewer, serial, CHANNEL, state);
    }

    /// A GROUP_REPORT on one channel.
    pub(crate) fn report_of(
        &mut self,
        viewer: usize,
        serial: u32,
        id: ChannelId,
        state: ChannelState,
    ) {
        self.viewers[viewer].reports += 1;
        let offset = self.viewers[viewer].reports;
        let channel = ChannelReport { id, state, loss: 0, verified: 0 };
        let channels = vec![channel];
        let report = GroupReport { serial, rate_kbit: 50_000, window: WINDOW_ALL, channels };
        let mut payload = [0; GroupReport::LEN_MAX];
        let len = report.encode(&mut payload).expect("it fits");
        let frame = FrameHeader { object: ObjectNumber(1), offset, ..EMPTY_FRAME };
        self.send(viewer, PacketType::GroupReport, frame, &payload[..len]);
    }

    /// Lets `time` pass; each second the viewers say that they live.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.rig.now + time;
        while self.rig.now < end {
            self.hear();
            let millis = self.rig.now.as_nanos() / 1_000_000;
            if millis.is_multiple_of(1000) {
                for viewer in 0..self.viewers.len() {
                    self.send(viewer, PacketType::Pulse, EMPTY_FRAME, &[0; 16]);
                }
            }
            self.rig.pass(MS);
        }
        self.hear();
    }

    /// As [`Self::run`], with a report that everybody listens each second.
    pub(crate) fn run_listening(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.run(Duration::from_secs(1));
            for viewer in 0..self.viewers.len() {
                self.report(viewer, 1, ChannelState::Listening);
            }
        }
    }

    /// What the server sends now, and its notes.
    pub(crate) fn hear(&mut self) {
        let now = self.rig.now;
        for (to, mut bytes) in self.rig.drain() {
            let Some(viewer) = self.viewers.iter_mut().find(|v| address(v.number) == to) else {
                continue;
            };
            let packet = viewer.client.take(now, &mut bytes).expect("authentic");
            let (frame, payload) = (packet.frame, &packet.payload[..]);
            match packet.packet_type {
                PacketType::Data => {
                    viewer.data.push((now, frame.object.0, payload.len()));
                    let (number, echo) = (packet.sequence, frame.send_time);
                    let ranges = [(number, number)];
                    let report = viewer.client.report(now, number as u32 + 1, echo, &ranges);
                    self.rig.hand(to, &report);
                }
                PacketType::Status => {
                    let status = Status::decode(payload).expect("well-formed");
                    viewer.status = Some((frame.offset, status));
                }
                PacketType::Refuse => {
                    viewer.refused.push(Refuse::decode(payload).expect("well-formed").code);
                }
                PacketType::GroupKey => {
                    let key = GroupKey::decode(payload).expect("well-formed");
                    viewer.keys.push((now, frame.offset, key.channels.len()));
                }
                _ => {}
            }
        }
        let notes = core::iter::from_fn(|| self.rig.server.poll_note());
        self.notes.extend(notes.map(|(_, note)| note));
    }

    /// Segment, milliseconds from `since` to the deadline, and waiters of each Want.
    pub(crate) fn wants(&self, since: Instant) -> Vec<(u32, u128, u16)> {
        let want = |note: &Note| match *note {
            Note::Want { segment, deadline, waiters, .. } => {
                Some((segment, deadline.saturating_since(since).as_millis(), waiters))
            }
            _ => None,
        };
        self.notes.iter().filter_map(want).collect()
    }

    pub(crate) fn unwants(&self) -> Vec<u32> {
        let unwant = |note: &Note| match *note {
            Note::Unwant { segment, .. } => Some(segment),
            _ => None,
        };
        self.notes.iter().filter_map(unwant).collect()
    }

    /// When the first DATA of a segment came for a viewer, after `since`.
    pub(crate) fn served(&self, viewer: usize, segment: u32, since: Instant) -> Option<Duration> {
        let data = &self.viewers[viewer].data;
        let first = data.iter().find(|&&(_, of, _)| of == segment);
        first.map(|(at, ..)| at.saturating_since(since))
    }
}
