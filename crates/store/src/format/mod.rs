//! The bytes on disk, as `docs/protocol/store.md` describes them. Nothing here touches a file: every parser takes
//! bytes, returns a reason for any that are wrong, and never panics.

pub mod leaves_file;
pub mod segment_file;
pub mod set_file;
pub mod slot_header;
pub mod store_file;

mod fields;

/// The version of all formats of this folder.
pub const FORMAT_VERSION: u32 = 1;
/// Generations are below this, so that the one after the highest on the disk can always be counted.
pub const GENERATIONS: u64 = 1 << 63;

/// Why bytes on disk are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Other bytes than the format's first ones.
    #[error("it does not begin with {wanted:?}")]
    Magic {
        /// What it should begin with.
        wanted: &'static str,
    },
    /// Written by another version of the program.
    #[error("its format is version {found}, and this program reads {FORMAT_VERSION}")]
    Version {
        /// What the file says.
        found: u32,
    },
    /// The checksum is not that of the bytes.
    #[error("its checksum is wrong")]
    Checksum,
    /// Shorter or longer than it says.
    #[error("it has {found} bytes where {wanted} are needed")]
    Length {
        /// Bytes there.
        found: u64,
        /// Bytes needed.
        wanted: u64,
    },
    /// The name inside is not that of the file.
    #[error("it is of another set than its name says")]
    OtherSet,
    /// A value that no version 1 writer writes.
    #[error("{field} is {found}, which cannot be")]
    Value {
        /// Which field.
        field: &'static str,
        /// Its value.
        found: u64,
    },
}
