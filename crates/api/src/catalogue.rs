//! Titles, their sets, and what they are offered for.

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};

use crate::text::{Name, Slug, Synopsis};
use crate::value::{Bytes, Id, Money, Set, Timestamp};

/// Who sees a title.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, EnumString, IntoStaticStr)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum TitleState {
    /// Operators only.
    Draft,
    /// All.
    Listed,
    /// Who has it; nobody orders it.
    Withdrawn,
}

/// What is sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, EnumString, IntoStaticStr)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum OfferKind {
    /// Some plays, each within a time.
    Rental,
    /// Any plays, for ever.
    Purchase,
    /// As either, for nothing.
    Free,
}

/// A title as its operator sees it and its viewers do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TitleAnswer {
    /// What it is called in addresses and commands.
    pub slug: String,
    /// Its 12 random bytes, the first part of its sets.
    pub number: Bytes,
    /// What it is called.
    pub name: String,
    /// Some sentences.
    pub synopsis: String,
    /// Who sees it.
    pub state: TitleState,
    /// When it was made.
    pub created: Timestamp,
    /// Counts its changes: the ETag.
    pub rev: u64,
    /// Its newest ready set; none: it cannot be ordered yet.
    pub set: Option<SetAnswer>,
    /// What it is offered for now.
    pub offers: Vec<Offer>,
}

/// A set that is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SetAnswer {
    /// Its name.
    pub set: Set,
    /// The title's bytes.
    pub length: u64,
    /// SHA-256 of page 0 of its manifest, 32 bytes.
    pub page0_digest: Bytes,
}

/// What a title costs, and what is got for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Offer {
    /// Its id: what is ordered.
    pub id: Id,
    /// What is sold.
    pub kind: OfferKind,
    /// How often it can be started; none: as often as wanted.
    pub plays: Option<u16>,
    /// How long after the order it can be started, seconds; none: for ever.
    pub start_within: Option<u32>,
    /// How long after a start it can be watched, seconds; none: for ever.
    pub play_window: Option<u32>,
    /// What it costs.
    pub price: Money,
    /// From when.
    pub valid_from: Timestamp,
    /// Until when; none: no end is planned.
    pub valid_until: Option<Timestamp>,
    /// Counts its changes: the ETag.
    pub rev: u64,
}

/// `POST /titles`: a draft.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TitleRequest {
    /// What it is called in addresses and commands.
    pub slug: Slug,
    /// What it is called.
    pub name: Name,
    /// Some sentences, or none.
    pub synopsis: Option<Synopsis>,
}

/// `PATCH /titles/{slug}`: what stays as it is, is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TitlePatch {
    /// What it is called from now on.
    pub name: Option<Name>,
    /// Some sentences.
    pub synopsis: Option<Synopsis>,
    /// Who sees it.
    pub state: Option<TitleState>,
}

/// `POST /titles/{slug}/offers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OfferRequest {
    /// What is sold. A purchase has neither plays nor times; what is free costs 0, and only that.
    pub kind: OfferKind,
    /// How often it can be started, 1 to 65534; none: as often as wanted.
    pub plays: Option<u16>,
    /// How long after the order it can be started, seconds; only where plays are counted.
    pub start_within: Option<u32>,
    /// How long after a start it can be watched, seconds.
    pub play_window: Option<u32>,
    /// What it costs.
    pub price: Money,
    /// From when; none: from now.
    pub valid_from: Option<Timestamp>,
    /// Until when.
    pub valid_until: Option<Timestamp>,
}

/// `PATCH /offers/{id}`: only its end can change, since orders copied the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OfferPatch {
    /// Until when; none: no end is planned.
    pub valid_until: Option<Timestamp>,
}

/// `GET /titles`: which.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
pub struct TitleQuery {
    /// What name, slug or synopsis contain, at most 100 characters.
    #[cfg_attr(feature = "schema", param(max_length = 100))]
    pub q: Option<String>,
    /// How many at most, 1 to 200; 50 when it is not said.
    #[cfg_attr(feature = "schema", param(minimum = 1, maximum = 200))]
    pub limit: Option<u16>,
    /// The `next` of the page before.
    pub after: Option<String>,
}
