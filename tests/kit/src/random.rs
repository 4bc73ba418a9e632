//! Keys, seeds and secrets from a seeded generator.

use rand_core::RngCore;

/// So many random bytes.
pub fn draw<const N: usize>(rng: &mut impl RngCore) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}
