//! One channel: whether it is joined, whether anything comes, and what is lost there (section 20.4).

use std::collections::VecDeque;

use super::config::Route;
use crate::crypto::GroupOpener;
use crate::time::{Duration, Instant};
use crate::wire::group_key::GroupChannel;
use crate::wire::group_report::{ChannelReport, ChannelState, LOSS_ALL};

/// A joined channel on which nothing comes is deaf after this.
const JOIN_TIME: Duration = Duration::from_secs(3);
/// One on which something came is deaf after a silence of this.
const SILENCE: Duration = Duration::from_millis(3500);
/// How long a deaf channel is left alone; doubled each time …
const PAUSE: Duration = Duration::from_secs(60);
/// … up to this.
const PAUSE_MAX: Duration = Duration::from_secs(3600);
/// So many promised sends in a row of which nothing came make a channel deaf.
const UNHEARD_MAX: u8 = 2;
/// Over so many promised sends at least half of the symbols must have come.
const PROMISES: usize = 3;
/// How long a channel brings what it gave to another one (section 20.4).
const HANDED_OVER: Duration = Duration::from_secs(4);
/// Sends that loss is told of.
const LOSS_SENDS: usize = 16;

/// What a change of state asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Membership {
    Join,
    Leave,
}

/// One channel of a set.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) info: GroupChannel,
    pub(super) route: Route,
    pub(super) opener: GroupOpener,
    state: ChannelState,
    /// When it was joined, or its last packet came; in a pause, when that ends.
    since: Instant,
    pause: Duration,
    /// Until then it brings segments that it gave to another channel.
    lingers: Instant,
    unheard: u8,
    /// Verified symbols of the last promised sends, and what there were.
    promises: VecDeque<(u32, u32)>,
    /// Lost symbols of the last sends that were heard whole, and what there were.
    losses: VecDeque<(u32, u32)>,
    /// Symbols verified since the last report.
    verified: u32,
}

impl Channel {
    pub(super) fn new(info: GroupChannel, route: Route) -> Self {
        Self {
            info,
            route,
            opener: GroupOpener::new(info.id),
            state: ChannelState::Left,
            since: Instant::ZERO,
            pause: PAUSE,
            lingers: Instant::ZERO,
            unheard: 0,
            promises: VecDeque::new(),
            losses: VecDeque::new(),
            verified: 0,
        }
    }

    /// Whether its group is joined.
    pub(super) const fn is_joined(&self) -> bool {
        matches!(self.state, ChannelState::Joining | ChannelState::Listening)
    }

    pub(super) fn is_listening(&self) -> bool {
        self.state == ChannelState::Listening
    }

    pub(super) const fn covers(&self, segment: u32) -> bool {
        self.info.first <= segment && segment < self.info.end
    }

    /// What a newer GROUP_KEY says of it. What it gives to another channel it still brings for some seconds.
    pub(super) fn announce(&mut self, now: Instant, info: GroupChannel) {
        if info.first > self.info.first || info.end < self.info.end {
            self.lingers = now + HANDED_OVER;
        }
        self.info = info;
    }

    /// Whether it is joined, and brings segments that it does not cover any more.
    pub(super) fn is_lingering(&self, now: Instant) -> bool {
        self.is_joined() && now < self.lingers
    }

    /// Whether it is wanted now; says what that changes.
    pub(super) fn want(&mut self, now: Instant, wanted: bool) -> Option<Membership> {
        match (self.state, wanted) {
            (ChannelState::Left, true) => {
                (self.state, self.since) = (ChannelState::Joining, now);
                Some(Membership::Join)
            }
            (ChannelState::Joining | ChannelState::Listening, false) => {
                self.state = ChannelState::Left;
                Some(Membership::Leave)
            }
            _ => None,
        }
    }

    /// An authentic packet came; says whether it was the first.
    pub(super) fn heard(&mut self, now: Instant) -> bool {
        self.since = now;
        let is_first = self.state == ChannelState::Joining;
        self.state = if is_first { ChannelState::Listening } else { self.state };
        is_first
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.state {
            ChannelState::Left => None,
            ChannelState::Joining => Some(self.since + JOIN_TIME),
            ChannelState::Listening => Some(self.since + SILENCE),
            ChannelState::Deaf => Some(self.since),
        }
    }

    /// Lets the timer fire if it is due: who hears nothing is deaf, and a pause ends. Says whether the state changed.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        if self.due().is_none_or(|due| now < due) {
            return false;
        }
        if self.state == ChannelState::Deaf {
            self.state = ChannelState::Left;
        } else {
            self.turn_deaf(now);
        }
        true
    }

    /// It is joined, and of no use: it is left alone for a while.
    pub(super) fn turn_deaf(&mut self, now: Instant) {
        self.state = ChannelState::Deaf;
        self.since = now + self.pause;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        self.unheard = 0;
        self.promises.clear();
    }

    /// A send has ended of which `heard` of `symbols` symbols came, `verified` of them with their leaf. Says whether the
    /// channel turned deaf by it: only what the server promised in the session can do that, as it is authentic.
    pub(super) fn sent(
        &mut self,
        now: Instant,
        is_promised: bool,
        [verified, heard, symbols]: [u32; 3],
    ) -> bool {
        if heard * 2 >= symbols {
            push(&mut self.losses, LOSS_SENDS, (symbols - heard, symbols));
        }
        if !is_promised || !self.is_joined() {
            return false;
        }
        push(&mut self.promises, PROMISES, (verified, symbols));
        self.unheard = if heard == 0 { self.unheard + 1 } else { 0 };
        let [got, all] = sums(&self.promises);
        let is_poor = self.promises.len() == PROMISES && got * 2 < all;
        let is_deaf = self.unheard >= UNHEARD_MAX || is_poor;
        if is_deaf {
            self.turn_deaf(now);
        } else if verified == symbols {
            self.pause = PAUSE;
        }
        is_deaf
    }

    pub(super) fn count_verified(&mut self, symbols: u32) {
        self.verified = self.verified.wrapping_add(symbols);
    }

    /// What a report says of it.
    pub(super) fn report(&mut self) -> ChannelReport {
        let [lost, all] = sums(&self.losses);
        let loss = (lost * u64::from(LOSS_ALL)).checked_div(all).unwrap_or(0);
        ChannelReport {
            id: self.info.id,
            state: self.state,
            loss: u16::try_from(loss).unwrap_or(LOSS_ALL),
            verified: core::mem::take(&mut self.verified),
        }
    }
}

/// Appends; forgets the oldest of more than `most`.
fn push(list: &mut VecDeque<(u32, u32)>, most: usize, item: (u32, u32)) {
    list.truncate(most - 1);
    list.push_front(item);
}

fn sums(list: &VecDeque<(u32, u32)>) -> [u64; 2] {
    list.iter().fold([0; 2], |[a, b], (x, y)| [a + u64::from(*x), b + u64::from(*y)])
}
