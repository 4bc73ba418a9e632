//! Accounts and logins.

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};

use crate::devices::Device;
use crate::orders::Order;
use crate::text::{Login, Name, Secret};
use crate::tickets::Ticket;
use crate::value::{Id, Money, Timestamp};

/// What an account may do.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    EnumString,
    IntoStaticStr,
)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Role {
    /// Orders and watches.
    Customer,
    /// All but what a payment system does in its name.
    Operator,
    /// Reads ledger, books and events.
    Auditor,
    /// Tops up balances.
    Payments,
}

/// How an account stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, EnumString, IntoStaticStr)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "snake_case")]
pub enum AccountState {
    /// In use.
    Active,
    /// Its password was given by somebody else and must be changed before anything.
    MustChange,
    /// Cannot log in.
    Blocked,
    /// Gone; its rows of the ledger stay.
    Closed,
}

/// `POST /accounts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AccountRequest {
    /// What it logs in as.
    pub login: Login,
    /// At least 10 characters.
    pub password: Secret,
    /// What it is called.
    pub name: Name,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Account {
    /// Its id.
    pub id: Id,
    /// What it logs in as.
    pub login: String,
    /// What it is called.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// How it stands.
    pub state: AccountState,
    /// Whether its viewing may be counted, by day and title.
    pub consent: bool,
    /// When it was made.
    pub created: Timestamp,
    /// Counts its changes: the ETag.
    pub rev: u64,
}

/// `PATCH /account`: what stays as it is, is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AccountPatch {
    /// What it is called from now on.
    pub name: Option<Name>,
    /// Whether its viewing may be counted.
    pub consent: Option<bool>,
}

/// `POST /account/password`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PasswordRequest {
    /// The password until now.
    pub old: Secret,
    /// The one from now on, at least 10 characters.
    pub new: Secret,
}

/// `POST /sessions`: a login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionRequest {
    /// Who.
    pub login: Login,
    /// Its password.
    pub password: Secret,
    /// The new password, when the old one was given by somebody else.
    pub new_password: Option<Secret>,
}

/// A login that began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SessionAnswer {
    /// `segcast_s_…`, for `Authorization: Bearer`.
    pub token: Secret,
    /// When it ends.
    pub expires: Timestamp,
    /// Whose it is.
    pub account: Account,
}

/// A login or API key, as `GET /sessions` lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Session {
    /// Its id: what `DELETE /sessions/{id}` takes.
    pub id: Id,
    /// From where or what for.
    pub label: String,
    /// When it began.
    pub created: Timestamp,
    /// When it ends by itself; none: never.
    pub expires: Option<Timestamp>,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// `GET /balance`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Balance {
    /// One for each currency there ever was.
    pub balances: Vec<Money>,
}

/// `GET /account/export`: all that the center knows of a person. Each list has the newest 200.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AccountExport {
    /// The account.
    pub account: Account,
    /// Its balances.
    pub balances: Vec<Money>,
    /// Its devices.
    pub devices: Vec<Device>,
    /// Its orders.
    pub orders: Vec<Order>,
    /// Its tickets.
    pub tickets: Vec<Ticket>,
}
