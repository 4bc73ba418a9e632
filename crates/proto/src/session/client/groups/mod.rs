//! The groups of one set, as a client hears them (section 20): which channels it joins, segments from their symbols,
//! what is still to be asked for, and what the server is told.
//!
//! Beside a [`ClientSession`](super::ClientSession), whose GROUP_KEYs it takes and whose GROUP_REPORTs it makes. Nothing
//! that a group brings is believed before its leaf, which the manifest vouches for, has been compared.

mod channel;
mod config;
mod hearing;
mod keys;
mod loss;
mod reporting;
mod segment;

use std::collections::VecDeque;

use channel::{Channel, Membership};
pub use config::{GroupStats, GroupsConfig, GroupsEvent, NumberedReport, Refusal, Route};
use loss::Loss;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use reporting::Reporting;
use segment::{Incomplete, OpenSegment};

use crate::ids::{ChannelId, SetId};
use crate::rate::Rate;
use crate::segment::geometry::Geometry;
use crate::segment::manifest::Manifest;
use crate::time::{Duration, Instant};

/// Who needs a segment within this asks for it, though a group seems to bring it: every member can make it seem so.
pub const PATIENCE: Duration = Duration::from_secs(4);

/// Segments that are heard at once, at most …
const OPEN_MAX: usize = 16;
/// … and bytes of them; two have room whatever their size.
const OPEN_BYTES: usize = 64 << 20;

/// The groups of one set and session.
pub struct Groups {
    config: GroupsConfig,
    set: SetId,
    geometry: Geometry,
    rng: ChaCha20Rng,
    /// Of the newest GROUP_KEY of this session.
    serial: u32,
    /// Members that listen to the set, as that said.
    members: u32,
    /// Ascending, as GROUP_KEY has them.
    channels: Vec<Channel>,
    open: Vec<OpenSegment>,
    /// Segments of which a rest was asked for that parity completes; no more than may be open.
    incomplete: Vec<Incomplete>,
    /// Segments that are no longer wanted from a group: stored, or fetched otherwise.
    taken: Vec<bool>,
    /// The first segment that the client lacks and will need.
    position: u32,
    reporting: Reporting,
    loss: Loss,
    events: VecDeque<GroupsEvent>,
    stats: GroupStats,
}

impl Groups {
    /// Hears nothing until a GROUP_KEY comes. `seed`: fresh randomness, for waits.
    #[must_use]
    pub fn new(config: GroupsConfig, manifest: &Manifest, seed: [u8; 32]) -> Self {
        let geometry = *manifest.root().geometry();
        Self {
            config,
            set: manifest.root().set(),
            geometry,
            rng: ChaCha20Rng::from_seed(seed),
            serial: 0,
            members: 0,
            channels: Vec::new(),
            open: Vec::new(),
            incomplete: Vec::new(),
            taken: vec![false; geometry.segments() as usize],
            position: 0,
            reporting: Reporting::default(),
            loss: Loss::default(),
            events: VecDeque::new(),
            stats: GroupStats::default(),
        }
    }

    /// The session was opened anew: its serials and numbers of reports begin again. What is joined stays so.
    pub fn on_session(&mut self) {
        self.serial = 0;
        self.reporting = Reporting::default();
    }

    /// The first segment that the client lacks and will need is now `position`.
    pub fn set_position(&mut self, now: Instant, position: u32) {
        self.position = position;
        self.open.retain(|open| open.segment >= position);
        self.incomplete.retain(|incomplete| incomplete.segment >= position);
        self.choose_channels(now);
    }

    /// Whether a segment is wanted from groups: no, when it is stored, or fetched otherwise. At first all are.
    pub fn set_wanted(&mut self, segment: u32, wanted: bool) {
        if let Some(taken) = self.taken.get_mut(segment as usize) {
            *taken = !wanted;
        }
        if !wanted {
            self.open.retain(|open| open.segment != segment);
        }
    }

    /// Whether a channel that sends this segment is heard: a request for it with HEARS may be held.
    #[must_use]
    pub fn hears(&self, segment: u32) -> bool {
        self.channels.iter().any(|channel| channel.is_listening() && channel.covers(segment))
    }

    /// Whether it takes what comes by this channel, so that [`Self::handle_datagram`] would do something.
    #[must_use]
    pub fn is_member(&self, channel: ChannelId) -> bool {
        self.channels.iter().any(|known| known.info.id == channel && known.is_joined())
    }

    /// Whether a part of this segment has come by a group, and the rest may: see [`PATIENCE`].
    #[must_use]
    pub fn is_open(&self, segment: u32) -> bool {
        self.open.iter().any(|open| open.segment == segment)
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<GroupsEvent> {
        self.events.pop_front()
    }

    /// What was counted.
    #[must_use]
    pub const fn stats(&self) -> &GroupStats {
        &self.stats
    }

    /// A group could not be joined: the system says no.
    pub fn join_failed(&mut self, now: Instant, route: Route) {
        let joined = self.channels.iter_mut().filter(|c| c.is_joined() && c.route == route);
        for channel in joined {
            channel.turn_deaf(now);
            self.stats.deaf += 1;
            self.reporting.soon(now);
        }
    }

    /// When to call [`Self::handle_timeout`], at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let channels = self.channels.iter().filter_map(Channel::due);
        let open = self.open.iter().map(|open| open.stage.due());
        channels.chain(open).chain(self.reporting.due()).min()
    }

    /// Lets the timers that are due fire.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.end_silent(now);
        self.react_to_loss(now);
        for channel in &mut self.channels {
            let was_joined = channel.is_joined();
            if channel.handle_timeout(now) {
                self.reporting.soon(now);
                if was_joined {
                    self.stats.deaf += 1;
                    self.events.push_back(GroupsEvent::Leave(channel.route));
                }
            }
        }
        self.choose_channels(now);
    }

    /// Joins the channels that are wanted as far as they send no more together than the client accepts, and are not too
    /// many for what it loses, the nearest first; leaves the others.
    fn choose_channels(&mut self, now: Instant) {
        let (mut left, end) = (self.config.rate, self.position.saturating_add(self.config.window));
        let mut places = self.loss.channels_max(now);
        for channel in &mut self.channels {
            let info = channel.info;
            let is_ahead = info.end > self.position && info.first < end;
            let wanted = (is_ahead || channel.is_lingering(now)) && info.pace() <= left;
            let wanted = wanted && places > 0;
            if wanted {
                places -= 1;
                left = Rate::new(left.bytes_per_second() - info.pace().bytes_per_second());
            }
            let Some(membership) = channel.want(now, wanted) else { continue };
            self.reporting.soon(now);
            self.events.push_back(match membership {
                Membership::Join => GroupsEvent::Join(channel.route),
                Membership::Leave => GroupsEvent::Leave(channel.route),
            });
        }
    }

    /// Most segments that are heard at once.
    fn open_max(&self) -> usize {
        (OPEN_BYTES / self.geometry.segment_bytes() as usize).clamp(2, OPEN_MAX)
    }
}

#[cfg(not(miri))] // Miri does not run C: aws-lc
#[cfg(test)]
mod tests;
