//! A title key in two parts: K = part 1 ⊕ part 2.

use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::segment::cipher::{TITLE_KEY_LEN, TitleKey};

/// One part of a title key. By itself it is random; overwritten when dropped and never printed all the same, since the
/// other part may be at hand.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct KeyPart(pub [u8; TITLE_KEY_LEN]);

impl fmt::Debug for KeyPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPart(..)")
    }
}

/// The part that makes `key` together with `other`, which has to be random, and new for each ticket.
#[must_use]
pub fn split(key: &TitleKey, other: &KeyPart) -> KeyPart {
    KeyPart(xor(key.as_bytes(), &other.0))
}

/// The title key that two parts make. Any two make some key: only the manifest's commitment says that it is the title's.
#[must_use]
pub fn join(one: &KeyPart, other: &KeyPart) -> TitleKey {
    TitleKey::new(xor(&one.0, &other.0))
}

fn xor(a: &[u8; TITLE_KEY_LEN], b: &[u8; TITLE_KEY_LEN]) -> [u8; TITLE_KEY_LEN] {
    core::array::from_fn(|i| a[i] ^ b[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_are_needed_and_neither_is_printed() {
        let (key, other) = (TitleKey::new([0x5A; 16]), KeyPart([0x0F; 16]));
        let part = split(&key, &other);
        assert_eq!(part, KeyPart([0x55; 16]));
        assert_eq!((join(&part, &other), join(&other, &part)), (key.clone(), key.clone()));
        assert_ne!(join(&part, &KeyPart([0x0E; 16])), key);
        assert_eq!(format!("{part:?}"), "KeyPart(..)");
    }
}
