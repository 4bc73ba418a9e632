//! Somebody who watches a title from its beginning, as `segcast get --play` does: when what is asked for, and what has
//! come. The play-out model and the groups are the client's own.

use std::collections::VecDeque;

use segcast_client::fetch::playout::Playout;
use segcast_client::file::Bitmap;
use segcast_proto::session::client::groups::{Groups, GroupsConfig, Route};
use segcast_proto::time::{Duration, Instant};
use segcast_proto::wire::group_report::WINDOW_ALL;

use super::fan::Wish;
use super::setting::Setting;
use crate::plan::Viewing;
use crate::record;

/// What a viewer has who watches.
pub(super) struct Watching {
    playout: Playout,
    pub(super) groups: Option<Groups>,
    /// What is to be joined and left, and what was joined.
    wishes: VecDeque<Wish>,
    joined: Vec<Route>,
    running_time: Duration,
    /// Segments whose time has come while a group brings them, with their deadlines.
    coming: VecDeque<(u32, Instant)>,
    /// Segments that have come, or will not.
    have: Bitmap,
    /// The first one that has not.
    position: u32,
    /// Stalls that were recorded, and their microseconds.
    stalls: u32,
    stalled_us: u64,
}

impl Watching {
    /// A viewer who comes at `at`; none where viewers do not watch.
    pub(super) fn new(setting: &Setting<'_>, viewing: &Viewing, at: Instant) -> Option<Self> {
        let start_up = setting.config.play?;
        let manifest = setting.manifest(viewing.title);
        let segments = manifest.root().geometry().segments();
        let running_time = manifest.root().description().running_time;
        // Each seat's times are its own, and those of all come from the plan's seed.
        let seed = setting.plan.workload.seed ^ (u64::from(viewing.seat) << 32);
        let seed = seed ^ u64::try_from(viewing.at.as_nanos()).unwrap_or(u64::MAX);
        let hears = setting.config.multicast.is_some();
        let groups = hears.then(|| {
            let sources = vec![setting.subject.edge.address.ip()];
            let config =
                GroupsConfig { sources, rate: setting.config.group_rate, window: WINDOW_ALL };
            let mut waits = [0; 32];
            waits[..8].copy_from_slice(&seed.to_be_bytes());
            Groups::new(config, manifest, waits)
        });
        let nothing = Bitmap::new(segments);
        Some(Self {
            playout: Playout::new(running_time, nothing.clone(), at, start_up, seed),
            groups,
            wishes: VecDeque::new(),
            joined: Vec::new(),
            running_time,
            coming: VecDeque::new(),
            have: nothing,
            position: 0,
            stalls: 0,
            stalled_us: 0,
        })
    }

    /// Wishes to join a group, or to leave it.
    pub(super) fn wish(&mut self, wish: Wish) {
        match wish {
            Wish::Join(route) => self.joined.push(route),
            Wish::Leave(route) => self.joined.retain(|joined| *joined != route),
        }
        self.wishes.push_back(wish);
    }

    /// The next wish.
    pub(super) fn take_wish(&mut self) -> Option<Wish> {
        self.wishes.pop_front()
    }

    /// The system has refused to join a group.
    pub(super) fn join_failed(&mut self, now: Instant, route: Route) {
        self.joined.retain(|joined| *joined != route);
        if let Some(groups) = &mut self.groups {
            groups.join_failed(now, route);
        }
    }

    /// Whether this segment has come.
    pub(super) fn has(&self, segment: u32) -> bool {
        self.have.contains(segment)
    }

    /// When a segment is to be there.
    pub(super) fn deadline(&self, segment: u32) -> Instant {
        self.playout.deadline(segment)
    }

    /// When something is due.
    pub(super) fn due(&self) -> Instant {
        let groups = self.groups.as_ref().and_then(Groups::poll_timeout);
        let times = self.playout.due().into_iter().chain(groups);
        times.min().unwrap_or(Instant::FAR_FUTURE)
    }

    /// The next segment to ask for: its number, when that was due, and its deadline.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(u32, Instant, Instant)> {
        for _ in 0..self.coming.len() {
            let (segment, deadline) = self.coming.pop_front()?;
            if self.is_coming(segment) {
                self.coming.push_back((segment, deadline));
            } else if !self.has(segment) {
                return Some((segment, now, deadline));
            }
        }
        loop {
            let due = self.playout.due().map_or(now, |due| due.min(now));
            let (segment, deadline) = self.playout.take_due(now)?;
            if self.is_coming(segment) {
                self.coming.push_back((segment, deadline));
            } else if !self.has(segment) {
                return Some((segment, due, deadline));
            }
        }
    }

    fn is_coming(&self, segment: u32) -> bool {
        self.groups.as_ref().is_some_and(|groups| groups.is_open(segment))
    }

    /// A segment has come, or will not: then the picture goes on without it.
    pub(super) fn ended(&mut self, at: Instant, segment: u32, record: &mut record::Playout) {
        if !self.have.insert(segment) {
            return;
        }
        self.playout.arrived(at, segment);
        let report = self.playout.report();
        if segment == 0 {
            record.started += 1;
            record.startup.record(Duration::from_micros(report.start_up_us));
        }
        record.stalls += u64::from(report.stalls - self.stalls);
        record.stalled += Duration::from_micros(report.stalled_us - self.stalled_us);
        (self.stalls, self.stalled_us) = (report.stalls, report.stalled_us);
        let before = self.position;
        while self.have.contains(self.position) {
            self.position += 1;
        }
        if let Some(groups) = &mut self.groups {
            groups.set_wanted(segment, false);
            if self.position != before {
                groups.set_position(at, self.position);
            }
        }
    }

    /// The viewer leaves. Who has all sees it to its end.
    pub(super) fn leave(&mut self, now: Instant, record: &mut record::Playout) {
        if !self.has(0) {
            record.never_started += 1;
        } else if self.have.is_full() {
            record.played += self.running_time;
        } else {
            record.played += self.playout.seen(now);
        }
        let joined = std::mem::take(&mut self.joined);
        self.wishes.extend(joined.into_iter().map(Wish::Leave));
    }
}
