//! What operators, auditors and payment systems ask.

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};

use crate::accounts::{AccountState, Role};
use crate::text::{Name, Reference, Secret};
use crate::value::{Id, Money, Timestamp};

/// `PATCH /accounts/{id}`: what stays as it is, is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AdminAccountPatch {
    /// What it may do.
    pub role: Option<Role>,
    /// Active or blocked.
    pub state: Option<AccountState>,
}

/// `POST /accounts/{id}/top-ups`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TopUpRequest {
    /// How much, above 0.
    pub amount: Money,
    /// What the payment system calls the payment: a known one counts once.
    pub reference: Reference,
}

/// Why money moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, EnumString, IntoStaticStr)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "snake_case")]
pub enum TransferKind {
    /// A payment came.
    TopUp,
    /// Something was ordered.
    Order,
    /// Some of it went back.
    Refund,
}

/// Money that moved from one purse to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Transfer {
    /// Its id.
    pub id: Id,
    /// The purse it left.
    pub debit: Id,
    /// The purse it came to.
    pub credit: Id,
    /// How much.
    pub amount: Money,
    /// Why.
    pub kind: TransferKind,
    /// For which order.
    pub order: Option<Id>,
    /// What the payment system, or the center, calls it.
    pub reference: String,
    /// When.
    pub created: Timestamp,
}

/// Whose a purse is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, EnumString, IntoStaticStr)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum PurseKind {
    /// A customer's: its balance is never below 0.
    Customer,
    /// What was sold.
    Sales,
    /// What payment systems brought: its balance is what they owe, below 0.
    Clearing,
}

/// A purse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Purse {
    /// Its id.
    pub id: Id,
    /// Whose it is.
    pub kind: PurseKind,
    /// The account, of a customer's.
    pub account: Option<Id>,
    /// What is in it.
    pub balance: Money,
}

/// `GET /books`: whether the books balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Books {
    /// Whether all does.
    pub balanced: bool,
    /// Transfers that were summed.
    pub transfers: u64,
    /// Purses whose balance is not what their transfers come to.
    pub wrong_purses: Vec<Id>,
    /// Orders whose plays sold are not plays left and plays spent.
    pub wrong_orders: Vec<Id>,
}

/// `POST /revocations`: exactly one of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RevocationRequest {
    /// One play.
    Certificate(Id),
    /// A ticket and all its plays.
    Ticket(Id),
    /// All plays of a device.
    Device(Id),
    /// All plays and tickets of an account.
    Account(Id),
    /// All plays that began before.
    Before(Timestamp),
}

/// What was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RevocationAnswer {
    /// Plays.
    pub count: u64,
    /// The number of the newest revocation.
    pub number: u64,
}

/// `POST /api-keys`: a login for a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ApiKeyRequest {
    /// What it may do.
    pub role: Role,
    /// What it is for.
    pub label: Name,
}

/// An API key, told once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ApiKeyAnswer {
    /// Its id: what `DELETE /api-keys/{id}` takes.
    pub id: Id,
    /// `segcast_k_…`, for `Authorization: Bearer`.
    pub secret: Secret,
}

/// Something that was done, in the audit feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Event {
    /// Its id.
    pub id: Id,
    /// When.
    pub at: Timestamp,
    /// Who; none: nobody who is known.
    pub actor: Option<Id>,
    /// What.
    pub action: String,
    /// To what.
    pub object: String,
    /// In which request.
    pub request_id: String,
    /// From where.
    pub network: String,
    /// More.
    pub detail: String,
}
