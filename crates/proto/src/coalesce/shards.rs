//! Sets of shards.

/// Which shards of an edge: 32 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shards([u64; 4]);

impl Shards {
    /// Adds `shard`, or takes it out.
    pub(super) fn set(&mut self, shard: u8, is_in: bool) {
        let (word, bit) = (usize::from(shard >> 6), 1 << (shard & 63));
        if is_in {
            self.0[word] |= bit;
        } else {
            self.0[word] &= !bit;
        }
    }

    /// None.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// No other shard than this one.
    pub(super) fn is_within(&self, shard: u8) -> bool {
        let mut others = *self;
        others.set(shard, false);
        others.is_empty()
    }

    /// How many.
    pub(super) fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_come_and_go() {
        let mut shards = Shards::default();
        for shard in [0, 63, 64, 255, 255] {
            shards.set(shard, true);
        }
        assert_eq!((shards.len(), shards.is_within(0)), (4, false));
        for shard in [63, 64, 255, 1] {
            shards.set(shard, false);
        }
        assert_eq!((shards.len(), shards.is_within(0), shards.is_within(1)), (1, true, false));
        shards.set(0, false);
        assert!(shards.is_empty());
    }
}
