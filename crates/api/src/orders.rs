//! Orders and refunds.

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};

use crate::text::Reference;
use crate::tickets::Ticket;
use crate::value::{Id, Money, Set, Timestamp};

/// `POST /orders`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OrderRequest {
    /// Which offer.
    pub offer: Id,
}

/// An order that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct OrderAnswer {
    /// The order.
    pub order: Order,
    /// What it gives.
    pub ticket: Ticket,
}

/// Whether an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, EnumString, IntoStaticStr)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum OrderState {
    /// It stands.
    Paid,
    /// All of it went back.
    Refunded,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Order {
    /// Its id.
    pub id: Id,
    /// Whose.
    pub account: Id,
    /// Of which title.
    pub title: String,
    /// Of which offer.
    pub offer: Id,
    /// Which set.
    pub set: Set,
    /// What it cost.
    pub price: Money,
    /// What of that went back.
    pub refunded: Money,
    /// Whether it stands.
    pub state: OrderState,
    /// When it was made.
    pub created: Timestamp,
}

/// `POST /orders/{id}/refund`. A customer gets the whole, while nothing was played, within 14 days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RefundRequest {
    /// How much; none: all that is left.
    pub amount: Option<Money>,
    /// Why.
    pub reason: Reference,
}
