//! The names of what is timed: class, quantity, basis. The same in JSON, objectives, interval logs and plots.

use std::borrow::Cow;
use std::fmt;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::Sums;
use crate::record::{Class, Pair};

/// What is timed.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::VariantArray,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// To the first byte of a segment.
    Ttfb,
    /// To the last byte of a segment, authenticated and compared with the manifest's digest.
    Ttlb,
    /// From the first HELLO of a session to its being open.
    Open,
    /// From the intention to view to the first picture.
    Startup,
    /// From the intended to the actual time of sending: the generator's own health.
    Lag,
}

impl Quantity {
    /// All of them.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// As objectives write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ttfb => "ttfb",
            Self::Ttlb => "ttlb",
            Self::Open => "open",
            Self::Startup => "startup",
            Self::Lag => "lag",
        }
    }

    /// Whether it is told apart by what a segment was to its viewer.
    #[must_use]
    pub const fn has_class(self) -> bool {
        matches!(self, Self::Ttfb | Self::Ttlb | Self::Lag)
    }

    /// Whether it is measured from two moments.
    #[must_use]
    pub const fn has_basis(self) -> bool {
        matches!(self, Self::Ttfb | Self::Ttlb | Self::Open)
    }
}

/// From when a time is measured.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::VariantArray,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// From when the request was really sent.
    Service,
    /// From when it was intended to be sent: what a viewer would have waited.
    Response,
}

impl Basis {
    /// Both.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// As objectives write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Response => "response",
        }
    }
}

/// As objectives write it.
#[must_use]
pub const fn class_name(class: Class) -> &'static str {
    match class {
        Class::Start => "start",
        Class::Next => "next",
    }
}

/// One histogram of a run. It is written as `start.ttfb.response`: no comma, no space, as tags of interval logs must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    /// None: all classes together.
    pub class: Option<Class>,
    /// What is timed.
    pub quantity: Quantity,
    /// None where there is only one.
    pub basis: Option<Basis>,
}

impl Series {
    /// Every histogram that is recorded, each once.
    pub fn all() -> impl Iterator<Item = Self> {
        let classes = [Some(Class::Start), Some(Class::Next), None];
        Quantity::ALL.iter().copied().flat_map(move |quantity| {
            let classes = classes.into_iter().filter(move |c| c.is_some() == quantity.has_class());
            classes.flat_map(move |class| {
                let bases = [Some(Basis::Service), Some(Basis::Response), None];
                let bases = bases.into_iter().filter(move |b| b.is_some() == quantity.has_basis());
                bases.map(move |basis| Self { class, quantity, basis })
            })
        })
    }

    /// Both classes of one quantity.
    #[must_use]
    pub const fn of(quantity: Quantity, basis: Option<Basis>) -> Self {
        Self { class: None, quantity, basis }
    }

    /// Its histogram, microseconds; where the class is left open, both classes added up.
    pub(crate) fn times(self, sums: &Sums) -> Cow<'_, Histogram<u64>> {
        let all = &sums.times;
        let basis = self.basis.unwrap_or(Basis::Response);
        match (self.quantity, self.class) {
            (Quantity::Open, _) => Cow::Borrowed(pick(&all.open, basis)),
            (Quantity::Startup, _) => Cow::Borrowed(sums.playout.startup.histogram()),
            (quantity, Some(class)) => {
                let of_class = match class {
                    Class::Start => &all.start,
                    Class::Next => &all.next,
                };
                Cow::Borrowed(match quantity {
                    Quantity::Ttfb => pick(&of_class.ttfb, basis),
                    Quantity::Ttlb => pick(&of_class.ttlb, basis),
                    _ => of_class.send_lag.histogram(),
                })
            }
            (_, None) => {
                let [start, next] =
                    [Class::Start, Class::Next].map(|class| Self { class: Some(class), ..self });
                let mut both = start.times(sums).into_owned();
                both.add(next.times(sums).as_ref()).expect("all histograms have the same bounds");
                Cow::Owned(both)
            }
        }
    }
}

fn pick(pair: &Pair, basis: Basis) -> &Histogram<u64> {
    match basis {
        Basis::Service => pair.service.histogram(),
        Basis::Response => pair.response.histogram(),
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(class) = self.class {
            write!(f, "{}.", class_name(class))?;
        }
        f.write_str(self.quantity.name())?;
        self.basis.map_or(Ok(()), |basis| write!(f, ".{}", basis.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_histogram_has_a_tag_of_its_own() {
        let tags: Vec<_> = Series::all().map(|series| series.to_string()).collect();
        assert_eq!(
            tags,
            [
                "start.ttfb.service",
                "start.ttfb.response",
                "next.ttfb.service",
                "next.ttfb.response",
                "start.ttlb.service",
                "start.ttlb.response",
                "next.ttlb.service",
                "next.ttlb.response",
                "open.service",
                "open.response",
                "startup",
                "start.lag",
                "next.lag",
            ]
        );
    }
}
