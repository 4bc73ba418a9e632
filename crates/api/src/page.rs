//! Lists, a page at a time, newest first.

use serde::{Deserialize, Serialize};

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// What is on it, newest first.
    pub items: Vec<T>,
    /// What `after` must be for the next page; none: this is the last.
    pub next: Option<String>,
}

/// Which page of a list: `?limit=…&after=…`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// How many at most, 1 to 200; 50 when it is not said.
    #[cfg_attr(feature = "schema", param(minimum = 1, maximum = 200))]
    pub limit: Option<u16>,
    /// The `next` of the page before.
    pub after: Option<String>,
}
