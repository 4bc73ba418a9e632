//! One viewer: his session, the segments he wants, and what becomes of each.

mod events;
mod hearing;

use segcast_proto::ids::{ObjectNumber, SetHandle};
use segcast_proto::session::client::{ClientSession, ClientStats};
use segcast_proto::time::{Duration, Instant};

use super::segment::Segment;
use super::setting::{Setting, Wanted};
use super::tally::{End, Tally};
use super::timers::Armed;
use super::watching::Watching;
use crate::plan::Viewing;
use crate::playout::{self, PlayoutConfig};
use crate::record::{Class, Unoffered, Wire};

/// The first wait before a refused or lost session is begun again, doubled up to the last, unless the edge names one.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LAST: Duration = Duration::from_secs(2);
/// After a refused request, where the edge names no time: a session at full speed would ask again at once.
const HOLD_LEAST: Duration = Duration::from_millis(10);

/// How it stands with the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// The handshake began then.
    Opening(Instant),
    Open,
    /// Refused, closed or lost: begins again then.
    Waiting(Instant),
}

/// One viewer.
pub(super) struct Viewer {
    pub(super) viewing: Viewing,
    /// The session's receiver index; its low bits are the viewer's slot.
    pub(super) index: u32,
    pub(super) armed: Armed,
    /// It is in the list of those that may have something to do.
    pub(super) touched: bool,
    pub(super) session: ClientSession,
    link: Link,
    /// When the session was wanted.
    wanted: Instant,
    /// Wanted or asked for, in the order of their intentions.
    segments: Vec<Segment>,
    asked: usize,
    /// The request to come, and when; none while there is nothing to wait for.
    k: u32,
    next: Option<Instant>,
    until: Instant,
    /// Since when a request could go out: the session is open and has a place.
    possible: Instant,
    /// When the last segment that was asked for ended.
    freed: Instant,
    /// Nothing is asked before, as the edge wished.
    hold: Instant,
    retry: Duration,
    player: Option<playout::Viewing>,
    /// Of a viewer who watches: then there is no other player, and nothing is intended by the plan.
    watching: Option<Box<Watching>>,
    counted: ClientStats,
    /// What was told of the session's segments under way.
    under_way: usize,
    leaving: bool,
}

impl Viewer {
    /// A viewer who comes at `at` (now or a little ago), with a session that has just begun.
    pub(super) fn new(
        setting: &Setting<'_>,
        viewing: Viewing,
        (session, index): (ClientSession, u32),
        now: Instant,
        tally: &mut Tally,
    ) -> Self {
        let at = setting.begin + viewing.at;
        let mut this = Self {
            index,
            armed: Armed::default(),
            touched: false,
            session,
            link: Link::Opening(now),
            wanted: at,
            segments: Vec::with_capacity(usize::from(setting.plan.workload.window)),
            asked: 0,
            k: 0,
            next: None,
            until: setting.begin + viewing.until,
            possible: Instant::FAR_FUTURE,
            freed: Instant::ZERO,
            hold: Instant::ZERO,
            retry: RETRY_FIRST,
            player: player(setting, &viewing, at).filter(|_| setting.config.play.is_none()),
            watching: Watching::new(setting, &viewing, at).map(Box::new),
            counted: ClientStats::default(),
            under_way: 0,
            leaving: false,
            viewing,
        };
        if setting.plan.workload.by_requests() || this.watching.is_some() {
            return this;
        }
        if setting.is_paced() {
            this.next = Some(at);
            this.intend_due(setting, now, tally);
        } else {
            this.fill(setting, at, tally);
        }
        this
    }

    /// Whether the session is open.
    pub(super) fn is_open(&self) -> bool {
        self.link == Link::Open && !self.leaving
    }

    /// Whether its session has gone and its place is free once all is sent.
    pub(super) fn has_left(&self) -> bool {
        self.leaving
    }

    /// When something of it is due.
    pub(super) fn due(&self) -> Instant {
        let waiting = match self.link {
            Link::Waiting(until) => until.min(self.until),
            Link::Opening(_) | Link::Open => Instant::FAR_FUTURE,
        };
        let session = self.session.poll_timeout().unwrap_or(Instant::FAR_FUTURE);
        let segments = self.segments.iter().map(Segment::due).min().unwrap_or(Instant::FAR_FUTURE);
        let held = if self.hold > self.possible { self.hold } else { Instant::FAR_FUTURE };
        let next = self.next.unwrap_or(Instant::FAR_FUTURE);
        let end = if self.segments.is_empty() { self.until } else { Instant::FAR_FUTURE };
        let is_waiting = matches!(self.link, Link::Waiting(_));
        let watching = self.watching.as_ref().filter(|_| !is_waiting);
        let watching = watching.map_or(Instant::FAR_FUTURE, |watching| watching.due());
        [waiting, session, segments, next, held, end, watching].into_iter().min().unwrap_or(end)
    }

    /// Lets what is due happen. `begun`: all that had come by then has been taken in.
    pub(super) fn on_time(
        &mut self,
        setting: &Setting<'_>,
        (begun, now): (Instant, Instant),
        tally: &mut Tally,
    ) {
        if self.leaving {
            return;
        }
        if self.session.poll_timeout().is_some_and(|due| due <= begun) {
            self.session.handle_timeout(begun);
        }
        if let Some(groups) = self.watching.as_mut().and_then(|watching| watching.groups.as_mut())
            && groups.poll_timeout().is_some_and(|due| due <= begun)
        {
            groups.handle_timeout(begun);
        }
        self.intend_due(setting, now, tally);
        self.give_up_due(now, tally);
        match self.link {
            Link::Waiting(until) if until <= now && now < self.until => {
                self.reopen(setting, now, tally);
            }
            _ => {}
        }
        if self.hold <= now && self.hold > self.possible {
            self.possible = self.hold;
        }
        if self.link == Link::Open && !setting.is_paced() {
            self.fill(setting, now, tally);
        }
    }

    /// A request that the plan gives to this session.
    pub(super) fn request(
        &mut self,
        setting: &Setting<'_>,
        (title, number): (u16, u32),
        at: Instant,
        tally: &mut Tally,
    ) {
        let wanted = Wanted { title, number, k: 0, class: Class::Start };
        self.intend(setting.segment(wanted, at), tally);
    }

    /// Tells what its session has under way, whenever that may have changed.
    pub(super) fn tell(&mut self, tally: &mut Tally) {
        // What a group was promised to bring is under way, too, and not the session's.
        let now = if self.watching.is_some() { self.asked } else { self.session.outstanding() };
        let before = std::mem::replace(&mut self.under_way, now);
        if now != before {
            tally.under_way(before, now);
        }
    }

    /// Takes in what the session tells, asks for what can be asked for, and leaves when all is done.
    pub(super) fn work(&mut self, setting: &Setting<'_>, now: Instant, tally: &mut Tally) {
        while let Some(event) = self.session.poll_event() {
            self.on_event(setting, now, event, tally);
        }
        self.hear_groups(setting, now, tally);
        self.watch(setting, now, tally);
        self.ask(setting, now, tally);
        let done = now >= self.until && self.segments.is_empty() && self.next.is_none();
        if done && !self.leaving {
            self.leave(now, tally);
        }
    }

    /// The run was stopped: nothing new is intended, what waits is not asked for any more.
    pub(super) fn stop(&mut self, now: Instant, tally: &mut Tally) {
        self.until = self.until.min(now);
        self.next = None;
        self.end_waiting(End::NeverOffered(Unoffered::Stopped), tally);
    }

    /// The run waits no longer for what was asked.
    pub(super) fn abandon(&mut self, now: Instant, tally: &mut Tally) {
        self.stop(now, tally);
        self.end_asked(now, End::Lost, tally);
    }

    /// What the session counted since the last time.
    pub(super) fn wire(&mut self) -> Wire {
        let (now, before) = (*self.session.stats(), self.counted);
        self.counted = now;
        Wire {
            datagrams_in: now.datagrams_in - before.datagrams_in,
            bytes_in: now.bytes_in - before.bytes_in,
            datagrams_out: now.datagrams_out - before.datagrams_out,
            data_bytes: now.data_bytes - before.data_bytes,
            duplicate_bytes: now.duplicate_bytes - before.duplicate_bytes,
            repair_bytes: now.repair_bytes - before.repair_bytes,
            datagram_bytes: now.datagram_bytes,
            // What was taken for lost may come yet: the sum is right once it has.
            lost_datagrams: now.lost_datagrams().saturating_sub(before.lost_datagrams()),
            duplicate_datagrams: now.replayed - before.replayed,
            reordered_datagrams: now.reordered - before.reordered,
            corrupt_datagrams: now.corrupt - before.corrupt,
            stray_datagrams: now.stray - before.stray,
            ..Wire::default()
        }
    }

    /// Accounts for the play up to now.
    pub(super) fn play(&mut self, now: Instant, tally: &mut Tally) {
        if let Some(player) = &mut self.player {
            player.advance(now, tally.playout());
        }
    }

    fn leave(&mut self, now: Instant, tally: &mut Tally) {
        self.leaving = true;
        self.session.close();
        if let Some(watching) = &mut self.watching {
            watching.leave(now, tally.playout());
        }
        if let Some(player) = &mut self.player {
            // He watches what he has; nothing can stop that any more.
            let end = now + player.buffered();
            player.advance(end, tally.playout());
            player.end(end, tally.playout());
        }
    }

    /// Intentions of a viewer with a pace whose time has come.
    fn intend_due(&mut self, setting: &Setting<'_>, now: Instant, tally: &mut Tally) {
        while let Some(at) = self.next.filter(|at| *at <= now) {
            if at < self.until {
                self.intend_next(setting, at, tally);
            }
            let next = setting.plan.time_of(&self.viewing, self.k).map(|at| setting.begin + at);
            self.next = next.filter(|at| *at < self.until);
        }
    }

    /// At full speed: as many requests as may be under way.
    fn fill(&mut self, setting: &Setting<'_>, at: Instant, tally: &mut Tally) {
        let is_waiting = matches!(self.link, Link::Waiting(_));
        if setting.plan.workload.by_requests() || is_waiting || self.hold > at {
            return;
        }
        while at < self.until && self.segments.len() < usize::from(setting.plan.workload.window) {
            self.intend_next(setting, at, tally);
        }
    }

    fn intend_next(&mut self, setting: &Setting<'_>, at: Instant, tally: &mut Tally) {
        let class = if self.k == 0 { Class::Start } else { Class::Next };
        let number = setting.plan.segment_of(&self.viewing, self.k);
        let wanted = Wanted { title: self.viewing.title, number, k: self.k, class };
        self.k += 1;
        self.intend(setting.segment(wanted, at), tally);
    }

    fn intend(&mut self, segment: Segment, tally: &mut Tally) {
        tally.intended(segment.phase);
        let is_held = self.watching.is_none() && self.hold > segment.intended;
        let is_backing_off = matches!(self.link, Link::Waiting(_)) || is_held;
        if is_backing_off || self.leaving {
            self.end_segment(
                segment,
                End::NeverOffered(Unoffered::NoSession),
                segment.intended,
                tally,
            );
        } else {
            self.segments.push(segment);
        }
    }

    /// Segments that were given up on, or that it is too late to ask for.
    fn give_up_due(&mut self, now: Instant, tally: &mut Tally) {
        let mut at = 0;
        while let Some(segment) = self.segments.get(at) {
            if segment.due() > now {
                at += 1;
                continue;
            }
            let segment = self.segments.remove(at);
            let end = if segment.asked.is_some() {
                self.asked -= 1;
                self.session.cancel(segment.handle, ObjectNumber(segment.number));
                self.note_free(now);
                End::Lost
            } else {
                End::NeverOffered(match self.link {
                    Link::Open if self.possible <= segment.intended && !segment.blocked => {
                        Unoffered::GeneratorLate
                    }
                    Link::Open => Unoffered::SessionFull,
                    Link::Opening(_) | Link::Waiting(_) => Unoffered::NoSession,
                })
            };
            self.end_segment(segment, end, now, tally);
        }
    }

    fn ask(&mut self, setting: &Setting<'_>, now: Instant, tally: &mut Tally) {
        let window = usize::from(setting.plan.workload.window);
        if self.link != Link::Open || self.leaving || self.hold > now {
            return;
        }
        for at in 0..self.segments.len() {
            if self.asked >= window {
                break;
            }
            let segment = &self.segments[at];
            // One that is too late to ask for is given up by its timer.
            if segment.asked.is_some() || segment.due() <= now {
                continue;
            }
            let segment = *segment;
            let is_asked = if setting.config.multicast.is_some() {
                self.ask_hearing(&segment, now)
            } else {
                self.ask_plainly(setting, &segment, now)
            };
            // The same segment is under way: the title is shorter than what a session asks for.
            self.segments[at].blocked |= !is_asked;
            if is_asked {
                let segment = &self.segments[at];
                // What was blocked waited for the same segment to end, whatever places were free.
                let freed = if segment.blocked { self.freed } else { self.possible };
                let since = segment.intended.max(self.possible).max(freed);
                let lag = now.saturating_since(since);
                tally.asked(segment.phase, segment.class, lag);
                self.segments[at].asked = Some(now);
                self.asked += 1;
            }
        }
        if self.asked >= window {
            self.possible = Instant::FAR_FUTURE;
        }
    }

    fn ask_plainly(&mut self, setting: &Setting<'_>, segment: &Segment, now: Instant) -> bool {
        let (handle, object) = (segment.handle, ObjectNumber(segment.number));
        let deadline = segment.deadline.saturating_since(now);
        let mut bytes = setting.buffers.take(segment.bytes as usize);
        let fetch = self.session.fetch_into(now, handle, object, &mut bytes, deadline);
        setting.buffers.give_back(bytes);
        fetch.is_ok()
    }

    /// A place in the session is free since `at`.
    fn note_free(&mut self, at: Instant) {
        self.freed = at;
        if self.link == Link::Open {
            self.possible = self.possible.min(at);
        }
    }

    /// Takes the segment that was asked for out.
    fn take(&mut self, handle: SetHandle, object: ObjectNumber) -> Option<Segment> {
        let is_it = |s: &Segment| s.asked.is_some() && (s.handle, s.number) == (handle, object.0);
        let at = self.segments.iter().position(is_it)?;
        self.asked -= 1;
        Some(self.segments.remove(at))
    }

    fn end_waiting(&mut self, end: End, tally: &mut Tally) {
        while let Some(at) = self.segments.iter().position(|s| s.asked.is_none()) {
            let segment = self.segments.remove(at);
            self.end_segment(segment, end, segment.intended, tally);
        }
    }

    fn end_asked(&mut self, now: Instant, end: End, tally: &mut Tally) {
        while let Some(at) = self.segments.iter().position(|s| s.asked.is_some()) {
            let segment = self.segments.remove(at);
            self.session.cancel(segment.handle, ObjectNumber(segment.number));
            self.end_segment(segment, end, now, tally);
        }
        self.asked = 0;
    }

    fn end_segment(&mut self, segment: Segment, end: End, now: Instant, tally: &mut Tally) {
        if let Some(asked) = segment.asked {
            tally.unserved(now.saturating_since(asked));
        }
        self.end_known(segment, end, now, tally);
    }

    fn end_known(&mut self, segment: Segment, end: End, at: Instant, tally: &mut Tally) {
        tally.ended(segment.phase, end);
        if let Some(player) = &mut self.player {
            // One that will not come is skipped: a player shows a flaw rather than stand still for ever.
            player.on_segment(at, segment.k, tally.playout());
        }
        if let Some(watching) = &mut self.watching {
            watching.ended(at, segment.number, tally.playout());
        }
    }
}

fn player(setting: &Setting<'_>, viewing: &Viewing, at: Instant) -> Option<playout::Viewing> {
    let segments = setting.plan.count_of(viewing)?;
    let cadence =
        setting.plan.titles[usize::from(viewing.title)].cadence(setting.plan.workload.pace)?;
    let config = PlayoutConfig::new(cadence, setting.config.start_segments);
    Some(playout::Viewing::new(config, segments, at))
}
