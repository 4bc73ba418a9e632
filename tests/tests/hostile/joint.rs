//! Viewers of one title, the shard of their sessions and the owner of the title's groups together, in virtual time and
//! without a network: what is sent once is sent once, and whatever becomes of the owner nobody misses a deadline.

use std::collections::BTreeMap;

use segcast_kit::endpoint::rig::MS;
use segcast_kit::groups::owner_config;
use segcast_kit::source::{MemorySource, content};
use segcast_proto::ids::ObjectNumber;
use segcast_proto::limits::DATAGRAM_BASE;
use segcast_proto::owner::{News, Owner};
use segcast_proto::rate::Rate;
use segcast_proto::time::{Duration, Instant};
use segcast_proto::wire::ChannelState;

use crate::stage::{PLAYS, SEGMENT_BYTES, Stage, set};

const VIEWERS: usize = 8;
const SEGMENTS: u32 = 20;
/// A viewer plays after this, and asks for a segment so long before they play it.
const START_UP: Duration = Duration::from_secs(2);
const AHEAD: Duration = Duration::from_secs(12);
/// When a viewer starts after the one before.
const APART: Duration = Duration::from_millis(125);

struct Theatre {
    stage: Stage,
    owner: Owner,
    began: Instant,
    /// When the last datagram of a segment went to the group.
    sent: BTreeMap<u32, Instant>,
    group_bytes: usize,
    asked: [u32; VIEWERS],
}

impl Theatre {
    fn new(seed: u64) -> Self {
        let mut stage = Stage::new(seed, VIEWERS as u32);
        let leaves = SEGMENT_BYTES / 1152 * 16;
        let objects = (0..SEGMENTS)
            .flat_map(|i| [(ObjectNumber(i), SEGMENT_BYTES), (ObjectNumber::leaves_of(i), leaves)]);
        let mut source = MemorySource::default();
        source.add(objects.map(|(object, len)| (object, content(0, object, len).into())));
        source.playing = Some(PLAYS);
        stage.rig.source = source;
        let config = owner_config(Rate::new(10_000_000), [192, 0, 2, 1].into());
        let began = stage.rig.now;
        let owner = Owner::new(config, stage.rig.draw(), began);
        let sent = BTreeMap::new();
        Self { stage, owner, began, sent, group_bytes: 0, asked: [0; VIEWERS] }
    }

    fn deadline(&self, viewer: usize, segment: u32) -> Instant {
        self.began + APART * viewer as u32 + START_UP + PLAYS * segment
    }

    /// Runs until all have played; from `mute_after` on the owner says nothing, and hears nothing.
    fn run(&mut self, mute_after: Duration) {
        let end = self.deadline(VIEWERS - 1, SEGMENTS);
        for turn in 0_u32.. {
            let now = self.stage.rig.now;
            if now >= end {
                return;
            }
            (0..VIEWERS).for_each(|viewer| self.watch(viewer, turn));
            self.stage.hear();
            let notes = core::mem::take(&mut self.stage.notes);
            if now < self.began + mute_after {
                for note in notes {
                    self.owner.note(now, set(), note, &self.stage.rig.source);
                }
                self.own(now);
            }
            self.stage.rig.pass(MS);
        }
    }

    /// What a viewer does: asks for what they play in 12 s, and says each second that they listen.
    fn watch(&mut self, viewer: usize, turn: u32) {
        let now = self.stage.rig.now;
        let segment = self.asked[viewer];
        let deadline = self.deadline(viewer, segment);
        let start = self.began + APART * viewer as u32;
        if segment < SEGMENTS && now >= start && now + AHEAD >= deadline {
            let left = deadline.saturating_since(now).as_millis() as u32;
            self.stage.ask(viewer, 1 + segment, segment, left);
            self.asked[viewer] += 1;
        }
        let Some(&(came, serial, _)) = self.stage.viewers[viewer].keys.last() else { return };
        // They have joined some time after they were invited.
        if turn.is_multiple_of(1000) || now == came + MS * 50 {
            let key = self.owner.groups().next().map(|(_, key)| key.channels[0].id);
            let channel = key.expect("who was invited knows of a group");
            self.stage.report_of(viewer, serial, channel, ChannelState::Listening);
        }
    }

    /// What the owner does.
    fn own(&mut self, now: Instant) {
        self.owner.handle_timeout(now, &self.stage.rig.source);
        let mut out = vec![0; 54 * DATAGRAM_BASE];
        while let Some(sent) = self.owner.poll_transmit(now, &self.stage.rig.source, &mut out) {
            self.group_bytes += sent.len;
            if let Some(segment) = sent.data.and_then(|(_, object)| object.as_segment()) {
                self.sent.insert(segment, now);
            }
        }
        while let Some((of, news)) = self.owner.poll_news() {
            let server = &mut self.stage.rig.server;
            match news {
                News::Groups => {
                    let key = self.owner.groups().find(|(set, _)| *set == of);
                    server.set_groups(now, of, key.map(|(_, key)| key.clone()));
                }
                News::Begun(segment) => server.group_begun(now, of, segment),
                News::Alone(segment) => server.group_alone(now, of, segment),
            }
        }
    }

    /// When a viewer had all of a segment.
    fn had(&self, viewer: usize, segment: u32) -> Option<Instant> {
        let data = &self.stage.viewers[viewer].data;
        let own = data.iter().filter(|(_, of, _)| *of == segment);
        let (mut bytes, mut last) = (0, None);
        for (at, _, len) in own {
            (bytes, last) = (bytes + len, Some(*at));
        }
        let finished = self.stage.viewers[viewer].is_finished(1 + segment);
        match bytes {
            0 if finished => self.sent.get(&segment).copied(),
            SEGMENT_BYTES => last,
            _ => None,
        }
    }

    fn misses(&self) -> Vec<(usize, u32)> {
        let all = (0..VIEWERS).flat_map(|viewer| (0..SEGMENTS).map(move |i| (viewer, i)));
        let in_time = |&(viewer, segment): &(usize, u32)| {
            self.had(viewer, segment).is_some_and(|had| had <= self.deadline(viewer, segment))
        };
        all.filter(|place| !in_time(place)).collect()
    }

    /// Everything that was sent, over the title.
    fn titles(&self) -> f64 {
        let sent = self.stage.rig.server.counters().bytes_out as usize + self.group_bytes;
        sent as f64 / (SEGMENT_BYTES as f64 * f64::from(SEGMENTS))
    }
}

#[test]
fn eight_viewers_within_a_second_are_served_by_one_send_of_each_segment() {
    let mut theatre = Theatre::new(90);
    theatre.run(Duration::MAX);
    let counters = theatre.stage.rig.server.counters();
    println!("{:.3} titles; {counters:?}", theatre.titles());
    assert_eq!(theatre.misses(), []);
    // The first ones ask before there is a group.
    assert!(counters.holds_by_group >= 150, "{} of 160", counters.holds_by_group);
    assert!(theatre.owner.coalescer().sends <= u64::from(SEGMENTS));
    // Of segments as small as these messages are a good part.
    assert!(theatre.titles() <= 2.0, "{}", theatre.titles());
}

#[test]
fn an_owner_that_falls_silent_costs_bytes_and_no_deadline() {
    for seconds in [0, 5, 20] {
        let mut theatre = Theatre::new(91);
        theatre.run(Duration::from_secs(seconds));
        let counters = theatre.stage.rig.server.counters();
        println!("{seconds} s: {:.3} titles, {} late", theatre.titles(), counters.holds_late);
        assert_eq!(theatre.misses(), []);
        assert!(seconds == 0 || counters.holds_late > 0);
    }
}
