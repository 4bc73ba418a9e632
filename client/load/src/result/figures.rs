//! What was measured, as figures that can be stored and read back.

use std::collections::BTreeMap;

use segcast_proto::wire::code::Code;
use serde::{Deserialize, Serialize};

use super::quantile::{self, Latency};
use super::{Basis, Quantity, Series, Sums};
use crate::record::{self, Failure, Unoffered, Wire};

/// What became of every segment that was intended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// Their time came.
    pub intended: u64,
    /// Came whole, verified, in time.
    pub complete: u64,
    /// Came whole and verified after the deadline.
    pub late: u64,
    /// Asked for, and not all came until the run gave up on it.
    pub lost: u64,
    /// Refused by the server, by the name of the code (docs/protocol, section 14).
    pub refused: BTreeMap<String, u64>,
    /// Failed, by cause.
    pub failed: BTreeMap<Failure, u64>,
    /// Never asked for, by cause.
    pub never_offered: BTreeMap<Unoffered, u64>,
    /// Intended less all of the above: 0 when the ledger closes.
    pub remainder: i64,
}

impl Ledger {
    /// Refused, for whatever reason.
    #[must_use]
    pub fn refused_in_all(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Failed, for whatever cause.
    #[must_use]
    pub fn failed_in_all(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Never asked for, for whatever cause.
    #[must_use]
    pub fn never_offered_in_all(&self) -> u64 {
        self.never_offered.values().sum()
    }

    /// Asked for.
    #[must_use]
    pub fn offered(&self) -> u64 {
        self.intended - self.never_offered_in_all().min(self.intended)
    }

    /// Each end with its cause and its count, in one fixed order; ends without a count are left out.
    #[must_use]
    pub fn rows(&self) -> Vec<(&'static str, Option<String>, u64)> {
        let mut rows = vec![("complete", None, self.complete), ("late", None, self.late)];
        rows.push(("lost", None, self.lost));
        rows.extend(self.refused.iter().map(|(code, n)| ("refused", Some(code.clone()), *n)));
        let failed = self.failed.iter().map(|(cause, n)| (failure(*cause), *n));
        rows.extend(failed.map(|(cause, n)| ("failed", Some(cause.to_owned()), n)));
        let unoffered = self.never_offered.iter().map(|(cause, n)| (unoffered(*cause), *n));
        rows.extend(unoffered.map(|(cause, n)| ("never offered", Some(cause.to_owned()), n)));
        rows.retain(|(_, _, count)| *count > 0);
        rows
    }
}

/// A cause in words.
#[must_use]
pub const fn failure(cause: Failure) -> &'static str {
    match cause {
        Failure::WrongBytes => "wrong bytes",
        Failure::SessionClosed => "the server ended the session",
        Failure::SessionLost => "no answer any more",
    }
}

/// A cause in words.
#[must_use]
pub const fn unoffered(cause: Unoffered) -> &'static str {
    match cause {
        Unoffered::NoSession => "its session was not open",
        Unoffered::SessionFull => "its session was full",
        Unoffered::GeneratorLate => "the generator was too late",
        Unoffered::Stopped => "the run was stopped",
    }
}

impl From<&record::Ledger> for Ledger {
    fn from(from: &record::Ledger) -> Self {
        let mut refused = BTreeMap::new();
        for (code, count) in &from.refused {
            *refused.entry(code_name(*code)).or_default() += count;
        }
        Self {
            intended: from.intended,
            complete: from.complete,
            late: from.late,
            lost: from.lost,
            refused,
            failed: from.failed.clone(),
            never_offered: from.never_offered.clone(),
            remainder: from.in_flight(),
        }
    }
}

fn code_name(code: Code) -> String {
    match code {
        Code::Unknown(number) => format!("UNKNOWN_{number}"),
        known => known.name().to_owned(),
    }
}

/// What viewers would have seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Playout {
    /// Viewings that began to play.
    pub started: u64,
    /// Viewings that ended before they could begin.
    pub never_started: u64,
    /// Times that a player ran dry.
    pub stalls: u64,
    /// How long players stood still, in all, seconds.
    pub stalled_s: f64,
    /// How long they played, in all, seconds.
    pub played_s: f64,
    /// Time stalled as a share of time stalled and played; null before anything played.
    pub rebuffer_ratio: Option<f64>,
}

impl From<&record::Playout> for Playout {
    fn from(from: &record::Playout) -> Self {
        Self {
            started: from.started,
            never_started: from.never_started,
            stalls: from.stalls,
            stalled_s: from.stalled.as_secs_f64(),
            played_s: from.played.as_secs_f64(),
            rebuffer_ratio: from.rebuffer_ratio(),
        }
    }
}

/// A phase, or all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The phase's name in the plan; `all` for the whole run.
    pub name: String,
    /// How long load was offered, seconds; null when it was not.
    pub seconds: Option<f64>,
    /// Segments whose time came in it.
    pub ledger: Ledger,
    /// New bytes of segments as bits per second of `seconds`; without headers, without what came twice.
    pub goodput_bits_per_second: Option<f64>,
    /// Times by class, quantity and basis.
    pub latency: Vec<Latency>,
    /// Datagrams.
    pub wire: Wire,
    /// Viewings.
    pub playout: Playout,
}

impl Span {
    /// Tells `sums`.
    #[must_use]
    pub fn new(name: &str, sums: &Sums) -> Self {
        let latency = Series::all().map(|series| Latency::new(series, &series.times(sums)));
        Self {
            name: name.to_owned(),
            seconds: sums.loaded_seconds(),
            ledger: (&sums.ledger).into(),
            goodput_bits_per_second: sums.goodput(),
            latency: latency.collect(),
            wire: sums.wire,
            playout: (&sums.playout).into(),
        }
    }

    /// A histogram by its name.
    #[must_use]
    pub fn latency(&self, series: Series) -> Option<&Latency> {
        self.latency.iter().find(|found| found.series() == series)
    }
}

/// One second. Ends stand in the second in which they came, so a second's ledger does not close by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Second {
    /// Seconds since the run began.
    pub second: u32,
    /// The latest phase that had begun, from 0.
    pub phase: usize,
    /// Segments whose time came.
    pub intended: u64,
    /// Of them, those that were asked for.
    pub offered: u64,
    /// Came whole and in time.
    pub complete: u64,
    /// Came whole and late.
    pub late: u64,
    /// Lost.
    pub lost: u64,
    /// Refused.
    pub refused: u64,
    /// Failed.
    pub failed: u64,
    /// New bytes of segments.
    pub data_bytes: u64,
    /// Response time to the last byte, all classes, median, µs; null with fewer than 20 samples.
    pub ttlb_p50_us: Option<u64>,
    /// The same, 99 %; null with fewer than 1000 samples.
    pub ttlb_p99_us: Option<u64>,
    /// The same, the longest.
    pub ttlb_max_us: Option<u64>,
    /// The longest send lag, µs.
    pub lag_max_us: Option<u64>,
    /// The busiest thread's share of one CPU.
    pub busiest_thread: Option<f64>,
    /// Sessions open at its end.
    pub sessions_open: u64,
}

impl Second {
    pub(crate) fn new(second: u32, phase: usize, sums: &Sums) -> Self {
        let ledger = Ledger::from(&sums.ledger);
        let ttlb = Series::of(Quantity::Ttlb, Some(Basis::Response)).times(sums);
        let lag = Series::of(Quantity::Lag, None).times(sums);
        Self {
            second,
            phase,
            intended: ledger.intended,
            offered: ledger.offered(),
            complete: ledger.complete,
            late: ledger.late,
            lost: ledger.lost,
            refused: ledger.refused_in_all(),
            failed: ledger.failed_in_all(),
            data_bytes: sums.wire.data_bytes,
            ttlb_p50_us: quantile::percentile(&ttlb, 50.0),
            ttlb_p99_us: quantile::percentile(&ttlb, 99.0),
            ttlb_max_us: (!ttlb.is_empty()).then(|| ttlb.max()),
            lag_max_us: (!lag.is_empty()).then(|| lag.max()),
            busiest_thread: sums.busiest().map(|(_, share)| share),
            sessions_open: sums.health.sessions_open,
        }
    }
}

/// All of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// The whole run.
    pub all: Span,
    /// Each phase of the plan.
    pub phases: Vec<Span>,
    /// Each second.
    pub seconds: Vec<Second>,
}
