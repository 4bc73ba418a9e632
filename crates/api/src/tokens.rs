//! Tokens: what edges ask for.

use serde::{Deserialize, Serialize};

use crate::value::{Bytes, Id, Set, Timestamp};

/// `POST /tokens`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// Serials of 1 to 16 certificates of one device, of sets that differ.
    #[cfg_attr(feature = "schema", schema(min_items = 1, max_items = 16))]
    pub certificates: Vec<Id>,
    /// That device.
    pub device: Id,
}

/// A token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TokenAnswer {
    /// The token, as signed.
    pub token: Bytes,
    /// Its sets in its own order, which may be another than that of the certificates: the index is the set handle.
    pub sets: Vec<Set>,
    /// When it ends: no session begins after.
    pub expires: Timestamp,
    /// When to ask for the next one.
    pub renew_after: Timestamp,
    /// How long sessions go on after its end, seconds.
    pub grace: u32,
    /// Edges, each as address, a blank, and its key.
    pub edges: Vec<String>,
}

/// `GET /sets/{set}/edges`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EdgesAnswer {
    /// Which set.
    pub set: Set,
    /// Edges, each as address, a blank, and its key.
    pub edges: Vec<String>,
}
