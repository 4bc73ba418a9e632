//! Objectives: what a run has to reach, as `ttfb.p99<=20ms`, and whether it did.
//!
//! ```text
//! [phase:]metric OP value
//!
//! metric   [start.|next.]ttfb|ttlb [.service|.response] .pX|.max     time: 20ms, 1.5s, 800us
//!          open [.service|.response] .pX|.max                       time
//!          [start.|next.]lag .pX|.max                               time
//!          startup .pX|.max                                         time
//!          incomplete | loss | late | refused | failed | unoffered   share of the intended: 0.1%
//!          rebuffer | start_failures                                share: 0.5%
//!          stalls                                                   count: 3
//!          goodput                                                  rate: 2Gbit/s
//! OP       <=  <  >=  >
//! ```
//!
//! Without a class both are taken together; without a basis it is the response time, from the intended sending;
//! without a phase the whole run. A metric without samples is not met, and a percentile with too few is not judged.

mod judge;
mod parse;

use std::fmt;

pub use parse::SloError;

use crate::record::Class;
use crate::result::Series;

/// One objective.
#[derive(Clone, Debug, PartialEq)]
pub struct Slo {
    /// As it was written.
    text: String,
    /// None: the whole run.
    phase: Option<String>,
    metric: Metric,
    op: Op,
    /// Microseconds, a share (0 to 1), a count, or bit/s.
    bound: f64,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Metric {
    /// A percentile of a histogram.
    Percentile(Series, f64),
    /// The longest.
    Longest(Series),
    /// A share of the intended segments.
    Share(Share),
    /// Time stalled as a share of time stalled and played.
    Rebuffer,
    /// Viewings that never started, as a share of all.
    StartFailures,
    /// Times that a player ran dry.
    Stalls,
    /// New bytes of segments, bit/s.
    Goodput,
}

/// Which of the intended segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    /// All that did not come whole and in time.
    Incomplete,
    Lost,
    Late,
    Refused,
    Failed,
    Unoffered,
}

/// Names of metrics that are shares of the intended segments.
const SHARES: [(&str, Share); 6] = [
    ("incomplete", Share::Incomplete),
    ("loss", Share::Lost),
    ("late", Share::Late),
    ("refused", Share::Refused),
    ("failed", Share::Failed),
    ("unoffered", Share::Unoffered),
];

/// Names of classes.
const CLASSES: [Class; 2] = [Class::Start, Class::Next];

/// What a value is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Time,
    Share,
    Count,
    Rate,
}

impl Metric {
    const fn unit(self) -> Unit {
        match self {
            Self::Percentile(..) | Self::Longest(_) => Unit::Time,
            Self::Share(_) | Self::Rebuffer | Self::StartFailures => Unit::Share,
            Self::Stalls => Unit::Count,
            Self::Goodput => Unit::Rate,
        }
    }
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    AtMost,
    Below,
    AtLeast,
    Above,
}

impl Op {
    fn holds(self, found: f64, bound: f64) -> bool {
        match self {
            Self::AtMost => found <= bound,
            Self::Below => found < bound,
            Self::AtLeast => found >= bound,
            Self::Above => found > bound,
        }
    }
}

impl Slo {
    /// Whether its phase, if it names one, is among `phases`.
    ///
    /// # Errors
    /// When it is not.
    pub fn check_phase<'a>(&self, phases: impl Iterator<Item = &'a str>) -> Result<(), SloError> {
        let Some(wanted) = &self.phase else { return Ok(()) };
        let known: Vec<_> = phases.collect();
        if known.contains(&wanted.as_str()) {
            return Ok(());
        }
        let problem = format!("the plan has no phase {wanted:?}: it has {}", known.join(", "));
        Err(SloError { text: self.text.clone(), column: 1, problem })
    }
}

impl fmt::Display for Slo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
