//! What a key is for. A signature by a key for something else counts for nothing.

use strum::{EnumIter, FromRepr};

/// What a key signs, by its number in keysets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, FromRepr)]
#[repr(u8)]
pub enum Use {
    /// Access tokens.
    Token = 1,
    /// Manifests.
    Manifest = 2,
    /// Play tickets and validation certificates.
    Ticket = 3,
    /// Lists of edges and of revocations.
    List = 4,
    /// An X25519 key, for which meters' reports are sealed: it signs nothing.
    Metering = 5,
    /// Keysets, as a later root.
    NextRoot = 6,
}
