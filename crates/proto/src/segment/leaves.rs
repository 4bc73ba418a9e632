//! Leaves: short digests of symbols, and the digests of the LEAVES payloads that carry them (section 12).
//!
//! A group key keeps outsiders out but members could forge, so a symbol heard by multicast counts only once
//! its leaf is known from a LEAVES payload whose digest stands in the signed manifest.

use super::geometry::{Geometry, LEAF, LEAVES_PER_GROUP};
use crate::crypto::hash::sha256;
use crate::ids::SetId;
use crate::limits::SYMBOL;

/// The digest of one symbol, or of one LEAVES payload.
pub type Leaf = [u8; LEAF];

const LEAF_TAG: u8 = 0;
const GROUP_TAG: u8 = 1;

/// The leaf of symbol `index` (source 0..k, then parity) of `segment`.
#[must_use]
pub fn leaf(set: SetId, segment: u32, index: u32, symbol: &[u8]) -> Leaf {
    tagged(LEAF_TAG, set, segment, index, symbol)
}

/// The digest that the manifest has for LEAVES payload `group` of `segment`.
#[must_use]
pub fn group_digest(set: SetId, segment: u32, group: u32, payload: &[u8]) -> Leaf {
    tagged(GROUP_TAG, set, segment, group, payload)
}

/// The LEAVES payloads of one segment: each is up to 72 leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentLeaves(Vec<u8>);

impl SegmentLeaves {
    /// Computes the leaves of `stored` followed by its `parity` symbols.
    #[must_use]
    pub fn new(set: SetId, segment: u32, stored: &[u8], parity: &[u8]) -> Self {
        let symbols = stored.chunks_exact(SYMBOL).chain(parity.chunks_exact(SYMBOL));
        let leaves = (0..).zip(symbols).flat_map(|(x, symbol)| leaf(set, segment, x, symbol));
        Self(leaves.collect())
    }

    /// All leaves, one after another: the payloads joined; none for a set without parity.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The LEAVES payloads, in the order of their group index.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.0.chunks(LEAVES_PER_GROUP as usize * LEAF)
    }

    /// The digest of each LEAVES payload, as the manifest has them.
    pub fn group_digests(&self, set: SetId, segment: u32) -> impl Iterator<Item = Leaf> {
        (0..).zip(self.groups()).map(move |(g, payload)| group_digest(set, segment, g, payload))
    }
}

/// The length of LEAVES payload `group`, bytes; none past the end.
#[must_use]
pub fn group_len(geometry: &Geometry, group: u32) -> Option<usize> {
    let symbols = geometry.source_symbols() + geometry.parity_symbols();
    if group >= geometry.leaf_groups() {
        return None;
    }
    let leaves = (symbols - group * LEAVES_PER_GROUP).min(LEAVES_PER_GROUP);
    Some(leaves as usize * LEAF)
}

/// `SHA-256(tag ‖ set ‖ segment ‖ index ‖ bytes)`, its first half.
fn tagged(tag: u8, set: SetId, segment: u32, index: u32, bytes: &[u8]) -> Leaf {
    let digest = sha256(&[&[tag], &set.0, &segment.to_be_bytes(), &index.to_be_bytes(), bytes]);
    let mut out = [0; LEAF];
    out.copy_from_slice(&digest[..LEAF]);
    out
}

#[cfg(not(miri))] // Miri does not run C: aws-lc
#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::geometry::UNIT;

    const SET: SetId = SetId([3; 16]);

    #[test]
    fn a_leaf_is_the_hash_of_one_string() {
        let symbol = [9_u8; SYMBOL];
        let mut whole = vec![0];
        whole.extend([3; 16]);
        whole.extend([0, 0, 0, 5, 0, 0, 1, 0]);
        whole.extend(symbol);
        assert_eq!(leaf(SET, 5, 256, &symbol), sha256(&[&whole])[..16]);
        whole[0] = 1;
        assert_eq!(group_digest(SET, 5, 256, &symbol), sha256(&[&whole])[..16]);
    }

    #[test]
    fn groups_have_the_number_and_lengths_that_the_geometry_says() {
        for units in [1, 2, 14, 455] {
            let g = Geometry::new(1, units * UNIT, true).unwrap();
            let stored = vec![1; g.segment_bytes() as usize];
            let parity = vec![2; g.parity_symbols() as usize * SYMBOL];
            let leaves = SegmentLeaves::new(SET, 0, &stored, &parity);
            assert_eq!(leaves.groups().len(), g.leaf_groups() as usize);
            for (group, payload) in (0..).zip(leaves.groups()) {
                assert_eq!(group_len(&g, group), Some(payload.len()));
            }
            assert_eq!(group_len(&g, g.leaf_groups()), None);
        }
    }

    #[test]
    fn leaves_know_their_place() {
        let symbol = [9_u8; SYMBOL];
        let here = leaf(SET, 5, 6, &symbol);
        assert_ne!(here, leaf(SetId([4; 16]), 5, 6, &symbol));
        assert_ne!(here, leaf(SET, 6, 6, &symbol));
        assert_ne!(here, leaf(SET, 5, 5, &symbol));
        assert_ne!(here, group_digest(SET, 5, 6, &symbol));
    }
}
