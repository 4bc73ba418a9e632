//! Devices: what tokens are bound to.

use serde::{Deserialize, Serialize};

use crate::text::Name;
use crate::value::{Bytes, Id, Timestamp};

/// `POST /devices`. The same key again gives the same device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeviceRequest {
    /// Its X25519 public key, 32 bytes.
    pub client_key: Bytes,
    /// What its owner calls it.
    pub name: Name,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Device {
    /// Its id.
    pub id: Id,
    /// What its owner calls it.
    pub name: String,
    /// Its X25519 public key, 32 bytes.
    pub client_key: Bytes,
    /// When it came.
    pub created: Timestamp,
    /// When it was revoked; none: it is in use.
    pub revoked: Option<Timestamp>,
}
