//! Evidence that the generator was not what was measured, and the checks that say when it was.

use serde::{Deserialize, Serialize};

use super::little::{LITTLE_ERROR_MAX, Little};
use super::quantile::{self, Latency};
use super::sums::share;
use super::{About, Clock, End, Extent, Quantity, Series, Sums};
use crate::record::{Health, Unoffered};

/// A thread that used more of its CPU had no time left to be late in: what it measured is itself.
pub const CPU_SHARE_MAX: f64 = 0.90;
/// Ended segments below which Little's law is not judged: one segment is more than a percent of fewer.
pub const LITTLE_MIN_N: u64 = 200;
/// How far the length of a run may be from the plan's, besides the wait for the last segments: this share and this
/// much more, seconds.
pub const WALL_ERROR_MAX: (f64, f64) = (0.01, 1.0);
/// A clock that costs more to read, ns, is no vDSO clock; times of a run read it about ten times for each segment.
pub const CLOCK_COST_MAX: f64 = 1000.0;
/// A coarser clock, ns, cannot fill the histograms, which tell microseconds apart.
pub const CLOCK_RESOLUTION_MAX: u64 = 1000;

/// One thread of the generator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Thread {
    /// Which, from 0.
    pub thread: usize,
    /// CPU time, seconds.
    pub cpu_s: f64,
    /// Time that it ran, seconds.
    pub wall_s: f64,
    /// CPU time as a share of that.
    pub share: f64,
    /// The same in its busiest second.
    pub busiest_second: f64,
}

/// One check of the generator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// What is checked.
    pub what: String,
    /// What was found, in words.
    pub found: String,
    /// What is right, in words.
    pub limit: String,
    /// Whether it holds. Null: too little was measured to say.
    pub holds: Option<bool>,
}

/// How the generator itself fared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Generator {
    /// Each thread.
    pub threads: Vec<Thread>,
    /// From intended to actual sending, all classes.
    pub send_lag: Latency,
    /// The clock.
    pub clock: Clock,
    /// Little's law; null before anything was under way.
    pub little: Option<Little>,
    /// How long load was to be offered, seconds.
    pub requested_s: f64,
    /// How long the run was by the clock, with the wait for the last segments, seconds.
    pub measured_s: f64,
    /// All checks. One that does not hold makes the run void.
    pub checks: Vec<Check>,
}

/// What the evidence is drawn from.
pub(crate) struct Evidence<'a> {
    pub(crate) about: &'a About,
    pub(crate) end: &'a End,
    pub(crate) all: &'a Sums,
    pub(crate) phases: &'a [Sums],
    /// The busiest second of each thread.
    pub(crate) busiest_seconds: &'a [f64],
    pub(crate) clock: Clock,
}

impl Generator {
    pub(crate) fn new(evidence: Evidence<'_>) -> Self {
        let checks = evidence.checks();
        let Evidence { about, end, all, busiest_seconds, clock, .. } = evidence;
        let lag = Series::of(Quantity::Lag, None);
        let thread = |(thread, health): (&usize, &Health)| Thread {
            thread: *thread,
            cpu_s: health.cpu.as_secs_f64(),
            wall_s: health.wall.as_secs_f64(),
            share: share(health),
            busiest_second: busiest_seconds.get(*thread).copied().unwrap_or_default(),
        };
        Self {
            threads: all.threads.iter().map(thread).collect(),
            send_lag: Latency::new(lag, &lag.times(all)),
            clock,
            little: little(all),
            requested_s: about.requested().as_secs_f64(),
            measured_s: end.wall.as_secs_f64(),
            checks,
        }
    }

    /// Why the generator was what was measured; empty when it was not.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let failed = self.checks.iter().filter(|check| check.holds == Some(false));
        failed.map(|check| format!("{}: {} ({})", check.what, check.found, check.limit)).collect()
    }
}

impl Evidence<'_> {
    fn checks(&self) -> Vec<Check> {
        vec![
            self.cpu(),
            self.lag(),
            self.too_late(),
            self.overflow(),
            self.little(),
            self.wall(),
            self.conservation(),
            self.clock(),
        ]
    }

    /// The busiest thread of the worst phase: a quiet phase must not hide a full one.
    fn cpu(&self) -> Check {
        let named = self.about.phases.iter().zip(self.phases);
        let shares = named.filter_map(|(phase, sums)| {
            sums.busiest().map(|(thread, share)| (phase.name.as_str(), thread, share))
        });
        let worst = shares.max_by(|a, b| a.2.total_cmp(&b.2));
        Check {
            what: "CPU of the busiest thread".into(),
            found: worst.map_or("no thread told".into(), |(phase, thread, share)| {
                format!("thread {thread} used {:.1} % in phase {phase}", share * 100.0)
            }),
            limit: format!("at most {:.0} %", CPU_SHARE_MAX * 100.0),
            holds: worst.map(|(.., share)| share <= CPU_SHARE_MAX),
        }
    }

    fn lag(&self) -> Check {
        let lag = Series::of(Quantity::Lag, None).times(self.all);
        let limit = self.about.lag_limit;
        let told = quantile::percentile(&lag, 99.9)
            .map_or_else(|| quantile::highest(&lag), |value| Some((99.9, value)));
        Check {
            what: "send lag".into(),
            found: told
                .map_or(format!("n = {} is too small for any percentile", lag.len()), |(p, us)| {
                    format!("p{p} is {:.3} ms (n = {})", us as f64 / 1e3, lag.len())
                }),
            limit: format!("at most {:.3} ms", limit.as_secs_f64() * 1e3),
            holds: told.map(|(_, us)| u128::from(us) <= limit.as_micros()),
        }
    }

    fn too_late(&self) -> Check {
        let count = self.all.ledger.never_offered.get(&Unoffered::GeneratorLate).copied();
        let count = count.unwrap_or_default();
        Check {
            what: "segments that the generator was too late for".into(),
            found: count.to_string(),
            limit: "none".into(),
            holds: Some(count == 0),
        }
    }

    fn overflow(&self) -> Check {
        let count = self.all.wire.overflow_datagrams;
        Check {
            what: "datagrams dropped before the generator read them (SO_RXQ_OVFL)".into(),
            found: count.to_string(),
            limit: "none".into(),
            holds: Some(count == 0),
        }
    }

    fn little(&self) -> Check {
        let enough = self.all.ledger.ended() >= LITTLE_MIN_N;
        let little = little(self.all);
        Check {
            what: "Little's law".into(),
            found: little.as_ref().map_or("nothing was under way".into(), |little| {
                format!(
                    "{:.3} under way by looking, {:.3} by rate and service time: {:.2} % apart, {:.2} % by chance",
                    little.counted,
                    little.computed,
                    little.error * 100.0,
                    little.noise * 100.0
                )
            }),
            limit: format!(
                "at most {:.0} % and chance apart, from {LITTLE_MIN_N} ends on",
                LITTLE_ERROR_MAX * 100.0
            ),
            holds: little.filter(|_| enough).and_then(|little| little.holds(LITTLE_ERROR_MAX)),
        }
    }

    fn wall(&self) -> Check {
        let (requested, measured) =
            (self.about.requested().as_secs_f64(), self.end.wall.as_secs_f64());
        let (share, more) = WALL_ERROR_MAX;
        let least = requested * (1.0 - share);
        let most = requested * (1.0 + share) + self.about.patience.as_secs_f64() + more;
        Check {
            what: "length of the run".into(),
            found: format!("{measured:.2} s"),
            limit: format!("{least:.2} s to {most:.2} s: the plan's, and the wait for the last"),
            holds: (self.end.extent == Extent::Complete)
                .then_some((least..=most).contains(&measured)),
        }
    }

    fn conservation(&self) -> Check {
        let remainder = self.all.ledger.in_flight();
        Check {
            what: "remainder of the ledger".into(),
            found: remainder.to_string(),
            limit: "0: every intended segment has one end".into(),
            holds: Some(remainder == 0),
        }
    }

    fn clock(&self) -> Check {
        let clock = &self.clock;
        Check {
            what: "clock".into(),
            found: format!(
                "{}: tells {} ns apart, costs {:.0} ns, went back {} times in {}",
                clock.source.as_deref().unwrap_or("unknown"),
                clock.resolution_ns.max(clock.least_step_ns),
                clock.read_cost_ns,
                clock.backward_steps,
                clock.readings
            ),
            limit: format!(
                "{CLOCK_RESOLUTION_MAX} ns apart, cost {CLOCK_COST_MAX:.0} ns, never back"
            ),
            holds: Some(
                clock.backward_steps == 0
                    && clock.read_cost_ns <= CLOCK_COST_MAX
                    && clock.resolution_ns <= CLOCK_RESOLUTION_MAX,
            ),
        }
    }
}

fn little(all: &Sums) -> Option<Little> {
    let threads = all.threads.len() as f64;
    Little::new(&all.health, &all.times, all.health.wall.as_secs_f64() / threads)
}
