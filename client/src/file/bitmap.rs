//! A set of segment numbers below a fixed bound.

/// Which segments of a title are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bitmap {
    words: Vec<u64>,
    bits: u32,
    ones: u32,
}

impl Bitmap {
    /// An empty set of numbers below `bits`.
    #[must_use]
    pub fn new(bits: u32) -> Self {
        Self { words: vec![0; bits.div_ceil(64) as usize], bits, ones: 0 }
    }

    /// Whether `bit` is in the set; false for numbers beyond the bound.
    #[must_use]
    pub fn contains(&self, bit: u32) -> bool {
        bit < self.bits && self.words[(bit / 64) as usize] >> (bit % 64) & 1 == 1
    }

    /// Adds `bit`; says whether it is new. Numbers beyond the bound are not taken.
    pub fn insert(&mut self, bit: u32) -> bool {
        if bit >= self.bits || self.contains(bit) {
            return false;
        }
        self.words[(bit / 64) as usize] |= 1 << (bit % 64);
        self.ones += 1;
        true
    }

    /// Takes `bit` out; says whether it was there.
    pub fn remove(&mut self, bit: u32) -> bool {
        if !self.contains(bit) {
            return false;
        }
        self.words[(bit / 64) as usize] &= !(1 << (bit % 64));
        self.ones -= 1;
        true
    }

    /// How many numbers are in the set.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.ones
    }

    /// Whether every number below the bound is in the set.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.ones == self.bits
    }

    /// The bound.
    #[must_use]
    pub fn bound(&self) -> u32 {
        self.bits
    }

    /// The numbers in the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.bits).filter(|bit| self.contains(*bit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_it_holds() {
        let mut map = Bitmap::new(65);
        assert!(map.insert(0) && map.insert(64) && !map.insert(64) && !map.insert(65));
        assert_eq!((map.count(), map.iter().collect::<Vec<_>>()), (2, vec![0, 64]));
        assert!(map.remove(0) && !map.remove(0) && !map.remove(1000));
        assert!(!map.is_full() && map.contains(64) && !map.contains(65));
    }

    #[test]
    fn an_empty_title_is_complete() {
        assert!(Bitmap::new(0).is_full());
    }
}
