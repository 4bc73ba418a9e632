//! The checks, one file each. Their ids are those of the field's practice for generators.

mod agents;
mod clock;
mod cost;
mod faults;
mod lag;
mod limit;
mod little;
mod repeat;
mod stall;
mod whole;

use segcast_proto::time::Duration;

use super::CalibrateError;
use super::lab::Lab;
use super::row::Row;
use crate::record::{Class, ClassTimes, Interval, Times};

/// A check, or several that share their trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::VariantArray)]
pub enum Check {
    /// C1: resolution, cost and direction of the clock.
    Clock,
    /// C4: what recording a segment costs.
    Record,
    /// C2: how late requests go out when nobody answers.
    Lag,
    /// C6 and C8: known loss, duplicates, reordering and damage, in every offload mode.
    Faults,
    /// C7: a known stall.
    Stall,
    /// C3: the generator's own maximum.
    Limit,
    /// C5: Little's law with a known load.
    Little,
    /// C9: two generators at once.
    Agents,
    /// C10: the same twice.
    Repeat,
    /// C5 and C11: Little's law, and sums that must hold in every trial before.
    Whole,
}

impl Check {
    /// In the order in which they run: [`Self::Whole`] judges all trials before it.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    pub(super) fn run(self, lab: &mut Lab<'_>) -> Result<Vec<Row>, CalibrateError> {
        match self {
            Self::Clock => Ok(vec![clock::row()]),
            Self::Record => Ok(vec![cost::row()]),
            Self::Lag => Ok(vec![lag::row(lab)?]),
            Self::Faults => faults::rows(lab),
            Self::Stall => Ok(vec![stall::row(lab)?]),
            Self::Limit => limit::rows(lab),
            Self::Little => Ok(vec![little::row(lab)?]),
            Self::Agents => Ok(vec![agents::row(lab)?]),
            Self::Repeat => Ok(vec![repeat::row(lab)?]),
            Self::Whole => Ok(whole::rows(lab)),
        }
    }
}

/// The times of all segments, whatever they were to their viewers.
fn all_classes(total: &Interval) -> ClassTimes {
    let mut times = total.times.clone();
    let mut all = times.class_mut(Class::Start).clone();
    all.add(times.class_mut(Class::Next));
    all
}

/// A quantile, or nothing where fewer than ten samples lie above it.
fn quantile(times: &Times, q: f64) -> Option<Duration> {
    let enough = times.histogram().len() as f64 * (1.0 - q) >= 9.999;
    enough.then(|| Duration::from_micros(times.histogram().value_at_quantile(q)))
}

/// In milliseconds, for figures and words.
fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
