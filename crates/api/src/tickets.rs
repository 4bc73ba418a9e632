//! Tickets, and what makes them playable.

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};

use crate::value::{Bytes, Id, Set, Timestamp};

/// What can be done with a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, EnumString, IntoStaticStr)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum TicketState {
    /// It can be validated, until it ends.
    Live,
    /// It was.
    Spent,
    /// It was withdrawn.
    Revoked,
}

/// A ticket: what an order gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Ticket {
    /// The ticket itself, 128 bytes.
    pub ticket: Bytes,
    /// Its serial.
    pub serial: Id,
    /// The order it is of.
    pub order: Id,
    /// The slug of its title.
    pub title: String,
    /// What that is called.
    pub name: String,
    /// Which set.
    pub set: Set,
    /// What can be done with it.
    pub state: TicketState,
    /// Plays left; none: as many as wanted.
    pub plays: Option<u16>,
    /// When it was made.
    pub created: Timestamp,
    /// Until when it can be validated; none: for ever.
    pub expires: Option<Timestamp>,
}

/// `GET /tickets`: which.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
pub struct TicketQuery {
    /// Only those.
    #[cfg_attr(feature = "schema", param(inline))]
    pub state: Option<TicketState>,
    /// How many at most, 1 to 200; 50 when it is not said.
    #[cfg_attr(feature = "schema", param(minimum = 1, maximum = 200))]
    pub limit: Option<u16>,
    /// The `next` of the page before.
    pub after: Option<String>,
}

/// `POST /validations`: spends one play of a ticket, for one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ValidationRequest {
    /// The ticket itself, 128 bytes.
    pub ticket: Bytes,
    /// Which device will play it.
    pub device: Id,
}

/// A play.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ValidationAnswer {
    /// The certificate, 128 bytes: with the ticket it gives the title key.
    pub certificate: Bytes,
    /// Its serial: the play's id.
    pub serial: Id,
    /// Until when it can be watched; none: for ever.
    pub expires: Option<Timestamp>,
    /// A ticket for the plays that are left.
    pub ticket: Option<Ticket>,
    /// SHA-256 of page 0 of the set's manifest, which the certificate signs too.
    pub page0_digest: Bytes,
    /// Edges, each as address, a blank, and its key.
    pub edges: Vec<String>,
}
