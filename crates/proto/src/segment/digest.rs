//! What the manifest says of one stored segment: its SHA-256 and the digests of its LEAVES payloads.

use super::geometry::{DIGEST, Geometry, LEAF};
use super::leaves::{Leaf, SegmentLeaves};
use super::parity::ParityEncoder;
use crate::crypto::hash::sha256;
use crate::ids::SetId;

/// The manifest's entry for one segment, encoded: digest (32), then G digests of LEAVES payloads (16 each).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry(pub(super) Vec<u8>);

impl Entry {
    /// The entry made of a digest and the digests of the LEAVES payloads.
    #[must_use]
    pub fn new(digest: &[u8; DIGEST], groups: impl IntoIterator<Item = Leaf>) -> Self {
        let mut bytes = digest.to_vec();
        groups.into_iter().for_each(|leaf| bytes.extend_from_slice(&leaf));
        Self(bytes)
    }

    /// SHA-256 of the stored segment.
    #[must_use]
    pub fn digest(&self) -> &[u8] {
        &self.0[..DIGEST]
    }

    /// The digest of LEAVES payload `group`; none past the end.
    #[must_use]
    pub fn group(&self, group: usize) -> Option<&[u8]> {
        self.0[DIGEST..].chunks_exact(LEAF).nth(group)
    }
}

/// Computes entries; keeps its working space (about twice a segment) from one to the next.
pub struct Digester {
    set: SetId,
    encoder: ParityEncoder,
    parity: Vec<u8>,
}

impl Digester {
    /// A digester for the segments of `set`.
    #[must_use]
    pub fn new(geometry: &Geometry, set: SetId) -> Self {
        Self { set, encoder: ParityEncoder::new(geometry), parity: Vec::new() }
    }

    /// The entry of stored segment number `segment`.
    ///
    /// # Panics
    /// When `stored` is not one whole segment.
    #[must_use]
    pub fn entry(&mut self, segment: u32, stored: &[u8]) -> Entry {
        self.entry_and_leaves(segment, stored).0
    }

    /// The entry of stored segment number `segment`, and the leaves that it vouches for: none for a set without parity.
    ///
    /// # Panics
    /// When `stored` is not one whole segment.
    #[must_use]
    pub fn entry_and_leaves(&mut self, segment: u32, stored: &[u8]) -> (Entry, SegmentLeaves) {
        let digest = sha256(&[stored]);
        self.encoder.encode(stored, &mut self.parity);
        if self.parity.is_empty() {
            return (Entry::new(&digest, []), SegmentLeaves::default());
        }
        let leaves = SegmentLeaves::new(self.set, segment, stored, &self.parity);
        (Entry::new(&digest, leaves.group_digests(self.set, segment)), leaves)
    }
}

#[cfg(not(miri))] // Miri does not run C: aws-lc
#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::SYMBOL;
    use crate::segment::geometry::UNIT;
    use crate::segment::leaves::{group_digest, leaf};

    const SET: SetId = SetId([1; 16]);

    #[test]
    fn an_entry_covers_the_segment_and_its_parity() {
        let g = Geometry::new(1, UNIT, true).unwrap();
        let stored: Vec<u8> = (0..UNIT).map(|i| (i / 7) as u8).collect();
        let mut parity = Vec::new();
        ParityEncoder::new(&g).encode(&stored, &mut parity);
        let (entry, made) = Digester::new(&g, SET).entry_and_leaves(5, &stored);
        assert_eq!(entry.0.len(), g.entry_bytes());
        assert_eq!(entry.digest(), sha256(&[&stored]));
        // 64 source and 16 parity symbols: 72 leaves, then 8.
        let symbols = stored.chunks(SYMBOL).chain(parity.chunks(SYMBOL));
        let leaves: Vec<u8> = (0..).zip(symbols).flat_map(|(x, s)| leaf(SET, 5, x, s)).collect();
        assert_eq!(made.as_bytes(), leaves);
        assert_eq!(entry.group(0), Some(&group_digest(SET, 5, 0, &leaves[..72 * 16])[..]));
        assert_eq!(entry.group(1), Some(&group_digest(SET, 5, 1, &leaves[72 * 16..])[..]));
        assert_eq!(entry.group(2), None);
    }

    #[test]
    fn without_parity_an_entry_is_the_digest_alone() {
        let g = Geometry::new(1, UNIT, false).unwrap();
        let stored = vec![7; UNIT as usize];
        let entry = Digester::new(&g, SET).entry(0, &stored);
        assert_eq!(entry.0, sha256(&[&stored]));
    }
}
