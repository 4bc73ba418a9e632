//! What a wire does to a frame: loses it (evenly or in bursts), doubles it, lets others overtake it.

use std::time::Duration;

use rand_core::RngCore;

/// How frames are lost. Probabilities are for each frame, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// None is lost.
    None,
    /// Each is lost with this probability, independently.
    Random(f64),
    /// Gilbert–Elliott: a wire that is good or bad. The share of time it is bad is
    /// `to_bad / (to_bad + to_good)`, and a bad time lasts `1 / to_good` frames on average.
    Bursts {
        /// Probability that a good wire turns bad, for each frame.
        to_bad: f64,
        /// Probability that a bad wire turns good, for each frame.
        to_good: f64,
        /// Loss while the wire is good.
        loss_good: f64,
        /// Loss while the wire is bad.
        loss_bad: f64,
    },
}

/// A wire. All probabilities are for each frame, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wire {
    /// How frames are lost.
    pub loss: Loss,
    /// Probability that a frame that is not lost comes twice.
    pub duplicate: f64,
    /// Probability that a frame is late, and by how much: those behind it overtake it.
    pub reorder: Option<(f64, Duration)>,
}

/// What happens to one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fate {
    pub(super) is_lost: bool,
    pub(super) copies: u32,
    pub(super) extra_delay: Duration,
}

impl Wire {
    /// A wire that delivers each frame once and in order.
    pub const PERFECT: Wire = Wire { loss: Loss::None, duplicate: 0.0, reorder: None };

    /// Draws the fate of the next frame. Each frame draws the same number of times whatever comes
    /// out, so that changing one probability does not change the course of the others.
    pub(super) fn fate(&self, random: &mut impl RngCore, is_bad: &mut bool) -> Fate {
        let draws = [(); 4].map(|()| unit(random));
        let [turns, loses, doubles, delays] = draws;
        let loss = match self.loss {
            Loss::None => 0.0,
            Loss::Random(share) => share,
            Loss::Bursts { to_bad, to_good, loss_good, loss_bad } => {
                *is_bad ^= turns < if *is_bad { to_good } else { to_bad };
                if *is_bad { loss_bad } else { loss_good }
            }
        };
        let late = self.reorder.filter(|(share, _)| delays < *share);
        Fate {
            is_lost: loses < loss,
            copies: if doubles < self.duplicate { 2 } else { 1 },
            extra_delay: late.map_or(Duration::ZERO, |(_, by)| by),
        }
    }
}

/// A number in `0..1`, of 53 random bits.
fn unit(random: &mut impl RngCore) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng as _;

    use super::*;

    const FRAMES: usize = 200_000;

    fn fates(wire: Wire) -> Vec<Fate> {
        let mut random = ChaCha8Rng::seed_from_u64(42);
        let mut is_bad = false;
        (0..FRAMES).map(|_| wire.fate(&mut random, &mut is_bad)).collect()
    }

    fn share(fates: &[Fate], is: impl Fn(&Fate) -> bool) -> f64 {
        fates.iter().filter(|fate| is(fate)).count() as f64 / fates.len() as f64
    }

    #[test]
    fn shares_are_those_asked_for() {
        let by = Duration::from_millis(3);
        let wire = Wire { loss: Loss::Random(0.02), duplicate: 0.1, reorder: Some((0.25, by)) };
        let fates = fates(wire);
        assert!((share(&fates, |f| f.is_lost) - 0.02).abs() < 0.002);
        assert!((share(&fates, |f| f.copies == 2) - 0.1).abs() < 0.005);
        assert!((share(&fates, |f| f.extra_delay == by) - 0.25).abs() < 0.005);
    }

    #[test]
    fn a_perfect_wire_changes_nothing() {
        let plain = Fate { is_lost: false, copies: 1, extra_delay: Duration::ZERO };
        assert!(fates(Wire::PERFECT).iter().all(|fate| *fate == plain));
    }

    #[test]
    fn bursts_have_their_share_and_their_length() {
        let loss = Loss::Bursts { to_bad: 0.002, to_good: 0.1, loss_good: 0.0, loss_bad: 1.0 };
        let fates = fates(Wire { loss, ..Wire::PERFECT });
        // 0.002 / 0.102 of the frames, in bursts of ten.
        let lost = share(&fates, |f| f.is_lost);
        assert!((lost - 0.0196).abs() < 0.004, "{lost}");
        let starts = fates.windows(2).filter(|pair| !pair[0].is_lost && pair[1].is_lost).count();
        let length = lost * FRAMES as f64 / starts as f64;
        assert!((length - 10.0).abs() < 1.5, "{length}");
    }
}
