//! Reed–Solomon parity over the symbols of a stored segment (section 12, code id 1).
//!
//! The decoder trusts its input: whoever calls it has checked every symbol against its leaf, or checks the
//! whole segment against its digest afterwards.

use reed_solomon_simd::{Error, ReedSolomonDecoder, ReedSolomonEncoder};

use super::geometry::Geometry;
use crate::limits::SYMBOL;

/// Why a segment could not be repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RepairError {
    /// Fewer parity symbols than missing source symbols.
    #[error("{missing} symbols are missing and only {parity} parity symbols are there")]
    TooFew {
        /// Missing source symbols.
        missing: usize,
        /// Parity symbols given.
        parity: usize,
    },
    /// A symbol index outside of its range, or given twice.
    #[error("symbol index {0} is out of range or given twice")]
    Index(u32),
    /// A symbol or segment of another length than the geometry's.
    #[error("{found} bytes instead of {expected}")]
    Length {
        /// Bytes given.
        found: usize,
        /// Bytes that the geometry asks for.
        expected: usize,
    },
    /// The set was packed without parity.
    #[error("the set has no parity")]
    NoParity,
}

/// Computes parity symbols; keeps its working space from one segment to the next.
pub struct ParityEncoder {
    encoder: Option<ReedSolomonEncoder>,
    geometry: Geometry,
}

impl ParityEncoder {
    /// An encoder for segments of `geometry`.
    #[must_use]
    pub fn new(geometry: &Geometry) -> Self {
        let (k, m) = counts(geometry);
        let encoder = geometry.has_parity().then(|| {
            ReedSolomonEncoder::new(k, m, SYMBOL).expect("the code supports every geometry")
        });
        Self { encoder, geometry: *geometry }
    }

    /// Replaces `parity` by the m parity symbols of `stored`, one after another; by nothing for a set
    /// without parity.
    ///
    /// # Panics
    /// When `stored` is not one whole segment.
    pub fn encode(&mut self, stored: &[u8], parity: &mut Vec<u8>) {
        assert_eq!(stored.len(), self.geometry.segment_bytes() as usize, "one whole segment");
        parity.clear();
        let Some(encoder) = &mut self.encoder else { return };
        for symbol in stored.chunks_exact(SYMBOL) {
            encoder.add_original_shard(symbol).expect("k symbols of the size it was made for");
        }
        let result = encoder.encode().expect("all k symbols were added");
        result.recovery_iter().for_each(|symbol| parity.extend_from_slice(symbol));
    }
}

/// Fills the `missing` source symbols of `stored` from parity symbols, given with their symbol index (k..k+m).
///
/// # Errors
/// [`RepairError`]; `stored` is then unchanged.
pub fn repair(
    geometry: &Geometry,
    stored: &mut [u8],
    missing: &[u32],
    parity: &[(u32, &[u8])],
) -> Result<(), RepairError> {
    let (k, m) = counts(geometry);
    check_len(stored.len(), k * SYMBOL)?;
    if !geometry.has_parity() {
        return Err(RepairError::NoParity);
    }
    if parity.len() < missing.len() {
        return Err(RepairError::TooFew { missing: missing.len(), parity: parity.len() });
    }
    let mut absent = vec![false; k];
    for &index in missing {
        match absent.get_mut(index as usize) {
            Some(flag) if !*flag => *flag = true,
            _ => return Err(RepairError::Index(index)),
        }
    }
    let mut decoder =
        ReedSolomonDecoder::new(k, m, SYMBOL).expect("the code supports every geometry");
    for &(index, symbol) in parity {
        check_len(symbol.len(), SYMBOL)?;
        let place = index.checked_sub(k as u32).ok_or(RepairError::Index(index))?;
        decoder
            .add_recovery_shard(place as usize, symbol)
            .map_err(|error| repair_error(&error, index))?;
    }
    let present = stored.chunks_exact(SYMBOL).zip(0_u32..).zip(&absent);
    for ((symbol, index), _) in present.filter(|(_, absent)| !**absent) {
        decoder
            .add_original_shard(index as usize, symbol)
            .map_err(|error| repair_error(&error, index))?;
    }
    let result = decoder.decode().map_err(|error| repair_error(&error, 0))?;
    for (index, symbol) in result.restored_original_iter() {
        if let Some(place) = stored.chunks_exact_mut(SYMBOL).nth(index) {
            place.copy_from_slice(symbol);
        }
    }
    Ok(())
}

/// k and m.
fn counts(geometry: &Geometry) -> (usize, usize) {
    (geometry.source_symbols() as usize, geometry.parity_symbols() as usize)
}

fn check_len(found: usize, expected: usize) -> Result<(), RepairError> {
    if found == expected { Ok(()) } else { Err(RepairError::Length { found, expected }) }
}

/// The library's error in our words; `index` is the symbol that it refused.
fn repair_error(error: &Error, index: u32) -> RepairError {
    match *error {
        Error::NotEnoughShards {
            original_count,
            original_received_count,
            recovery_received_count,
        } => RepairError::TooFew {
            missing: original_count.saturating_sub(original_received_count),
            parity: recovery_received_count,
        },
        Error::DifferentShardSize { shard_bytes, got } => {
            RepairError::Length { found: got, expected: shard_bytes }
        }
        _ => RepairError::Index(index),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::segment::geometry::{LARGEST, UNIT};

    fn segment(geometry: &Geometry, seed: u64) -> Vec<u8> {
        let mut state = seed | 1;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as u8
        };
        std::iter::repeat_with(next).take(geometry.segment_bytes() as usize).collect()
    }

    fn encode(geometry: &Geometry, stored: &[u8]) -> Vec<u8> {
        let mut parity = vec![1, 2, 3];
        ParityEncoder::new(geometry).encode(stored, &mut parity);
        parity
    }

    #[test]
    fn the_code_supports_every_geometry() {
        for units in 1..=LARGEST / UNIT {
            let g = Geometry::new(0, units * UNIT, true).unwrap();
            assert!(ReedSolomonEncoder::supports(counts(&g).0, counts(&g).1), "{units} units");
            assert!(ReedSolomonDecoder::supports(counts(&g).0, counts(&g).1), "{units} units");
        }
    }

    #[test]
    fn an_encoder_can_be_used_again() {
        let g = Geometry::new(0, UNIT, true).unwrap();
        let (one, two) = (segment(&g, 1), segment(&g, 2));
        let mut encoder = ParityEncoder::new(&g);
        let mut parity = Vec::new();
        encoder.encode(&one, &mut parity);
        encoder.encode(&two, &mut parity);
        assert!(parity == encode(&g, &two));
        assert_eq!(parity.len(), g.parity_symbols() as usize * SYMBOL);
    }

    #[test]
    fn sets_without_parity_have_none() {
        let g = Geometry::new(0, UNIT, false).unwrap();
        let mut stored = segment(&g, 1);
        assert!(encode(&g, &stored).is_empty());
        assert_eq!(repair(&g, &mut stored, &[0], &[]), Err(RepairError::NoParity));
    }

    #[test]
    fn what_cannot_be_repaired_is_an_error_and_changes_nothing() {
        let g = Geometry::new(0, UNIT, true).unwrap();
        let original = segment(&g, 3);
        let parity = encode(&g, &original);
        let first = &parity[..SYMBOL];
        let (k, m) = (g.source_symbols(), g.parity_symbols());
        let mut stored = original.clone();
        let mut check = |missing: &[u32], parity: &[(u32, &[u8])], error| {
            assert_eq!(repair(&g, &mut stored, missing, parity), Err(error));
        };
        check(&[0, 1], &[(k, first)], RepairError::TooFew { missing: 2, parity: 1 });
        check(&[k], &[(k, first)], RepairError::Index(k));
        check(&[1, 1], &[(k, first), (k + 1, first)], RepairError::Index(1));
        check(&[1], &[(k - 1, first)], RepairError::Index(k - 1));
        check(&[1], &[(k + m, first)], RepairError::Index(k + m));
        check(&[1, 2], &[(k, first), (k, first)], RepairError::Index(k));
        let short = RepairError::Length { found: SYMBOL - 1, expected: SYMBOL };
        check(&[1], &[(k, &first[1..])], short);
        assert!(stored == original);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn any_m_lost_symbols_come_back(seed: u64, units in 1_u32..3) {
            let g = Geometry::new(0, units * UNIT, true).unwrap();
            let original = segment(&g, seed);
            let parity = encode(&g, &original);
            let (k, m) = (g.source_symbols(), g.parity_symbols());
            // A stride prime to k = 64 × units visits every symbol once.
            let missing: Vec<u32> = (0..m).map(|i| (seed as u32 % k + i * 35) % k).collect();
            let mut stored = original.clone();
            for &index in &missing {
                stored[index as usize * SYMBOL..][..SYMBOL].fill(0);
            }
            let symbols: Vec<_> = (k..).zip(parity.chunks_exact(SYMBOL)).collect();
            prop_assert_eq!(repair(&g, &mut stored, &missing, &symbols), Ok(()));
            prop_assert!(stored == original);
        }
    }
}
