//! A title to several viewers, once to a group: an endpoint, the owner of its sets, and clients with all that they do, in
//! virtual time; the network loses what a test says, and members do what they should not.

mod forger;
mod viewer;

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use forger::Forger;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use segcast_proto::coalesce::CoalescerConfig;
use segcast_proto::ids::{ObjectNumber, SetHandle};
use segcast_proto::owner::{GroupRange, News, Owner, OwnerConfig};
use segcast_proto::rate::Rate;
use segcast_proto::segment::geometry::UNIT;
use segcast_proto::session::client::groups::GroupStats;
use segcast_proto::time::{Duration, Instant};
pub use viewer::Viewer;

use crate::endpoint::rig::{MS, Rig, address};
use crate::source::{MemorySource, content, set_id};
use crate::title::Title;

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

/// An owner for one shard, who sends to groups of `source` at `rate` and no more.
#[must_use]
pub fn owner_config(rate: Rate, source: IpAddr) -> OwnerConfig {
    let coalescer = CoalescerConfig {
        shard: 0,
        channels: 8,
        members: 100,
        rate,
        channel_rate: rate,
        bulk_rate: rate,
    };
    let groups = GroupRange { first: [232, 9, 0, 0].into(), count: 256 };
    OwnerConfig { coalescer, shards: 1, groups, source, port: 4872 }
}

/// What a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// What it should.
    Honest,
    /// It seals junk with the secret of the group, a hundred times what the title takes.
    Forging,
    /// It joins, and hears nothing.
    Deaf,
    /// It asks for repairs of what it did not lack.
    Bombing,
    /// It loses a fifth.
    Lossy,
}

impl Member {
    /// Of a thousand datagrams of groups, if it is not like the others.
    const fn loses(self) -> Option<u32> {
        match self {
            Self::Deaf => Some(1000),
            Self::Lossy => Some(200),
            _ => None,
        }
    }
}

/// What was sent, times the title, and what was seen through.
#[derive(Clone, Copy, Debug)]
pub struct Played {
    /// To groups.
    pub group: f64,
    /// To each.
    pub unicast: f64,
    /// Packets that a member had forged, over all who heard them.
    pub forged: u64,
}

impl Played {
    /// All of it.
    #[must_use]
    pub fn titles(&self) -> f64 {
        self.group + self.unicast
    }
}

/// All of them, and what was sent.
pub struct World {
    /// The edge, and the time.
    pub rig: Rig,
    owner: Owner,
    /// In the order in which they came.
    pub viewers: Vec<Viewer>,
    loss: ChaCha20Rng,
    /// Of a thousand datagrams to each who listens.
    lost: u32,
    /// Nothing that goes to groups comes from then on.
    pub cut_at: Option<Instant>,
    /// What the first viewer does.
    first: Member,
    forger: Option<Forger>,
    group_bytes: u64,
    unicast_bytes: u64,
}

impl World {
    /// Of a thousand datagrams of groups, `lost` do not come.
    #[must_use]
    pub fn new(seed: u64, lost: u32) -> Self {
        Self::with(seed, lost, Member::Honest)
    }

    /// The same with a first viewer who is not like the others.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn with(seed: u64, lost: u32, first: Member) -> Self {
        let mut rig = Rig::new(seed, |config| config.multicast = true);
        rig.source = source();
        let config = owner_config(Rate::from_kilobits(1_000_000), SOURCE.into());
        let owner = Owner::new(config, rig.draw(), rig.now);
        let loss = ChaCha20Rng::from_seed(rig.draw());
        let (group_bytes, unicast_bytes) = (0, 0);
        let viewers = Vec::new();
        let (cut_at, forger) = (None, None);
        Self { rig, owner, viewers, loss, lost, cut_at, first, forger, group_bytes, unicast_bytes }
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
                let lost = if viewer.number == 1 { self.first.loses() } else { None };
                let lost = lost.unwrap_or(self.lost);
                for datagram in out[..sent.len].chunks(sent.datagram_bytes) {
                    if self.loss.next_u32() % 1000 >= lost {
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
        self.misbehave(now);
        self.exchange();
        for (to, mut bytes) in self.rig.drain() {
            let is_first = to == address(1) && self.first != Member::Honest;
            self.unicast_bytes += if is_first { 0 } else { bytes.len() as u64 };
            let viewer = self.viewers.iter_mut().find(|viewer| address(viewer.number) == to);
            viewer.expect("a viewer").session.handle_datagram(now, 0, &mut bytes);
        }
    }

    /// What the first viewer does beside watching.
    fn misbehave(&mut self, now: Instant) {
        let Some((first, others)) = self.viewers.split_first_mut() else { return };
        if self.first == Member::Bombing {
            first.bomb(now, self.loss.next_u32());
        }
        let Some(key) = first.key.as_ref().filter(|_| self.first == Member::Forging) else {
            return;
        };
        if self.forger.as_ref().is_none_or(|forger| !forger.has(key)) {
            self.forger = Forger::new(key, ChaCha20Rng::from_seed(self.rig.draw()));
        }
        let junk = self.forger.as_mut().map(|forger| forger.step(now)).unwrap_or_default();
        for viewer in others.iter_mut().filter(|viewer| !viewer.joined.is_empty()) {
            for datagram in &junk {
                let mut bytes = datagram.clone();
                viewer.groups.handle_datagram(now, &TITLE.manifest, &mut bytes);
            }
        }
    }

    /// Viewers who start `apart`, until all have all of it. What was sent to those who do as they should.
    ///
    /// # Errors
    /// When one of those misses something, gets it too late, or gets another thing.
    pub fn play(&mut self, count: u32, apart: Duration) -> Result<Played, String> {
        let end = self.rig.now + apart * count + PLAY * SEGMENTS + PLAY * 3;
        let honest = usize::from(self.first != Member::Honest);
        let mut next = self.rig.now;
        while self.viewers.len() < count as usize
            || !self.viewers[honest..].iter().all(Viewer::is_done)
        {
            if next <= self.rig.now && self.viewers.len() < count as usize {
                let viewer = Viewer::new(&mut self.rig, self.viewers.len() as u32 + 1);
                self.viewers.push(viewer);
                next += apart;
            }
            self.step();
            if self.rig.now >= end {
                return Err("viewers have not got all".to_owned());
            }
        }
        let viewers = &self.viewers[honest..];
        if let Some(wrong) = viewers.iter().find_map(|viewer| viewer.wrong.clone()) {
            return Err(wrong);
        }
        let late: u32 = viewers.iter().map(|viewer| viewer.late).sum();
        let title = f64::from(SEGMENTS) * SEGMENT_BYTES as f64;
        let [group, unicast] = [self.group_bytes, self.unicast_bytes].map(|b| b as f64 / title);
        let sum = |of: fn(&GroupStats) -> u64| -> u64 {
            viewers.iter().map(|viewer| of(viewer.groups.stats())).sum()
        };
        let [rests, forged, deaf] =
            [sum(|stats| stats.rests), sum(|stats| stats.forged), sum(|stats| stats.deaf)];
        println!(
            "{:?}: {group:.3} titles to groups, {unicast:.3} by unicast, {rests} rests, {forged} forged, \
             {deaf} deaf, {late} late",
            self.first
        );
        if late > 0 {
            return Err(format!("{late} segments came too late"));
        }
        Ok(Played { group, unicast, forged })
    }
}
