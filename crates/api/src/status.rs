//! `GET /status`: who this center is.

use serde::{Deserialize, Serialize};

use crate::value::{Bytes, Timestamp};

/// Who this center is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Status {
    /// The center's id, 16 bytes: it outlives roots.
    pub center: Bytes,
    /// The Ed25519 public keys of its roots, the newest first.
    pub roots: Vec<Bytes>,
    /// The number of the newest keyset.
    pub keyset: u64,
    /// The program's version.
    pub version: String,
    /// Its clock.
    pub time: Timestamp,
}
