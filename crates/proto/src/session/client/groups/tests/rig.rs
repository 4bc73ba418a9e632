//! The edge's side of one channel, made by hand, and the client under test.

use std::sync::LazyLock;

use super::super::{Groups, GroupsConfig, GroupsEvent, Route};
use crate::crypto::sign::SigningKey;
use crate::crypto::{GroupSealer, GroupSecret, Suite};
use crate::ids::{ChannelId, ObjectNumber, SetId};
use crate::limits::{DATAGRAM_BASE, SYMBOL};
use crate::rate::Rate;
use crate::segment::digest::Entry;
use crate::segment::geometry::{Geometry, UNIT};
use crate::segment::leaves::SegmentLeaves;
use crate::segment::manifest::{Description, Manifest, ManifestBuilder, Protection};
use crate::segment::parity::ParityEncoder;
use crate::time::{Duration, Instant};
use crate::wire::PacketType;
use crate::wire::group_key::{GroupChannel, GroupKey};
use crate::wire::group_probe::{GroupProbe, NOTHING, ProbeEntry};
use crate::wire::group_report::WINDOW_ALL;

pub(super) const SET: SetId = SetId([7; 16]);
pub(super) const SEGMENTS: u32 = 20;
pub(super) const CHANNEL: ChannelId = ChannelId::new(1, 3);
pub(super) const START: Instant = Instant::from_nanos(5_000_000_000);
pub(super) const MS: Duration = Duration::from_millis(1);
pub(super) const SOURCE: [u8; 4] = [192, 0, 2, 1];

/// A title of 20 segments of 64 symbols: 16 of parity, 2 LEAVES payloads.
pub(super) struct Title {
    pub(super) manifest: Manifest,
    pub(super) stored: Vec<Vec<u8>>,
    pub(super) leaves: Vec<Vec<Vec<u8>>>,
    parity: Vec<Vec<u8>>,
}

pub(super) static TITLE: LazyLock<Title> = LazyLock::new(|| {
    let geometry = Geometry::new(u64::from(SEGMENTS * UNIT), UNIT, true).unwrap();
    let (name, running_time) = ("a test".to_owned(), Duration::from_secs(60));
    let protection = Protection::Sealed { salt: [1; 16], commitment: [2; 32] };
    let description = Description { set: SET, geometry, protection, running_time, name };
    let mut builder = ManifestBuilder::new(description).unwrap();
    let mut encoder = ParityEncoder::new(&geometry);
    let (mut stored, mut leaves, mut all_parity) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..SEGMENTS {
        let segment: Vec<u8> = (0..UNIT).map(|at| (at * 7 + number) as u8).collect();
        let mut parity = Vec::new();
        encoder.encode(&segment, &mut parity);
        let of_segment = SegmentLeaves::new(SET, number, &segment, &parity);
        let digest = crate::crypto::hash::sha256(&[&segment]);
        builder.push(&Entry::new(&digest, of_segment.group_digests(SET, number)));
        leaves.push(of_segment.groups().map(<[u8]>::to_vec).collect());
        stored.push(segment);
        all_parity.push(parity);
    }
    let center = SigningKey::from_seed(&[1; 32]);
    let manifest = Manifest::from_pages(&builder.sign(&center), &[center.public()]).unwrap();
    Title { manifest, stored, leaves, parity: all_parity }
});

/// The edge's side of one channel, and the client under test.
pub(super) struct Rig {
    pub(super) now: Instant,
    pub(super) groups: Groups,
    pub(super) sealer: GroupSealer,
    probes: u32,
}

pub(super) fn secret() -> GroupSecret {
    GroupSecret::new([4; 32])
}

pub(super) fn channel() -> GroupChannel {
    let group = [232, 1, 1, 1].into();
    GroupChannel { id: CHANNEL, group, first: 0, end: SEGMENTS, pace_kbit: 8000 }
}

pub(super) fn key(channels: Vec<GroupChannel>) -> GroupKey {
    GroupKey {
        epoch: 0,
        suite: 1,
        report_interval_ms: 1000,
        members: 2,
        secret: secret(),
        source: SOURCE.into(),
        port: 4872,
        channels,
    }
}

pub(super) fn route() -> Route {
    Route { source: SOURCE.into(), group: [232, 1, 1, 1].into(), port: 4872 }
}

impl Rig {
    /// Nothing announced yet.
    pub(super) fn new() -> Self {
        let rate = Rate::from_kilobits(10_000);
        let config = GroupsConfig { sources: vec![SOURCE.into()], rate, window: WINDOW_ALL };
        let groups = Groups::new(config, &TITLE.manifest, [6; 32]);
        let sealer = GroupSealer::new(&secret(), Suite::Aes128Gcm, CHANNEL);
        Self { now: START, groups, sealer, probes: 0 }
    }

    /// The channel is announced, joined, and heard.
    pub(super) fn listening() -> Self {
        let mut rig = Self::new();
        rig.groups.on_group_key(START, 1, &key(vec![channel()]));
        assert_eq!(rig.groups.poll_event(), Some(GroupsEvent::Join(route())));
        rig.probe(vec![]);
        assert!(rig.groups.hears(0));
        rig
    }

    pub(super) fn seal(
        &mut self,
        packet_type: PacketType,
        segment: u32,
        offset: u32,
        payload: &[u8],
    ) -> Vec<u8> {
        let mut out = vec![0; DATAGRAM_BASE];
        let object = ObjectNumber(segment);
        let len =
            self.sealer.seal(self.now, packet_type, object, offset, payload, &mut out).unwrap();
        out.truncate(len);
        out
    }

    pub(super) fn hand(&mut self, datagram: &[u8]) {
        self.groups.handle_datagram(self.now, &TITLE.manifest, &mut datagram.to_vec());
    }

    pub(super) fn probe(&mut self, entries: Vec<ProbeEntry>) {
        let mut payload = [0; GroupProbe::LEN_MAX];
        let probe = GroupProbe { members: 2, back_off_ms: 10, entries };
        let len = probe.encode(&mut payload).unwrap();
        self.probes += 1;
        let probe = self.seal(PacketType::GroupProbe, NOTHING, self.probes, &payload[..len]);
        self.hand(&probe);
    }

    pub(super) fn symbol(&mut self, segment: u32, index: u32) -> Vec<u8> {
        let number = segment as usize;
        let mut all =
            TITLE.stored[number].chunks(SYMBOL).chain(TITLE.parity[number].chunks(SYMBOL));
        let symbol = all.nth(index as usize).unwrap();
        self.seal(PacketType::Symbol, segment, index, symbol)
    }

    pub(super) fn leaves(&mut self, segment: u32, group: u32) -> Vec<u8> {
        let payload = &TITLE.leaves[segment as usize][group as usize];
        self.seal(PacketType::Leaves, segment, group, payload)
    }

    /// Sends leaves and symbols of a segment, but not those of `lost`.
    pub(super) fn send(&mut self, segment: u32, lost: &[u32]) {
        for group in 0..2 {
            let leaves = self.leaves(segment, group);
            self.hand(&leaves);
        }
        for index in (0..64).filter(|index| !lost.contains(index)) {
            let symbol = self.symbol(segment, index);
            self.hand(&symbol);
        }
    }

    /// Lets time pass, with all timers, and a probe each second.
    pub(super) fn pass(&mut self, time: Duration) {
        let (end, mut probe_at) = (self.now + time, self.now + MS * 1000);
        while let Some(at) = self.groups.poll_timeout().filter(|at| (*at).min(probe_at) <= end) {
            self.now = self.now.max(at.min(probe_at));
            if self.now == probe_at {
                self.probe(vec![]);
                probe_at += MS * 1000;
            }
            self.groups.handle_timeout(self.now);
            self.groups.poll_report(self.now);
        }
        self.now = end;
    }

    pub(super) fn events(&mut self) -> Vec<GroupsEvent> {
        std::iter::from_fn(|| self.groups.poll_event()).collect()
    }

    /// The one segment that came, and nothing else happened.
    pub(super) fn segment(&mut self) -> u32 {
        match &self.events()[..] {
            [GroupsEvent::Segment { segment, bytes }] => {
                assert!(*bytes == TITLE.stored[*segment as usize]);
                *segment
            }
            other => panic!("{}", other.len()),
        }
    }

    /// The one object whose rest is to be fetched, and what of it is missing.
    pub(super) fn rest(&mut self) -> (ObjectNumber, Vec<(u32, u32)>) {
        match &self.events()[..] {
            [GroupsEvent::Rest { object, bytes, have }] => {
                let missing = have.missing(bytes.len() as u32).map(|hole| (hole.start, hole.end));
                (*object, missing.collect())
            }
            other => panic!("{}", other.len()),
        }
    }
}
