//! Whether an objective was met.

use std::time::Duration;

use hdrhistogram::Histogram;
use segcast_config::amount::rounded;

use super::{Metric, Op, Share, Slo, Unit};
use crate::result::{Ledger, Objective, Series, Sums, quantile};

/// A number and the samples behind it, or why there is none.
type Found = (Result<f64, Missing>, u64);

/// Why there is no number.
struct Missing {
    why: String,
    /// There were samples, too few of them: the objective may hold or not.
    undecided: bool,
}

impl Missing {
    fn no(why: impl Into<String>) -> Self {
        Self { why: why.into(), undecided: false }
    }
}

impl Slo {
    /// Holds it against the sums of its phase, or of the whole run.
    pub(crate) fn judge(&self, all: &Sums, phases: &[(&str, &Sums)]) -> Objective {
        let (found, n) = match &self.phase {
            None => self.find(all),
            Some(name) => {
                let mut of_name = phases.iter().filter(|(phase, _)| phase == name);
                match (of_name.next(), of_name.next()) {
                    (Some((_, one)), None) => self.find(one),
                    (Some(_), Some(_)) => {
                        let mut sums = Sums::default();
                        let of_name = phases.iter().filter(|(phase, _)| phase == name);
                        of_name.for_each(|(_, phase)| sums.merge(phase));
                        self.find(&sums)
                    }
                    _ => (Err(Missing::no(format!("the run had no phase {name:?}"))), 0),
                }
            }
        };
        let value = found.as_ref().ok().copied();
        let met = match &found {
            Ok(value) => Some(self.op.holds(*value, self.bound)),
            Err(missing) => (!missing.undecided).then_some(false),
        };
        Objective {
            text: self.text.clone(),
            met,
            found: found.map_or_else(|missing| missing.why, |v| say(v, self.metric.unit())),
            value,
            bound: self.bound,
            n,
        }
    }

    fn find(&self, sums: &Sums) -> Found {
        match self.metric {
            Metric::Percentile(series, p) => {
                let times = series.times(sums);
                let found = quantile::percentile(&times, p).map(|us| us as f64);
                let seconds = sums.loaded_seconds();
                (found.ok_or_else(|| self.too_few(series, p, &times, seconds)), times.len())
            }
            Metric::Longest(series) => {
                let times = series.times(sums);
                let found = (!times.is_empty()).then(|| times.max() as f64);
                (found.ok_or_else(|| no_sample(series)), times.len())
            }
            Metric::Share(share) => {
                let ledger = Ledger::from(&sums.ledger);
                let n = ledger.intended;
                (part(count(share, &ledger), n, "no segment was intended"), n)
            }
            Metric::Rebuffer => {
                let ratio = sums.playout.rebuffer_ratio();
                (ratio.ok_or_else(|| Missing::no("nothing played")), sums.playout.started)
            }
            Metric::StartFailures => {
                let failed = sums.playout.never_started;
                let n = sums.playout.started + failed;
                (part(failed, n, "no viewing was tried"), n)
            }
            Metric::Stalls => {
                let n = sums.playout.started;
                let found = (n > 0).then_some(sums.playout.stalls as f64);
                (found.ok_or_else(|| Missing::no("nothing played")), n)
            }
            Metric::Goodput => {
                let n = sums.ledger.complete + sums.ledger.late;
                (sums.goodput().ok_or_else(|| Missing::no("no load was offered")), n)
            }
        }
    }

    /// Why the percentile `p` of `times`, which came in so many seconds, cannot be told. The objective is missed all the same
    /// when a lower percentile is already above its bound.
    fn too_few(
        &self,
        series: Series,
        p: f64,
        times: &Histogram<u64>,
        seconds: Option<f64>,
    ) -> Missing {
        let (n, needed) = (times.len(), quantile::needed(p));
        if n == 0 {
            return no_sample(series);
        }
        let mut why = format!("n = {n} is too small for p{p}: it needs {needed} samples");
        let lower = quantile::highest(times).filter(|(lower, _)| *lower < p);
        if let (Some((lower, us)), Op::AtMost | Op::Below) = (lower, self.op)
            && !self.op.holds(us as f64, self.bound)
        {
            why += &format!(", but p{lower} is {} already", say(us as f64, Unit::Time));
            return Missing::no(why);
        }
        if let Some(seconds) = seconds {
            let long = Duration::from_secs_f64((seconds * needed as f64 / n as f64).ceil());
            why += &format!(", {} of such load", rounded::duration(long));
        }
        Missing { why, undecided: true }
    }
}

fn no_sample(series: Series) -> Missing {
    Missing::no(format!("no sample of {series}"))
}

fn count(share: Share, ledger: &Ledger) -> u64 {
    match share {
        Share::Incomplete => ledger.intended.saturating_sub(ledger.complete),
        Share::Lost => ledger.lost,
        Share::Late => ledger.late,
        Share::Refused => ledger.refused_in_all(),
        Share::Failed => ledger.failed_in_all(),
        Share::Unoffered => ledger.never_offered_in_all(),
    }
}

fn part(count: u64, n: u64, none: &str) -> Result<f64, Missing> {
    if n == 0 { Err(Missing::no(none)) } else { Ok(count as f64 / n as f64) }
}

fn say(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Time => rounded::micros(value),
        Unit::Share => crate::words::share(value),
        Unit::Count => format!("{value:.0}"),
        Unit::Rate => rounded::bit_rate(value),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::{Interval, Unoffered};

    fn judge(text: &str, sums: &Sums) -> Objective {
        text.parse::<Slo>().expect("an objective").judge(sums, &[("steady", sums)])
    }

    fn sums() -> Sums {
        let mut interval = Interval::default();
        (1..=1000).for_each(|ms| {
            interval.times.start.ttfb.response.record(Duration::from_millis(ms));
        });
        interval.ledger.intended = 1000;
        interval.ledger.complete = 990;
        interval.ledger.lost = 8;
        interval.ledger.never_offered.insert(Unoffered::SessionFull, 2);
        interval.wire.data_bytes = 250_000_000;
        interval.health.wall = Duration::from_secs(1);
        let mut sums = Sums::default();
        sums.add(&interval, false);
        sums
    }

    #[test]
    fn an_objective_holds_or_does_not() {
        let sums = sums();
        for text in [
            "ttfb.p99<=995ms",
            "start.ttfb.p50<=510ms",
            "loss<=0.8%",
            "steady:incomplete<=1%",
            "unoffered<0.3%",
            "goodput>=2Gbit/s",
            "ttfb.max>=1s",
        ] {
            let found = judge(text, &sums);
            assert_eq!(found.met, Some(true), "{found:?}");
        }
        for text in ["ttfb.p99<=980ms", "loss<0.8%", "goodput>2Gbit/s", "unoffered<=0%"] {
            let found = judge(text, &sums);
            assert!(found.met == Some(false) && found.value.is_some(), "{found:?}");
        }
    }

    #[test]
    fn what_was_not_measured_is_not_met() {
        let sums = sums();
        for (text, why) in [
            ("next.ttfb.p50<=10s", "no sample of next.ttfb.response"),
            ("open.max<=10s", "no sample of open.response"),
            ("ttlb.p50>=0", "no sample of ttlb.response"),
            ("rebuffer<=100%", "nothing played"),
            ("stalls<=0", "nothing played"),
            ("start_failures<=100%", "no viewing was tried"),
            ("rest:loss<=100%", "the run had no phase \"rest\""),
        ] {
            let found = judge(text, &sums);
            assert!(found.met == Some(false) && found.value.is_none(), "{found:?}");
            assert!(found.found.contains(why), "{found:?}");
        }
        let nothing = Sums::default();
        for text in ["loss<=100%", "goodput>=0", "ttfb.p50<=10s"] {
            assert_eq!(judge(text, &nothing).met, Some(false), "{text}");
        }
    }

    #[test]
    fn what_has_too_few_samples_is_undecided_unless_it_is_missed_already() {
        let sums = sums();
        for text in ["ttfb.p99.9<=10s", "steady:start.ttfb.p99.9<=991ms", "ttfb.p99.9>=1s"] {
            let found = judge(text, &sums);
            assert_eq!((found.met, found.value, found.n), (None, None, 1000), "{found:?}");
            let why =
                "n = 1000 is too small for p99.9: it needs 10000 samples, 10.0 s of such load";
            assert_eq!(found.found, why);
        }
        let found = judge("ttfb.p99.9<=980ms", &sums);
        assert_eq!((found.met, found.value), (Some(false), None));
        assert!(found.found.contains("but p99 is 99"), "{found:?}");
    }

    #[test]
    fn phases_of_one_name_count_together() {
        let (one, two) = (sums(), sums());
        let slo: Slo = "steady:ttfb.p99<=2s".parse().expect("an objective");
        let found = slo.judge(&Sums::default(), &[("steady", &one), ("steady", &two)]);
        assert_eq!((found.n, found.met), (2000, Some(true)));
    }
}
