//! What a session is to the groups of one set: invited, listening, or served by unicast (section 20).

use std::sync::Arc;

use super::line::Line;
use crate::coalesce::{Member, Note};
use crate::ids::{SetHandle, SetId, SetIndex};
use crate::limits::GROUP_LOSSY;
use crate::rate::Rate;
use crate::session::server::holds::Holds;
use crate::time::{Duration, Instant};
use crate::wire::{ChannelState, GroupKey, GroupReport};

/// Sets that a session hears at once.
const SETS_MAX: usize = 2;
/// Who is invited and does not listen after this is served by unicast; who comes first waits so long for a second one.
const INVITED: Duration = Duration::from_secs(3);
/// A GROUP_KEY that no GROUP_REPORT acknowledges is sent again after these, and given up after the last.
const REPEATS: [Duration; 6] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(1),
];
/// A member listens until so many report intervals, and this, after its last report.
const OVERDUE_INTERVALS: u32 = 3;
const OVERDUE: Duration = Duration::from_secs(2);
/// The owner is told of a member at most this often where nothing changed …
const TOLD: Duration = Duration::from_secs(5);
/// … and of a change.
const TOLD_CHANGE: Duration = Duration::from_millis(200);
/// It is told anew that a session asks while the set is not open: the first time may have been lost.
const HEARS_AGAIN: Duration = Duration::from_secs(20);

/// What a member is. Whose set is closed is none of these yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The set has no groups.
    None,
    /// The same, and it came a moment ago: a second session would open some.
    Waiting { until: Instant },
    /// It was sent a GROUP_KEY.
    Invited { until: Instant },
    /// It hears at least one channel, as its reports said so far.
    Listening { until: Instant },
    /// It cannot hear, or does not want to.
    Unicast,
}

/// One session's part in the groups of one set.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) set: SetId,
    pub(super) index: SetIndex,
    pub(super) handle: SetHandle,
    pub(super) line: Line,
    standing: Standing,
    /// The groups that it was told of last, if they are open.
    key: Option<Arc<GroupKey>>,
    /// Bit i: it listens to the i-th channel of these.
    listening: u32,
    /// It loses much of what it hears.
    lossy: bool,
    /// Until then it counts as invited to channels of the newest GROUP_KEY that it does not hear yet.
    moves_until: Option<Instant>,
    /// Of the newest GROUP_KEY.
    serial: u32,
    /// When that is sent next, and how often it was.
    key_due: Option<Instant>,
    key_sent: u8,
    /// Number of the newest GROUP_REPORT.
    report: u32,
    position: u32,
    window: u32,
    /// What the owner was told last, and when.
    told: (u32, bool),
    told_at: Instant,
    heard_at: Instant,
}

/// What only a session that asks with HEARS has: boxed.
#[derive(Debug, Default)]
pub(super) struct Memberships {
    /// One for each set, at most [`SETS_MAX`].
    pub(super) sets: Vec<Membership>,
    /// Bytes of the requests that groups served: what of these was lost may be asked for again.
    pub(super) served: u64,
    /// What the path carried when that was known last.
    pub(super) path: Option<Rate>,
}

impl Memberships {
    /// The membership of a set, and its place.
    pub(super) fn of(&mut self, set: &SetId) -> Option<(usize, &mut Membership)> {
        self.sets.iter_mut().enumerate().find(|(_, member)| member.set == *set)
    }

    /// That of the set with this handle.
    pub(super) fn with_handle(&mut self, handle: SetHandle) -> Option<(usize, &mut Membership)> {
        self.sets.iter_mut().enumerate().find(|(_, member)| member.handle == handle)
    }

    /// That of a set, made by `joins` when there is none. A further set takes the place of one whose groups the session
    /// does not hear; `None`: it hears as many as it may.
    pub(super) fn join(
        &mut self,
        set: SetId,
        joins: impl FnOnce() -> Membership,
        slot: u32,
        holds: &mut Holds,
    ) -> Option<&mut Membership> {
        let at = match self.sets.iter().position(|member| member.set == set) {
            Some(at) => at,
            None => {
                if self.sets.len() >= SETS_MAX {
                    let idle = self.sets.iter().position(Membership::is_idle)?;
                    holds.gone(self.sets.remove(idle).set, slot);
                }
                self.sets.push(joins());
                self.sets.len() - 1
            }
        };
        self.sets.get_mut(at)
    }
}

impl Membership {
    /// A session that asks for a set with HEARS for the first time.
    pub(super) fn new(
        now: Instant,
        set: SetId,
        index: SetIndex,
        handle: SetHandle,
        line: Line,
    ) -> Self {
        Self {
            set,
            index,
            handle,
            line,
            standing: Standing::Waiting { until: now + INVITED },
            key: None,
            listening: 0,
            lossy: false,
            moves_until: None,
            serial: 0,
            key_due: None,
            key_sent: 0,
            report: 0,
            position: 0,
            window: 0,
            told: (0, false),
            told_at: Instant::ZERO,
            heard_at: Instant::ZERO,
        }
    }

    /// Whether it does nothing that another set could not do in its place.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.standing, Standing::None | Standing::Unicast)
    }

    /// It asks with HEARS. Says whether the owner is to be told.
    pub(super) fn asks(&mut self, now: Instant) -> bool {
        let first = self.heard_at == Instant::ZERO;
        let again = self.standing == Standing::None && now >= self.heard_at + HEARS_AGAIN;
        if first || again {
            self.heard_at = now;
        }
        first || again
    }

    /// The set's groups are open and it has heard nothing of them yet.
    pub(super) fn is_to_be_invited(&self) -> bool {
        matches!(self.standing, Standing::None | Standing::Waiting { .. })
    }

    /// The groups of its set opened, or are others than before: they are announced, unless it was told of these already.
    pub(super) fn announce(&mut self, now: Instant, key: &Arc<GroupKey>) {
        if self.key.as_ref().is_some_and(|told| Arc::ptr_eq(told, key)) {
            return;
        }
        let before = self.key.replace(Arc::clone(key));
        self.send_key(now);
        if self.is_to_be_invited() {
            self.standing = Standing::Invited { until: now + INVITED };
        }
        let heard = |id| {
            let before = before.as_ref();
            let at = before.and_then(|key| key.channels.iter().position(|c| c.id == id));
            at.is_some_and(|at| self.listening & bit(at) != 0)
        };
        let ids = key.channels.iter().map(|channel| channel.id);
        self.listening = bits(ids.map(heard));
        let until = now + INVITED;
        match self.standing {
            Standing::Listening { .. } if self.listening == 0 => {
                self.standing = Standing::Invited { until };
            }
            // What a channel gave to a new one is sent on the old one for some seconds.
            Standing::Listening { .. } if before.is_some_and(|b| b.channels != key.channels) => {
                self.moves_until = Some(until);
            }
            _ => {}
        }
    }

    /// The groups of its set are closed.
    pub(super) fn close(&mut self, now: Instant) {
        if self.is_to_be_invited() {
            return;
        }
        self.send_key(now);
        self.key = None;
        (self.standing, self.listening, self.moves_until) = (Standing::None, 0, None);
        (self.lossy, self.told) = (false, (0, false));
    }

    fn send_key(&mut self, now: Instant) {
        self.serial = self.serial.wrapping_add(1);
        (self.key_due, self.key_sent) = (Some(now), 0);
    }

    /// The serial of the GROUP_KEY that is due.
    pub(super) fn key_due(&self, now: Instant) -> Option<u32> {
        let due = self.key_due.is_some_and(|due| due <= now);
        (due && usize::from(self.key_sent) < REPEATS.len()).then_some(self.serial)
    }

    /// Notes that it was sent.
    pub(super) fn key_was_sent(&mut self, now: Instant) {
        self.key_due = REPEATS.get(usize::from(self.key_sent)).map(|&after| now + after);
        self.key_sent = self.key_sent.saturating_add(1);
    }

    /// Takes a GROUP_REPORT, whose frame had this number and position, if it is the newest.
    pub(super) fn on_report(
        &mut self,
        now: Instant,
        number: u32,
        position: u32,
        report: &GroupReport,
    ) {
        self.report = number;
        if report.serial == self.serial {
            self.key_due = None;
        }
        (self.position, self.window) = (position, report.window);
        let Some(key) = &self.key else { return };
        let mut listening = report.channels.iter().filter(|c| c.state == ChannelState::Listening);
        let heard = |id| listening.clone().any(|channel| channel.id == id);
        let ids = key.channels.iter().map(|channel| channel.id);
        self.listening = if report.rate_kbit > 0 { bits(ids.map(heard)) } else { 0 };
        self.lossy = listening.any(|channel| channel.loss > GROUP_LOSSY);
        let interval = Duration::from_millis(key.report_interval_ms.into());
        let until = now + interval * OVERDUE_INTERVALS + OVERDUE;
        self.standing = match self.standing {
            _ if self.listening != 0 => Standing::Listening { until },
            Standing::Listening { .. } => Standing::Unicast,
            Standing::Invited { .. } if report.rate_kbit == 0 => Standing::Unicast,
            other => other,
        };
    }

    /// Whether a GROUP_REPORT with this number is newer than all before.
    pub(super) fn is_newer(&self, number: u32) -> bool {
        (1..1 << 31).contains(&number.wrapping_sub(self.report))
    }

    /// Whether it hears the channel on which a segment would be sent.
    pub(super) fn hears(&self, segment: u32) -> bool {
        self.channel_of(segment).is_some_and(|at| self.listening & bit(at) != 0)
    }

    /// Whether a request of it for a segment may be held.
    pub(super) fn may_hold(&self, segment: u32) -> bool {
        match self.standing {
            Standing::Waiting { .. } => true,
            Standing::Invited { .. } => self.channel_of(segment).is_some(),
            Standing::Listening { .. } => {
                let moves = self.moves_until.is_some() && self.channel_of(segment).is_some();
                moves || self.hears(segment)
            }
            Standing::None | Standing::Unicast => false,
        }
    }

    /// The place of the channel on which a segment would be sent.
    fn channel_of(&self, segment: u32) -> Option<usize> {
        let key = self.key.as_ref()?;
        key.channels.iter().position(|c| (c.first..c.end).contains(&segment))
    }

    /// What a GROUP_KEY to it says.
    pub(super) fn key(&self) -> Option<&GroupKey> {
        self.key.as_deref()
    }

    /// When [`Self::on_timer`] or a GROUP_KEY is due.
    pub(super) fn timer(&self) -> Instant {
        let [key, moves] =
            [self.key_due, self.moves_until].map(|at| at.unwrap_or(Instant::FAR_FUTURE));
        let key = key.min(moves);
        match self.standing {
            Standing::Waiting { until }
            | Standing::Invited { until }
            | Standing::Listening { until } => key.min(until),
            Standing::None | Standing::Unicast => key,
        }
    }

    /// Ends the wait for a second session, an invitation that was not taken, a member whose reports stay away, and a GROUP_KEY that nobody acknowledges.
    /// Says whether it listens to less from now on.
    pub(super) fn on_timer(&mut self, now: Instant) -> bool {
        let given_up = self.key_due.is_some_and(|due| due <= now)
            && usize::from(self.key_sent) >= REPEATS.len();
        if given_up {
            self.key_due = None;
        }
        let after = match self.standing {
            Standing::Waiting { until } if until <= now => Standing::None,
            Standing::Invited { until } | Standing::Listening { until }
                if until <= now || given_up =>
            {
                Standing::Unicast
            }
            _ => return self.moves_until.take_if(|until| *until <= now).is_some(),
        };
        (self.standing, self.listening, self.moves_until) = (after, 0, None);
        true
    }

    /// What the owner is to be told of it, which is `member` there, now, if anything: what it hears when that has changed,
    /// and the rest now and then.
    pub(super) fn tell(&mut self, now: Instant, member: Member) -> Option<Note> {
        let tells = (self.listening, self.lossy);
        let changed = tells != self.told;
        let after = if changed { TOLD_CHANGE } else { TOLD };
        if (!changed && self.listening == 0) || now < self.told_at + after {
            return None;
        }
        (self.told, self.told_at) = (tells, now);
        let Self { position, window, listening, lossy, .. } = *self;
        Some(Note::Member { member, position, window, listening, lossy })
    }
}

const fn bit(at: usize) -> u32 {
    match 1_u32.checked_shl(at as u32) {
        Some(bit) => bit,
        None => 0,
    }
}

fn bits(set: impl Iterator<Item = bool>) -> u32 {
    set.enumerate().filter(|(_, set)| *set).fold(0, |all, (at, _)| all | bit(at))
}

#[cfg(test)]
mod tests;
