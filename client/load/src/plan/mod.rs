//! The whole load, fixed before it runs: who comes when, what he watches, when he asks for which segment. The same
//! workload, titles and seed give the same plan, and its hash names it.
//!
//! Viewers sit on seats. A phase says how many seats are taken; a viewer who goes is followed by another at once. With
//! exponential viewing times the arrivals of viewers are so a Poisson process of exactly seats / viewing time, while
//! their number stays what the phase says.

mod arrivals;
mod popularity;
mod random;
mod requests;
mod workload;

use random::scattered;
use segcast_proto::crypto::hash::sha256;
use segcast_proto::ids::{SetHandle, SetId};
use segcast_proto::segment::manifest::Root;
use segcast_proto::time::Duration;
use serde::Serialize;
pub use workload::{
    Arrivals, DURATION_MAX, EVENTS_MAX, PHASES_MAX, Pace, Phase, PhaseKind, PlanError,
    SESSIONS_MAX, TITLES_MAX, Target, Workload,
};

/// Segments' playing time between a request and its deadline, unless told otherwise.
const DEADLINE_SEGMENTS: u32 = 2;

/// One title that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Title {
    /// Which.
    #[serde(serialize_with = "set_text")]
    pub set: SetId,
    /// Its handle in the tokens: their sets stand in the same order.
    #[serde(serialize_with = "handle_number")]
    pub handle: SetHandle,
    /// How many segments it has.
    pub segments: u32,
    /// What each has, bytes.
    pub segment_bytes: u32,
    /// Its length, bytes.
    pub length: u64,
    /// Its running time; zero: unknown.
    #[serde(serialize_with = "workload::seconds")]
    pub running_time: Duration,
}

impl Title {
    /// What the plan needs to know of a manifest.
    #[must_use]
    pub fn of(handle: SetHandle, root: &Root) -> Self {
        let geometry = root.geometry();
        Self {
            set: root.set(),
            handle,
            segments: geometry.segments(),
            segment_bytes: geometry.segment_bytes(),
            length: geometry.true_length(),
            running_time: root.description().running_time,
        }
    }

    /// The bit rate at which `pace` plays it; none at full speed or without a running time.
    #[must_use]
    pub fn bit_rate(&self, pace: Pace) -> Option<f64> {
        let playing = self.running_time.as_secs_f64();
        match pace {
            Pace::Full => None,
            Pace::Bits(rate) => Some(rate as f64),
            Pace::Playing => (playing > 0.0).then(|| self.length as f64 * 8.0 / playing),
        }
    }

    /// How long one segment plays.
    #[must_use]
    pub fn cadence(&self, pace: Pace) -> Option<Duration> {
        let seconds = f64::from(self.segment_bytes) * 8.0 / self.bit_rate(pace)?;
        Duration::try_from_secs_f64(seconds).ok().filter(|cadence| !cadence.is_zero())
    }
}

/// One viewer who comes, watches and goes: one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Viewing {
    /// When he comes, since the run began.
    pub at: Duration,
    /// When he asks for no more.
    pub until: Duration,
    /// Which keys he uses: one viewer at a time has a seat.
    pub seat: u32,
    /// What he watches: the index of a title.
    pub title: u16,
    /// Where he begins; live viewers begin where the others are.
    pub first: u32,
}

/// One request of a session that only makes such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// When, since the run began.
    pub at: Duration,
    /// Whose session makes it.
    pub seat: u32,
    /// The index of a title.
    pub title: u16,
    /// Which segment.
    pub segment: u32,
}

/// The plan. As JSON: what it was made of, its size and its hash.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// What was asked for.
    pub workload: Workload,
    /// Titles, the most popular first.
    pub titles: Vec<Title>,
    /// When each phase begins, since the run began.
    #[serde(serialize_with = "all_seconds")]
    pub begins: Vec<Duration>,
    /// When the last one ends.
    #[serde(serialize_with = "workload::seconds")]
    pub end: Duration,
    /// Viewers, as they come.
    #[serde(serialize_with = "len")]
    pub viewings: Vec<Viewing>,
    /// Requests, as they come; only where targets are requests.
    #[serde(serialize_with = "len")]
    pub requests: Vec<Request>,
    /// SHA-256 of all of it, in hex: plans with one hash are one.
    pub hash: String,
}

impl Plan {
    /// Makes the plan of `workload` for `titles`, the most popular first.
    ///
    /// # Errors
    /// [`PlanError`], with the value and what would be right.
    pub fn new(workload: Workload, titles: Vec<Title>) -> Result<Self, PlanError> {
        workload.check()?;
        check_titles(&workload, &titles)?;
        let lead =
            if workload.by_requests() { requests::lead(workload.sessions) } else { Duration::ZERO };
        let mut end = lead;
        let begins = workload.phases.iter().map(|phase| {
            let begin = end;
            end += phase.duration;
            begin
        });
        let begins = begins.collect();
        let (viewings, requests, hash) = (Vec::new(), Vec::new(), String::new());
        let mut plan = Self { workload, titles, begins, end, viewings, requests, hash };
        if plan.workload.by_requests() {
            plan.requests = requests::requests(&plan)?;
            plan.viewings = requests::sessions(&plan, lead);
        } else {
            plan.viewings = arrivals::viewings(&plan)?;
        }
        plan.hash = plan.digest();
        Ok(plan)
    }

    /// The phase in which `at` lies; the first one before it begins.
    #[must_use]
    pub fn phase_at(&self, at: Duration) -> usize {
        self.begins.partition_point(|begin| *begin <= at).saturating_sub(1)
    }

    /// When request `k` of a viewing that has a pace is intended; none when it would be after its end, or at full
    /// speed, where the answer to the one before decides.
    #[must_use]
    pub fn time_of(&self, viewing: &Viewing, k: u32) -> Option<Duration> {
        if k == 0 {
            return Some(viewing.at);
        }
        let cadence = self.titles[usize::from(viewing.title)].cadence(self.workload.pace)?;
        let at = match self.workload.arrivals {
            Arrivals::Poisson | Arrivals::Fixed => viewing.at + cadence * k,
            Arrivals::Aligned { jitter } => {
                let boundary = boundary_before(viewing.at, cadence) + u64::from(k);
                let draw = scattered(self.workload.seed, u64::from(viewing.seat), boundary);
                nth(cadence, boundary) + jitter.mul_f64(draw)
            }
        };
        (at < viewing.until).then_some(at)
    }

    /// How many requests a viewing with a pace makes; none at full speed.
    #[must_use]
    pub fn count_of(&self, viewing: &Viewing) -> Option<u32> {
        let cadence = self.titles[usize::from(viewing.title)].cadence(self.workload.pace)?;
        let length = viewing.until.saturating_sub(viewing.at);
        let most = u32::try_from(length.as_nanos() / cadence.as_nanos() + 2).unwrap_or(u32::MAX);
        // The jitter of the last ones decides.
        (1..=most).rev().find(|n| self.time_of(viewing, n - 1).is_some())
    }

    /// Which segment request `k` of a viewing asks for. After its last a title begins again.
    #[must_use]
    pub fn segment_of(&self, viewing: &Viewing, k: u32) -> u32 {
        let title = &self.titles[usize::from(viewing.title)];
        let cadence = title.cadence(self.workload.pace);
        let from = match (self.workload.arrivals, cadence) {
            (Arrivals::Aligned { .. }, Some(cadence)) => boundary_before(viewing.at, cadence),
            _ => u64::from(viewing.first),
        };
        ((from + u64::from(k)) % u64::from(title.segments)) as u32
    }

    /// From an intention to when its segment is late.
    #[must_use]
    pub fn deadline(&self, title: usize) -> Duration {
        let pace = self.workload.pace;
        let natural = || Some(self.titles[title].cadence(pace)? * DEADLINE_SEGMENTS);
        self.workload
            .deadline
            .or_else(natural)
            .map_or(self.workload.timeout, |d| d.min(self.workload.timeout))
    }

    /// SHA-256 of everything that decides what will be asked for when.
    fn digest(&self) -> String {
        let mut bytes = Vec::with_capacity(4096 + 32 * (self.viewings.len() + self.requests.len()));
        let settings = serde_json::to_vec(&(&self.workload, &self.titles));
        bytes.extend(settings.expect("numbers and texts become JSON"));
        let nanos =
            |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).to_be_bytes();
        for v in &self.viewings {
            bytes.extend(nanos(v.at).iter().chain(&nanos(v.until)).chain(&v.seat.to_be_bytes()));
            bytes.extend(v.title.to_be_bytes().iter().chain(&v.first.to_be_bytes()));
        }
        for r in &self.requests {
            bytes.extend(nanos(r.at).iter().chain(&r.seat.to_be_bytes()));
            bytes.extend(r.title.to_be_bytes().iter().chain(&r.segment.to_be_bytes()));
        }
        hex::encode(sha256(&[&bytes]))
    }
}

/// The number of the last boundary at or before `at`.
fn boundary_before(at: Duration, cadence: Duration) -> u64 {
    (at.as_nanos() / cadence.as_nanos()) as u64
}

/// Boundary number `n`.
fn nth(cadence: Duration, n: u64) -> Duration {
    Duration::from_nanos(u64::try_from(cadence.as_nanos() * u128::from(n)).unwrap_or(u64::MAX))
}

fn check_titles(workload: &Workload, titles: &[Title]) -> Result<(), PlanError> {
    if !(1..=TITLES_MAX).contains(&titles.len()) {
        return Err(PlanError::Titles(titles.len()));
    }
    if let Some(empty) = titles.iter().find(|title| title.segments == 0) {
        return Err(PlanError::Empty(empty.set));
    }
    if workload.pace == Pace::Full {
        return Ok(());
    }
    let mut shortest = Duration::MAX;
    for title in titles {
        let cadence = title.cadence(workload.pace);
        shortest = shortest.min(cadence.ok_or(PlanError::NoRunningTime(title.set))?);
    }
    match (workload.arrivals, workload.watch) {
        (Arrivals::Aligned { jitter }, _) if jitter >= shortest => {
            Err(PlanError::Jitter { jitter, cadence: shortest })
        }
        (_, Some(watch)) if watch < shortest => Err(PlanError::Watch { watch, least: shortest }),
        _ => Ok(()),
    }
}

fn handle_number<S: serde::Serializer>(handle: &SetHandle, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u32(handle.0)
}

fn set_text<S: serde::Serializer>(set: &SetId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(set)
}

fn len<T, S: serde::Serializer>(list: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(list.len() as u64)
}

fn all_seconds<S: serde::Serializer>(times: &[Duration], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(times.iter().map(Duration::as_secs_f64))
}

#[cfg(test)]
mod tests;
