//! C10: the same twice. Pairs of equal runs, one after the other, say what a difference between two loads has to be before
//! it means anything.

use segcast_proto::time::Duration;
use serde_json::{Value, json};

use super::super::CalibrateError;
use super::super::generator::OpenLoop;
use super::super::lab::Lab;
use super::super::row::Row;
use super::all_classes;

/// Requests in a second, of segments of about 1 MiB: a tenth of what one core can do, so that nothing queues; and each
/// takes so long that how the threads wake up is a small part of it.
const RATE: f64 = 200.0;
const SESSIONS: u32 = 16;
const TIMEOUT: Duration = Duration::from_secs(10);
/// Sessions open, and caches fill, before what counts begins.
const WARM: Duration = Duration::from_millis(200);
/// How often equal loads may differ by more than the band: once in 400 for each of four figures, once in 100 for any.
const CHANCE: f64 = 0.0025;
/// The band is never less: a histogram's three digits, and what no one would claim.
const BAND_LEAST: f64 = 0.01;
/// A wider one would pass anything: on such a machine nothing can be compared.
const BAND_MAX: f64 = 0.15;
/// What is compared.
const FIGURES: [&str; 4] = ["goodput", "response p50", "response p90", "server CPU per segment"];

/// What one run came to.
#[derive(Clone, Copy, Debug)]
struct Run {
    intended: u64,
    complete: u64,
    /// In the order of [`FIGURES`].
    figures: [f64; 4],
}

/// What the pairs say of one figure.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    name: &'static str,
    difference: f64,
    band: f64,
    /// The most that one pair differed by.
    widest: f64,
}

pub(super) fn row(lab: &mut Lab<'_>) -> Result<Row, CalibrateError> {
    let count = lab.pick(12, 6);
    let mut pairs = Vec::new();
    for number in 0..count {
        let (first, second) = (run(lab)?, run(lab)?);
        // In turn, so that what comes second has no advantage.
        pairs.push(if number % 2 == 0 { (first, second) } else { (second, first) });
    }
    Ok(judge(&pairs))
}

fn judge(pairs: &[(Run, Run)]) -> Row {
    let outcomes: Vec<Outcome> = (0..).zip(FIGURES).map(|of| outcome(pairs, of)).collect();
    let (first, _) = pairs[0];
    let same = |run: &Run| run.intended == first.intended && run.complete == first.complete;
    let all_same = pairs.iter().all(|(a, b)| same(a) && same(b));
    let judged = is_enough(pairs.len());
    let within = |of: &Outcome| of.difference <= of.band && of.band <= BAND_MAX;
    let words = outcomes.iter().map(|of| {
        format!("{} {:.1} % (band {:.1} %)", of.name, of.difference * 100.0, of.band * 100.0)
    });
    let meaning = if judged {
        format!(
            "less than its band is noise, equal loads differ by more once in {:.0}",
            1.0 / CHANCE
        )
    } else {
        "too few pairs to judge differences".to_owned()
    };
    let figures = outcomes.iter().map(|of| {
        let runs: Vec<_> = pairs.iter().map(|(a, b)| [a, b].map(|run| of.of(run))).collect();
        let figure = json!({
            "difference": of.difference, "band": of.band, "widest_pair": of.widest, "runs": runs,
        });
        (of.name.to_owned(), figure)
    });
    Row {
        id: "C10",
        name: "A/A: the same seed twice".to_owned(),
        passed: all_same && (!judged || outcomes.iter().all(within)),
        says: format!(
            "{} pairs of {} segments differ by {}; {meaning}",
            pairs.len(),
            first.complete,
            words.collect::<Vec<_>>().join(", ")
        ),
        figures: json!({
            "pairs": pairs.len(), "intended": first.intended, "judged": judged, "chance": CHANCE,
            "band_max": BAND_MAX, "figures": figures.collect::<serde_json::Map<String, Value>>(),
        }),
    }
}

impl Outcome {
    fn of(&self, run: &Run) -> f64 {
        let at = FIGURES.iter().position(|name| *name == self.name).expect("one of them");
        run.figures[at]
    }
}

fn outcome(pairs: &[(Run, Run)], (at, name): (usize, &'static str)) -> Outcome {
    let ratio = |(a, b): &(Run, Run)| (a.figures[at] / b.figures[at]).ln();
    let differences: Vec<f64> = pairs.iter().map(ratio).collect();
    Outcome {
        name,
        difference: middle(&differences).abs().exp_m1(),
        band: band(&differences).exp_m1().max(BAND_LEAST),
        widest: differences.iter().fold(0.0, |most: f64, d| most.max(d.abs())).exp_m1(),
    }
}

/// The median of all means of two (Hodges and Lehmann 1963): one pair that was disturbed moves it little.
fn middle(differences: &[f64]) -> f64 {
    let from = (0..).zip(differences);
    let means =
        from.flat_map(|(at, a)| differences[at..].iter().map(move |b| f64::midpoint(*a, *b)));
    let mut means: Vec<f64> = means.collect();
    let half = means.len() / 2;
    let (_, upper, _) = means.select_nth_unstable_by(half, f64::total_cmp);
    let upper = *upper;
    if means.len() % 2 == 1 {
        return upper;
    }
    let lower = means[..half].iter().copied().max_by(f64::total_cmp);
    f64::midpoint(upper, lower.unwrap_or(upper))
}

/// In equal runs chance alone says which of a pair is called the first. So all ways to exchange them are tried, and the
/// band holds all but [`CHANCE`] of what comes out: an exact permutation test, which supposes no distribution.
fn band(differences: &[f64]) -> f64 {
    let exchanged = |exchange: u32| {
        let sign = |at: usize| if exchange >> at & 1 == 1 { -1.0 } else { 1.0 };
        let all: Vec<f64> = differences.iter().enumerate().map(|(at, d)| d * sign(at)).collect();
        middle(&all).abs()
    };
    let mut all: Vec<f64> = (0..1_u32 << differences.len()).map(exchanged).collect();
    all.sort_by(f64::total_cmp);
    let beyond = (all.len() as f64 * CHANCE) as usize;
    all[all.len() - 1 - beyond]
}

/// Whether so many pairs can differ by more than the band: all in one direction, or all in the other.
fn is_enough(pairs: usize) -> bool {
    (1_u32 << pairs) as f64 * CHANCE >= 2.0
}

fn run(lab: &mut Lab<'_>) -> Result<Run, CalibrateError> {
    let title = lab.full();
    let duration = Duration::from_millis(lab.pick(1000, 200));
    let load =
        OpenLoop { rate: RATE, warm: Some(WARM), duration, sessions: SESSIONS, timeout: TIMEOUT };
    let plan = load.plan(lab.config.seed, &title)?;
    let (measured, deeds) = lab.trial("A/A", &title, (lab.fast(), true), &plan)?;
    let response = all_classes(&measured.last).ttlb.response;
    let quantile = |q| response.histogram().value_at_quantile(q) as f64;
    let complete = measured.total.ledger.complete;
    let bytes = complete as f64 * f64::from(plan.titles[0].segment_bytes);
    let cpu = deeds.cpu.as_secs_f64() / complete.max(1) as f64;
    Ok(Run {
        intended: measured.total.ledger.intended,
        complete,
        figures: [bytes / measured.seconds, quantile(0.5), quantile(0.9), cpu],
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(figure: f64) -> Run {
        Run { intended: 1, complete: 1, figures: [figure; 4] }
    }

    /// Pairs of which each second one is `factor` times the first, and `noise` besides.
    fn pairs(factor: f64, noise: &[f64]) -> Vec<(Run, Run)> {
        noise.iter().map(|noise| (run(100.0), run(100.0 * factor * (1.0 + noise)))).collect()
    }

    const NOISE: [f64; 12] =
        [0.02, -0.01, 0.03, -0.025, 0.0, 0.01, -0.015, 0.4, 0.005, -0.02, 0.015, -0.03];

    #[test]
    fn a_difference_beyond_the_noise_is_found_and_noise_is_not() {
        let equal = judge(&pairs(1.0, &NOISE));
        assert!(equal.passed, "{}", equal.says);
        let other = judge(&pairs(1.1, &NOISE));
        assert!(!other.passed, "{}", other.says);
    }

    #[test]
    fn one_disturbed_pair_widens_the_band_little() {
        let differences: Vec<f64> = NOISE.iter().map(|noise: &f64| noise.ln_1p()).collect();
        let band = band(&differences);
        assert!((0.01..0.05).contains(&band), "{band}");
    }

    #[test]
    fn a_machine_that_is_too_noisy_and_counts_that_differ_do_not_pass() {
        let wild = NOISE.map(|noise| noise * 10.0).map(|noise: f64| noise.clamp(-0.5, 0.5));
        assert!(!judge(&pairs(1.0, &wild)).passed);
        let mut unequal = pairs(1.0, &NOISE);
        unequal[3].1.complete = 2;
        assert!(!judge(&unequal).passed);
        assert!(!judge(&unequal[..6]).passed, "counts are judged with few pairs too");
        assert!(!is_enough(9) && is_enough(10));
    }

    proptest! {
        /// What is called first changes nothing but the sign, and no band is less than the least.
        #[test]
        fn a_band_is_the_same_from_both_sides(all in prop::collection::vec(-0.5..0.5, 2..10_usize)) {
            let turned: Vec<f64> = all.iter().map(|d| -d).collect();
            prop_assert!((middle(&all) + middle(&turned)).abs() < 1e-12);
            prop_assert!((band(&all) - band(&turned)).abs() < 1e-12);
            prop_assert!(middle(&all).abs() <= all.iter().fold(0.0, |m: f64, d| m.max(d.abs())));
        }
    }
}
