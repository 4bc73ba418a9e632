//! The subcommands, one file each.

pub(crate) mod account;
pub(crate) mod center;
pub(crate) mod demo;
pub(crate) mod edge;
pub(crate) mod edges;
pub(crate) mod get;
mod hearing;
pub(crate) mod io;
pub(crate) mod key;
pub(crate) mod keys;
pub(crate) mod load;
pub(crate) mod pack;
pub(crate) mod store;
pub(crate) mod token;
