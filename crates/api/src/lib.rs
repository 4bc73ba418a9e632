//! The center's HTTP interface as types: what is asked, what is answered, and how it is refused.
//!
//! Center and clients share these, so that neither can misspell the other. What a request may hold is said by the types
//! of [`value`] and [`text`]: a request that is read is within its bounds. Requests with unknown fields are refused, as
//! a misspelt one would be ignored silently; answers may get new fields.
#![forbid(unsafe_code)]

pub mod accounts;
pub mod admin;
pub mod catalogue;
#[cfg(feature = "client")]
pub mod client;
pub mod devices;
pub mod orders;
pub mod page;
pub mod problem;
#[cfg(feature = "schema")]
mod schema;
pub mod status;
pub mod text;
pub mod tickets;
pub mod tokens;
pub mod value;
