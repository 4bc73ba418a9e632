//! What a client will have of groups, and what it is told of them.

use core::net::IpAddr;

use crate::ids::ObjectNumber;
use crate::rate::Rate;
use crate::session::ranges::RangeSet;
use crate::wire::group_report::GroupReport;

/// What a client will have of groups.
#[derive(Clone, Debug)]
pub struct GroupsConfig {
    /// Addresses that may send to groups it joins: the session's peer, and others that it was told to trust.
    pub sources: Vec<IpAddr>,
    /// What the channels that it joins may send together.
    pub rate: Rate,
    /// Segments from the position on that it can store; [`WINDOW_ALL`](crate::wire::group_report::WINDOW_ALL): all.
    pub window: u32,
}

/// A membership: whom to hear, where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The only sender.
    pub source: IpAddr,
    /// The group, a source-specific one of the same family.
    pub group: IpAddr,
    /// The UDP port.
    pub port: u16,
}

/// What happened, and what is to be done. Drain after every call that may change something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupsEvent {
    /// Join this group. If that fails, say so by [`super::Groups::join_failed`].
    Join(Route),
    /// Leave it.
    Leave(Route),
    /// A segment is whole: each of its symbols has the leaf that the manifest vouches for, or was computed from such ones.
    Segment {
        /// Its number.
        segment: u32,
        /// Its stored bytes.
        bytes: Vec<u8>,
    },
    /// A part of an object did not come: it is to be fetched by
    /// [`ClientSession::fetch_rest`](super::super::ClientSession::fetch_rest). A segment is from then on the caller's, and
    /// goes by [`super::Groups::complete`] when it has come; leaves go to [`super::Groups::on_leaves`].
    Rest {
        /// A segment, or the leaves of one.
        object: ObjectNumber,
        /// Its bytes, as far as they came.
        bytes: Vec<u8>,
        /// Which of them need not be fetched: they are right, or parity replaces them.
        have: RangeSet,
    },
    /// What the server announced is not joined.
    Refused(Refusal),
}

/// Why a client joins no group that a server announced. Unicast goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The suite is not known.
    #[error("groups use cipher suite {0}, which this client does not know")]
    Suite(u8),
    /// Another host would be the sender.
    #[error("groups would be sent by {0}, which is not the address of this session's edge")]
    Source(IpAddr),
    /// Anybody could send to it, or it is no group at all.
    #[error("{0} is no source-specific group (232.0.0.0/8, or ff3x::/96): it is not joined")]
    NotSourceSpecific(IpAddr),
    /// The source cannot send there.
    #[error("the group {group} and its source {source_address} are of different families")]
    Family {
        /// The group.
        group: IpAddr,
        /// Its source.
        source_address: IpAddr,
    },
    /// It would send faster than the client accepts.
    #[error("a group sends up to {pace_kbit} kbit/s, more than this client takes")]
    Rate {
        /// What it sends at most.
        pace_kbit: u32,
    },
}

/// A GROUP_REPORT, and what its frame header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberedReport {
    /// 1, 2, … in the session and set.
    pub number: u32,
    /// The first segment that the client lacks and will need.
    pub position: u32,
    /// The payload.
    pub report: GroupReport,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, derive_more::AddAssign)]
pub struct GroupStats {
    /// Authentic packets.
    pub datagrams: u64,
    /// Their bytes, of UDP payload.
    pub bytes: u64,
    /// Datagrams of no channel that is joined, malformed, of no known epoch, or with a wrong tag.
    pub dropped: u64,
    /// Symbols that have their leaf.
    pub verified: u64,
    /// Symbols and LEAVES that a member forged: authentic, and not what the manifest says.
    pub forged: u64,
    /// Symbols that had come before.
    pub duplicates: u64,
    /// Symbols and LEAVES of segments that are not wanted, or for which there was no room.
    pub unwanted: u64,
    /// Segments that came whole.
    pub segments: u64,
    /// Source symbols that were computed from parity.
    pub computed: u64,
    /// Segments of which the rest was asked for.
    pub rests: u64,
    /// Times that a channel counted as deaf.
    pub deaf: u64,
    /// GROUP_KEYs that were refused.
    pub refused: u64,
}
