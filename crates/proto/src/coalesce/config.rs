//! What the owner of sets may use.

use crate::rate::Rate;

/// What the sets of one shard may use together. All of it is this shard's share of what the edge was given.
#[derive(Clone, Copy, Debug)]
pub struct CoalescerConfig {
    /// The shard that owns these sets: the low 8 bits of its channels' names.
    pub shard: u8,
    /// Channels open at once, of all sets.
    pub channels: usize,
    /// Members known at once, of all sets.
    pub members: usize,
    /// UDP payload of all channels together. [`Rate::ZERO`]: nothing is sent to groups.
    pub rate: Rate,
    /// The most that one channel sends at.
    pub channel_rate: Rate,
    /// What the channel of a set without a running time sends at.
    pub bulk_rate: Rate,
}
