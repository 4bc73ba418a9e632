//! Names of sets, objects and sessions, each a type of its own so that they cannot be confused.

use core::fmt;

/// One title at one version: 12 random bytes and a version (section 12).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetId(pub [u8; 16]);

impl SetId {
    /// Joins a title's random name and its version.
    #[must_use]
    pub fn new(title: [u8; 12], version: u32) -> Self {
        let mut bytes = [0; 16];
        bytes[..12].copy_from_slice(&title);
        bytes[12..].copy_from_slice(&version.to_be_bytes());
        Self(bytes)
    }
}

impl fmt::Display for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SetId({self})")
    }
}

/// `text` is not 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a set is named by 32 hexadecimal digits, not {text:?}")]
pub struct BadSetId {
    /// What was given.
    pub text: String,
}

impl core::str::FromStr for SetId {
    type Err = BadSetId;

    fn from_str(text: &str) -> Result<Self, BadSetId> {
        let bad = || BadSetId { text: text.to_owned() };
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        u128::from_str_radix(text, 16).map(|n| Self(n.to_be_bytes())).map_err(|_| bad())
    }
}

/// The field `segment number` of a frame header: a segment, or a page of the manifest (section 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectNumber(pub u32);

impl ObjectNumber {
    /// Numbers from here on are manifest pages.
    pub const FIRST_PAGE: u32 = 0xFFFF_0000;

    /// Manifest page `page`; 0 is the root.
    #[must_use]
    pub const fn page(page: u16) -> Self {
        Self(Self::FIRST_PAGE | page as u32)
    }

    /// The page number, if this is a page.
    #[must_use]
    pub const fn as_page(self) -> Option<u16> {
        if self.0 >= Self::FIRST_PAGE { Some((self.0 & 0xFFFF) as u16) } else { None }
    }

    /// The segment number, if this is a segment.
    #[must_use]
    pub const fn as_segment(self) -> Option<u32> {
        if self.0 < Self::FIRST_PAGE { Some(self.0) } else { None }
    }
}

/// Names a session of the receiver: slot in the high 24 bits, shard in the low 8 (section 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiverIndex(pub u32);

impl ReceiverIndex {
    /// The most slots a shard can have.
    pub const SLOTS: u32 = 1 << 24;

    /// Slot `slot` of shard `shard`.
    #[must_use]
    pub const fn new(slot: u32, shard: u8) -> Self {
        assert!(slot < Self::SLOTS);
        Self(slot << 8 | shard as u32)
    }

    /// The slot.
    #[must_use]
    pub const fn slot(self) -> u32 {
        self.0 >> 8
    }

    /// The shard.
    #[must_use]
    pub const fn shard(self) -> u8 {
        (self.0 & 0xFF) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_id_reads_back_what_it_prints() {
        let id = SetId::new([0xAB; 12], 7);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("xyz".parse::<SetId>().is_err());
        assert!("+".repeat(32).parse::<SetId>().is_err());
    }

    #[test]
    fn pages_and_segments_do_not_overlap() {
        assert_eq!(ObjectNumber::page(3).as_page(), Some(3));
        assert_eq!(ObjectNumber::page(0).as_segment(), None);
        assert_eq!(ObjectNumber(ObjectNumber::FIRST_PAGE - 1).as_page(), None);
    }
}
