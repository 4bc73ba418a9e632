//! What shards tell each other of groups: notes to the owner of a set, and what it answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbeam::queue::ArrayQueue;
use segcast_proto::coalesce::Note;
use segcast_proto::ids::{SetId, SetIndex};
use segcast_proto::wire::GroupKey;

use crate::limits;

/// The groups of all sets that a shard owns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) owner: u8,
    pub(crate) sets: Arc<BTreeMap<SetId, Arc<GroupKey>>>,
}

/// What becomes of a segment that sessions wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) set: SetId,
    pub(crate) segment: u32,
    /// It begins to be sent to its group; else it is not sent there.
    pub(crate) by_group: bool,
}

/// Parity that was computed for a shard.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) set: SetIndex,
    pub(crate) segment: u32,
    /// One after another.
    pub(crate) symbols: Arc<[u8]>,
}

/// The part of a mailbox that only an edge with groups has.
pub(super) struct GroupMail {
    pub(super) notes: ArrayQueue<(SetId, Note)>,
    pub(super) decisions: ArrayQueue<Decision>,
    /// An owner's newest one says all that its older ones do.
    pub(super) tables: ArrayQueue<Table>,
    pub(super) made: ArrayQueue<Made>,
}

impl GroupMail {
    pub(super) fn new() -> Self {
        Self {
            notes: ArrayQueue::new(limits::GROUP_NOTES),
            decisions: ArrayQueue::new(limits::GROUP_NOTES),
            tables: ArrayQueue::new(limits::SHARDS_MAX.into()),
            made: ArrayQueue::new(limits::POPULATE_WAITED),
        }
    }
}
