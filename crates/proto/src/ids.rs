//! Names of sets, objects and sessions, each a type of its own so that they cannot be confused.

use core::fmt;
use core::num::NonZeroU32;

use crate::limits::REQUESTS_MAX;

// A map of the window is a u64.
const _: () = assert!(REQUESTS_MAX == u64::BITS as usize);

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
        f.write_str(&hex::encode(self.0))
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
        let mut bytes = [0; 16];
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) => Ok(Self(bytes)),
            Err(_) => Err(BadSetId { text: text.to_owned() }),
        }
    }
}

/// The field `segment number` of a frame header: a segment, its leaves, or a page of the manifest (section 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectNumber(pub u32);

impl ObjectNumber {
    /// Numbers from here on are the leaves of segments.
    pub const FIRST_LEAVES: u32 = 0x8000_0000;
    /// Numbers from here on are manifest pages.
    pub const FIRST_PAGE: u32 = 0xFFFF_0000;
    /// Segments end before this number, so that the leaves of each end before the first page.
    pub const SEGMENTS_MAX: u32 = Self::FIRST_PAGE - Self::FIRST_LEAVES;

    /// The leaves of segment `segment`, which is below [`Self::SEGMENTS_MAX`]: its LEAVES payloads joined, 16 bytes for
    /// each of its symbols.
    #[must_use]
    pub const fn leaves_of(segment: u32) -> Self {
        Self(Self::FIRST_LEAVES | segment)
    }

    /// The segment, if these are the leaves of one.
    #[must_use]
    pub const fn as_leaves(self) -> Option<u32> {
        if self.0 >= Self::FIRST_LEAVES && self.0 < Self::FIRST_PAGE {
            Some(self.0 - Self::FIRST_LEAVES)
        } else {
            None
        }
    }

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
        if self.0 < Self::SEGMENTS_MAX { Some(self.0) } else { None }
    }
}

/// A set as the packets of a session name it: its place in the token's list (section 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetHandle(pub u32);

impl SetHandle {
    /// The first set of a token, and the only one of most.
    pub const FIRST: Self = Self(0);
}

/// A set as the caller's source counts them: at most `u32::MAX` sets, so that an `Option` of it takes no more room.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetIndex(NonZeroU32);

impl SetIndex {
    /// The source's first set.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The set with `index`; `None` for `u32::MAX`.
    #[must_use]
    pub const fn new(index: u32) -> Option<Self> {
        match NonZeroU32::MIN.checked_add(index) {
            Some(above) => Some(Self(above)),
            None => None,
        }
    }

    /// The index.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get() - 1
    }
}

impl fmt::Debug for SetIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SetIndex").field(&self.get()).finish()
    }
}

/// Names a request within its session: the client counts them from 1 (section 7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u32);

impl RequestId {
    /// No request, or none yet.
    pub const NONE: Self = Self(0);

    /// The id after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The lowest id that a window has whose highest is this one.
    #[must_use]
    pub const fn window_start(self) -> Self {
        Self(self.0.saturating_sub(REQUESTS_MAX as u32 - 1))
    }

    /// The bit of `id` in a map of the window whose highest id is this one: 1 for itself, 2 for the one before (STATUS,
    /// section 7.3). `None`: it is higher, or below the window.
    #[must_use]
    pub const fn bit_of(self, id: Self) -> Option<u64> {
        match self.0.checked_sub(id.0) {
            Some(back) if back < REQUESTS_MAX as u32 => Some(1 << back),
            _ => None,
        }
    }

    /// `map`, which counts back from this id, as a map that counts back from the later `id`.
    #[must_use]
    pub const fn shift_to(self, id: Self, map: u64) -> u64 {
        match map.checked_shl(id.0.saturating_sub(self.0)) {
            Some(map) => map,
            None => 0,
        }
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

/// Names a multicast channel of an edge: number in the high 24 bits, the shard that sends it in the low 8. It stands in
/// the clear header where a session's packets have their receiver index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub u32);

impl ChannelId {
    /// The most numbers that a shard can give.
    pub const NUMBERS: u32 = 1 << 24;

    /// Channel `number` of shard `shard`; numbers wrap at [`Self::NUMBERS`].
    #[must_use]
    pub const fn new(number: u32, shard: u8) -> Self {
        Self(number << 8 | shard as u32)
    }

    /// The shard that sends it.
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
    fn a_set_index_is_any_but_the_last_and_its_absence_costs_nothing() {
        for index in [0, 1, u32::MAX - 1] {
            assert_eq!(SetIndex::new(index).map(SetIndex::get), Some(index));
        }
        assert_eq!((SetIndex::new(u32::MAX), SetIndex::new(0)), (None, Some(SetIndex::FIRST)));
        assert_eq!(size_of::<Option<SetIndex>>(), size_of::<u32>());
    }

    #[test]
    fn a_window_of_requests_counts_back_from_its_highest() {
        let [first, last, far] = [1, 64, 65].map(RequestId);
        assert_eq!([last.bit_of(last), last.bit_of(first)], [Some(1), Some(1 << 63)]);
        assert_eq!([far.bit_of(first), first.bit_of(last)], [None, None]);
        assert_eq!([last, far].map(RequestId::window_start), [1, 2].map(RequestId));
        assert_eq!(first.window_start(), RequestId::NONE);
        assert_eq!((first.shift_to(last, 3), first.shift_to(far, 3)), (1 << 63, 0));
        assert_eq!(RequestId(u32::MAX).next(), RequestId(u32::MAX));
    }

    #[test]
    fn pages_and_segments_do_not_overlap() {
        assert_eq!(ObjectNumber::page(3).as_page(), Some(3));
        assert_eq!(ObjectNumber::page(0).as_segment(), None);
        assert_eq!(ObjectNumber(ObjectNumber::FIRST_PAGE - 1).as_page(), None);
    }

    #[test]
    fn the_leaves_of_every_segment_have_a_number_of_their_own() {
        for segment in [0, 1, ObjectNumber::SEGMENTS_MAX - 1] {
            let leaves = ObjectNumber::leaves_of(segment);
            assert_eq!(ObjectNumber(segment).as_segment(), Some(segment));
            assert_eq!(leaves.as_leaves(), Some(segment));
            assert_eq!((leaves.as_segment(), leaves.as_page()), (None, None));
        }
        assert_eq!(ObjectNumber::leaves_of(5).0, 0x8000_0005);
        assert_eq!(ObjectNumber(ObjectNumber::SEGMENTS_MAX).as_segment(), None);
        assert_eq!(ObjectNumber(ObjectNumber::FIRST_LEAVES - 1).as_leaves(), None);
        assert_eq!(ObjectNumber::page(0).as_leaves(), None);
    }

    #[test]
    fn a_channel_knows_its_shard() {
        let channel = ChannelId::new(0x12_3456, 0x78);
        assert_eq!((channel.0, channel.shard()), (0x1234_5678, 0x78));
        assert_eq!(ChannelId::new(ChannelId::NUMBERS + 1, 3), ChannelId::new(1, 3));
    }
}
