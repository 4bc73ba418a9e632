//! Datagrams of groups: symbols to segments, and what to do about those that did not come (sections 20.4 and 20.5).

use rand_core::RngCore;

use super::channel::Channel;
use super::segment::{Gained, OpenSegment, Stage};
use super::{Groups, GroupsEvent};
use crate::crypto::GroupPacket;
use crate::faults::{Fault, planted};
use crate::ids::{ChannelId, ObjectNumber};
use crate::limits::DATAGRAM_BASE;
use crate::rate::Rate;
use crate::segment::geometry::LEAVES_PER_GROUP;
use crate::segment::manifest::Manifest;
use crate::time::{Duration, Instant};
use crate::wire::group_probe::{self, GroupProbe, ProbeState};
use crate::wire::{ClearHeader, PacketType};

/// A send has ended when nothing new of it came for this long, and it was said to be over, or another segment began.
const OVERTAKEN: Duration = Duration::from_millis(30);
/// No send takes longer than this.
const SEND_MAX: Duration = Duration::from_secs(60);
/// How long the leaves of a segment are waited for.
const LEAVES_TIME: Duration = Duration::from_secs(1);

impl Groups {
    /// Takes in a datagram that came to a group, decrypted in place. `manifest`: that of the set, with the pages there are.
    pub fn handle_datagram(&mut self, now: Instant, manifest: &Manifest, datagram: &mut [u8]) {
        let bytes = datagram.len() as u64;
        let channel = ClearHeader::decode(datagram).ok().and_then(|header| {
            let id = ChannelId(header.receiver.0);
            self.channels.iter_mut().find(|channel| channel.info.id == id && channel.is_joined())
        });
        let Some(channel) = channel else {
            self.stats.dropped += 1;
            return;
        };
        let Ok(packet) = channel.opener.open(now, datagram) else {
            self.stats.dropped += 1;
            return;
        };
        if channel.heard(now) {
            self.reporting.soon(now);
        }
        self.stats.datagrams += 1;
        self.stats.bytes += bytes;
        let id = channel.info.id;
        match packet.packet_type {
            PacketType::Symbol | PacketType::Leaves => self.on_segment(now, manifest, id, &packet),
            _ => self.on_probe(now, &packet),
        }
    }

    /// The server has finished a request for `segment` by promising that a group brings it. False: no channel of it is
    /// joined, or there is no room: it is to be fetched at once.
    pub fn promised(&mut self, now: Instant, segment: u32) -> bool {
        if self.taken.get(segment as usize) == Some(&true) {
            // It came already.
            return true;
        }
        let joined = self.channels.iter().find(|c| c.is_joined() && c.covers(segment));
        let Some(id) = joined.map(|channel| channel.info.id) else { return false };
        let Some(open) = self.opened(now, id, segment) else { return false };
        open.promise(now);
        true
    }

    /// The leaves of `segment` were fetched: its LEAVES payloads joined.
    pub fn on_leaves(&mut self, now: Instant, manifest: &Manifest, segment: u32, bytes: &[u8]) {
        let Some(at) = self.open.iter().position(|open| open.segment == segment) else { return };
        let group_bytes = LEAVES_PER_GROUP as usize * crate::segment::geometry::LEAF;
        for (group, payload) in (0..).zip(bytes.chunks(group_bytes)) {
            let Ok(Some(digest)) = manifest.group_digest(segment, group) else { continue };
            let Some(open) = self.open.get_mut(at) else { return };
            // Only those were asked for; of the others nothing may be there.
            if open.waits_for(group as usize) {
                let gained = open.take_leaves(&self.geometry, self.set, group, payload, digest);
                let channel = open.channel;
                self.count(channel, gained);
            }
        }
        if let Some(open) =
            self.open.get_mut(at).filter(|o| matches!(o.stage, Stage::Leaves { .. }))
        {
            open.stage = Stage::Leaves { until: now };
        }
        self.finish_if_enough(now, at);
        self.end_silent(now);
    }

    /// A SYMBOL or a LEAVES.
    fn on_segment(
        &mut self,
        now: Instant,
        manifest: &Manifest,
        channel: ChannelId,
        packet: &GroupPacket<'_>,
    ) {
        let (segment, index) = (packet.frame.object.0, packet.frame.offset);
        self.overtake(channel, segment);
        let is_leaves = packet.packet_type == PacketType::Leaves;
        let group = if is_leaves { index } else { index / LEAVES_PER_GROUP };
        let (set, geometry) = (self.set, self.geometry);
        let symbols = geometry.source_symbols() + geometry.parity_symbols();
        let digest = manifest.group_digest(segment, group).ok().flatten();
        let Some(digest) = digest.filter(|_| is_leaves || index < symbols) else {
            self.stats.unwanted += 1;
            return;
        };
        let Some(open) = self.opened(now, channel, segment) else {
            self.stats.unwanted += 1;
            return;
        };
        let gained = if is_leaves {
            open.take_leaves(&geometry, set, index, packet.payload, digest)
        } else {
            open.place(set, index, packet.payload)
        };
        open.heard_packet(now, gained);
        self.count(channel, gained);
        if let Some(at) = self.open.iter().position(|open| open.segment == segment) {
            self.finish_if_enough(now, at);
        }
    }

    /// What a channel sends now and next. Only a hint, as every member could have made it: it ends no send of which
    /// anything still comes.
    fn on_probe(&mut self, now: Instant, packet: &GroupPacket<'_>) {
        let Ok(probe) = GroupProbe::decode(packet.payload) else { return };
        for entry in probe.entries.iter().filter(|entry| entry.state == ProbeState::Sent) {
            if planted(Fault::ProbeCancels) {
                self.set_wanted(entry.segment, false);
            }
            let open = self.open.iter_mut().find(|open| open.segment == entry.segment);
            if let Some(OpenSegment { stage: Stage::Hearing { until }, last: Some(last), .. }) =
                open
            {
                *until = (*until).min((*last + OVERTAKEN).max(now));
            }
        }
    }

    /// Another segment than those before comes by a channel: what came by it is over, once it is quiet.
    fn overtake(&mut self, channel: ChannelId, segment: u32) {
        let before = |o: &&mut OpenSegment| o.channel == channel && o.segment != segment;
        for open in self.open.iter_mut().filter(before) {
            if let (Stage::Hearing { until }, Some(last)) = (&mut open.stage, open.last) {
                *until = (*until).min(last + OVERTAKEN);
            }
        }
    }

    /// The buffer of a segment, made if it is wanted and there is room. What is promised goes before what is not, what
    /// is needed sooner before what is needed later.
    fn opened(
        &mut self,
        now: Instant,
        channel: ChannelId,
        segment: u32,
    ) -> Option<&mut OpenSegment> {
        if let Some(at) = self.open.iter().position(|open| open.segment == segment) {
            return self.open.get_mut(at);
        }
        let end = self.position.saturating_add(self.config.window);
        let in_window = (self.position..end).contains(&segment);
        if !in_window || self.taken.get(segment as usize) != Some(&false) {
            return None;
        }
        if self.open.len() >= self.open_max() {
            let worst =
                self.open.iter().enumerate().max_by_key(|(_, o)| (!o.is_promised, o.segment));
            let (at, _) = worst.filter(|(_, o)| (!o.is_promised, o.segment) > (true, segment))?;
            self.open.remove(at);
        }
        let symbols = self.geometry.source_symbols() + self.geometry.parity_symbols();
        let datagrams = u64::from(symbols + 2 * self.geometry.leaf_groups());
        let pace = self.channel(channel).map_or(Rate::ZERO, |channel| channel.info.pace());
        let takes = pace.time_for(datagrams * DATAGRAM_BASE as u64).min(SEND_MAX);
        self.open.push(OpenSegment::new(&self.geometry, segment, channel, now, takes));
        self.open.last_mut()
    }

    fn count(&mut self, channel: ChannelId, gained: Gained) {
        self.stats.verified += u64::from(gained.verified);
        self.stats.forged += u64::from(gained.forged);
        self.stats.duplicates += u64::from(gained.duplicates);
        if let Some(channel) = self.channel(channel) {
            channel.count_verified(gained.verified);
        }
    }

    fn channel(&mut self, id: ChannelId) -> Option<&mut Channel> {
        self.channels.iter_mut().find(|channel| channel.info.id == id)
    }

    fn finish_if_enough(&mut self, now: Instant, at: usize) {
        if self.open.get(at).is_none_or(|open| !open.is_enough()) {
            return;
        }
        let (mut bytes, incomplete) = self.close(now, at).into_parts();
        // It has as many symbols as the code needs, each of them the right one. Were it otherwise, the segment's digest
        // would say so to whom the segment goes now.
        let _ = incomplete.complete(&self.geometry, &mut bytes);
        self.stats.segments += 1;
        self.stats.computed += incomplete.computed();
        self.events.push_back(GroupsEvent::Segment { segment: incomplete.segment, bytes });
    }

    /// Takes a segment out that is whole, or whose rest is asked for: no group needs to bring it any more.
    fn close(&mut self, now: Instant, at: usize) -> OpenSegment {
        let open = self.open.remove(at);
        if let Some(taken) = self.taken.get_mut(open.segment as usize) {
            *taken = true;
        }
        let symbols = self.geometry.source_symbols();
        let counts = [open.verified(), open.heard(), symbols];
        let is_promised = open.is_promised;
        if open.heard() * 2 >= symbols {
            self.loss.count(now, symbols - open.heard(), symbols);
        }
        let deaf = self
            .channel(open.channel)
            .and_then(|c| c.sent(now, is_promised, counts).then_some(c.route));
        if let Some(route) = deaf {
            self.stats.deaf += 1;
            self.reporting.soon(now);
            self.events.push_back(GroupsEvent::Leave(route));
        }
        open
    }

    /// Sends that are over by now: first the leaves that are missing are asked for, then the symbols.
    pub(super) fn end_silent(&mut self, now: Instant) {
        while let Some(at) = self.open.iter().position(|open| open.stage.due() <= now) {
            let wait = self.back_off();
            let symbols = self.geometry.source_symbols();
            let Some(open) = self.open.get_mut(at) else { return };
            match open.stage {
                // Nobody promised it, and less than half came: to ask for it as a whole, later, may be of use to others
                // too. And members may have made it up.
                _ if !open.is_promised && open.verified() * 2 < symbols => {
                    self.open.remove(at);
                }
                Stage::Hearing { .. } if open.last.is_some() => {
                    open.stage = Stage::Ended { ask_at: now + wait };
                }
                Stage::Ended { .. } if open.missing_leaves().is_some() => self.ask_leaves(now, at),
                _ => self.ask_rest(now, at),
            }
        }
    }

    /// A random part of the longest wait, so that those who lost the same do not ask at the same time.
    fn back_off(&mut self) -> Duration {
        let longest = group_probe::back_off(self.members);
        longest.mul_f64(f64::from(self.rng.next_u32()) / f64::from(u32::MAX))
    }

    fn ask_leaves(&mut self, now: Instant, at: usize) {
        let Some(open) = self.open.get_mut(at) else { return };
        open.stage = Stage::Leaves { until: now + LEAVES_TIME };
        let Some((bytes, have)) = open.missing_leaves() else { return };
        let object = ObjectNumber::leaves_of(open.segment);
        self.events.push_back(GroupsEvent::Rest { object, bytes, have });
    }

    /// What is verified stays, the rest is to be fetched.
    fn ask_rest(&mut self, now: Instant, at: usize) {
        let (bytes, mut incomplete) = self.close(now, at).into_parts();
        self.stats.rests += 1;
        if self.incomplete.len() >= self.open_max() {
            incomplete.forget_parity();
        }
        let object = ObjectNumber(incomplete.segment);
        let have = incomplete.split_fetched(self.geometry.segment_bytes());
        self.incomplete.retain(|other| other.segment != incomplete.segment);
        if incomplete.computed() > 0 {
            self.incomplete.push(incomplete);
        }
        self.events.push_back(GroupsEvent::Rest { object, bytes, have });
    }

    /// What was asked for of `segment` by [`GroupsEvent::Rest`] has come, all of it in `bytes`: computes what parity
    /// replaces. To be called before the segment is checked.
    pub fn complete(&mut self, segment: u32, bytes: &mut [u8]) {
        let Some(at) = self.incomplete.iter().position(|other| other.segment == segment) else {
            return;
        };
        let incomplete = self.incomplete.swap_remove(at);
        if incomplete.complete(&self.geometry, bytes).is_ok() {
            self.stats.computed += incomplete.computed();
        }
    }
}
