//! Bounds of a dry run.

use std::time::Duration;

/// Titles told apart in an hour; the rest are "others".
pub(super) const TITLES: usize = 256;
/// Hours that are kept.
pub(super) const HOURS: u64 = 24;
/// Requests that wait for a group at once; more count as unicast.
pub(super) const WAITING: usize = 1 << 18;
/// Requests that the shards have told and that were not taken; more are dropped, and counted.
pub(super) const TOLD: usize = 16_384;
/// A session is a member so long after its first request of a set …
pub(super) const JOINS_AFTER: Duration = Duration::from_millis(500);
/// … and so long after its last one.
pub(super) const STAYS: Duration = Duration::from_secs(30);
/// How often a member's position is told.
pub(super) const TELLS: Duration = Duration::from_secs(5);
