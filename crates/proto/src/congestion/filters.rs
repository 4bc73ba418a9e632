//! The windowed maximum of delivery rates, over probing cycles instead of time.

/// The highest rate (bytes/s) seen in this probing cycle and the one before it (BBR's `MaxBwFilterLen` = 2).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MaxRate {
    last: u64,
    this: u64,
}

impl MaxRate {
    pub(super) fn get(self) -> u64 {
        self.last.max(self.this)
    }

    pub(super) fn update(&mut self, rate: u64) {
        self.this = self.this.max(rate);
    }

    /// A probe showed that the path gives `rate`: what was seen before is forgotten.
    pub(super) fn restart(&mut self, rate: u64) {
        *self = Self { last: rate, this: 0 };
    }

    /// A probing cycle ended: what the cycle before it saw is forgotten, unless this one saw nothing.
    pub(super) fn advance(&mut self) {
        if self.this > 0 {
            *self = Self { last: self.this, this: 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_forgotten_after_two_cycles() {
        let mut filter = MaxRate::default();
        filter.update(100);
        filter.update(60);
        assert_eq!(filter.get(), 100);
        filter.advance();
        filter.update(50);
        assert_eq!(filter.get(), 100);
        filter.advance();
        assert_eq!(filter.get(), 50);
        filter.advance();
        assert_eq!(filter.get(), 50, "a cycle without samples forgets nothing");
        filter.restart(40);
        assert_eq!(filter.get(), 40);
    }
}
