//! What can go wrong with a store, in words for the operator: which file, which value, what would be right.

use std::io;
use std::path::{Path, PathBuf};

use segcast_proto::ids::SetId;
use segcast_proto::segment::manifest::ManifestError;

use crate::format::FormatError;
use crate::format::segment_file::DoesNotFit;
use crate::format::set_file::BadPages;

/// An operation on a store failed. What was committed before is untouched and still served.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused a call.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The disk or the quota is full.
    #[error(
        "the disk is full: {action} {}{}; remove a set (segcast store remove), or give the store more room", path.display(),
        for_bytes(*bytes)
    )]
    Full {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// How much was needed there; 0 where that is not known.
        bytes: u64,
    },
    /// The folder holds no store.
    #[error("{} is no store: it has no file STORE (create one, or name another folder)", dir.display())]
    NoStore {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder holds segment files or sets, but no file `STORE`.
    #[error("{} has segment files or sets but no file STORE: it was a store and is damaged", dir.display())]
    StoreFileLost {
        /// The folder.
        dir: PathBuf,
    },
    /// The file `STORE` cannot be read as one.
    #[error("{}: {reason}", path.display())]
    StoreFile {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        reason: FormatError,
    },
    /// The store was created with another size of segment files.
    #[error(
        "{} was created with segment files of {found} bytes, not {wanted}: give that size, or none", dir.display()
    )]
    FileBytesMismatch {
        /// The folder.
        dir: PathBuf,
        /// What `STORE` says.
        found: u64,
        /// What was asked for.
        wanted: u64,
    },
    /// No such size of segment files.
    #[error(
        "segment files of {wanted} bytes: the size is a multiple of 4096 from {} to {}",
        crate::limits::FILE_BYTES_MIN,
        crate::limits::FILE_BYTES_MAX
    )]
    BadFileBytes {
        /// What was asked for.
        wanted: u64,
    },
    /// Another process writes to the store.
    #[error(
        "{} is being written to by process {}: wait for it, or use another folder", dir.display(),
        pid.map_or_else(|| "(unknown)".to_owned(), |pid| pid.to_string())
    )]
    Owned {
        /// The folder.
        dir: PathBuf,
        /// Whose it is, if `LOCK` says so.
        pid: Option<u32>,
    },
    /// The store has this set.
    #[error("set {set} is in the store: remove it first, or pack another version")]
    SetExists {
        /// The set.
        set: SetId,
    },
    /// This set is being written.
    #[error("set {set} is being written")]
    SetBusy {
        /// The set.
        set: SetId,
    },
    /// The store does not have this set.
    #[error("set {set} is not in the store")]
    NoSuchSet {
        /// The set.
        set: SetId,
    },
    /// The store has as many sets as it can.
    #[error("the store has {} sets, the most it can hold", crate::limits::SETS_MAX)]
    TooManySets,
    /// The store has as many segment files as it can.
    #[error("the store has {} segment files, the most it can hold", crate::limits::FILES_MAX)]
    TooManyFiles,
    /// More segments than segment numbers.
    #[error(
        "a set of {segments} segments: at most {} have numbers",
        segcast_proto::ids::ObjectNumber::SEGMENTS_MAX
    )]
    TooManySegments {
        /// How many were asked for.
        segments: u32,
    },
    /// A segment of this size has no place in a segment file.
    #[error(transparent)]
    DoesNotFit(#[from] DoesNotFit),
    /// A segment that is not the set's next to write.
    #[error("segment {segment} of set {set}: {reason}")]
    BadSegment {
        /// The set.
        set: SetId,
        /// The segment's number.
        segment: u32,
        /// What is wrong with it.
        reason: BadSegment,
    },
    /// A commit before every segment was written, or the leaves of every segment.
    #[error(
        "set {set} cannot be committed: {missing} of its segments or their leaves were not written, the first is {first}"
    )]
    Incomplete {
        /// The set.
        set: SetId,
        /// How many.
        missing: u32,
        /// The first of them.
        first: u32,
    },
    /// Leaves of a set that has none.
    #[error("set {set} was packed without parity, so it has no leaves: it is served by unicast")]
    NoParity {
        /// The set.
        set: SetId,
    },
    /// The manifest pages of a stored set do not belong together.
    #[error("set {set}: its manifest in the store: {reason}")]
    Manifest {
        /// The set.
        set: SetId,
        /// What is wrong.
        reason: ManifestError,
    },
    /// A stored segment is not the one of the manifest.
    #[error(
        "set {set}: segment {segment} is not what the manifest says: remove the set and pack it again"
    )]
    WrongSegment {
        /// The set.
        set: SetId,
        /// The segment.
        segment: u32,
    },
    /// Manifest pages out of bounds.
    #[error("set {set}: {reason}")]
    BadPages {
        /// The set.
        set: SetId,
        /// What is wrong.
        reason: BadPages,
    },
    /// The manifest pages of all sets would take more memory than was allowed.
    #[error(
        "set {set}: {bytes} bytes of manifest pages, and only {left} of the store's {limit} are left"
    )]
    PageMemory {
        /// The set.
        set: SetId,
        /// The size of its pages.
        bytes: u64,
        /// What may still be used.
        left: u64,
        /// The bound.
        limit: u64,
    },
}

/// Why a segment was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSegment {
    /// Its number is not below the number of segments.
    #[error("the set has {segments} segments")]
    Number {
        /// How many there are.
        segments: u32,
    },
    /// Every segment of a set has the set's size; the last one is padded.
    #[error("it has {found} bytes, the set's segments {wanted}")]
    Length {
        /// Its length.
        found: usize,
        /// The set's segment size.
        wanted: u32,
    },
    /// Every segment of a set has as many leaves.
    #[error("its leaves have {found} bytes, the set's others {wanted}")]
    Leaves {
        /// Their length.
        found: usize,
        /// That of the leaves that came first.
        wanted: u32,
    },
    /// It was written before.
    #[error("it was written before")]
    Twice,
}

impl Damage {
    /// The set that is damaged, where it is a set.
    #[must_use]
    pub const fn set(&self) -> Option<SetId> {
        match self {
            Self::SetFile { set, .. }
            | Self::Missing { set, .. }
            | Self::OverLimit { set, .. }
            | Self::Unannounced { set, .. }
            | Self::Leaves { set, .. }
            | Self::Data { set, .. } => Some(*set),
            Self::SegmentFile { .. }
            | Self::FileLength { .. }
            | Self::Unreadable { .. }
            | Self::StrangeFile { .. } => None,
        }
    }
}

fn for_bytes(bytes: u64) -> String {
    if bytes == 0 { String::new() } else { format!(" needs {bytes} bytes") }
}

/// Names what was tried, on which file, and tells a full disk apart.
pub(crate) fn failed(
    action: &'static str,
    path: &Path,
    bytes: u64,
) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            StoreError::Full { action, path, bytes }
        }
        _ => StoreError::Io { action, path, source },
    }
}

/// Something in the folder that only outside damage explains. The rest of the store is served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// A segment file whose header page is not its own. Nothing of it is served and nothing is written to it.
    #[error("segment file {}: {reason}", path.display())]
    SegmentFile {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        reason: FormatError,
    },
    /// A segment file that is shorter or longer than it was made. What is whole in it is served; nothing is written to it.
    #[error("segment file {} has {found} bytes instead of {wanted}", path.display())]
    FileLength {
        /// Its path.
        path: PathBuf,
        /// Its length.
        found: u64,
        /// The length it should have.
        wanted: u64,
    },
    /// A file that cannot be read.
    #[error("{} cannot be read: {reason}", path.display())]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// The system's answer.
        reason: String,
    },
    /// A file among the sets that is none.
    #[error("{} is not named like a set", path.display())]
    StrangeFile {
        /// Its path.
        path: PathBuf,
    },
    /// A `.set` file that cannot be read as one. The set is not served; its slots are kept until it is removed.
    #[error("set {set}: its .set file: {reason}")]
    SetFile {
        /// The set.
        set: SetId,
        /// What is wrong.
        reason: FormatError,
    },
    /// Segments without a slot. The set is not served; its slots are kept until it is removed.
    #[error("set {set}: {missing} of its {segments} segments are missing, the first is {first}")]
    Missing {
        /// The set.
        set: SetId,
        /// How many segments it has.
        segments: u32,
        /// How many of them are missing.
        missing: u32,
        /// The first of them.
        first: u32,
    },
    /// A set beyond the number or the page memory that the store allows. It is not served.
    #[error("set {set}: {reason}")]
    OverLimit {
        /// The set.
        set: SetId,
        /// Which limit.
        reason: &'static str,
    },
    /// A set that a reader cannot tell writers of. It is not served; the next look tries again.
    #[error(
        "set {set}: a byte of the file STORE cannot be locked to say that it is read: {reason}"
    )]
    Unannounced {
        /// The set.
        set: SetId,
        /// The system's answer.
        reason: String,
    },
    /// A `.leaves` file that is not the set's. The set is served, by unicast.
    #[error(
        "set {set}: its .leaves file: {reason}; it is served by unicast only, until `segcast store leaves` makes it anew"
    )]
    Leaves {
        /// The set.
        set: SetId,
        /// What is wrong.
        reason: String,
    },
    /// A slot whose data is not what its header says (found only by a check of the data).
    #[error(
        "set {set}: segment {segment} in slot {slot} of {} is not what was written", path.display()
    )]
    Data {
        /// The set.
        set: SetId,
        /// The segment.
        segment: u32,
        /// The segment file.
        path: PathBuf,
        /// The slot.
        slot: u32,
    },
}
