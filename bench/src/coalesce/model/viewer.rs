//! One viewer: what they have, what they hear, when they need what.

use segcast_proto::coalesce::Channel;
use segcast_proto::ids::ChannelId;

use crate::coalesce::crowd::Arrival;
use crate::coalesce::plan::{SEGMENTS, deadline};

/// A viewer that stores all that they overhear.
#[derive(Debug)]
pub(super) struct Viewer {
    pub(super) arrival: Arrival,
    /// They got a GROUP_KEY.
    pub(super) invited: bool,
    /// They left.
    pub(super) gone: bool,
    /// A bit for each segment.
    got: Vec<u64>,
    /// The first segment that they lack.
    position: u32,
    /// Channels, and since when they are heard.
    heard: Vec<(ChannelId, f64)>,
}

impl Viewer {
    pub(super) fn new(arrival: Arrival) -> Self {
        Self {
            arrival,
            invited: false,
            gone: false,
            got: Vec::new(),
            position: arrival.first,
            heard: Vec::new(),
        }
    }

    pub(super) fn deadline(&self, segment: u32) -> f64 {
        deadline(self.arrival.at, self.arrival.first, segment)
    }

    pub(super) fn has(&self, segment: u32) -> bool {
        self.got.get(segment as usize / 64).is_some_and(|bits| bits >> (segment % 64) & 1 != 0)
    }

    pub(super) fn needs(&self, segment: u32) -> bool {
        segment >= self.position && !self.has(segment)
    }

    pub(super) fn got(&mut self, segment: u32) {
        if self.got.is_empty() {
            self.got.resize(SEGMENTS.div_ceil(64) as usize, 0);
        }
        self.got[segment as usize / 64] |= 1 << (segment % 64);
        while self.position < SEGMENTS && self.has(self.position) {
            self.position += 1;
        }
        if self.is_done() {
            self.heard = Vec::new();
        }
    }

    pub(super) fn position(&self) -> u32 {
        self.position
    }

    pub(super) fn is_done(&self) -> bool {
        self.position >= SEGMENTS
    }

    /// The next segment that they lack.
    pub(super) fn next_after(&self, segment: u32) -> Option<u32> {
        (segment + 1..SEGMENTS).find(|segment| !self.has(*segment))
    }

    /// Joins the channels that reach beyond their position. One that is closed is heard for as long as it sends.
    pub(super) fn listen(&mut self, now: f64, channels: &[Channel]) {
        let known = |heard: &[(ChannelId, f64)], id| heard.iter().any(|(other, _)| *other == id);
        for channel in channels.iter().filter(|channel| channel.end > self.position) {
            if !known(&self.heard, channel.id) {
                self.heard.push((channel.id, now));
            }
        }
        if self.heard.len() > 64 {
            self.heard.remove(0);
        }
    }

    pub(super) fn listens(&self) -> bool {
        !self.heard.is_empty()
    }

    /// Whether they hear a channel since `began` or before.
    pub(super) fn hears(&self, id: ChannelId, began: f64) -> bool {
        self.heard.iter().any(|(channel, since)| *channel == id && *since <= began)
    }

    /// The channels of a set that they hear, as a GROUP_REPORT says it.
    pub(super) fn mask(&self, channels: &[Channel]) -> u32 {
        let heard = |channel: &Channel| {
            channel.end > self.position && self.hears(channel.id, f64::INFINITY)
        };
        let heard = channels.iter().enumerate().filter(|(_, channel)| heard(channel));
        heard.fold(0, |mask, (at, _)| mask | 1 << at)
    }
}
