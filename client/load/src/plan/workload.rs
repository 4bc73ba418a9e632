//! What a user asks for: who comes, what they want, how fast, and how long.

use segcast_proto::limits::REQUESTS_MAX;
use segcast_proto::time::Duration;
use serde::{Serialize, Serializer};

/// Phases of a run, at most: each has records of its own in every thread.
pub const PHASES_MAX: usize = 16;
/// Sessions at once, at most: their numbers have 20 bits in a receiver index.
pub const SESSIONS_MAX: u32 = 1 << 20;
/// Viewings and requests of a plan, at most: 32 bytes each in memory.
pub const EVENTS_MAX: usize = 1 << 24;
/// The longest run: times are told apart in ten minutes, and a plan must end.
pub const DURATION_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Titles, at most: as many as a token names.
pub const TITLES_MAX: usize = segcast_proto::limits::TOKEN_SETS_MAX;

/// How load changes within a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseKind {
    /// From the target before (or nothing) to its own, evenly.
    Ramp,
    /// At its target.
    Steady,
    /// At its target, which is meant to be too much.
    Overload,
    /// At its target, after too much.
    Recovery,
}

/// How much load.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Viewers at once.
    Sessions(u32),
    /// Requests for single segments in a second, spread over [`Workload::sessions`].
    RequestsPerSecond(f64),
}

/// A part of the run with a load of its own.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Phase {
    /// How its load changes.
    pub kind: PhaseKind,
    /// How long.
    #[serde(serialize_with = "seconds")]
    pub duration: Duration,
    /// Its load at its end.
    pub target: Target,
}

/// When viewers come, and when they ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Independently of each other: viewings of exponential length that begin at random times, or exponential pauses
    /// between requests.
    Poisson,
    /// Evenly.
    Fixed,
    /// At segment boundaries that all viewers share, each a random part of `jitter` later, as viewers of live video.
    Aligned {
        /// The latest after the boundary.
        #[serde(serialize_with = "seconds")]
        jitter: Duration,
    },
}

/// How fast a viewer asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// For the next segment as soon as one has come: each viewer offers what the server takes (a closed loop).
    Full,
    /// A segment for every playing time of one at this rate, bit/s.
    Bits(u64),
    /// The same at each title's own rate: its length over its running time.
    Playing,
}

/// The whole request. [`super::Plan::new`] checks it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Workload {
    /// All randomness comes from it.
    pub seed: u64,
    /// In order.
    pub phases: Vec<Phase>,
    /// With targets in requests: sessions that share them.
    pub sessions: u32,
    /// When viewers come.
    pub arrivals: Arrivals,
    /// How fast they ask.
    pub pace: Pace,
    /// How long a viewing is in the mean; the next viewer takes its place. None: viewers stay.
    #[serde(serialize_with = "maybe_seconds")]
    pub watch: Option<Duration>,
    /// Zipf's exponent over the titles in their order; 0: all alike.
    pub zipf: f64,
    /// From the intention to when a segment is late; none: two segments' playing time, or the timeout at full speed.
    #[serde(serialize_with = "maybe_seconds")]
    pub deadline: Option<Duration>,
    /// From the intention to when a segment is lost.
    #[serde(serialize_with = "seconds")]
    pub timeout: Duration,
    /// Requests that a session may have under way.
    pub window: u16,
    /// One segment in so many is compared with the manifest.
    pub verify_one_in: u32,
}

/// Why no plan can be made of it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// No phases, or too many.
    #[error("{0} phases: 1 to {PHASES_MAX} are possible")]
    Phases(usize),
    /// A phase of no time, or all of them of too much.
    #[error("phases of {0:?}: each needs some time, and all together at most 7 days")]
    Length(Duration),
    /// A phase with nobody, or too many.
    #[error("phase {phase}: {sessions} sessions: 1 to {SESSIONS_MAX} are possible")]
    Sessions {
        /// Which, from 1.
        phase: usize,
        /// Its target.
        sessions: u32,
    },
    /// No sessions for requests.
    #[error("requests are made by sessions: 1 to {SESSIONS_MAX} are possible, not {0}")]
    NoSessions(u32),
    /// A rate that is none.
    #[error("phase {phase}: {rate} requests/s: a number above 0, at most 10 000 000")]
    Rate {
        /// Which, from 1.
        phase: usize,
        /// Its target.
        rate: f64,
    },
    /// Sessions here, requests there.
    #[error("phase {0}: all phases count sessions (@100) or all count requests (@100/s)")]
    Mixed(usize),
    /// Aligned without boundaries.
    #[error("aligned arrivals need segment boundaries: give a bit rate, such as 5Mbit/s")]
    NoBoundaries,
    /// Jitter beyond the next boundary.
    #[error("a jitter of {jitter:?}: less than a segment's playing time, which is {cadence:?}")]
    Jitter {
        /// The jitter.
        jitter: Duration,
        /// The shortest of the titles.
        cadence: Duration,
    },
    /// Requests with a pace of their own, or aligned.
    #[error("requests/s are Poisson or fixed and have no bit rate and no watching time")]
    Requests,
    /// A bit rate that is none.
    #[error("{0} bit/s: at least 1000")]
    BitRate(u64),
    /// No running time.
    #[error("set {0} was packed without its running time: give a bit rate instead")]
    NoRunningTime(segcast_proto::ids::SetId),
    /// A watching time shorter than a segment.
    #[error("viewings of {watch:?}: at least one segment's playing time ({least:?})")]
    Watch {
        /// What was given.
        watch: Duration,
        /// The least.
        least: Duration,
    },
    /// An exponent that is none.
    #[error("a Zipf exponent of {0}: 0 (all alike) to 10")]
    Zipf(f64),
    /// A deadline beyond the timeout, or none at all.
    #[error("a deadline of {deadline:?}: more than nothing, at most the timeout ({timeout:?})")]
    Deadline {
        /// What was given.
        deadline: Duration,
        /// The timeout.
        timeout: Duration,
    },
    /// A timeout out of bounds.
    #[error("a timeout of {0:?}: 1 ms to 10 minutes")]
    Timeout(Duration),
    /// A window out of bounds.
    #[error("{0} requests under way in a session: 1 to {REQUESTS_MAX}")]
    Window(u16),
    /// Verification of nothing.
    #[error("verify one segment in {0}: 1 (all of them) or more")]
    Verify(u32),
    /// No titles, or too many.
    #[error("{0} titles: 1 to {TITLES_MAX}, as a token names")]
    Titles(usize),
    /// A title without segments.
    #[error("set {0} is empty: there is nothing to fetch")]
    Empty(segcast_proto::ids::SetId),
    /// More than memory should hold.
    #[error(
        "the plan has more than {EVENTS_MAX} viewings and requests: make it shorter or smaller"
    )]
    TooLarge,
}

impl Workload {
    /// The plainest: sessions stay, have one segment under way at a time, as fast as they are served, and compare every
    /// one with the manifest; titles are all alike, there is no deadline, the seed is 0.
    #[must_use]
    pub fn at_full_speed(phases: Vec<Phase>, sessions: u32, timeout: Duration) -> Self {
        Self {
            seed: 0,
            phases,
            sessions,
            arrivals: Arrivals::Fixed,
            pace: Pace::Full,
            watch: None,
            zipf: 0.0,
            deadline: None,
            timeout,
            window: 1,
            verify_one_in: 1,
        }
    }

    /// Checks all that needs no title.
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn check(&self) -> Result<(), PlanError> {
        if !(1..=PHASES_MAX).contains(&self.phases.len()) {
            return Err(PlanError::Phases(self.phases.len()));
        }
        let total =
            self.phases.iter().fold(Duration::ZERO, |sum, p| sum.saturating_add(p.duration));
        if self.phases.iter().any(|p| p.duration.is_zero()) || total > DURATION_MAX {
            return Err(PlanError::Length(total));
        }
        self.check_targets()?;
        self.check_pace()?;
        if !(0.0..=10.0).contains(&self.zipf) {
            return Err(PlanError::Zipf(self.zipf));
        }
        if !(Duration::from_millis(1)..=Duration::from_secs(600)).contains(&self.timeout) {
            return Err(PlanError::Timeout(self.timeout));
        }
        if let Some(deadline) = self.deadline.filter(|d| d.is_zero() || *d > self.timeout) {
            return Err(PlanError::Deadline { deadline, timeout: self.timeout });
        }
        if !(1..=REQUESTS_MAX).contains(&usize::from(self.window)) {
            return Err(PlanError::Window(self.window));
        }
        if self.verify_one_in == 0 { Err(PlanError::Verify(0)) } else { Ok(()) }
    }

    fn check_targets(&self) -> Result<(), PlanError> {
        for (phase, Phase { target, .. }) in (1..).zip(&self.phases) {
            match *target {
                _ if self.by_requests() != matches!(target, Target::RequestsPerSecond(_)) => {
                    return Err(PlanError::Mixed(phase));
                }
                Target::Sessions(sessions) if !(1..=SESSIONS_MAX).contains(&sessions) => {
                    return Err(PlanError::Sessions { phase, sessions });
                }
                Target::RequestsPerSecond(rate) if !(rate > 0.0 && rate <= 1e7) => {
                    return Err(PlanError::Rate { phase, rate });
                }
                Target::Sessions(_) | Target::RequestsPerSecond(_) => {}
            }
        }
        if self.by_requests() && !(1..=SESSIONS_MAX).contains(&self.sessions) {
            return Err(PlanError::NoSessions(self.sessions));
        }
        Ok(())
    }

    fn check_pace(&self) -> Result<(), PlanError> {
        let aligned = matches!(self.arrivals, Arrivals::Aligned { .. });
        if self.by_requests() && (aligned || self.pace != Pace::Full || self.watch.is_some()) {
            return Err(PlanError::Requests);
        }
        match self.pace {
            Pace::Full if aligned => Err(PlanError::NoBoundaries),
            Pace::Bits(rate) if rate < 1000 => Err(PlanError::BitRate(rate)),
            _ => Ok(()),
        }
    }

    /// Whether targets are requests.
    #[must_use]
    pub fn by_requests(&self) -> bool {
        matches!(self.phases.first(), Some(Phase { target: Target::RequestsPerSecond(_), .. }))
    }

    /// The most sessions at once that viewers or requests need.
    #[must_use]
    pub fn sessions_max(&self) -> u32 {
        let most = self.phases.iter().filter_map(|phase| match phase.target {
            Target::Sessions(sessions) => Some(sessions),
            Target::RequestsPerSecond(_) => None,
        });
        most.max().unwrap_or(self.sessions)
    }
}

pub(super) fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

fn maybe_seconds<S: Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => seconds(time, to),
        None => to.serialize_none(),
    }
}
