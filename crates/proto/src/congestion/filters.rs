//! The windowed maximum of delivery rates, over probing cycles instead of time.

use crate::rate::Rate;

/// The highest rate seen in this probing cycle and the one before it (BBR's `MaxBwFilterLen` = 2).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MaxRate {
    last: Rate,
    this: Rate,
}

impl MaxRate {
    pub(super) fn get(self) -> Rate {
        self.last.max(self.this)
    }

    pub(super) fn update(&mut self, rate: Rate) {
        self.this = self.this.max(rate);
    }

    /// A probe showed that the path gives `rate`: what was seen before is forgotten.
    pub(super) fn restart(&mut self, rate: Rate) {
        *self = Self { last: rate, this: Rate::ZERO };
    }

    /// A probing cycle ended: what the cycle before it saw is forgotten, unless this one saw nothing.
    pub(super) fn advance(&mut self) {
        if self.this > Rate::ZERO {
            *self = Self { last: self.this, this: Rate::ZERO };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_forgotten_after_two_cycles() {
        let mut filter = MaxRate::default();
        filter.update(Rate::new(100));
        filter.update(Rate::new(60));
        assert_eq!(filter.get(), Rate::new(100));
        filter.advance();
        filter.update(Rate::new(50));
        assert_eq!(filter.get(), Rate::new(100));
        filter.advance();
        assert_eq!(filter.get(), Rate::new(50));
        filter.advance();
        assert_eq!(filter.get(), Rate::new(50), "a cycle without samples forgets nothing");
        filter.restart(Rate::new(40));
        assert_eq!(filter.get(), Rate::new(40));
    }
}
