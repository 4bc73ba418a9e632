//! `Groups`: a client that hears channels of a title, on which members and strangers send what the input says, and an
//! edge that announces it. Whatever comes, what is given out is the title's.

use std::sync::LazyLock;

use segcast_proto::crypto::{GroupSealer, GroupSecret, Suite};
use segcast_proto::ids::{ChannelId, ObjectNumber, SetId};
use segcast_proto::limits::SYMBOL;
use segcast_proto::rate::Rate;
use segcast_proto::segment::geometry::UNIT;
use segcast_proto::session::client::groups::{Groups, GroupsConfig, GroupsEvent, Route};
use segcast_proto::time::{Duration, Instant};
use segcast_proto::wire::group_probe::{GroupProbe, ProbeEntry, ProbeState};
use segcast_proto::wire::{GroupChannel, GroupKey, GroupReport, PacketType};

use super::cast::{START, wait};
use super::script::{Script, Steps};
use super::seed::Seed;
use crate::title::Title;

const SET: SetId = SetId([7; 16]);
const SEGMENTS: u32 = 20;
const CHANNELS: usize = 3;
const SOURCE: [u8; 4] = [192, 0, 2, 1];
/// Segments that are heard at once, at most.
const OPEN_MAX: usize = 16;
/// Steps in one run.
const STEPS_MAX: usize = 400;

static TITLE: LazyLock<Title> = LazyLock::new(|| {
    let content = |number| (0..UNIT).map(|at| (at * 7 + number) as u8).collect();
    Title::new(SET, SEGMENTS, Duration::from_secs(60), content)
});

/// One step of the input, by its first byte.
#[derive(Clone, Copy, strum::VariantArray)]
#[repr(u8)]
enum Op {
    Key,
    Symbol,
    Leaves,
    Send,
    Probe,
    Junk,
    Promise,
    Fetched,
    Position,
    Wanted,
    Session,
    JoinFailed,
    Wait,
}

impl Op {
    const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;
}

/// The client under test, and who sends to its channels.
struct Rig {
    groups: Groups,
    sealers: [GroupSealer; CHANNELS],
    epoch: u8,
    serial: u32,
    now: Instant,
    /// Memberships, as the client was told to have them.
    joined: Vec<Route>,
}

fn id(channel: usize) -> ChannelId {
    ChannelId::new(channel as u32 + 1, 3)
}

/// Runs the steps in `data`.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let rate = Rate::from_kilobits(20_000);
    let window = if script.flag() { u32::MAX } else { u32::from(script.byte() % 24) };
    let config = GroupsConfig { sources: vec![SOURCE.into()], rate, window };
    let secret = GroupSecret::new([0; 32]);
    let mut rig = Rig {
        groups: Groups::new(config, &TITLE.manifest, [6; 32]),
        sealers: [0, 1, 2].map(|at| GroupSealer::new(&secret, Suite::Aes128Gcm, id(at))),
        epoch: 0,
        serial: 0,
        now: START,
        joined: Vec::new(),
    };
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        step(&mut rig, &mut script);
        rig.settle();
    }
}

fn step(rig: &mut Rig, script: &mut Script<'_>) {
    let now = rig.now;
    match Op::ALL[script.choose(Op::ALL.len())] {
        Op::Key => rig.announce(script),
        Op::Symbol => {
            let (segment, index) = (segment(script), u32::from(script.byte() % 90));
            rig.symbol(script, segment, index);
        }
        Op::Leaves => {
            let (segment, group) = (segment(script), u32::from(script.byte() % 4));
            rig.leaves(script, segment, group);
        }
        Op::Send => {
            let (segment, step) = (segment(script), 1 + script.choose(8));
            for group in 0..2 {
                rig.leaves(&mut Script::new(&[]), segment, group);
            }
            for index in (0..64).filter(|index| (index + 1) % step != 0 || step == 1) {
                rig.symbol(&mut Script::new(&[]), segment, index as u32);
            }
        }
        Op::Probe => {
            let payload = script.counted().to_vec();
            let (channel, segment) = (script.choose(CHANNELS), segment(script));
            rig.send(script, channel, PacketType::GroupProbe, [segment, 1], &payload);
        }
        Op::Junk => {
            let mut bytes = script.counted().to_vec();
            rig.groups.handle_datagram(now, &TITLE.manifest, &mut bytes);
        }
        Op::Promise => {
            let _ = rig.groups.promised(now, segment(script));
        }
        Op::Fetched => {
            let segment = segment(script);
            let mut leaves = TITLE.leaves.get(segment as usize).cloned().unwrap_or_default();
            script.patch(&mut leaves);
            rig.groups.on_leaves(now, &TITLE.manifest, segment, &leaves);
        }
        Op::Position => rig.groups.set_position(now, segment(script)),
        Op::Wanted => rig.groups.set_wanted(segment(script), script.flag()),
        Op::Session => {
            rig.groups.on_session();
            rig.serial = 0;
        }
        Op::JoinFailed => rig.fail(),
        Op::Wait => rig.now += wait(script.byte()),
    }
}

/// One of the title, or one past its end.
fn segment(script: &mut Script<'_>) -> u32 {
    u32::from(script.byte()) % (SEGMENTS + 1)
}

impl Rig {
    /// A GROUP_KEY: good, or with something in it that no client goes along with.
    fn announce(&mut self, script: &mut Script<'_>) {
        self.epoch = self.epoch.wrapping_add(script.byte() % 3);
        let secret = GroupSecret::new([self.epoch; 32]);
        let count = script.choose(CHANNELS + 1);
        let cut = 1 + u32::from(script.byte() % 6);
        let odd = script.byte();
        let channel = |at: usize| GroupChannel {
            id: id(at),
            group: [if odd == 1 { 239 } else { 232 }, 1, 1, at as u8].into(),
            first: at as u32 * cut,
            end: (at as u32 + 1) * cut,
            pace_kbit: if odd == 2 { u32::MAX } else { 8000 },
        };
        let source = if odd == 3 { [192, 0, 2, 2] } else { SOURCE };
        let key = GroupKey {
            epoch: self.epoch,
            suite: if odd == 4 { 9 } else { 1 },
            report_interval_ms: script.short(),
            members: script.long(),
            secret: secret.clone(),
            source: source.into(),
            port: 4872,
            channels: (0..count).map(channel).collect(),
        };
        let mut out = [0; GroupKey::LEN_MAX];
        let len = key.encode(&mut out).expect("a key that keeps to its bounds");
        script.patch(&mut out[..len]);
        self.serial = self.serial.wrapping_add(u32::from(script.byte() % 4));
        if let Ok(key) = GroupKey::decode(&out[..len]) {
            self.groups.on_group_key(self.now, self.serial, &key);
        }
        self.sealers.iter_mut().for_each(|sealer| sealer.rekey(&secret, self.epoch));
    }

    /// A symbol of a segment, or something else in its place, by the channel that has it or another.
    fn symbol(&mut self, script: &mut Script<'_>, segment: u32, index: u32) {
        let at = index as usize * SYMBOL;
        let stored = TITLE.stored.get(segment as usize).and_then(|s| s.get(at..at + SYMBOL));
        let mut symbol = stored.unwrap_or(&[0x55; SYMBOL]).to_vec();
        script.patch(&mut symbol);
        let channel = script.choose(CHANNELS);
        self.send(script, channel, PacketType::Symbol, [segment, index], &symbol);
    }

    fn leaves(&mut self, script: &mut Script<'_>, segment: u32, group: u32) {
        let all = TITLE.leaves.get(segment as usize).map_or(&[][..], Vec::as_slice);
        let mut payload = all.chunks(SYMBOL).nth(group as usize).unwrap_or(&[0x55; 40]).to_vec();
        script.patch(&mut payload);
        let channel = script.choose(CHANNELS);
        self.send(script, channel, PacketType::Leaves, [segment, group], &payload);
    }

    /// Seals as a member can, and hands it over, altered or not.
    fn send(
        &mut self,
        script: &mut Script<'_>,
        channel: usize,
        packet_type: PacketType,
        [segment, offset]: [u32; 2],
        payload: &[u8],
    ) {
        let mut out = [0; 1200];
        let (sealer, object) = (&mut self.sealers[channel], ObjectNumber(segment));
        let sealed = sealer.seal(self.now, packet_type, object, offset, payload, &mut out);
        let len = sealed.expect("room, and far fewer packets than a key seals");
        let altered = script.patch(&mut out[..len]);
        let before = self.groups.stats().datagrams;
        self.groups.handle_datagram(self.now, &TITLE.manifest, &mut out[..len]);
        assert!(!altered || self.groups.stats().datagrams == before, "an altered packet was taken");
    }

    /// The system cannot join the group of the first membership.
    fn fail(&mut self) {
        if !self.joined.is_empty() {
            self.groups.join_failed(self.now, self.joined.remove(0));
        }
    }

    /// Whatever came: what is said to be right is the title's, and who is told to leave had joined.
    fn check(&mut self, event: &GroupsEvent) {
        match event {
            GroupsEvent::Join(route) => {
                assert!(!self.joined.contains(route), "joined twice");
                self.joined.push(*route);
            }
            GroupsEvent::Leave(route) => {
                let at = self.joined.iter().position(|joined| joined == route);
                self.joined.remove(at.expect("left what was not joined"));
            }
            GroupsEvent::Segment { segment, bytes } => {
                assert!(*bytes == TITLE.stored[*segment as usize], "segment {segment}");
            }
            GroupsEvent::Rest { object, bytes, have } => {
                let right = match object.as_leaves() {
                    Some(segment) => &TITLE.leaves[segment as usize],
                    None => &TITLE.stored[object.0 as usize],
                };
                let mut is_there = vec![true; right.len()];
                assert_eq!(bytes.len(), right.len());
                for hole in have.missing(right.len() as u32) {
                    is_there[hole.start as usize..hole.end as usize].fill(false);
                }
                assert!(is_there.contains(&false), "nothing is missing");
                // Of leaves, those that nobody needs count as there.
                let differs = (0..right.len()).any(|at| is_there[at] && bytes[at] != right[at]);
                assert!(object.as_leaves().is_some() || !differs, "what is there is wrong");
            }
            GroupsEvent::Refused(refusal) => assert!(!refusal.to_string().is_empty()),
        }
    }

    /// Timers, events, reports: and what must hold whatever came.
    fn settle(&mut self) {
        self.groups.handle_timeout(self.now);
        while let Some(event) = self.groups.poll_event() {
            self.check(&event);
        }
        if let Some(numbered) = self.groups.poll_report(self.now) {
            let mut out = [0; GroupReport::LEN_MAX];
            let len = numbered.report.encode(&mut out).expect("a report fits");
            assert_eq!(GroupReport::decode(&out[..len]), Ok(numbered.report));
        }
        let due = self.groups.poll_timeout();
        assert!(due.is_none_or(|due| due > self.now), "a timer that does not rest");
        let open = (0..SEGMENTS).filter(|segment| self.groups.is_open(*segment)).count();
        assert!(open <= OPEN_MAX, "{open} segments");
    }
}

/// A title that is heard: whole, with losses, forged, promised and not sent, refused.
#[must_use]
pub fn seeds() -> Vec<Seed> {
    let op = |steps: Steps, op: Op| steps.byte(op as u8);
    let key = |steps: Steps, count: u8, odd: u8| {
        let steps = op(steps, Op::Key).byte(1).byte(count).byte(5).byte(odd).short(1000).long(2);
        steps.patch(&[]).byte(1)
    };
    let probe = |steps: Steps, state: ProbeState, segment: u32| {
        let entries = vec![ProbeEntry { segment, state, symbols: 64, time_ms: 0 }];
        let mut out = [0; GroupProbe::LEN_MAX];
        let probe = GroupProbe { members: 2, back_off_ms: 10, entries };
        let len = probe.encode(&mut out).expect("a probe fits");
        op(steps, Op::Probe).counted(&out[..len]).byte(0).byte(segment as u8).patch(&[])
    };
    let heard = |steps: Steps| probe(key(steps, 1, 0), ProbeState::Queued, 0);
    let begin = || Steps::new().byte(1);
    let send = |steps: Steps, segment: u8, step: u8| op(steps, Op::Send).byte(segment).byte(step);
    let wait = |steps: Steps, power: u8| op(steps, Op::Wait).byte(power);
    let symbol = |steps: Steps, index: u8, places: &[(u16, u8)]| {
        op(steps, Op::Symbol).byte(1).byte(index).patch(places).byte(0).patch(&[])
    };
    let lossy = probe(send(heard(begin()), 2, 4), ProbeState::Sent, 2);
    let promised = op(heard(begin()), Op::Promise).byte(3);
    let promised = op(wait(promised, 13), Op::Promise).byte(4);
    let no_leaves = (0..64).fold(heard(begin()), |steps, index| symbol(steps, index, &[]));
    let no_leaves = op(wait(wait(no_leaves, 13), 8), Op::Fetched).byte(1).patch(&[]);
    let refused = (1..5).fold(heard(begin()), |steps, odd| key(steps, 2, odd));
    let split = key(probe(key(heard(begin()), 3, 0), ProbeState::Sending, 1), 2, 0);
    let split = op(op(send(split, 7, 0), Op::Position).byte(6), Op::Wanted).byte(8).byte(0);
    let failed = op(op(key(begin(), 3, 0), Op::JoinFailed), Op::Session);
    [
        ("whole", send(heard(begin()), 1, 0)),
        ("lossy", wait(wait(lossy, 10), 10)),
        ("promised", wait(promised, 13)),
        ("forged", send(symbol(symbol(heard(begin()), 3, &[(9, 1)]), 3, &[(9, 1)]), 1, 0)),
        ("leaves", no_leaves),
        ("refused", refused),
        ("split", wait(split, 17)),
        ("failed", wait(key(failed, 3, 0), 21)),
        ("window", send(heard(Steps::new().byte(0).byte(2)), 4, 0)),
        ("junk", op(heard(begin()), Op::Junk).counted(&[0x10, 0x11, 0, 1, 0, 0, 1, 3])),
    ]
    .map(|(name, steps)| Seed::new(name, steps))
    .into()
}
