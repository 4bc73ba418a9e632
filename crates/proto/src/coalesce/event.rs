//! What the owner of a set tells all shards.

/// One message of the owner; a set's name goes with each. A lost one costs a unicast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The set's channels are others than before, or none.
    Channels,
    /// The segment is being sent to the group: the requests that are held for it are served by that.
    Begun {
        /// The segment.
        segment: u32,
    },
    /// The segment is not sent to the group: the requests that are held for it are served by unicast.
    Alone {
        /// The segment.
        segment: u32,
    },
    /// The segment will be sent in some seconds: bring it and its leaves into memory.
    Populate {
        /// The segment.
        segment: u32,
    },
}
