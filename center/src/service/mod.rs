//! What the center does: one transaction each, from a request to an outcome.

pub mod password;
